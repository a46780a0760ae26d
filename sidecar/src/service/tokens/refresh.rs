//! Exchanging a token for a new one, so that a long-lived client never needs its owner again (RFC 9700 §4.14.2 says
//! how refresh tokens are rotated; here the token is its own).
//!
//! The old token is good for a grace time, since its answer may get lost and its other users need time. Then it is
//! revoked. Who still comes with it has a copy that its owner replaced: one of the two is a thief, and nobody can tell
//! which. So all tokens that descend from the same first one are revoked, and it is reported.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};

use super::Tokens;
use crate::domain::audit::{Action, By, Event};
use crate::domain::caller::Caller;
use crate::domain::error::Failure;
use crate::domain::feed::revocation_end;
use crate::domain::time::UnixSeconds;
use crate::domain::token::{Grant, Scopes, Status, StoredToken, TokenId, TokenName};
use crate::failpoint::{FailPoint, reach};
use crate::service::audit::Deed;
use crate::service::change::Change;
use crate::service::error::StoreError;

/// How often a token can be exchanged: answers get lost, but not so many.
pub const EXCHANGES_MAX: usize = 5;
/// Most that one step looks after.
const STEP: usize = 100;
/// Most that wait to be looked at. What is beyond is left out: it will be shown again.
const SHOWN_MAX: usize = 1_024;

/// Keeps which tokens were exchanged, and what is still to be done about it.
#[async_trait]
pub trait Exchanges: Send + Sync {
    /// Notes that a token is exchanged once more, if it may be; until when it is good then.
    async fn note(&self, exchange: &Exchange) -> Result<Option<UnixSeconds>, StoreError>;

    /// Lets both tokens join their family, unless it is sealed; whether they did.
    async fn join(&self, exchange: &Exchange) -> Result<bool, StoreError>;

    /// Has a token revoked at `at`, unless it is to be revoked already.
    async fn retire_at(&self, id: &str, at: UnixSeconds) -> Result<(), StoreError>;

    /// At most `limit` tokens that are to be revoked now. Nobody else gets them for a few seconds.
    async fn to_retire(&self, now: UnixSeconds, limit: usize) -> Result<Vec<String>, StoreError>;

    /// A token was revoked, or has ended.
    async fn retired(&self, id: &str) -> Result<(), StoreError>;

    /// The family of a token that was revoked because it had been exchanged.
    async fn family_of_retired(&self, id: &str) -> Result<Option<String>, StoreError>;

    /// Opens a case of a family of which such a token was shown, unless there was one; whether this is new.
    async fn open_case(&self, family: &str, now: UnixSeconds) -> Result<bool, StoreError>;

    /// At most `limit` families whose cases are open. Nobody else gets them for a few seconds.
    async fn open_cases(&self, now: UnixSeconds, limit: usize) -> Result<Vec<String>, StoreError>;

    /// Lets no token join a family from now on; all that ever did.
    async fn seal_family(&self, family: &str) -> Result<Vec<String>, StoreError>;

    /// A case was seen to.
    async fn close_case(&self, family: &str) -> Result<(), StoreError>;
}

/// An exchange of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The old one.
    pub old: String,
    /// The new one.
    pub new: String,
    /// Their family.
    pub family: String,
    /// Until when the old one is good, unless an exchange before said so.
    pub good_until: UnixSeconds,
    /// The moment of the exchange.
    pub now: UnixSeconds,
    /// Until when it must be remembered.
    pub until: UnixSeconds,
}

/// A token that was exchanged.
#[derive(Debug, Clone)]
pub struct Refreshed {
    /// The new token itself. Nobody can see it again.
    pub token: String,
    /// What it claims.
    pub grant: Grant,
    /// The id of the old one.
    pub previous_id: TokenId,
    /// Until when the old one is good.
    pub previous_until: UnixSeconds,
}

/// Takes notice of revoked tokens that somebody came with. The filters are not to wait for what follows from that.
#[derive(Clone)]
pub struct Shown {
    sender: mpsc::Sender<String>,
    receiver: Arc<Mutex<mpsc::Receiver<String>>>,
}

impl Default for Shown {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(SHOWN_MAX);
        Self { sender, receiver: Arc::new(Mutex::new(receiver)) }
    }
}

impl Shown {
    /// The next one, once there is one.
    pub async fn next(&self) -> Option<String> {
        self.receiver.lock().await.recv().await
    }

    /// A revoked token was shown.
    pub fn notice(&self, token_id: &str) {
        let _ = self.sender.try_send(token_id.to_owned());
    }
}

impl Tokens {
    /// Exchanges the token with which the caller comes for one with the same name and scopes.
    ///
    /// # Errors
    /// [`Failure::NotExchangeable`], [`Failure::AlreadyExchanged`], [`Failure::FamilyTooOld`],
    /// [`Failure::TooManyTokens`]; [`Failure::Unauthenticated`] if it is not valid any more.
    pub async fn refresh(
        &self,
        caller: &Caller,
        expires_in: Option<u64>,
        now: UnixSeconds,
    ) -> Result<Refreshed, Failure> {
        let old = self.presented(caller).await?;
        if old.status(now) != Status::Active {
            return Err(Failure::Unauthenticated);
        }
        let issued_at = self.still_valid(caller, caller.email()?, now).await?;
        let grant = self.successor(caller, &old, expires_in, issued_at)?;
        let (this, deed) = (self.clone(), Deed::new(Action::TokenRefreshed, caller.by().clone(), &grant.email));
        let previous_id = TokenId::parse(&old.record.token_id)?;
        let change = async move { this.exchange(previous_id, old, grant, now).await };
        let tell = |refreshed: &Refreshed, event: &mut Event| {
            refreshed.grant.tell(event);
            event.tell("previous_token_id", refreshed.previous_id.as_str());
            event.tell("previous_until", refreshed.previous_until.get());
        };
        self.changes.carry_out(deed, change, tell).await
    }

    /// The token with which the caller comes, if it is one of ours.
    async fn presented(&self, caller: &Caller) -> Result<StoredToken, Failure> {
        let id = caller.token_id().and_then(|id| TokenId::parse(id).ok()).ok_or(Failure::NotExchangeable)?;
        self.own(caller, &id).await.map_err(|failure| match failure {
            Failure::TokenNotFound | Failure::NotYourToken => Failure::NotExchangeable,
            other => other,
        })
    }

    fn successor(
        &self,
        caller: &Caller,
        old: &StoredToken,
        expires_in: Option<u64>,
        issued_at: UnixSeconds,
    ) -> Result<Grant, Failure> {
        let record = &old.record;
        let family = record.family();
        let days = self.limits.family_max_s / 86_400;
        let end_of_family = UnixSeconds(family.since).plus(self.limits.family_max_s);
        if end_of_family <= issued_at {
            return Err(Failure::FamilyTooOld { days });
        }
        let life = expires_in.or_else(|| record.expires_at.checked_sub(record.created_at).filter(|life| *life > 0));
        let expires_at = issued_at.plus(self.limits.lifetimes.choose(life)?).min(end_of_family);
        Ok(Grant {
            id: TokenId::new(),
            email: caller.email()?.clone(),
            // A name of the old gateway may be none that we would take.
            name: TokenName::parse(&record.token_name).or_else(|_| TokenName::parse("refreshed"))?,
            // What is on record is what was granted; the credential that was verified holds no more.
            scopes: Scopes::granted_by_holder(Some(caller.scopes()), caller.scopes())?,
            issued_at,
            expires_at,
            family: Some(family),
        })
    }

    async fn exchange(
        &self,
        previous_id: TokenId,
        old: StoredToken,
        grant: Grant,
        now: UnixSeconds,
    ) -> Result<Refreshed, Failure> {
        // The old one keeps its place until it is revoked.
        self.reserve(&grant, self.limits.places.saturating_add(EXCHANGES_MAX)).await?;
        let token = self.issuer.sign(&grant).await?;
        let family = old.record.family();
        let last_end = grant.expires_at.get().max(old.record.expires_at);
        let exchange = Exchange {
            old: old.record.token_id.clone(),
            new: grant.id.to_string(),
            family: family.id,
            good_until: now.plus(self.limits.grace_s).min(UnixSeconds(old.record.expires_at)),
            now,
            until: UnixSeconds(revocation_end(last_end)),
        };
        let previous_until = self.exchanges.note(&exchange).await?.ok_or(Failure::AlreadyExchanged)?;
        reach(FailPoint::ExchangeNoted);
        let record = grant.record();
        self.store.insert(&record).await?;
        // On record first: whoever seals the family from here on finds the new token, and revokes it, too.
        if !self.exchanges.join(&exchange).await? {
            self.store.revoke(&record, UnixSeconds(revocation_end(record.expires_at))).await?;
            return Err(Failure::AlreadyExchanged);
        }
        reach(FailPoint::ExchangeJoined);
        // Last: a caller who gets no answer keeps a token that is good, and exchanges it again.
        self.exchanges.retire_at(&exchange.old, previous_until).await?;
        Ok(Refreshed { token, grant, previous_id, previous_until })
    }

    /// Revokes tokens whose grace time is over; how many.
    ///
    /// # Errors
    /// [`Failure::Unavailable`]; the others are tried again.
    pub async fn retire_exchanged(&self, now: UnixSeconds) -> Result<usize, Failure> {
        let ids = self.exchanges.to_retire(now, STEP).await?;
        for id in &ids {
            let found = self.store.find(&TokenId::parse(id)?).await?;
            if let Some(token) = found.filter(|token| !token.is_revoked) {
                self.write_revocation(token.record).await?;
            }
            self.exchanges.retired(id).await?;
        }
        Ok(ids.len())
    }

    /// Somebody came with a revoked token: opens a case if it had been exchanged.
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn shown(&self, token_id: &str, now: UnixSeconds) -> Result<(), StoreError> {
        if let Some(family) = self.exchanges.family_of_retired(token_id).await?
            && self.exchanges.open_case(&family, now).await?
        {
            tracing::warn!(token.id = token_id, family, "a token was shown after its exchange");
        }
        Ok(())
    }

    /// Revokes the families whose cases are open; how many.
    ///
    /// # Errors
    /// [`Failure::Unavailable`]; the others are tried again.
    pub async fn close_cases(&self, now: UnixSeconds) -> Result<usize, Failure> {
        let families = self.exchanges.open_cases(now, STEP).await?;
        for family in &families {
            self.revoke_family(family, now).await?;
            self.exchanges.close_case(family).await?;
        }
        Ok(families.len())
    }

    async fn revoke_family(&self, family: &str, now: UnixSeconds) -> Result<(), Failure> {
        let members = self.exchanges.seal_family(family).await?;
        reach(FailPoint::FamilyMarked);
        let (mut alive, mut target) = (Vec::new(), None);
        for id in &members {
            let Some(token) = self.store.find(&TokenId::parse(id)?).await? else { continue };
            target = Some(token.record.user_email.clone());
            if token.status(now) == Status::Active {
                alive.push(token.record);
            }
        }
        let deed = Deed { action: Action::TokenReused, by: By::system("refresh"), target };
        let (this, family) = (self.clone(), family.to_owned());
        let change = async move {
            let (count, mut stamp) = (alive.len(), None);
            for record in alive {
                stamp = Some(this.write_revocation(record).await?);
            }
            reach(FailPoint::FamilyRevoked);
            let change = match stamp {
                Some(stamp) => Some(this.changes.follow(stamp).await),
                None => None,
            };
            Ok((count, change))
        };
        let tell = move |(count, change): &(usize, Option<Change>), event: &mut Event| {
            event.tell("family", family.as_str());
            event.tell("count", *count);
            if let Some(change) = change {
                change.tell(event);
            }
        };
        self.changes.carry_out(deed, change, tell).await.map(|_| ())
    }
}
