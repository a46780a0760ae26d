//! Sekisho's decisions, pure: events in, [`worker::Step`]s out.
//!
//! Start at [`flow`], which takes one request from its headers to a decision. [`worker`] is what the
//! requests of one VM share. Nothing here makes a host call, asks a clock or draws a random number:
//! the shell (`sekisho-filter`) does, and hands the results in.

pub mod activity;
pub mod answer;
pub mod authorize;
pub mod check;
pub mod config;
pub mod credential;
pub mod cross_site;
pub mod decision;
pub mod denial;
pub mod denylist;
pub mod feed;
pub mod flow;
pub mod head;
pub mod id_map;
pub mod identity;
pub mod key_calls;
pub mod live;
pub mod metrics;
#[cfg(feature = "offline")]
pub mod offline;
pub mod path;
pub mod route;
pub mod secret;
pub mod session;
pub mod set_cookie;
pub mod shared;
pub mod sources;
pub mod time;
pub mod trace;
pub mod upstream;
pub mod verify;
pub mod worker;
