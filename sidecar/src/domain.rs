//! What the sidecar decides, pure: no web framework, no runtime, no database, no clock.

pub mod active_user;
pub mod admin;
pub mod audit;
pub mod ban;
pub mod caller;
pub mod cleanup;
pub mod error;
pub mod feed;
pub mod idempotency;
pub mod keyset;
pub mod oauth2_proxy;
pub mod page;
pub mod rate;
pub mod return_to;
pub mod seal;
pub mod search;
pub mod session;
pub mod session_order;
pub mod sign_in;
pub mod signing;
pub mod strength;
pub mod time;
pub mod token;
pub mod unseen_session;
pub mod webhook;
