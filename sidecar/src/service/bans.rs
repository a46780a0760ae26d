//! Bans: give, lift, list.
//!
//! A ban is a record (which other programs may read and write) and a feed entry (from which filters
//! learn of it). The record comes first, so that a crash between the two loses nothing: a reconciler
//! finds records without an entry (rule P8). Changes of one person's ban take turns, on all sidecars.
//!
//! A ban ends all sessions of its subject: unbanned browsers sign in again, while unbanned tokens are good at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sekisho_protocol::Subject;
use sekisho_protocol::feed::Kind;
use tokio::time::{Instant, sleep, timeout};

use crate::domain::audit::{Action, By, Event};
use crate::domain::ban::{Ban, Order, Reason};
use crate::domain::error::Failure;
use crate::domain::feed::state::State;
use crate::domain::feed::{Mark, Stamp};
use crate::domain::page::{Page, Window};
use crate::domain::search::Search;
use crate::domain::time::UnixSeconds;
use crate::failpoint::{FailPoint, reach};
use crate::service::audit::Deed;
use crate::service::change::{Change, Changes};
use crate::service::error::StoreError;
use crate::service::feed::mirror::Mirror;
use crate::service::feed::registry::Registry;
use crate::service::feed::{BanEntry, Feed, Lifted, LiveEntry};
use crate::service::sessions::Sessions;

/// After so long a turn ends by itself, if the sidecar whose turn it is died.
pub const TURN_LIFE: Duration = Duration::from_secs(5);
/// So long may the writes of one turn take: well below [`TURN_LIFE`], so that turns never overlap.
const TURN_WORK: Duration = Duration::from_secs(3);
/// So long somebody waits for their turn: longer than a dead sidecar can block it.
const TURN_WAIT: Duration = Duration::from_secs(6);

/// Keeps the records of bans.
#[async_trait]
pub trait BanStore: Send + Sync {
    /// Puts a ban on record, in place of what was there. The record ends with the ban.
    async fn record(&self, ban: &Ban) -> Result<(), StoreError>;

    /// The other spellings of the name under which other programs put a ban on record. It takes
    /// longer the more there is in the store: about a second for a million keys.
    async fn spellings(&self, subject: &Subject) -> Result<Vec<String>, StoreError>;

    /// Removes the record, and those under these other spellings; whether there was one.
    async fn remove(&self, subject: &Subject, spellings: &[String]) -> Result<bool, StoreError>;

    /// Whether there is a record.
    async fn has_record(&self, subject: &Subject) -> Result<bool, StoreError>;

    /// Whether what stands in the record was written by Sekisho, or a change of this person's ban goes on now.
    async fn is_ours(&self, subject: &Subject) -> Result<bool, StoreError>;

    /// What is on record about each of these people, in their order. A detail that can't be read is
    /// left out. `until` is the feed's, which decides.
    async fn describe(&self, bans: &[BanEntry]) -> Result<Vec<Ban>, StoreError>;

    /// Takes the turn to change this person's ban, for [`TURN_LIFE`]; none while it is another's.
    async fn take_turn(&self, subject: &Subject) -> Result<Option<Turn>, StoreError>;

    /// Ends a turn, unless it ended by itself.
    async fn end_turn(&self, turn: Turn) -> Result<(), StoreError>;
}

/// The turn to change one person's ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Whose ban.
    pub subject: Subject,
    /// Tells this turn from every other.
    pub id: String,
}

/// A ban that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Banned {
    /// The ban.
    pub ban: Ban,
    /// How many sessions ended.
    pub ended_sessions: usize,
    /// What the change came to.
    pub change: Change,
}

/// The use cases.
#[derive(Clone)]
pub struct Bans {
    store: Arc<dyn BanStore>,
    feed: Arc<dyn Feed>,
    registry: Arc<dyn Registry>,
    mirror: Mirror,
    sessions: Sessions,
    changes: Changes,
}

impl Bans {
    /// Bans kept by these, which end `sessions`; `mirror` spares looking up what it holds.
    #[must_use]
    pub fn new(
        store: Arc<dyn BanStore>,
        feed: Arc<dyn Feed>,
        registry: Arc<dyn Registry>,
        mirror: Mirror,
        sessions: Sessions,
        changes: Changes,
    ) -> Self {
        Self { store, feed, registry, mirror, sessions, changes }
    }

    /// Bans somebody; a ban that they already have is replaced.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] if it could not be written; [`Failure::Overtaken`] if it was lifted
    /// again while the filters were being waited for.
    pub async fn ban(&self, order: Order, now: UnixSeconds) -> Result<Banned, Failure> {
        self.ban_one_of(order, None, now).await
    }

    /// The same, if they are one of several of whom one must not be banned: those in `one_of`.
    ///
    /// # Errors
    /// As [`Self::ban`]; [`Failure::LastSuperAdmin`].
    pub async fn ban_one_of(
        &self,
        order: Order,
        one_of: Option<Vec<Subject>>,
        now: UnixSeconds,
    ) -> Result<Banned, Failure> {
        let deed = Deed::new(Action::BanGiven, order.by.clone(), &order.subject);
        let (this, ban, begun) = (self.clone(), order.begin(now), Instant::now());
        let change = async move {
            let write = this.in_turn(&ban.subject, this.write(&ban));
            let (stamp, moment) = match one_of {
                None => write.await?,
                // Two who ban each other take turns, and one of them is the last.
                Some(peers) => {
                    let leave_one = async {
                        this.must_leave_one(&ban.subject, &peers).await?;
                        write.await
                    };
                    this.in_turn(&peers_turn()?, leave_one).await?
                }
            };
            // Not those of somebody whom another one unbanned meanwhile, and who signed in again.
            let ended = this.sessions.end_listed(&ban.subject, |session| session.signed_in_at <= moment).await?;
            let stamp = ended.last(stamp);
            let change = this.changes.follow(stamp.clone()).await;
            let has_ended = !ban.holds(now.plus(begun.elapsed().as_secs()));
            if has_ended || this.still_holds(&ban.subject, &stamp).await? {
                Ok(Banned { ban, ended_sessions: ended.count, change })
            } else {
                Err(Failure::Overtaken { subject: ban.subject })
            }
        };
        let tell = |banned: &Banned, event: &mut Event| {
            event.tell("until", banned.ban.end().map(UnixSeconds::get));
            event.tell("reason", banned.ban.reason.as_ref().map(Reason::as_str));
            event.tell("sessions", banned.ended_sessions);
            banned.change.tell(event);
        };
        self.changes.carry_out(deed, change, tell).await
    }

    /// Lifts somebody's ban.
    ///
    /// # Errors
    /// [`Failure::NotBanned`] if there is neither a record nor an entry; [`Failure::Overtaken`] if
    /// they were banned anew meanwhile; [`Failure::Unavailable`].
    pub async fn lift(&self, subject: Subject, by: By) -> Result<Change, Failure> {
        let deed = Deed::new(Action::BanLifted, by, &subject);
        let this = self.clone();
        let change = async move {
            // A record that was left behind would bring the ban back. The search for it is no part of the
            // turn, which must be short; what is written after it is another ban.
            let spellings = this.store.spellings(&subject).await?;
            // While the ban bars them: filters may still know sessions of which a ban that was cut short told them nothing.
            this.sessions.end_outdated(&subject).await?;
            let mut stamp = this.in_turn(&subject, this.erase(&subject, &spellings)).await?;
            loop {
                let change = this.changes.follow(stamp).await;
                match this.entry(&subject).await? {
                    None => return Ok(change),
                    Some(entry) => stamp = this.in_turn(&subject, this.lift_entry(&subject, Some(entry))).await?,
                }
            }
        };
        self.changes.carry_out(deed, change, Change::tell).await
    }

    /// A part of the list of bans that hold now and whose address holds `search`, by address.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn list(&self, search: &Search, window: &Window) -> Result<Page<Ban>, Failure> {
        let entries = if search.is_empty() {
            self.feed.bans(window.after.as_deref(), window.limit.saturating_add(1)).await?
        } else {
            let mut found = self.feed.find_bans(search).await?;
            found.retain(|entry| window.after.as_ref().is_none_or(|after| entry.name > *after));
            found
        };
        let page = Page::cut(entries, window, |entry| entry.name.clone());
        let rows = self.store.describe(&page.rows).await?;
        Ok(Page { rows, next: page.next, limit: page.limit })
    }

    /// Sees that one of `peers` is neither banned nor `subject`.
    async fn must_leave_one(&self, subject: &Subject, peers: &[Subject]) -> Result<(), Failure> {
        for peer in peers.iter().filter(|peer| *peer != subject) {
            if self.entry(peer).await?.is_none() && !self.store.has_record(peer).await? {
                return Ok(());
            }
        }
        Err(Failure::LastSuperAdmin { email: subject.to_string() })
    }

    /// Where the ban's entry stands, and the moment until which the person's sessions began that are over. That is written
    /// first: once the ban is in force, no crash can leave a session that comes back after it.
    async fn write(&self, ban: &Ban) -> Result<(Stamp, UnixSeconds), Failure> {
        let moment = self.sessions.outdate_all_of(&ban.subject, UnixSeconds::now()).await?;
        self.store.record(ban).await?;
        reach(FailPoint::BanRecorded);
        let stamp = self.feed.put(&Mark::ban(&ban.subject, ban.until.get())).await?;
        reach(FailPoint::BanEntered);
        Ok((stamp, moment))
    }

    /// The entry's version is read first: if another program bans the person from here on, the lift
    /// is overtaken and that ban stands.
    async fn erase(&self, subject: &Subject, spellings: &[String]) -> Result<Stamp, Failure> {
        let entry = self.entry(subject).await?;
        let had_record = self.store.remove(subject, spellings).await?;
        reach(FailPoint::UnbanRemoved);
        if entry.is_none() && !had_record {
            return Err(Failure::NotBanned { subject: subject.clone() });
        }
        self.lift_entry(subject, entry).await
    }

    /// Lifts the entry of somebody whose record was removed. A sidecar that watches records may have
    /// been faster, or may have put an entry for the record a moment before it went: an entry without
    /// a record is nobody's ban. One with a record was given anew, and stands.
    async fn lift_entry(&self, subject: &Subject, mut entry: Option<LiveEntry>) -> Result<Stamp, Failure> {
        while let Some(live) = entry {
            if self.store.has_record(subject).await? {
                return Err(Failure::Overtaken { subject: subject.clone() });
            }
            if let Lifted::Done(stamp) = self.feed.lift(Kind::Ban, subject.as_str(), live.version).await? {
                reach(FailPoint::UnbanLifted);
                return Ok(stamp);
            }
            entry = self.entry(subject).await?;
        }
        let roll = self.registry.roll().await?;
        match roll.epoch {
            Some(epoch) => Ok(Stamp { epoch, version: roll.version }),
            // A store that only other programs used. A mark that ended long ago begins the feed.
            None => Ok(self.feed.put(&Mark::ban(subject, 1)).await?),
        }
    }

    /// Whether a ban holds: as of the write at `stamp` or later.
    async fn still_holds(&self, subject: &Subject, stamp: &Stamp) -> Result<bool, Failure> {
        let now = UnixSeconds::now().get();
        let holds = |state: &State| state.holding(Kind::Ban, subject.as_str(), now).is_some();
        match self.mirror.look(|state, _| state.stamp().reaches(stamp).then(|| holds(state))) {
            Some(Some(holds)) => Ok(holds),
            _ => Ok(self.entry(subject).await?.is_some()),
        }
    }

    async fn entry(&self, subject: &Subject) -> Result<Option<LiveEntry>, Failure> {
        Ok(self.feed.entry(Kind::Ban, subject.as_str()).await?)
    }

    /// Runs `work` when no other change of this person's ban runs anywhere.
    async fn in_turn<T>(
        &self,
        subject: &Subject,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let turn = self.await_turn(subject).await?;
        let done = timeout(TURN_WORK, work).await;
        // The filters are not to wait for that.
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            if let Err(error) = store.end_turn(turn).await {
                tracing::debug!(%error, "a turn could not be ended; it ends by itself");
            }
        });
        done.unwrap_or_else(|_| Err(Failure::Unavailable { cause: "the store is too slow".into() }))
    }

    async fn await_turn(&self, subject: &Subject) -> Result<Turn, Failure> {
        let deadline = Instant::now() + TURN_WAIT;
        while Instant::now() < deadline {
            if let Some(turn) = self.store.take_turn(subject).await? {
                return Ok(turn);
            }
            sleep(Duration::from_millis(5)).await;
        }
        Err(Failure::Unavailable { cause: format!("another change of the ban of {subject} does not end") })
    }
}

/// Whose turn bans of super administrators take besides their own. It is nobody's address.
fn peers_turn() -> Result<Subject, Failure> {
    let subject = Subject::try_from("|super administrators".to_owned());
    subject.map_err(|error| Failure::Internal { cause: error.to_string() })
}

#[cfg(test)]
mod tests;
