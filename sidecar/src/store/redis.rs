//! Redis: hot state, the change stream, and the records that other programs share with us.
//!
//! Keys that one script touches share the literal hash tag `{feed}`; nothing else assumes that two keys
//! live on one node.

pub mod active_users;
pub mod activity;
pub mod admins;
pub mod announcements;
pub mod answers;
pub mod bans;
pub mod cleanup;
pub mod client;
pub mod feed;
mod foreign;
pub mod grants;
pub mod journal;
pub(crate) mod keys;
pub mod keysets;
pub mod not_before;
pub mod notices;
pub mod oauth2_proxy;
mod ranked;
pub mod rates;
pub mod recent_sign_in;
pub mod records;
mod scan;
pub mod sessions;
pub mod signing_keys;
pub mod source;
mod texts;
pub mod tokens;
pub mod vitals;
pub mod workers;

pub use client::RedisClient;

#[cfg(test)]
mod tests;
