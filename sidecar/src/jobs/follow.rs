//! Follows the feed in the store, so that this sidecar's copy is never older than a fraction of a
//! second (rule P4), has no gap (P1), and survives the store's loss of data (P2).

use std::time::{Duration, Instant};

use sekisho_protocol::digest::DigestKey;
use tokio::task::spawn_blocking;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::domain::feed::position::{EpochRecord, Position, Verdict};
use crate::domain::feed::state::State;
use crate::domain::feed::write::{LIFT_MEMORY_S, Write};
use crate::domain::feed::{Stamp, Version};
use crate::domain::time::UnixSeconds;
use crate::failpoint::{FailPoint, reach};
use crate::service::error::StoreError;
use crate::service::feed::mirror::Mirror;
use crate::service::feed::source::{FeedSource, Round};

const JOB: &str = "follow";
/// How long a read waits for changes. The copy is as old as the last read's beginning, so at the end of the
/// next one it is twice this old: well below 250 ms.
const WAIT: Duration = Duration::from_millis(50);
/// How long after a failure the next attempt is made.
const RETRY: Duration = Duration::from_millis(100);
/// What this sidecar remembers is written back only if it is younger than lifts are remembered: by
/// half, since clocks and sweeps are not exact.
const MEMORY_MAX_AGE: Duration = Duration::from_secs(LIFT_MEMORY_S / 2);

/// Follows the feed.
pub struct Follower<S> {
    source: S,
    mirror: Mirror,
    key: DigestKey,
    /// What the store said last about its version: what it then held must have come by the next read.
    promised: Option<Stamp>,
}

impl<S: FeedSource> Follower<S> {
    /// Follows `source` into `mirror`.
    #[must_use]
    pub fn new(source: S, mirror: Mirror, key: DigestKey) -> Self {
        mirror.keep();
        Self { source, mirror, key, promised: None }
    }

    /// Follows until the sidecar closes.
    pub async fn run(mut self, closing: CancellationToken) {
        let mut trouble = Trouble::default();
        loop {
            match until_closing(self.step(), &closing).await {
                None => return,
                Some(Ok(())) => trouble.ends(JOB),
                Some(Err(error)) => {
                    trouble.begins(JOB, &error);
                    if !pause(RETRY, &closing).await {
                        return;
                    }
                }
            }
        }
    }

    /// One read of the feed; loads it anew if what is held does not belong to it any more.
    ///
    /// # Errors
    /// The store cannot be reached, or holds something unreadable. The copy stays, and ages.
    pub async fn step(&mut self) -> Result<(), StoreError> {
        let Some(held) = self.mirror.stamp() else { return self.load(None).await };
        let sent_at = Instant::now();
        let round = self.source.next(held.version, WAIT).await?;
        if round.position.judge(Some(&held)) != Verdict::Continues {
            return self.load(Some(held)).await;
        }
        if !self.apply(round, &held, sent_at) {
            return self.load(Some(held)).await;
        }
        Ok(())
    }

    /// Applies what a read brought; false if it does not follow what is held.
    fn apply(&mut self, round: Round, held: &Stamp, sent_at: Instant) -> bool {
        let now = UnixSeconds::now().get();
        let reached = round.changes.last().map_or(held.version, |write| write.version);
        // What is held is then all there is, unless the read was cut short. The store read at some moment after
        // it was asked to; only that it was not before is certain.
        let is_all = round.complete || round.position.version == Some(reached);
        let read_at = is_all.then_some(sent_at);
        let at = |version: Version| Stamp { epoch: held.epoch.clone(), version };
        let promise_kept = match self.promised.take() {
            Some(promised) if promised.epoch == held.epoch && round.complete => promised.version <= reached,
            _ => true,
        };
        self.promised = round.position.version.map(at);
        if let Err(gap) = self.mirror.apply(round.changes, now, read_at) {
            tracing::info!(feed.have = %gap.have, feed.got = %gap.got, "the feed has a gap; loading it anew");
            return false;
        }
        if !promise_kept {
            tracing::info!(feed.have = %reached, "the stream lacks what the feed's version promises; loading it anew");
        }
        promise_kept
    }

    /// Loads the whole feed, after seeing to it that it is one that can be served.
    async fn load(&mut self, held: Option<Stamp>) -> Result<(), StoreError> {
        self.promised = None;
        let position = self.source.position().await?;
        let epoch = self.sound_epoch(&position, held.as_ref()).await?;
        // None: it began so long ago that nothing depends on it.
        let begun_at = Instant::now().checked_sub(epoch.age);
        let is_successor = held.as_ref().is_some_and(|held| held.epoch != epoch.id);
        if is_successor {
            self.write_back(&epoch).await?;
        }
        if let Some(begun_at) = begun_at {
            sleep_until((begun_at + EpochRecord::SETTLING).into()).await;
        }
        let sent_at = Instant::now();
        let before = self.source.position().await?;
        let writes = self.source.entries().await?;
        let after = self.source.position().await?;
        let stays = |position: &Position| {
            position.epoch.as_ref().is_some_and(|now| now.id == epoch.id) && position.lineage == epoch.lineage
        };
        let version = before.version.filter(|version| after.version >= Some(*version));
        let (Some(version), true, true) = (version, stays(&before), stays(&after)) else {
            return Err(StoreError::unavailable("the feed changed its epoch while it was read"));
        };
        let stamp = Stamp { epoch: epoch.id.clone(), version };
        tracing::info!(feed.epoch = %stamp.epoch, feed.version = %stamp.version, feed.names = writes.len(), "the feed is loaded");
        let key = self.key.clone();
        // A million entries take a second to load, and the ones before a part of it to be dropped: neither is
        // to keep polls waiting.
        let state = spawn_blocking(move || State::load(key, stamp, writes)).await.map_err(StoreError::unavailable)?;
        let succeeded_at = begun_at.filter(|_| is_successor || epoch.base > Version::ZERO);
        let replaced = self.mirror.replace(state, sent_at, succeeded_at);
        spawn_blocking(move || drop(replaced));
        Ok(())
    }

    /// The epoch to load: the one in force, or a new one if the store may have lost data (rule P2).
    async fn sound_epoch(&mut self, position: &Position, held: Option<&Stamp>) -> Result<EpochRecord, StoreError> {
        match (position.judge(held), &position.epoch) {
            (Verdict::Continues | Verdict::Follow, Some(epoch)) => Ok(epoch.clone()),
            (_, present) => {
                let highest = held.map(|held| held.version).max(position.version).unwrap_or_default();
                let old = present.as_ref().map(|epoch| &epoch.id);
                let begun = self.source.begin_epoch(old, highest, &position.lineage).await?;
                reach(FailPoint::EpochBegun);
                tracing::warn!(
                    feed.epoch = %begun.id,
                    feed.base = %begun.base,
                    "Redis is new, was restarted, or lost data: another epoch of the feed is in force"
                );
                Ok(begun)
            }
        }
    }

    /// Writes back what is held from the epoch before, and may be lost.
    async fn write_back(&mut self, epoch: &EpochRecord) -> Result<(), StoreError> {
        let now = UnixSeconds::now().get();
        let held =
            self.mirror.look(|state, age| (age <= MEMORY_MAX_AGE).then(|| state.writes(now).collect::<Vec<Write>>()));
        let Some(Some(held)) = held else {
            tracing::warn!("what this sidecar remembers of the feed is too old to be written back");
            return Ok(());
        };
        let restored = self.source.restore(&held, epoch).await?;
        tracing::info!(
            feed.held = held.len(),
            feed.restored = restored,
            "what Redis lost of the feed was written back"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests;
