//! The use cases, and the traits of what they need from outside.
//!
//! [`Services`] is everything that the listeners, the jobs and the command line can ask for; the
//! composition root builds it.

use std::sync::Arc;

pub mod acknowledgement;
pub mod active_users;
pub mod activity;
pub mod admins;
pub mod all_sessions;
pub mod audit;
pub mod bans;
pub mod change;
pub mod checks;
pub mod cleanup;
pub mod clock;
pub mod doctor;
pub mod encryption;
pub mod error;
pub mod feed;
pub mod foreign;
pub mod gateway;
pub mod idempotency;
pub mod installation;
pub mod keysets;
pub mod logout;
pub mod mesh;
pub mod metrics;
pub mod oauth2_proxy;
pub mod readiness;
pub mod recent_sign_in;
pub mod refusals;
pub mod sessions;
pub mod sign_in;
pub mod signing_keys;
pub mod throttle;
pub mod tokens;
mod walk;
pub mod webhooks;

use acknowledgement::Acknowledgements;
use active_users::ActiveUsers;
use activity::Activities;
use admins::Admins;
use all_sessions::AllSessions;
use audit::trail::AuditTrail;
use bans::Bans;
use checks::Checks;
use cleanup::Cleanup;
use encryption::Encryption;
use feed::Feed;
use feed::mirror::Mirror;
use feed::polls::Polls;
use feed::reconcile::Reconciler;
use feed::registry::Registry;
use feed::source::Records;
use idempotency::Idempotency;
use installation::Database;
use keysets::Keysets;
use logout::Logouts;
use mesh::Mesh;
use metrics::Metrics;
use oauth2_proxy::Oauth2Proxy;
use readiness::{NoticeState, Readiness, VitalsProbe};
use recent_sign_in::RecentSignIn;
use refusals::Refusals;
use sessions::Sessions;
use sign_in::SignIn;
use signing_keys::SigningKeys;
use signing_keys::jwks::Jwks;
use throttle::Throttle;
use tokens::Tokens;
use tokens::family::Shown;
use webhooks::Webhooks;

/// Everything that can be asked for. Clones share their state.
#[derive(Clone)]
pub struct Services {
    /// Bans.
    pub bans: Bans,
    /// Tokens.
    pub tokens: Tokens,
    /// Revoked tokens that somebody came with.
    pub shown: Shown,
    /// Who is signed in.
    pub sessions: Sessions,
    /// The same, and sessions whose owners are not known.
    pub all_sessions: AllSessions,
    /// Signing in, if people do it here.
    pub sign_in: Option<SignIn>,
    /// Who is signed in at an oauth2-proxy, if there is one.
    pub oauth2_proxy: Option<Oauth2Proxy>,
    /// Who must sign in again.
    pub recent_sign_in: RecentSignIn,
    /// The keys of our own with which tokens are signed.
    pub signing_keys: SigningKeys,
    /// Those keys, for everybody.
    pub jwks: Jwks,
    /// Logging people out everywhere.
    pub logouts: Logouts,
    /// Who may administer.
    pub admins: Admins,
    /// The feed, to be written to.
    pub feed: Arc<dyn Feed>,
    /// The keys of those who issue tokens.
    pub keysets: Keysets,
    /// Who has heard of a change.
    pub acknowledgements: Acknowledgements,
    /// Which filters listen.
    pub registry: Arc<dyn Registry>,
    /// How far the filters are.
    pub mesh: Mesh,
    /// The records that other programs write, too.
    pub records: Arc<dyn Records>,
    /// How the store is.
    pub probe: Arc<dyn VitalsProbe>,
    /// This sidecar's copy of the feed. Empty unless the jobs run.
    pub mirror: Mirror,
    /// Answers the filters' polls.
    pub polls: Polls,
    /// Decides what filters cannot.
    pub checks: Checks,
    /// Who is active.
    pub active_users: ActiveUsers,
    /// Takes in what filters saw.
    pub activities: Activities,
    /// Brings the feed into line with the records.
    pub reconciler: Reconciler,
    /// Whether the store's notices come.
    pub notices: NoticeState,
    /// What is ready.
    pub readiness: Readiness,
    /// What is counted.
    pub metrics: Metrics,
    /// Calls that are refused.
    pub refusals: Refusals,
    /// What was done, by whom.
    pub trail: AuditTrail,
    /// Whether the database is ours to use.
    pub database: Database,
    /// What is kept sealed, and under which keys.
    pub encryption: Encryption,
    /// Calls that are carried out once, however often they are sent.
    pub idempotency: Idempotency,
    /// How often somebody may call.
    pub throttle: Throttle,
    /// Who is told of events.
    pub webhooks: Webhooks,
    /// Clearing leftovers away.
    pub cleanup: Cleanup,
}
