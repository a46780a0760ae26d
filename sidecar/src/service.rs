//! The use cases, and the traits of what they need from outside.
//!
//! [`Services`] is everything that the listeners, the jobs and the command line can ask for; the
//! composition root builds it.

use std::sync::Arc;

pub mod acknowledgement;
pub mod activity;
pub mod admins;
pub mod bans;
pub mod change;
pub mod checks;
pub mod error;
pub mod feed;
pub mod metrics;
pub mod readiness;
pub mod tokens;
