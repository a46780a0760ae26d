//! Tokens that need a recent sign-in: somebody who has not signed in for a while can't use the tokens of our own API until
//! they sign in again.
//!
//! No request waits for that. When somebody signs in, the moment is put on record; a job looks who has tokens and has not
//! signed in within the window, and bars their tokens: a record and a feed entry, in this order (rule P8). Filters look the
//! entry up, and a check confirms it. A sign-in lifts both at once. Who never signed in counts from when the first of their
//! tokens was issued.

use std::sync::Arc;

use async_trait::async_trait;
use sekisho_protocol::feed::Kind;
use sekisho_protocol::{Email, Subject};

use crate::domain::feed::Mark;
use crate::domain::feed::write::Says;
use crate::domain::time::UnixSeconds;
use crate::domain::token::{SIGN_IN_WINDOW_MAX_S, StoredToken};
use crate::failpoint::{FailPoint, reach};
use crate::service::error::StoreError;
use crate::service::feed::mirror::Mirror;
use crate::service::feed::{Feed, Lifted};
use crate::service::tokens::TokenStore;

/// For so long a bar holds, and it is known when somebody signed in, in seconds. Both are renewed in time for as long as
/// somebody has tokens that can be used: in the second half of their time, which no window is longer than.
pub const KEPT_S: u64 = 2 * SIGN_IN_WINDOW_MAX_S;

/// Keeps who signed in when, and who must sign in.
#[async_trait]
pub trait SignInStore: Send + Sync {
    /// Puts on record that somebody signed in, unless a later moment is; the record lives for `kept_s` more.
    async fn note(&self, subject: &Subject, moment: UnixSeconds, kept_s: u64) -> Result<(), StoreError>;

    /// Puts on record from when on to count for somebody who never signed in; the moment on record afterwards.
    async fn count_from(&self, subject: &Subject, moment: UnixSeconds, kept_s: u64) -> Result<UnixSeconds, StoreError>;

    /// When somebody signed in last, if that is on record.
    async fn signed_in(&self, subject: &Subject) -> Result<Option<UnixSeconds>, StoreError>;

    /// Puts on record that somebody must sign in, and that they signed in last at `signed_in`, until `until`.
    async fn require(&self, subject: &Subject, signed_in: UnixSeconds, until: UnixSeconds) -> Result<(), StoreError>;

    /// Takes that off the record.
    async fn release(&self, subject: &Subject) -> Result<(), StoreError>;

    /// One step of a walk over all who have tokens that can be used at `now` (some perhaps twice), and where to go on; none
    /// after the last.
    async fn owners(&self, cursor: Option<u64>, now: UnixSeconds) -> Result<(Vec<Owner>, Option<u64>), StoreError>;
}

/// Somebody who has tokens that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Whose the tokens are.
    pub email: Email,
    /// When they signed in last, or from when on to count; none if nothing is on record.
    pub signed_in: Option<UnixSeconds>,
    /// For how many more seconds that is on record.
    pub kept_s: u64,
    /// Until when it is on record that they must sign in.
    pub required_until: Option<UnixSeconds>,
}

/// What was done about somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Nothing was to be done.
    Agreed,
    /// They must sign in.
    Required,
    /// They need not any more.
    Released,
}

/// The use cases. Without a window they do nothing.
#[derive(Clone)]
pub struct RecentSignIn {
    store: Arc<dyn SignInStore>,
    tokens: Arc<dyn TokenStore>,
    feed: Arc<dyn Feed>,
    mirror: Mirror,
    window_s: Option<u64>,
}

impl RecentSignIn {
    /// Sign-ins kept by `store`; whoever has none in the last `window_s` seconds can't use the tokens in `tokens`.
    #[must_use]
    pub fn new(
        store: Arc<dyn SignInStore>,
        tokens: Arc<dyn TokenStore>,
        feed: Arc<dyn Feed>,
        mirror: Mirror,
        window_s: Option<u64>,
    ) -> Self {
        Self { store, tokens, feed, mirror, window_s }
    }

    /// Whether anybody must sign in at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.window_s.is_some()
    }

    /// Somebody signed in at `moment`: their tokens can be used again.
    ///
    /// # Errors
    /// The store cannot be reached. What is left to do then, a walk does.
    pub async fn note(&self, subject: &Subject, moment: UnixSeconds, now: UnixSeconds) -> Result<(), StoreError> {
        let Some(window_s) = self.window_s else { return Ok(()) };
        self.store.note(subject, moment, KEPT_S).await?;
        if is_recent(moment, window_s, now) {
            self.release(subject).await?;
        }
        Ok(())
    }

    /// One step of a walk over all who have tokens: what was done about how many, and where to go on.
    ///
    /// # Errors
    /// The store cannot be reached; another walk begins anew.
    pub async fn walk(&self, cursor: Option<u64>, now: UnixSeconds) -> Result<(usize, Option<u64>), StoreError> {
        let (owners, next) = self.store.owners(cursor, now).await?;
        let mut changed = 0;
        for owner in owners {
            changed += usize::from(self.settle(&owner, now).await? != Settled::Agreed);
        }
        Ok((changed, next))
    }

    /// Sees whether somebody must sign in.
    async fn settle(&self, owner: &Owner, now: UnixSeconds) -> Result<Settled, StoreError> {
        let Some(window_s) = self.window_s else { return Ok(Settled::Agreed) };
        let subject = Subject::from(owner.email.clone());
        let signed_in = match owner.signed_in {
            Some(moment) => moment,
            None => match self.first_issue(&owner.email, now).await? {
                Some(moment) => self.store.count_from(&subject, moment, KEPT_S).await?,
                None => return Ok(Settled::Agreed),
            },
        };
        if owner.signed_in.is_some() && owner.kept_s < KEPT_S / 2 {
            self.store.note(&subject, signed_in, KEPT_S).await?;
        }
        let held_until = self.held_until(&subject, now);
        if !is_recent(signed_in, window_s, now) {
            return self.require(&subject, owner.required_until.min(held_until), signed_in, now).await;
        }
        if owner.required_until.is_none() && held_until.is_none() {
            return Ok(Settled::Agreed);
        }
        self.release(&subject).await?;
        Ok(Settled::Released)
    }

    /// Bars somebody's tokens, unless they are barred for long enough.
    async fn require(
        &self,
        subject: &Subject,
        barred_until: Option<UnixSeconds>,
        signed_in: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<Settled, StoreError> {
        if barred_until.is_some_and(|until| until.since(now) > KEPT_S / 2) {
            return Ok(Settled::Agreed);
        }
        let until = now.plus(KEPT_S);
        self.store.require(subject, signed_in, until).await?;
        reach(FailPoint::SignInRequired);
        self.feed.put(&Mark::sign_in_needed(subject, until)).await?;
        // Whoever signed in meanwhile found no entry to lift.
        let signed_in_now = self.store.signed_in(subject).await?;
        if signed_in_now.is_some_and(|moment| moment > signed_in) {
            self.release(subject).await?;
            return Ok(Settled::Released);
        }
        tracing::debug!(user.id = %subject, "somebody's tokens wait for a sign-in");
        Ok(Settled::Required)
    }

    /// Lets somebody's tokens be used.
    async fn release(&self, subject: &Subject) -> Result<(), StoreError> {
        // The entry is read first: what somebody writes after that stands, and they look again.
        let entry = self.feed.entry(Kind::SignIn, subject.as_str()).await?;
        self.store.release(subject).await?;
        reach(FailPoint::SignInReleased);
        if let Some(entry) = entry
            && self.feed.lift(Kind::SignIn, subject.as_str(), entry.version).await? == Lifted::Overtaken
        {
            tracing::debug!(user.id = %subject, "somebody else wrote whether a sign-in is needed; a walk sees to it");
        }
        Ok(())
    }

    /// When the first of somebody's tokens that can be used was issued, or the one from which it descends; none if they have none.
    async fn first_issue(&self, email: &Email, now: UnixSeconds) -> Result<Option<UnixSeconds>, StoreError> {
        let tokens = self.tokens.of_user(email).await?;
        let live = tokens.iter().filter(|token| !token.is_revoked && token.record.expires_at > now.get());
        let issued =
            |token: &StoredToken| token.record.family.as_ref().map_or(token.record.created_at, |family| family.since);
        Ok(live.map(issued).min().map(UnixSeconds))
    }

    /// Until when the feed bars somebody, as far as this sidecar knows.
    fn held_until(&self, subject: &Subject, now: UnixSeconds) -> Option<UnixSeconds> {
        let held = self.mirror.look(|state, _| state.holding(Kind::SignIn, subject.as_str(), now.get())).flatten();
        held.and_then(|says| match says {
            Says::Holds { until, .. } => Some(UnixSeconds(until)),
            Says::Lifted { .. } => None,
        })
    }
}

/// Whether who signed in at `moment` need not do so again at `now`.
#[must_use]
pub fn is_recent(moment: UnixSeconds, window_s: u64, now: UnixSeconds) -> bool {
    now.since(moment) < window_s
}

#[cfg(test)]
mod tests;
