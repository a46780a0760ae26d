//! Everybody's sessions, in order: searched, page by page, counted, and tidied up.

use async_trait::async_trait;
use sekisho_protocol::Subject;

use super::Sessions;
use crate::domain::error::Failure;
use crate::domain::page::{Direction, Page, Window};
use crate::domain::session::Session;
use crate::domain::session_order::{Position, Sort, Wanted};
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::walk::{self, FEW, Walk, cut};

/// Owners whose sessions are counted in one answer, at most.
pub const OWNERS_MAX: usize = 10_000;

/// Keeps sessions in order. What it says may be a moment old; the records decide.
#[async_trait]
pub trait SessionIndex: Send + Sync {
    /// At most `limit` places behind `after`, in order.
    async fn walk(
        &self,
        sort: Sort,
        direction: Direction,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Vec<Standing>, StoreError>;

    /// All sessions of the owner who is wanted, or else those that the search finds, in no order, unless there are more
    /// than `most`.
    async fn find_all(&self, wanted: &Wanted, most: usize) -> Result<Found, StoreError>;

    /// How many sessions there are.
    async fn count(&self, now: UnixSeconds) -> Result<usize, StoreError>;

    /// How many sessions and owners there are, and of those with the most sessions, `most` at most, how many each has.
    async fn stats(&self, most: usize, now: UnixSeconds) -> Result<Stats, StoreError>;

    /// Forgets sessions whose time was over at `now`, so many at most; how many.
    async fn prune(&self, now: UnixSeconds) -> Result<usize, StoreError>;

    /// Forgets sessions that somebody ended, and finds those that are over by the moment from which on their owners'
    /// sessions are valid: one step of a walk.
    async fn review(&self, cursor: u64) -> Result<Review, StoreError>;
}

/// A place in an order.
pub type Standing = walk::Standing<Position, Session>;

/// What a search found.
pub type Found = walk::Found<Session>;

/// How many sessions there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// In all.
    pub sessions: usize,
    /// How many people have one.
    pub users: usize,
    /// How many each has, those with the most first.
    pub of_users: Vec<(String, usize)>,
}

/// What one step of a walk over all sessions found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Review {
    /// Sessions that are over, while neither their records nor the feed say so of each.
    pub outdated: Vec<Session>,
    /// Where the walk goes on; 0 at its end.
    pub next: u64,
}

impl Sessions {
    /// A part of everybody's sessions.
    ///
    /// # Errors
    /// [`Failure::Invalid`] if the cursor is none of this order; [`Failure::Unavailable`].
    pub async fn list(&self, wanted: &Wanted, window: &Window) -> Result<Page<Session>, Failure> {
        let Wanted { sort, direction, .. } = *wanted;
        let after = window.after.as_deref().map(|cursor| Position::of_cursor(cursor, sort)).transpose()?;
        if wanted.is_filtered()
            && let Found::All(mut sessions) = self.index.find_all(wanted, FEW).await?
        {
            sessions.retain(|session| wanted.admits(session));
            let placed = sessions.into_iter().map(|session| (Position::of(&session, sort), session)).collect();
            return Ok(cut(placed, direction, after.as_ref(), window, |at| at.cursor(sort)));
        }
        let index = &self.index;
        let walk = Walk {
            steps: Box::new(|after: Option<Position>, limit| {
                Box::pin(async move { index.walk(sort, direction, after.as_ref(), limit).await })
            }),
            after,
            limit: window.limit,
            is_filtered: wanted.is_filtered(),
        };
        Ok(walk.page(|session| wanted.admits(session), |at: &Position| at.cursor(sort)).await?)
    }

    /// A part of somebody's own sessions, the one that was used last first.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub async fn list_of(&self, subject: &Subject, window: &Window) -> Result<Page<Session>, Failure> {
        self.list(&Wanted { subject: Some(subject.clone()), ..Wanted::default() }, window).await
    }

    /// How many sessions there are in all.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn count(&self, now: UnixSeconds) -> Result<usize, Failure> {
        Ok(self.index.count(now).await?)
    }

    /// How many sessions and owners there are.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn stats(&self, now: UnixSeconds) -> Result<Stats, Failure> {
        Ok(self.index.stats(OWNERS_MAX, now).await?)
    }

    /// Forgets sessions whose time is over; how many.
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn prune(&self, now: UnixSeconds) -> Result<usize, StoreError> {
        self.index.prune(now).await
    }

    /// One step of a walk over all sessions that forgets what was ended, and ends what is over by a moment on record
    /// alone, so that filters hear of it: where it goes on; 0 at its end.
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn tidy(&self, cursor: u64) -> Result<u64, StoreError> {
        let Review { outdated, next } = self.index.review(cursor).await?;
        self.end_each(outdated).await?;
        Ok(next)
    }
}
