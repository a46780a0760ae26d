//! The names of Redis keys. Those without `sekisho:` are of the gateway that Sekisho replaces, and shared
//! with whatever still uses it.

use sekisho_protocol::feed::Kind;

/// Hash: the id of the epoch, the lineage on which it began, the version at which it began.
pub(crate) const EPOCH: &str = "sekisho:{feed}:epoch";
/// The version of the last write.
pub(crate) const VERSION: &str = "sekisho:{feed}:version";
/// Stream: every write; an entry's id is its version.
pub(crate) const STREAM: &str = "sekisho:{feed}:stream";
/// Hash: `kind|name` → the last write about the name.
pub(crate) const ENTRIES: &str = "sekisho:{feed}:entries";
/// Sorted set, all with score 0: the names under which a ban was put, to list them in order.
pub(crate) const BANS: &str = "sekisho:{feed}:bans";
/// Hash: replica → what it said with its last poll.
pub(crate) const WORKERS: &str = "sekisho:{feed}:workers";
/// + replica: the sequence of the last activity report.
pub(crate) const ACTIVITY: &str = "sekisho:activity:";
/// + e-mail: a ban; the value is the Unix time at which it was given.
pub(crate) const BAN_RECORD: &str = "active_user_deleted:";
/// + e-mail: hash of a ban's `reason`, `by`, `at`, `until`.
pub(crate) const BAN_DETAILS: &str = "sekisho:ban:";
/// + token id: a revoked token; the value is `1`.
pub(crate) const REVOKED_RECORD: &str = "revoked:token:";
/// + subject: the Unix second before which the subject's tokens are invalid.
pub(crate) const NOT_BEFORE_RECORD: &str = "sekisho:not_before:";
/// + subject: the Unix second in which somebody signed in last, or from which on to count if they never did.
pub(crate) const SIGNED_IN: &str = "sekisho:signed_in:";
/// + subject: since when somebody's tokens wait for a sign-in, as JSON.
pub(crate) const SIGN_IN_RECORD: &str = "sekisho:sign_in_needed:";
/// + source, in braces, so that its keys share a slot: the source's keys, as JSON. Behind that `:turn`: whose turn it
///   is to change them; or `:question`: what was asked last about an unknown `kid`.
pub(crate) const KEYSET: &str = "sekisho:keyset:";
/// Hash: the keys of our own with which tokens are signed.
pub(crate) const SIGNING_KEYS: &str = "sekisho:signing_keys";
/// + session id: what is known of a session of our own, as JSON.
pub(crate) const SESSION: &str = "sekisho:session:";
/// + session id: a session that somebody ended; the value is `1`.
pub(crate) const ENDED_RECORD: &str = "sekisho:session:ended:";
/// + subject: sorted set, the ids of somebody's sessions by their ends.
pub(crate) const SESSIONS_OF: &str = "sekisho:sessions:of:";
/// + session id: what an identity provider gave us with the sign-in, sealed. Behind that `:turn`: whose turn it is to ask
///   that provider again.
pub(crate) const GRANT: &str = "sekisho:grant:";
/// + what a provider calls it: set, ids of sessions; or, behind that `:is`, a subject; `:out`, when the provider last told
///   of a logout; `:heard`, that a message was heard.
pub(crate) const AT_PROVIDER: &str = "sekisho:provider:";
/// + subject: the Unix second before which the subject's sessions began that a ban or somebody's order ended for good.
pub(crate) const SESSIONS_NOT_BEFORE: &str = "sekisho:sessions:not_before:";
/// + key of a session of oauth2-proxy: hash of the last session whose ticket was shown: what it is called (`id`), the
///   digest of its `ticket`, when that was written down (`noted_at`) and when it ends (`ends_at`).
pub(crate) const OAUTH2_PROXY_SEEN: &str = "sekisho:oauth2_proxy:seen:";
/// Sorted set: the keys of those, by their ends.
pub(crate) const OAUTH2_PROXY_NOTED: &str = "sekisho:oauth2_proxy:noted";
/// + token id: what is known of a token, as JSON.
pub(crate) const TOKEN_INFO: &str = "token:info:";
/// + digest of a caller, in braces, so that its keys share a slot: sorted set, digest of an `Idempotency-Key` → when a
///   call came with it first. Behind that `:` and the digest: hash of the call's `fingerprint`, of whoever carries it out
///   (`claim`), or of its `answer`.
pub(crate) const KEPT_ANSWERS: &str = "sekisho:answers:";
/// + what is counted, `:` and digest of a caller: when the calls so far will all have counted off, in Unix microseconds.
pub(crate) const RATE: &str = "sekisho:rate:";

/// What the keys of a kind's records begin with, if it has records.
pub(crate) fn record_prefix(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Ban => Some(BAN_RECORD),
        Kind::Token => Some(REVOKED_RECORD),
        Kind::NotBefore => Some(NOT_BEFORE_RECORD),
        Kind::Session => Some(ENDED_RECORD),
        Kind::SignIn => Some(SIGN_IN_RECORD),
        Kind::Key | Kind::Block | Kind::Keyset => None,
    }
}
