//! Active users: who they are, how many, and clearing away what expired of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::domain::active_user::{ActiveUser, Place, Totals};
use crate::domain::audit::{Action, By, Event};
use crate::domain::error::Failure;
use crate::domain::page::{Page, Window};
use crate::domain::search::Search;
use crate::domain::time::UnixSeconds;
use crate::service::audit::Deed;
use crate::service::change::Changes;
use crate::service::error::StoreError;
use crate::service::feed::Feed;

/// Bans that one step looks at.
const STEP: usize = 1_000;
/// So long a count of those who are banned is good for: it takes a look at every ban.
const COUNT_LIFE: Duration = Duration::from_secs(5);

/// Keeps who is active.
#[async_trait]
pub trait ActiveUserStore: Send + Sync {
    /// At most `limit` people whose names hold `search`, behind `after`; whoever came last is the first.
    async fn list(
        &self,
        search: &Search,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Vec<(Place, ActiveUser)>, StoreError>;

    /// How many there are.
    async fn totals(&self, now: UnixSeconds) -> Result<Totals, StoreError>;

    /// How many of these people are active.
    async fn count(&self, names: &[String]) -> Result<usize, StoreError>;

    /// Clears away what expired; of whom.
    async fn clean(&self) -> Result<Vec<String>, StoreError>;

    /// Takes in whom other programs saw, if nobody did for a minute, and forgets who is active no more.
    async fn tidy(&self, now: UnixSeconds) -> Result<(), StoreError>;
}

/// A part of those who are active.
#[derive(Debug, Clone)]
pub struct ActivePage {
    /// The people.
    pub page: Page<ActiveUser>,
    /// How many there are in all.
    pub totals: Totals,
    /// How many of those are banned, as of a few seconds ago.
    pub banned: usize,
}

/// The use cases.
#[derive(Clone)]
pub struct ActiveUsers {
    store: Arc<dyn ActiveUserStore>,
    feed: Arc<dyn Feed>,
    changes: Changes,
    counted: Arc<Mutex<Option<(Instant, usize)>>>,
}

impl ActiveUsers {
    /// Those kept by `store`; `feed` knows who is banned.
    #[must_use]
    pub fn new(store: Arc<dyn ActiveUserStore>, feed: Arc<dyn Feed>, changes: Changes) -> Self {
        Self { store, feed, changes, counted: Arc::default() }
    }

    /// A part of those whose names hold `search`. Whoever came last is the first.
    ///
    /// # Errors
    /// [`Failure::Invalid`] if the cursor is none; [`Failure::Unavailable`].
    pub async fn list(&self, search: &Search, window: &Window, now: UnixSeconds) -> Result<ActivePage, Failure> {
        let after = window.after.as_deref().map(Place::of_cursor).transpose()?;
        // What expired a moment ago is not to be counted.
        self.store.tidy(now).await?;
        let rows = self.store.list(search, after.as_ref(), window.limit.saturating_add(1)).await?;
        let page = Page::cut(rows, window, |(place, _)| place.cursor()).map(|(_, user)| user);
        // Who was banned since they were counted, and stands on this page, does count.
        let seen = page.rows.iter().filter(|user| user.ban.is_some()).count();
        let banned = self.banned().await?.max(seen);
        Ok(ActivePage { page, totals: self.store.totals(now).await?, banned })
    }

    /// How many of those who are active are banned, as of a few seconds ago. Whoever asks meanwhile waits for the same count.
    async fn banned(&self) -> Result<usize, Failure> {
        let mut counted = self.counted.lock().await;
        match *counted {
            Some((at, count)) if at.elapsed() < COUNT_LIFE => Ok(count),
            _ => {
                let count = self.count_banned().await?;
                *counted = Some((Instant::now(), count));
                Ok(count)
            }
        }
    }

    async fn count_banned(&self) -> Result<usize, Failure> {
        let (mut count, mut after) = (0, None::<String>);
        loop {
            let bans = self.feed.bans(after.as_deref(), STEP).await?;
            let names: Vec<String> = bans.iter().map(|ban| ban.name.clone()).collect();
            count += self.store.count(&names).await?;
            match names.last() {
                Some(last) if names.len() == STEP => after = Some(last.clone()),
                _ => return Ok(count),
            }
        }
    }

    /// Clears away what expired of people who are active no more; of whom.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn clean(&self, by: By) -> Result<Vec<String>, Failure> {
        let deed = Deed { action: Action::ActiveUsersCleaned, by, target: None };
        let store = Arc::clone(&self.store);
        let change = async move { Ok(store.clean().await?) };
        let tell = |cleaned: &Vec<String>, event: &mut Event| event.tell("count", cleaned.len());
        self.changes.carry_out(deed, change, tell).await
    }

    /// Takes in whom other programs saw, and forgets who is active no more.
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn tidy(&self, now: UnixSeconds) -> Result<(), StoreError> {
        self.store.tidy(now).await
    }
}
