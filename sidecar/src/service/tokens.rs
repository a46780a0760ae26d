//! Tokens: issue, list, revoke.
//!
//! What is revoked is a record (which other programs may read) and a feed entry (from which filters
//! learn of it), in this order (rule P8). Both outlive the token (rule P10). Nothing unrevokes one.
//! All tokens of somebody are revoked by logging them out: see [`crate::service::logout`].

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use sekisho_protocol::Email;

use crate::domain::audit::{Action, By, Event};
use crate::domain::caller::Caller;
use crate::domain::error::Failure;
use crate::domain::feed::{Mark, Stamp, revocation_end};
use crate::domain::page::{Direction, Page, Window};
use crate::domain::time::UnixSeconds;
use crate::domain::token::order::Sort;
use crate::domain::token::{Grant, Limits, Scopes, StoredToken, TokenId, TokenName, TokenRecord};
use crate::failpoint::{FailPoint, reach};
use crate::service::audit::Deed;
use crate::service::change::{Change, Changes};
use crate::service::error::StoreError;
use crate::service::feed::Feed;
use crate::service::logout::Logouts;
use crate::service::recent_sign_in::RecentSignIn;

pub mod family;
pub mod issuer;
pub mod listing;
pub mod refresh;

use issuer::Issuer;
use listing::TokenIndex;
use refresh::Exchanges;

/// Keeps what is known of tokens; never a token itself.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Takes one of so many `places` that somebody has for tokens that can be used, for the short while in which a token
    /// is made. A place is free again when its token ends or is revoked.
    async fn reserve(&self, email: &Email, id: &TokenId, places: usize) -> Result<Reserved, StoreError>;

    /// Frees the place of a token that was not made.
    async fn release(&self, email: &Email, id: &TokenId) -> Result<(), StoreError>;

    /// Keeps the record of a new token and its place, for as long as the token lives.
    async fn insert(&self, record: &TokenRecord) -> Result<(), StoreError>;

    /// What is known of a token; none once it has expired.
    async fn find(&self, id: &TokenId) -> Result<Option<StoredToken>, StoreError>;

    /// What is known of these tokens, but of those that have expired.
    async fn find_each(&self, ids: &[String]) -> Result<Vec<StoredToken>, StoreError>;

    /// Every token of somebody, in no order.
    async fn of_user(&self, email: &Email) -> Result<Vec<StoredToken>, StoreError>;

    /// Puts on record that a token is revoked. The record ends at `until`.
    async fn revoke(&self, record: &TokenRecord, until: UnixSeconds) -> Result<(), StoreError>;

    /// Counts those tokens of somebody as revoked that are, since they were logged out; their places are free.
    async fn note_revoked(&self, email: &Email) -> Result<(), StoreError>;
}

/// Whether there is a place for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// There is.
    Done,
    /// All are taken.
    Full,
    /// Too many tokens were asked for within a day, whatever became of them.
    NotToday {
        /// When it is worth asking again, in seconds.
        retry_after_s: u32,
    },
}

/// What a new token should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// The name.
    pub name: String,
    /// Its life in seconds, if not the default.
    pub expires_in: Option<u64>,
    /// Its scopes, if not the default.
    pub scopes: Option<Vec<String>>,
}

/// A new token.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The token itself. Nobody can see it again.
    pub token: String,
    /// What it claims.
    pub grant: Grant,
}

/// A token that was revoked.
#[derive(Debug, Clone)]
pub struct Revoked {
    /// What was known of it.
    pub record: TokenRecord,
    /// What the change came to.
    pub change: Change,
}

/// What came of revoking all tokens of somebody.
#[derive(Debug, Clone)]
pub struct RevokedAll {
    /// How many of the tokens on record could still be used, as far as they could be counted.
    pub count: usize,
    /// What the change came to.
    pub change: Change,
}

/// The use cases.
#[derive(Clone)]
pub struct Tokens {
    store: Arc<dyn TokenStore>,
    index: Arc<dyn TokenIndex>,
    exchanges: Arc<dyn Exchanges>,
    feed: Arc<dyn Feed>,
    changes: Changes,
    logouts: Logouts,
    issuer: Arc<Issuer>,
    limits: Limits,
    recent_sign_in: Option<RecentSignIn>,
}

/// Where what is known of tokens is kept.
pub struct Kept {
    /// Their records.
    pub store: Arc<dyn TokenStore>,
    /// Their orders.
    pub index: Arc<dyn TokenIndex>,
    /// Which was exchanged for which.
    pub exchanges: Arc<dyn Exchanges>,
}

impl Tokens {
    /// Tokens that are `kept` there, signed by `issuer`.
    #[must_use]
    pub fn new(
        kept: Kept,
        feed: Arc<dyn Feed>,
        changes: Changes,
        logouts: Logouts,
        issuer: Issuer,
        limits: Limits,
    ) -> Self {
        let Kept { store, index, exchanges } = kept;
        Self { store, index, exchanges, feed, changes, logouts, issuer: Arc::new(issuer), limits, recent_sign_in: None }
    }

    /// The same, and `recent_sign_in` hears of whom a session let in.
    #[must_use]
    pub fn telling(self, recent_sign_in: RecentSignIn) -> Self {
        Self { recent_sign_in: Some(recent_sign_in), ..self }
    }

    /// Issues a token to a caller for themselves.
    ///
    /// # Errors
    /// The wish can't be granted: a bad value, or a scope that the caller does not hold.
    /// [`Failure::Unauthenticated`] if the caller's own token was revoked since the filter let it pass.
    pub async fn issue(&self, caller: &Caller, wish: &Wish, now: UnixSeconds) -> Result<Issued, Failure> {
        let (email, scopes) = (caller.email()?, Scopes::granted_by_holder(wish.scopes.as_deref(), caller.scopes())?);
        let own = self.come_with(caller).await?;
        let issued_at = self.still_valid(caller, email, own.as_ref(), now).await?;
        let grant = self.grant(email.clone(), scopes, wish, issued_at)?;
        // Sessions of other programs begin without us.
        if let (Some(recent), Some(moment)) = (&self.recent_sign_in, caller.signed_in()) {
            recent.note(&email.clone().into(), moment, now).await?;
        }
        let origin = own.map(|token| token.record).filter(|record| record.belongs_to(email));
        let (family, minted_by) = origin.as_ref().map(|origin| origin.descent(issued_at)).unwrap_or_default();
        self.mint(Grant { family, minted_by, ..grant }, origin, self.limits.places, caller.by().clone()).await
    }

    /// Issues a token to anybody, on the order of who operates this sidecar, for whom there are always places.
    ///
    /// # Errors
    /// A bad value in the wish.
    pub async fn issue_to(&self, email: Email, wish: &Wish, by: By, now: UnixSeconds) -> Result<Issued, Failure> {
        let scopes = Scopes::granted_by_operator(wish.scopes.as_deref())?;
        let valid_since = self.valid_since(&email).await?;
        let grant = self.grant(email, scopes, wish, earliest(valid_since, now))?;
        self.mint(grant, None, usize::MAX, by).await
    }

    /// A caller's own token.
    ///
    /// # Errors
    /// [`Failure::TokenNotFound`], [`Failure::NotYourToken`].
    pub async fn own(&self, caller: &Caller, id: &TokenId) -> Result<StoredToken, Failure> {
        let token = self.find(id).await?;
        if token.record.belongs_to(caller.email()?) { Ok(token) } else { Err(Failure::NotYourToken) }
    }

    /// A part of somebody's tokens, the newest first.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn of_user(&self, email: &Email, window: &Window) -> Result<Page<StoredToken>, Failure> {
        listing::cut(self.store.of_user(email).await?, Sort::CreatedAt, Direction::Desc, window)
    }

    /// Revokes a caller's own token.
    ///
    /// # Errors
    /// As [`Self::own`].
    pub async fn revoke_own(&self, caller: &Caller, id: &TokenId) -> Result<Revoked, Failure> {
        self.own(caller, id).await?;
        self.revoke(id, caller.by().clone()).await
    }

    /// Revokes anybody's token, and what came of it by exchanges. Once more changes nothing.
    ///
    /// # Errors
    /// [`Failure::TokenNotFound`], [`Failure::Unavailable`].
    pub async fn revoke(&self, id: &TokenId, by: By) -> Result<Revoked, Failure> {
        let token = self.find(id).await?;
        if let Some(stamp) = self.revoked_before(&token).await? {
            return Ok(Revoked { record: token.record, change: self.changes.follow(stamp).await });
        }
        let (this, record) = (self.clone(), token.record);
        let deed = Deed::new(Action::TokenRevoked, by, &record.user_email);
        let change = async move {
            let (stamp, successors) = this.revoke_with_successors(record.clone()).await?;
            Ok((Revoked { record, change: this.changes.follow(stamp).await }, successors))
        };
        let tell = |(revoked, successors): &(Revoked, usize), event: &mut Event| {
            event.tell("token_id", revoked.record.token_id.as_str());
            event.tell("token_name", revoked.record.token_name.as_str());
            if *successors > 0 {
                event.tell("successors", *successors);
            }
            revoked.change.tell(event);
        };
        self.changes.carry_out(deed, change, tell).await.map(|(revoked, _)| revoked)
    }

    /// Revokes every token of somebody, also those that nobody has on record: other issuers' tokens, and
    /// those that another program records later.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn revoke_all(&self, email: Email, by: By, now: UnixSeconds) -> Result<RevokedAll, Failure> {
        let deed = Deed::new(Action::TokensRevoked, by, &email);
        let this = self.clone();
        let change = async move {
            // What was revoked by then is not counted again.
            let before = this.valid_since(&email).await.ok().flatten().unwrap_or(UnixSeconds(0));
            let logged_out = this.logouts.invalidate(&email.clone().into(), now).await?;
            let count = this.count_revoked(&email, before..logged_out.issued_before, now).await;
            Ok(RevokedAll { count, change: logged_out.change })
        };
        let tell = |revoked: &RevokedAll, event: &mut Event| {
            event.tell("count", revoked.count);
            revoked.change.tell(event);
        };
        self.changes.carry_out(deed, change, tell).await
    }

    /// Anybody's token.
    ///
    /// # Errors
    /// [`Failure::TokenNotFound`], [`Failure::Unavailable`].
    pub async fn find(&self, id: &TokenId) -> Result<StoredToken, Failure> {
        self.store.find(id).await?.ok_or(Failure::TokenNotFound)
    }

    /// Since when somebody's tokens are valid, if they were ever logged out.
    async fn valid_since(&self, email: &Email) -> Result<Option<UnixSeconds>, Failure> {
        self.logouts.issued_before(&email.clone().into()).await
    }

    /// The token with which the caller comes, if it is on record.
    async fn come_with(&self, caller: &Caller) -> Result<Option<StoredToken>, Failure> {
        let Some(Ok(id)) = caller.token_id().map(TokenId::parse) else { return Ok(None) };
        Ok(self.store.find(&id).await?)
    }

    /// When a token that this caller asks for now is issued. Filters may not have heard yet that the caller's `own` is
    /// not valid any more; if the caller is logged out after this look, the new token is older than that, too.
    async fn still_valid(
        &self,
        caller: &Caller,
        email: &Email,
        own: Option<&StoredToken>,
        now: UnixSeconds,
    ) -> Result<UnixSeconds, Failure> {
        let valid_since = self.valid_since(email).await?;
        let is_old = valid_since.is_some_and(|moment| !caller.is_from(moment));
        if is_old || own.is_some_and(|token| token.is_revoked) {
            return Err(Failure::Unauthenticated);
        }
        Ok(earliest(valid_since, now))
    }

    fn grant(&self, email: Email, scopes: Scopes, wish: &Wish, issued_at: UnixSeconds) -> Result<Grant, Failure> {
        Ok(Grant {
            id: TokenId::new(),
            email,
            name: TokenName::parse(&wish.name)?,
            scopes,
            issued_at,
            expires_at: issued_at.plus(self.limits.lifetimes.choose(wish.expires_in)?),
            family: None,
            minted_by: Vec::new(),
        })
    }

    /// Makes a token; `origin` is the one with which it was asked for.
    async fn mint(&self, grant: Grant, origin: Option<TokenRecord>, places: usize, by: By) -> Result<Issued, Failure> {
        let this = self.clone();
        let deed = Deed::new(Action::TokenIssued, by, &grant.email);
        let change = async move {
            let made = async {
                let token = this.issuer.sign(&grant).await?;
                let record = grant.record();
                // A token that nobody could list or revoke must never leave.
                this.store.insert(&record).await?;
                reach(FailPoint::TokenInserted);
                if let Some(origin) = &origin {
                    this.tie(&record, origin, Failure::Unauthenticated).await?;
                }
                Ok(token)
            };
            let token = this.in_a_place(&grant, places, made).await?;
            Ok(Issued { token, grant })
        };
        self.changes.carry_out(deed, change, |issued: &Issued, event| issued.grant.tell(event)).await
    }

    /// Makes a token in one of so many places, which is free again if that fails.
    async fn in_a_place<T>(
        &self,
        grant: &Grant,
        places: usize,
        made: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match self.store.reserve(&grant.email, &grant.id, places).await? {
            Reserved::Done => {}
            Reserved::Full => return Err(Failure::TooManyTokens { most: places }),
            Reserved::NotToday { retry_after_s } => return Err(Failure::TooManyRequests { retry_after_s }),
        }
        reach(FailPoint::TokenReserved);
        let result = made.await;
        if result.is_err()
            && let Err(error) = self.store.release(&grant.email, &grant.id).await
        {
            tracing::debug!(%error, "the place of a token that was not made is free a little later");
        }
        result
    }

    async fn write_revocation(&self, record: TokenRecord) -> Result<Stamp, Failure> {
        let id = TokenId::parse(&record.token_id)?;
        self.store.revoke(&record, UnixSeconds(revocation_end(record.expires_at))).await?;
        reach(FailPoint::TokenRecorded);
        let stamp = self.feed.put(&Mark::revoked_token(id.as_str(), record.expires_at)).await?;
        reach(FailPoint::TokenEntered);
        Ok(stamp)
    }
}

/// When a token that is asked for `now` is issued: whoever was logged out in this very second must be able to
/// come back in it.
fn earliest(valid_since: Option<UnixSeconds>, now: UnixSeconds) -> UnixSeconds {
    valid_since.map_or(now, |moment| moment.max(now))
}
