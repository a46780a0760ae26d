//! The feed client: keeps this VM's replica of the feed in step with the sidecars.
//!
//! It decides when to poll, what an answer changes and how old the replica is. It refuses gaps,
//! lower versions and what it cannot read (rules P1, P3, P4), and never answers for a request.

use sekisho_protocol::feed::{Change, Effect, Entry, FeedBody, FeedQuery, FeedReply};
use sekisho_protocol::{Digest, Epoch, PROTOCOL, ReplicaId};

use crate::denylist::{Denylist, Full};
use crate::time::Now;

mod keysets;
mod promise;

pub use keysets::Announced;
pub use promise::Promise;

/// How long the host may hold a poll: the sidecar's hold time and then some.
pub const POLL_TIMEOUT_MS: u32 = 2_500;
/// A poll that the host never answered (a torn-down context) is given up after this long.
const POLL_LOST_MS: u64 = 10_000;
const RETRY_FIRST_MS: u64 = 100;
const RETRY_MAX_MS: u64 = 1_000;

/// What a replica tells about itself.
#[derive(Debug, Clone)]
pub struct ReplicaInfo {
    /// Random, new with each VM.
    pub id: ReplicaId,
    /// Envoy's node id.
    pub node: String,
    /// The number of this VM within that Envoy; 0 if nobody knows.
    pub worker: u32,
    /// The filter's version.
    pub build: String,
}

/// The replica and its polls.
#[derive(Debug)]
pub struct Replica {
    info: ReplicaInfo,
    denylist: Denylist,
    keysets: Announced,
    /// What the denylist holds in full; none before the first snapshot.
    position: Option<Position>,
    loading: Option<Loading>,
    /// Set by a gap: only a whole snapshot can mend it.
    resync: bool,
    on_record: promise::OnRecord,
    /// The monotonic moment of which the replica is known to tell the truth (rule P4).
    fresh_at_ms: Option<u64>,
    polled_at_ms: Option<u64>,
    retry_at_ms: u64,
    failures: u32,
}

/// Up to where a replica is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The numbering.
    pub epoch: Epoch,
    /// The last version that was applied.
    pub version: u64,
}

/// A snapshot that is being read, page by page.
#[derive(Debug)]
struct Loading {
    epoch: Epoch,
    /// The version of the first page. No later page may be below it.
    version: u64,
    next: Digest,
    /// A snapshot is as fresh as the oldest of its pages.
    fresh_at_ms: Option<u64>,
}

/// What an answer changed: what was cached about it is void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// These digests.
    Of(Vec<Digest>),
    /// Anything: a snapshot is complete, and says by silence what no longer holds.
    Everything,
}

/// Why an answer changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// No answer, or not a 200.
    #[error("the sidecar did not answer the feed's poll (status {0})")]
    Unavailable(u32),
    /// The body is not what this build understands: another protocol, an unknown kind of entry.
    #[error("the feed's answer cannot be read, so every request is checked until one can: {0}")]
    Unreadable(String),
    /// A delta does not start where the replica stands, or skips a version.
    #[error("the feed's answer has a gap: have version {have}, got {got}")]
    Gap {
        /// The replica's version.
        have: u64,
        /// The version that came instead of the next.
        got: u64,
    },
    /// The denylist has no room for all that it is told.
    #[error("the denylist is full ({entries} entries), so every request is checked until some of them end")]
    Full {
        /// How many it holds.
        entries: usize,
    },
    /// The answer is older than what the replica holds.
    #[error("the feed went back within an epoch: have version {have}, got {got}")]
    Backwards {
        /// The replica's version.
        have: u64,
        /// The lower version that came.
        got: u64,
    },
}

impl Replica {
    /// A replica without a snapshot.
    #[must_use]
    pub fn new(info: ReplicaInfo) -> Self {
        Self {
            info,
            denylist: Denylist::default(),
            keysets: Announced::default(),
            position: None,
            loading: None,
            resync: false,
            on_record: promise::OnRecord::default(),
            fresh_at_ms: None,
            polled_at_ms: None,
            retry_at_ms: 0,
            failures: 0,
        }
    }

    /// What is barred, as far as the replica knows.
    #[must_use]
    pub fn denylist(&self) -> &Denylist {
        &self.denylist
    }

    /// The highest revision of each source's keys that was heard of.
    #[must_use]
    pub fn keysets(&self) -> &Announced {
        &self.keysets
    }

    /// The same, for the sweep.
    pub fn denylist_mut(&mut self) -> &mut Denylist {
        &mut self.denylist
    }

    /// Up to where the replica is complete; none before its first snapshot.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &ReplicaId {
        &self.info.id
    }

    /// The filter's version.
    #[must_use]
    pub fn build(&self) -> &str {
        &self.info.build
    }

    /// Milliseconds since the moment of which the replica tells the truth; none without a snapshot.
    #[must_use]
    pub fn age_ms(&self, now: Now) -> Option<u64> {
        self.position.as_ref()?;
        self.fresh_at_ms.map(|fresh_at| now.mono_ms.saturating_sub(fresh_at))
    }

    /// Whether the denylist alone may decide. A stale replica checks every request.
    #[must_use]
    pub fn is_fresh(&self, now: Now, staleness_ms: u32) -> bool {
        self.age_ms(now).is_some_and(|age| age <= u64::from(staleness_ms))
    }

    /// Whether changes wait for this replica, or will be told to it before it can be fresh: it was put on
    /// record (rule P7). Before that, nobody knows of the streams that it lets in.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.on_record.is_known
    }

    /// What binds this replica, whatever its configuration `wants`: what was promised and may still be on
    /// record (rule P7).
    #[must_use]
    pub fn binding(&self, wants: Promise) -> Promise {
        self.on_record.binding(wants)
    }

    /// The poll to send now, if one is due. Whoever asks sends it at once, remembers `now`, and hands both
    /// its answer and its failure to [`Self::on_reply`]. `memory_bytes` is for people.
    pub fn poll(&mut self, now: Now, promise: Promise, memory_bytes: u64) -> Option<FeedQuery> {
        let lost = |sent: u64| now.mono_ms.saturating_sub(sent) > POLL_LOST_MS;
        if self.polled_at_ms.is_some_and(|sent| !lost(sent)) || now.mono_ms < self.retry_at_ms {
            return None;
        }
        self.polled_at_ms = Some(now.mono_ms);
        self.on_record.announce(promise);
        let Promise { staleness_ms, fences } = promise;
        let (epoch, since, from) = match (&self.loading, &self.position) {
            (Some(loading), _) => (Some(loading.epoch.clone()), loading.version, Some(loading.next)),
            (None, Some(position)) if !self.resync => (Some(position.epoch.clone()), position.version, None),
            _ => (None, 0, None),
        };
        let age_ms = self.age_ms(now);
        let entries = u64::try_from(self.denylist.len()).unwrap_or(u64::MAX);
        let ReplicaInfo { id, node, worker, build } = self.info.clone();
        Some(FeedQuery {
            replica: id,
            node,
            build,
            worker,
            memory_bytes,
            entries,
            age_ms,
            fences,
            staleness_ms,
            epoch,
            since,
            from,
        })
    }

    /// Takes the answer to the poll that was sent at `sent_at_ms` in. A status of 0 means that there is
    /// none. An answer that comes after its poll was given up changes nothing: it may be older than what
    /// the replica has learnt since.
    ///
    /// # Errors
    /// [`FeedError`] says why nothing was changed; the next poll waits a little.
    pub fn on_reply(&mut self, sent_at_ms: u64, status: u32, body: &[u8], now: Now) -> Result<News, FeedError> {
        if self.polled_at_ms != Some(sent_at_ms) {
            return Ok(News::Of(Vec::new()));
        }
        self.polled_at_ms = None;
        let taken = self.take(sent_at_ms, status, body);
        match &taken {
            Ok(_) => (self.failures, self.retry_at_ms) = (0, 0),
            Err(error) => self.fail(error, now),
        }
        taken
    }

    fn take(&mut self, sent_at_ms: u64, status: u32, body: &[u8]) -> Result<News, FeedError> {
        if status != 200 {
            return Err(FeedError::Unavailable(status));
        }
        let reply: FeedReply =
            serde_json::from_slice(body).map_err(|error| FeedError::Unreadable(error.to_string()))?;
        if reply.protocol != PROTOCOL {
            return Err(FeedError::Unreadable(format!("protocol {}, this build speaks {PROTOCOL}", reply.protocol)));
        }
        if reply.recorded {
            self.on_record.confirm();
        }
        // Counted from when the poll was *sent*: the answer may have been under way for long (rule P4).
        // None if that lies before all time: then this answer makes nothing fresh.
        let fresh_at = sent_at_ms.checked_sub(reply.age_ms);
        match reply.body {
            FeedBody::Delta { from, version, changes } => {
                self.take_delta(&reply.epoch, from, version, changes, fresh_at)
            }
            FeedBody::Page { version, count, from, next, entries } => {
                let page = Page { epoch: reply.epoch, version, count, from, next, entries };
                self.take_page(page, fresh_at)
            }
        }
    }

    fn take_delta(
        &mut self,
        epoch: &Epoch,
        from: u64,
        version: u64,
        changes: Vec<Change>,
        fresh_at: Option<u64>,
    ) -> Result<News, FeedError> {
        let Some(position) = self.position.as_ref().filter(|position| position.epoch == *epoch) else {
            return Err(FeedError::Unreadable("a delta of an epoch that this replica does not hold".into()));
        };
        let have = position.version;
        if version < have {
            return Err(FeedError::Backwards { have, got: version });
        }
        // A skipped version could be a ban, so the numbers must follow each other to the last one.
        let numbers = changes.iter().map(|change| change.version);
        let gap = std::iter::once(from).chain(numbers).zip(have..).find(|(got, expected)| got != expected);
        if let Some((got, _)) = gap {
            return Err(FeedError::Gap { have, got });
        }
        let last = changes.last().map_or(from, |change| change.version);
        if last != version {
            return Err(FeedError::Gap { have: last, got: version });
        }
        let digests = changes.into_iter().map(|change| self.apply(change.effect)).collect::<Result<_, _>>()?;
        if let Some(position) = self.position.as_mut() {
            position.version = version;
        }
        self.fresh_at_ms = self.fresh_at_ms.max(fresh_at);
        Ok(News::Of(digests))
    }

    fn apply(&mut self, effect: Effect) -> Result<Digest, FeedError> {
        match effect {
            Effect::Put(entry) => {
                self.put(&entry)?;
                Ok(entry.digest())
            }
            Effect::Lift(digest) => {
                self.denylist.lift(digest);
                Ok(digest)
            }
        }
    }

    fn put(&mut self, entry: &Entry) -> Result<(), FeedError> {
        if let Entry::Keyset { digest, revision } = entry {
            self.keysets.announce(*digest, *revision);
            return Ok(());
        }
        self.denylist.put(entry).map_err(|Full| FeedError::Full { entries: self.denylist.len() })
    }

    fn take_page(&mut self, page: Page, fresh_at: Option<u64>) -> Result<News, FeedError> {
        let continues = self.loading.as_ref().is_some_and(|l| l.epoch == page.epoch && l.next == page.from);
        if !continues {
            if page.from != Digest::MIN {
                self.loading = None;
                return Err(FeedError::Unreadable("a page that does not follow the last one".into()));
            }
            self.begin_loading(&page, fresh_at)?;
        }
        let Some(loading) = self.loading.as_mut() else {
            return Err(FeedError::Unreadable("a page without a snapshot".into()));
        };
        if page.version < loading.version {
            return Err(FeedError::Backwards { have: loading.version, got: page.version });
        }
        loading.fresh_at_ms = loading.fresh_at_ms.min(fresh_at);
        let at = loading.next;
        page.entries.iter().try_for_each(|entry| self.put(entry))?;
        match page.next {
            Some(next) if next > at => {
                if let Some(loading) = self.loading.as_mut() {
                    loading.next = next;
                }
                Ok(News::Of(page.entries.iter().map(Entry::digest).collect()))
            }
            Some(_) => Err(FeedError::Unreadable("a page that leads nowhere".into())),
            None => {
                self.finish_loading();
                Ok(News::Everything)
            }
        }
    }

    fn begin_loading(&mut self, page: &Page, fresh_at: Option<u64>) -> Result<(), FeedError> {
        match &self.position {
            Some(position) if position.epoch == page.epoch && page.version < position.version => {
                return Err(FeedError::Backwards { have: position.version, got: page.version });
            }
            _ => {}
        }
        self.denylist.begin_snapshot(page.count);
        self.loading =
            Some(Loading { epoch: page.epoch.clone(), version: page.version, next: page.from, fresh_at_ms: fresh_at });
        Ok(())
    }

    fn finish_loading(&mut self) {
        if let Some(loading) = self.loading.take() {
            self.denylist.end_snapshot();
            // Later pages may be newer; the next delta repeats what they already held.
            self.position = Some(Position { epoch: loading.epoch, version: loading.version });
            self.fresh_at_ms = loading.fresh_at_ms;
            self.resync = false;
        }
    }

    fn fail(&mut self, error: &FeedError, now: Now) {
        match error {
            // What cannot be read may be a ban: from this moment the denylist decides nothing alone.
            FeedError::Unreadable(_) | FeedError::Full { .. } => self.fresh_at_ms = None,
            FeedError::Gap { .. } => (self.resync, self.fresh_at_ms) = (true, None),
            // Nobody there, or a sidecar that is behind: the next poll may reach another.
            FeedError::Unavailable(_) | FeedError::Backwards { .. } => {}
        }
        self.failures = self.failures.saturating_add(1);
        let wait = (RETRY_FIRST_MS << self.failures.min(4).saturating_sub(1)).min(RETRY_MAX_MS);
        // Jitter from the replica's own random name, so that workers do not return in step.
        let seed =
            self.info.id.as_str().bytes().fold(u64::from(self.failures), |sum, b| sum * 31 % 1_009 + u64::from(b));
        self.retry_at_ms = now.mono_ms + wait / 2 + seed % (wait / 2 + 1);
    }
}

struct Page {
    epoch: Epoch,
    version: u64,
    count: u64,
    from: Digest,
    next: Option<Digest>,
    entries: Vec<Entry>,
}

#[cfg(test)]
mod tests;
