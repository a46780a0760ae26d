//! Exchanging a token for a new one, so that a long-lived client never needs its owner again (RFC 9700 §4.14.2 says
//! how refresh tokens are rotated; here the token is its own).
//!
//! The old token is good for a grace time, since its answer may get lost and its other users need time. Then it is
//! revoked. Who still comes with it has a copy that its owner replaced: one of the two is a thief, and nobody can tell
//! which. So all tokens that descend from the same first one are revoked, and it is reported.

use async_trait::async_trait;

use super::Tokens;
use crate::domain::audit::{Action, Event};
use crate::domain::caller::Caller;
use crate::domain::error::Failure;
use crate::domain::feed::revocation_end;
use crate::domain::time::UnixSeconds;
use crate::domain::token::{Grant, Scopes, Status, StoredToken, TokenId, TokenName, TokenRecord};
use crate::failpoint::{FailPoint, reach};
use crate::service::audit::Deed;
use crate::service::error::StoreError;

/// How often a token can be exchanged: answers get lost, but not so many.
pub const EXCHANGES_MAX: usize = 5;

/// Keeps which tokens were exchanged, and what is still to be done about it. It has a clock of its own.
#[async_trait]
pub trait Exchanges: Send + Sync {
    /// Notes that a token is exchanged once more, if it may be; until when it is good then.
    async fn note(&self, exchange: &Exchange) -> Result<Option<UnixSeconds>, StoreError>;

    /// What became of each of these tokens; none if it was never exchanged.
    async fn exchanged(&self, ids: &[String]) -> Result<Vec<Option<Exchanged>>, StoreError>;

    /// Lets tokens join a family, unless it is sealed for such; whether they did.
    async fn join(&self, family: &str, tie: Tie, members: &[Member]) -> Result<bool, StoreError>;

    /// Has a token revoked at `at`, unless it is to be revoked already.
    async fn retire_at(&self, id: &str, at: UnixSeconds) -> Result<(), StoreError>;

    /// At most `limit` tokens that are to be revoked now. Nobody else gets them for a few seconds.
    async fn to_retire(&self, limit: usize) -> Result<Vec<String>, StoreError>;

    /// A token is revoked now, because it was exchanged: whoever is shown it from here on knows.
    async fn mark_retired(&self, id: &str) -> Result<(), StoreError>;

    /// A token was revoked, or has ended.
    async fn retired(&self, id: &str) -> Result<(), StoreError>;

    /// Opens a case of a family of which such a token was shown, unless there was one; whether this is new.
    async fn open_case(&self, family: &str) -> Result<bool, StoreError>;

    /// At most `limit` families whose cases are open. Nobody else gets them for a few seconds.
    async fn open_cases(&self, limit: usize) -> Result<Vec<String>, StoreError>;

    /// Lets no token join a family by these ties from now on.
    async fn seal(&self, family: &str, ties: &[Tie]) -> Result<(), StoreError>;

    /// Whether no token can join a family by this tie.
    async fn is_sealed(&self, family: &str, tie: Tie) -> Result<bool, StoreError>;

    /// A step of a walk over the tokens that have these ties to a family, but for those that ended: their ids, and where to go on. One may
    /// come twice.
    async fn members(&self, family: &str, ties: &[Tie], cursor: u64) -> Result<(Vec<String>, Option<u64>), StoreError>;

    /// Whether a family's case was seen to.
    async fn is_closed(&self, family: &str) -> Result<bool, StoreError>;

    /// A case was seen to.
    async fn close_case(&self, family: &str) -> Result<(), StoreError>;

    /// Somebody begins to revoke a token and what came of it. If they have not come to an end of it soon, others see to it.
    async fn begin_revocation(&self, id: &str) -> Result<(), StoreError>;

    /// At most `limit` tokens of which that is so. Nobody else gets them for a few seconds.
    async fn begun_revocations(&self, limit: usize) -> Result<Vec<String>, StoreError>;

    /// They came to an end of it.
    async fn end_revocation(&self, id: &str) -> Result<(), StoreError>;
}

/// How a token belongs to a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// It is the first, or comes from that by exchanges.
    Exchanged,
    /// It was generated with one of those, or comes from one that was.
    Generated,
}

impl Tie {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Exchanged, Self::Generated];
}

/// A token of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Until when it must be remembered.
    pub until: UnixSeconds,
}

impl From<&TokenRecord> for Member {
    fn from(record: &TokenRecord) -> Self {
        Self { id: record.token_id.clone(), until: UnixSeconds(revocation_end(record.expires_at)) }
    }
}

/// An exchange of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The old one.
    pub old: String,
    /// Their family.
    pub family: String,
    /// For how many seconds the old one is good from now on, unless an exchange before said something else.
    pub grace_s: u64,
    /// When the old one ends at the latest.
    pub old_ends: UnixSeconds,
    /// Until when it must be remembered.
    pub until: UnixSeconds,
}

/// What became of a token that was exchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchanged {
    /// Its family.
    pub family: String,
    /// Whether it was revoked for that.
    pub is_retired: bool,
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
        let issued_at = self.still_valid(caller, caller.email()?, Some(&old), now).await?;
        let grant = self.successor(caller, &old, expires_in, issued_at)?;
        let (this, deed) = (self.clone(), Deed::new(Action::TokenRefreshed, caller.by().clone(), &grant.email));
        let previous_id = TokenId::parse(&old.record.token_id)?;
        let change = async move { this.exchange(previous_id, old.record, grant).await };
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
            minted_by: record.minted_by.clone(),
        })
    }

    async fn exchange(&self, previous_id: TokenId, old: TokenRecord, grant: Grant) -> Result<Refreshed, Failure> {
        // The old one keeps its place until it is revoked.
        let places = self.limits.places.saturating_add(EXCHANGES_MAX);
        let (token, previous_until) = self.in_a_place(&grant, places, self.make_successor(&old, &grant)).await?;
        Ok(Refreshed { token, grant, previous_id, previous_until })
    }

    /// The new token, and until when the old one is good.
    async fn make_successor(&self, old: &TokenRecord, grant: &Grant) -> Result<(String, UnixSeconds), Failure> {
        let token = self.issuer.sign(grant).await?;
        let last_end = grant.expires_at.get().max(old.expires_at);
        let exchange = Exchange {
            old: old.token_id.clone(),
            family: old.family().id,
            grace_s: self.limits.grace_s,
            old_ends: UnixSeconds(old.expires_at),
            until: UnixSeconds(revocation_end(last_end)),
        };
        let previous_until = self.exchanges.note(&exchange).await?.ok_or(Failure::AlreadyExchanged)?;
        reach(FailPoint::ExchangeNoted);
        let record = grant.record();
        self.store.insert(&record).await?;
        self.tie(&record, old, Failure::AlreadyExchanged).await?;
        reach(FailPoint::ExchangeJoined);
        // Last: a caller who gets no answer keeps a token that is good, and exchanges it again.
        self.exchanges.retire_at(&exchange.old, previous_until).await?;
        Ok((token, previous_until))
    }

    /// Ties a new token, which is on record and which nobody has seen, to the one from which it comes. If that one was revoked meanwhile, or
    /// its family, so is the new one, and its caller is `refused`.
    pub(super) async fn tie(&self, new: &TokenRecord, origin: &TokenRecord, refused: Failure) -> Result<(), Failure> {
        // On record first, and in its families next: whoever revokes one of them from here on finds the new token there.
        let refused = if !self.join_families(new, origin).await? {
            refused
        } else if !self.is_good(origin).await? {
            // Whoever revoked it before this look may not have seen that something comes of it.
            Failure::Unauthenticated
        } else {
            return Ok(());
        };
        self.store.revoke(new, UnixSeconds(revocation_end(new.expires_at))).await?;
        Err(refused)
    }

    async fn join_families(&self, new: &TokenRecord, origin: &TokenRecord) -> Result<bool, StoreError> {
        if let Some(family) = &new.family
            && !self.exchanges.join(&family.id, Tie::Exchanged, &[origin.into(), new.into()]).await?
        {
            return Ok(false);
        }
        for family in &new.minted_by {
            if !self.exchanges.join(family, Tie::Generated, &[new.into()]).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn is_good(&self, record: &TokenRecord) -> Result<bool, Failure> {
        let found = self.store.find(&TokenId::parse(&record.token_id)?).await?;
        Ok(found.is_some_and(|token| !token.is_revoked))
    }
}
