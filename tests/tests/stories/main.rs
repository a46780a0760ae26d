//! The end-to-end stories: what a user, an admin, an attacker and an operator see, in real Envoy.
//!
//! One module a story. `cargo test -p e2e --test stories` runs them in one process, where stories
//! share worlds; under `cargo nextest` each has a world of its own and the whole takes longer.

#![expect(clippy::indexing_slicing, reason = "JSON is read by `answer[\"field\"]`, and a story may panic")]

mod active_users;
mod admin;
mod api_command;
mod audit;
mod bans;
mod browsers;
mod callouts;
mod cleanup;
mod config;
mod failure;
mod identity;
mod in_chromium;
mod jwt;
mod kill_switch;
mod manners;
mod oauth2_proxy;
mod observability;
mod ordering;
mod own_keys;
mod paths;
mod peers;
#[path = "../people/sessions.rs"]
mod people;
mod places;
mod policy;
mod protocols;
mod provider;
mod recent_sign_in;
mod refresh;
mod secrets;
mod session_lists;
mod sessions;
mod sign_in;
mod streams;
mod stripping;
mod table;
mod takeover;
mod token_api;
mod webhooks;

use e2e::{Plan, Shared};

/// The world of every story that breaks nothing and counts nothing.
static CALM: Shared = Shared::new(Plan::default);
