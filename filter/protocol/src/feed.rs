//! The feed: `GET /v1/feed`, a long poll by each VM. It carries what the filter must know.
//!
//! A poll with `epoch` and `since` asks for what changed after version `since`; that number is also
//! the **acknowledgement** of everything up to it. A poll without them asks for the first page of a
//! snapshot, and `from` for the page that starts at that digest.

use serde::{Deserialize, Serialize};

use crate::{Digest, Epoch, ReplicaId};

/// Most bytes of one answer's body.
pub const PAGE_MAX_BYTES: usize = 64 * 1024;
/// Most bytes of a replica's node and of its build.
pub const LABEL_MAX_BYTES: usize = 128;
/// Most entries in a snapshot page or changes in a delta: with it no body passes [`PAGE_MAX_BYTES`].
pub const PAGE_MAX_ENTRIES: usize = 700;

/// The query of a poll, as `application/x-www-form-urlencoded`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedQuery {
    /// Who asks.
    pub replica: ReplicaId,
    /// Envoy's node id, for people; at most 128 bytes.
    #[serde(default)]
    pub node: String,
    /// The filter's version, for people; at most 128 bytes.
    #[serde(default)]
    pub build: String,
    /// The number of its VM within that Envoy, in the order of their start, from 1; for people. 0: not known.
    #[serde(default)]
    pub worker: u32,
    /// Bytes of the VM's linear memory, which never shrinks; for people.
    #[serde(default)]
    pub memory_bytes: u64,
    /// How many entries the replica holds; for people.
    #[serde(default)]
    pub entries: u64,
    /// How old the replica is when it polls, in milliseconds: since the moment of which it is known to tell
    /// the truth (rule P4); none without a snapshot. For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// Whether the replica checks every request once it is stale. False if any of its routes lets
    /// requests pass then (`on_unavailable: allow`): its silence never counts as fenced (rule P7).
    pub fences: bool,
    /// After how many milliseconds without news the replica counts itself as stale; at most 60,000.
    pub staleness_ms: u32,
    /// The epoch that the replica holds, or with `from` the one it reads a snapshot of; none before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The version that the replica has applied in full. Meaningful only with `epoch`. With `from` it
    /// acknowledges nothing: it is the version of the snapshot's first page, behind which no page may be.
    #[serde(default)]
    pub since: u64,
    /// Set while a snapshot is being read: the digest with which the wanted page starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Digest>,
}

/// The query of a goodbye (`DELETE /v1/feed`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodbyeQuery {
    /// Who leaves.
    pub replica: ReplicaId,
}

/// The answer to a poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedReply {
    /// [`crate::PROTOCOL`].
    pub protocol: u16,
    /// The epoch to which every version in this answer belongs.
    pub epoch: Epoch,
    /// How long ago this was all there is, in milliseconds: the age of the sidecar's last successful read
    /// of Redis (rule P4), or [`u64::MAX`] if more is waiting than this answer holds.
    pub age_ms: u64,
    /// Whether the poll is on record, and with it what the replica promises (rule P7). A replica that was on
    /// record a moment ago is answered without it, while the store is away.
    pub recorded: bool,
    /// What is new.
    pub body: FeedBody,
}

/// What a feed answer carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedBody {
    /// The changes after `from`, without a gap, up to and including `version`. Nothing new: none.
    Delta {
        /// The version after which the changes start: the poll's `since`.
        from: u64,
        /// The version that the replica has once it applied them: that of the last change, or `from`.
        version: u64,
        /// In order, each one version above the one before.
        changes: Vec<Change>,
    },
    /// One page of a snapshot, cut by digest range. The version of a snapshot is the lowest of its
    /// pages' (rule P3).
    Page {
        /// The sidecar's version when it cut this page.
        version: u64,
        /// How many entries the whole snapshot has, to size the table at once.
        count: u64,
        /// The digest with which this page starts.
        from: Digest,
        /// The digest with which the next page starts; none after the last.
        next: Option<Digest>,
        /// In the order of their digests.
        entries: Vec<Entry>,
    },
}

/// One numbered change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its version.
    pub version: u64,
    /// What it does.
    pub effect: Effect,
}

/// What a change does to the denylist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// From now on this holds.
    Put(Entry),
    /// What was put under this digest no longer holds.
    Lift(Digest),
}

/// What the filter must know. A kind that it does not know makes it stale, never ignorant: it fails
/// to read the answer, advances over nothing and checks every request.
///
/// `role` (who is an admin) joins together with what uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The subject is banned.
    Ban(Bar),
    /// The token with this id is revoked.
    Token(Bar),
    /// The session is killed.
    Session(Bar),
    /// The API key is revoked.
    Key(Bar),
    /// The client address is blocked.
    Block(Bar),
    /// Every token of the subject issued before a moment is invalid.
    NotBefore {
        /// The subject's digest.
        digest: Digest,
        /// Unix seconds: a token with an earlier `iat`, or without one, is refused.
        issued_before: u64,
        /// Unix seconds after which no such token can be alive.
        until: u64,
    },
    /// The subject must sign in again before tokens of providers that ask for that are accepted.
    SignIn(Bar),
    /// The keys of a source have changed: a worker that holds an older revision believes none of them before
    /// it has asked for the new one ([`crate::keyset`]).
    Keyset {
        /// The source's digest.
        digest: Digest,
        /// The revision that is in force from now on.
        revision: u64,
    },
}

/// A digest that is barred for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    /// Of what.
    #[serde(rename = "d")]
    pub digest: Digest,
    /// Unix seconds; [`FOREVER`] if it has no end. It leaves by itself when that moment comes.
    #[serde(rename = "u")]
    pub until: u64,
}

/// The `until` of what has no end. The filter's table holds 32 bits.
pub const FOREVER: u64 = u32::MAX as u64;

impl Entry {
    /// The digest under which the entry is filed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match self {
            Self::Ban(bar)
            | Self::Token(bar)
            | Self::Session(bar)
            | Self::Key(bar)
            | Self::Block(bar)
            | Self::SignIn(bar) => bar.digest,
            Self::NotBefore { digest, .. } | Self::Keyset { digest, .. } => *digest,
        }
    }

    /// Unix seconds at which the entry ends.
    #[must_use]
    pub fn until(&self) -> u64 {
        match self {
            Self::Ban(bar)
            | Self::Token(bar)
            | Self::Session(bar)
            | Self::Key(bar)
            | Self::Block(bar)
            | Self::SignIn(bar) => bar.until,
            Self::NotBefore { until, .. } => *until,
            Self::Keyset { .. } => FOREVER,
        }
    }
}

/// The kinds of things that an entry can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A subject that is banned.
    Ban,
    /// A token, by its id (`jti`).
    Token,
    /// A session, by its ticket id.
    Session,
    /// An API key, by the hex of its SHA-256.
    Key,
    /// A client address.
    Block,
    /// A subject whose earlier tokens are invalid.
    NotBefore,
    /// A source of keys, by its name.
    Keyset,
    /// A subject who must sign in again.
    SignIn,
}

impl Kind {
    /// The byte that separates the kinds in a digest. Never reuse one.
    pub(crate) fn tag(self) -> u8 {
        match self {
            Self::Ban => 1,
            Self::Token => 2,
            Self::Session => 3,
            Self::Key => 4,
            Self::Block => 5,
            Self::NotBefore => 6,
            Self::Keyset => 7,
            Self::SignIn => 8,
        }
    }
}
