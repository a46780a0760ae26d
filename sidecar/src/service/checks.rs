//! Decides what a filter cannot decide alone: whether the records bar a subject, its token or its session.
//!
//! The feed's version is read before the records (rule P5), so that a filter can tell whether the
//! answer is older than what it knows. What either the records or this sidecar's copy of the feed
//! bars, is barred. Whatever cannot be read is an inability, never an *allow*.

use std::sync::Arc;

use async_trait::async_trait;
use sekisho_protocol::PROTOCOL;
use sekisho_protocol::activity::Method;
use sekisho_protocol::check::{CheckDecision, CheckReply, CheckRequest, DenyReason};
use sekisho_protocol::feed::Kind;
use sekisho_protocol::keyset::KeysHeld;

use crate::domain::feed::position::{Position, Verdict};
use crate::domain::feed::state::State;
use crate::domain::feed::write::Says;
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::feed::mirror::Mirror;
use crate::service::keysets::publish::announced;
use crate::service::metrics::{CheckOutcome, Metrics};
use crate::service::recent_sign_in::is_recent;
use crate::service::tokens::family::Shown;

/// What the records say about a subject and its credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Until when the subject is banned, Unix seconds; none if it isn't.
    pub banned_until: Option<u64>,
    /// Whether the token is revoked; of a session of our own, whether there is none, or somebody ended it.
    pub credential_ended: bool,
    /// The Unix second before which the subject's tokens are invalid; none if they all may be valid.
    pub issued_before: Option<u64>,
    /// Whether the subject must sign in again, and when they did so last, Unix seconds; looked up if that matters.
    pub sign_in_needed: bool,
    /// See there.
    pub signed_in: Option<u64>,
}

/// Reads the records that bar.
#[async_trait]
pub trait CheckRecords: Send + Sync {
    /// What they say of a request, and where the feed stood in the store once they were read: one round trip.
    async fn standing(&self, request: &CheckRequest) -> Result<(Standing, Position), StoreError>;
}

/// Takes decisions.
#[derive(Clone)]
pub struct Checks {
    mirror: Mirror,
    records: Arc<dyn CheckRecords>,
    metrics: Metrics,
    shown: Shown,
    sign_in_window_s: Option<u64>,
}

/// Why no decision could be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Inability {
    /// The feed was never read, so that no version could be given to the decision.
    #[error("the feed is not loaded")]
    NotLoaded,
    /// The store may have lost records, and what is remembered of them is not written back yet (rule P2).
    #[error("the store lost data, or another one answers; the feed is being loaded anew")]
    OtherEpoch,
    /// The keys that verified the token are not the source's present ones; a check under those can decide.
    #[error("the filter's keys are older than those announced")]
    OutdatedKeys,
    /// The records cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Checks {
    /// Decides by `records` and by the copy of the feed, and tells `shown` of revoked tokens that somebody came with.
    #[must_use]
    pub fn new(mirror: Mirror, records: Arc<dyn CheckRecords>, metrics: Metrics, shown: Shown) -> Self {
        Self { mirror, records, metrics, shown, sign_in_window_s: None }
    }

    /// The same, and tokens that need a recent sign-in are barred while their owner has none within so many seconds.
    #[must_use]
    pub fn wanting_sign_ins(self, window_s: Option<u64>) -> Self {
        Self { sign_in_window_s: window_s, ..self }
    }

    /// Decides one request.
    ///
    /// # Errors
    /// Nothing can be said.
    pub async fn decide(&self, request: &CheckRequest) -> Result<CheckReply, Inability> {
        let decided = self.decide_unmeasured(request).await;
        // Filters confirm each hit with a check (rule P6), so whoever comes with a revoked token is heard of here.
        if let (Ok(CheckReply { decision: CheckDecision::Deny(DenyReason::TokenRevoked), .. }), Some(id)) =
            (&decided, &request.token_id)
        {
            self.shown.notice(id);
        }
        self.metrics.check(match &decided {
            Ok(CheckReply { decision: CheckDecision::Allow, .. }) => CheckOutcome::Allow,
            Ok(_) => CheckOutcome::Deny,
            Err(_) => CheckOutcome::CannotTell,
        });
        decided
    }

    /// [`Self::decide`] without counting it as a check of a filter.
    pub(super) async fn decide_unmeasured(&self, request: &CheckRequest) -> Result<CheckReply, Inability> {
        let stamp = self.mirror.stamp().ok_or(Inability::NotLoaded)?;
        let (standing, position) = self.records.standing(request).await?;
        if position.judge(Some(&stamp)) != Verdict::Continues {
            return Err(Inability::OtherEpoch);
        }
        let outdated = |held: &KeysHeld| announced(&self.mirror, &held.source) > held.revision;
        if request.keys.as_ref().is_some_and(outdated) {
            return Err(Inability::OutdatedKeys);
        }
        let now = UnixSeconds::now().get();
        let held = self.mirror.look(|state, _| held_against(state, request, now)).ok_or(Inability::NotLoaded)?;
        let denied = deny(request, standing, held);
        // Signing in helps against nothing else, so it is said last.
        let denied = denied.or_else(|| self.wants_sign_in(standing, held, now).then_some(DenyReason::SignInNeeded));
        let decision = denied.map_or(CheckDecision::Allow, CheckDecision::Deny);
        Ok(CheckReply { protocol: PROTOCOL, epoch: stamp.epoch, version: stamp.version.get(), decision })
    }

    /// Whoever signed in recently need not do so again, even if the bar is not lifted yet.
    fn wants_sign_in(&self, records: Standing, feed: Standing, now: u64) -> bool {
        let Some(window_s) = self.sign_in_window_s else { return false };
        let has_signed_in = |moment| is_recent(UnixSeconds(moment), window_s, UnixSeconds(now));
        (records.sign_in_needed || feed.sign_in_needed) && !records.signed_in.is_some_and(has_signed_in)
    }
}

/// A revoked token or an ended session is the narrower reason, but a ban says when it ends: the ban comes first.
fn deny(request: &CheckRequest, records: Standing, feed: Standing) -> Option<DenyReason> {
    if let Some(until) = records.banned_until.max(feed.banned_until) {
        return Some(DenyReason::Banned { until });
    }
    let is_outdated = is_outdated(request.issued_at, records.issued_before.max(feed.issued_before));
    let has_ended = records.credential_ended || feed.credential_ended || is_outdated;
    has_ended.then_some(match request.method {
        Method::Jwt => DenyReason::TokenRevoked,
        Method::Session | Method::Oauth2Proxy => DenyReason::SessionEnded,
    })
}

/// What the feed holds against the subject and its token.
fn held_against(state: &State, request: &CheckRequest, now: u64) -> Standing {
    let holding = |kind, name| match state.holding(kind, name, now) {
        Some(Says::Holds { until, floor }) => Some((until, floor)),
        _ => None,
    };
    let subject = request.subject.as_str();
    let kind = if request.method == Method::Jwt { Kind::Token } else { Kind::Session };
    Standing {
        banned_until: holding(Kind::Ban, subject).map(|(until, _)| until),
        credential_ended: request.token_id.as_ref().is_some_and(|id| holding(kind, id).is_some()),
        issued_before: holding(Kind::NotBefore, subject).map(|(_, floor)| floor),
        sign_in_needed: request.recent_sign_in && holding(Kind::SignIn, subject).is_some(),
        signed_in: None,
    }
}

/// Whether the subject was logged out everywhere after the token was issued, or after signing in. A token that does not
/// say when it was issued counts as old.
fn is_outdated(issued_at: Option<u64>, issued_before: Option<u64>) -> bool {
    issued_before.is_some_and(|issued_before| issued_at.is_none_or(|issued_at| issued_at < issued_before))
}
