//! The Sekisho sidecar: it holds what the filters in Envoy must know (bans, revoked tokens), and is
//! the API and the command line to change it.
//!
//! Dependencies point one way: `main → app → {http, jobs, cli} → service → domain`. [`store`]
//! implements the traits of [`service`]; only [`app`] names it. Start reading at [`app`].

pub mod app;
pub mod cli;
pub mod client;
pub mod config;
pub mod domain;
pub mod failpoint;
pub mod http;
pub mod jobs;
pub mod logging;
pub mod service;
pub mod store;

#[cfg(test)]
pub(crate) mod test_issuer;
#[cfg(test)]
pub(crate) mod test_postgres;
#[cfg(test)]
pub(crate) mod test_provider;
#[cfg(test)]
pub(crate) mod testing;
