//! What the Sekisho filter (in Envoy) and the Sekisho sidecar say to each other.
//!
//! Five conversations, all JSON over HTTP, all carrying `Authorization: Bearer <mesh secret>`:
//! [`feed`] (what the filter must know), [`check`] (what it cannot decide alone), [`session`] (what is behind a cookie),
//! [`keyset`] (whose signatures it may believe) and [`activity`] (what it saw). This crate holds their types and the few derivations on which both
//! sides must agree to the bit. It never performs I/O and never asks a clock.

pub mod activity;
pub mod check;
pub mod digest;
pub mod feed;
pub mod identity;
pub mod keys;
pub mod keyset;
pub mod replica;
pub mod session;
pub mod subject;

pub use digest::Digest;
pub use replica::{Epoch, ReplicaId};
pub use subject::{Email, Subject};

/// The version of the conversations. An answer that carries another one is refused with a
/// log line, never interpreted.
pub const PROTOCOL: u16 = 1;

/// Most seconds by which a provider may let clocks differ. A revocation outlives its token by this and a
/// little more (rule P10).
pub const LEEWAY_MAX_S: u32 = 300;

/// Where the sidecar's `mesh` listener answers.
pub mod path {
    /// `GET`: the feed's long poll. `DELETE`: a replica's goodbye.
    pub const FEED: &str = "/v1/feed";
    /// `POST`: one decision that the filter cannot take alone.
    pub const CHECK: &str = "/v1/check";
    /// `POST`: what is behind a session's cookie.
    pub const SESSION: &str = "/v1/session";
    /// `GET`: the keys of a source.
    pub const KEYS: &str = "/v1/keys";
    /// `POST`: a batch of what the filter saw.
    pub const ACTIVITY: &str = "/v1/activity";
}
