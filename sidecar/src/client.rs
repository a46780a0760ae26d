//! What this program asks of others over HTTP.

pub mod web;
