//! Everybody's tokens, in order, for administrators: searched, sorted, page by page, and counted.
//!
//! A page costs a bounded number of looks at records, however many tokens there are.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use sekisho_protocol::Email;
use tokio::time::timeout;

use super::Tokens;
use crate::domain::error::Failure;
use crate::domain::page::{Direction, Page, Window};
use crate::domain::search::Search;
use crate::domain::time::UnixSeconds;
use crate::domain::token::order::{Position, Sort, Wanted};
use crate::domain::token::{StoredToken, Summary};
use crate::service::error::StoreError;
use crate::service::walk::{self, FEW, Walk};

/// So long a revocation, which is done by then, waits for other programs' tokens to be taken in.
const ADOPT_WAIT: Duration = Duration::from_secs(2);

/// Keeps tokens in order. What it says may be a moment old; the records decide.
#[async_trait]
pub trait TokenIndex: Send + Sync {
    /// At most `limit` places behind `after`, in order.
    async fn walk(
        &self,
        sort: Sort,
        direction: Direction,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Vec<Standing>, StoreError>;

    /// All tokens that `search` finds, in no order, unless there are more than `most`.
    async fn find_all(&self, search: &Search, most: usize) -> Result<Found, StoreError>;

    /// How many tokens there are.
    async fn summary(&self, now: UnixSeconds) -> Result<Summary, StoreError>;

    /// How many of somebody's tokens that were issued in this time could be used at `now`, had their owner not been logged
    /// out.
    async fn count_issued(
        &self,
        email: &Email,
        issued: Range<UnixSeconds>,
        now: UnixSeconds,
    ) -> Result<usize, StoreError>;

    /// Takes tokens in that another program recorded.
    async fn adopt(&self, when: Adopt) -> Result<(), StoreError>;

    /// Forgets tokens that ended until now.
    async fn prune(&self, now: UnixSeconds) -> Result<(), StoreError>;

    /// Forgets the texts of tokens that ended: one step of a walk, which goes on at what it returns, and is over at 0.
    async fn prune_texts(&self, cursor: u64) -> Result<u64, StoreError>;
}

/// When other programs' tokens are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adopt {
    /// Now: what is counted should not miss one.
    Now,
    /// If nobody did for a minute. By one job for all sidecars: a list waits for no walk over everything, and may miss one
    /// for that long.
    IfDue,
}

/// A place in an order.
pub type Standing = walk::Standing<Position, StoredToken>;

/// What a search found.
pub type Found = walk::Found<StoredToken>;

impl Tokens {
    /// A part of everybody's tokens.
    ///
    /// # Errors
    /// [`Failure::Invalid`] if the cursor is none of this order; [`Failure::Unavailable`].
    pub async fn list(&self, wanted: &Wanted, window: &Window, now: UnixSeconds) -> Result<Page<StoredToken>, Failure> {
        let after = window.after.as_deref().map(|cursor| Position::of_cursor(cursor, wanted.sort)).transpose()?;
        if !wanted.search.is_empty()
            && let Found::All(mut tokens) = self.index.find_all(&wanted.search, FEW).await?
        {
            tokens.retain(|token| admits(wanted, token, now));
            return cut(tokens, wanted.sort, wanted.direction, window);
        }
        let Wanted { sort, direction, .. } = *wanted;
        let walk = Walk {
            steps: Box::new(|after: Option<Position>, limit| {
                Box::pin(async move { self.index.walk(sort, direction, after.as_ref(), limit).await })
            }),
            after,
            limit: window.limit,
            is_filtered: !wanted.search.is_empty() || wanted.status.is_some(),
        };
        Ok(walk.page(|token| admits(wanted, token, now), |at: &Position| at.cursor(sort)).await?)
    }

    /// How many of somebody's tokens that were issued in this time their logout revoked. It did so, whether or not they can
    /// be counted.
    pub(super) async fn count_revoked(&self, email: &Email, issued: Range<UnixSeconds>, now: UnixSeconds) -> usize {
        match timeout(ADOPT_WAIT, self.index.adopt(Adopt::Now)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "other programs' tokens can't be looked for"),
            Err(_) => tracing::warn!("it takes too long to look for other programs' tokens"),
        }
        self.index.count_issued(email, issued, now).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the tokens that were revoked can't be counted");
            0
        })
    }

    /// How many tokens there are in all.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn summary(&self, now: UnixSeconds) -> Result<Summary, Failure> {
        Ok(self.index.summary(now).await?)
    }

    /// Takes tokens in that other programs recorded, and forgets those that ended.
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn tidy(&self, now: UnixSeconds) -> Result<(), StoreError> {
        self.index.adopt(Adopt::IfDue).await?;
        self.index.prune(now).await
    }

    /// One step of forgetting the texts of tokens that ended: see [`TokenIndex::prune_texts`].
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn tidy_texts(&self, cursor: u64) -> Result<u64, StoreError> {
        self.index.prune_texts(cursor).await
    }
}

fn admits(wanted: &Wanted, token: &StoredToken, now: UnixSeconds) -> bool {
    let texts = [&token.record.user_email, &token.record.token_name];
    texts.into_iter().any(|text| wanted.search.finds(text))
        && wanted.status.is_none_or(|status| token.status(now) == status)
}

/// The page of `tokens`, which are all there are.
pub(super) fn cut(
    tokens: Vec<StoredToken>,
    sort: Sort,
    direction: Direction,
    window: &Window,
) -> Result<Page<StoredToken>, Failure> {
    let after = window.after.as_deref().map(|cursor| Position::of_cursor(cursor, sort)).transpose()?;
    let placed = tokens.into_iter().map(|token| (Position::of(&token.record, sort), token)).collect();
    Ok(walk::cut(placed, direction, after.as_ref(), window, |at| at.cursor(sort)))
}
