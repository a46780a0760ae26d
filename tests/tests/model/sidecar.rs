//! What the store and the sidecars do: following the feed, epochs, writing back, answering polls and checks.

use crate::rules::Rules;
use crate::state::{Check, Entry, EpochRecord, Mirror, Poll, Redis, Reply, Row, Stamp, State};

/// A new epoch is numbered so far above the last known version.
const EPOCH_STEP: u8 = 10;

impl Redis {
    /// Where the feed stands; none if the store has no epoch.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        self.epoch.map(|epoch| Stamp { epoch: epoch.id, version: self.version })
    }

    /// Whether a ban of the user holds by the feed.
    pub(crate) fn bans(&self) -> bool {
        self.entry.is_some_and(|entry| entry.banned)
    }

    /// Writes to the feed (`write.lua`); on a store without an epoch that begins one.
    pub(crate) fn write(&mut self, banned: bool, was: u8) -> Stamp {
        if self.epoch.is_none() {
            self.begin_epoch(0);
        }
        self.version += 1;
        self.entry = Some(Entry { version: self.version, banned, was });
        Stamp { epoch: self.epoch.map_or(0, |epoch| epoch.id), version: self.version }
    }

    /// `record_poll.lua`.
    pub(crate) fn record_poll(&mut self, worker: usize, holds: Option<Stamp>, is_blank: bool) {
        let joined = match self.rows[worker] {
            Some(row) => row.joined,
            None => self.stamp().filter(|_| is_blank),
        };
        self.rows[worker] = Some(Row { holds, joined, is_silent: false });
    }

    /// `begin_epoch.lua`.
    fn begin_epoch(&mut self, highest: u8) {
        if highest > 0 {
            self.version = self.version.max(highest + EPOCH_STEP);
        }
        self.epochs += 1;
        self.oldest = self.version + 1;
        let (id, lineage, base) = (self.epochs, self.lineage, self.version);
        self.epoch = Some(EpochRecord { id, lineage, base, is_young: true });
    }

    /// `restore.lua`, and the record that belongs to the entry.
    fn restore(&mut self, held: Entry) {
        let base = self.epoch.map_or(0, |epoch| epoch.base);
        let is_newer = self.entry.is_some_and(|present| match present.version > base {
            true => present.was == 0 || present.was >= held.version,
            false => present.version >= held.version,
        });
        if !is_newer {
            self.write(held.banned, held.version);
            self.record |= held.banned;
        }
    }
}

/// What follows for a sidecar that holds `held` (`Position::judge`).
enum Verdict {
    Continues,
    Follow,
    Begin,
}

fn judge(redis: &Redis, held: Option<Stamp>, rules: &Rules) -> Verdict {
    let Some(epoch) = redis.epoch else { return Verdict::Begin };
    let is_lost = epoch.lineage != redis.lineage || redis.version < epoch.base;
    match held {
        _ if is_lost && rules.new_epoch_on_loss => Verdict::Begin,
        Some(held) if held.epoch != epoch.id => Verdict::Follow,
        Some(held) if redis.version < held.version && rules.new_epoch_on_loss => Verdict::Begin,
        Some(_) => Verdict::Continues,
        None => Verdict::Follow,
    }
}

impl State {
    /// One step of a sidecar's follower: it reads on, begins an epoch, or writes back and loads.
    pub(crate) fn follow(&mut self, sidecar: usize, rules: &Rules) {
        let held = self.mirrors[sidecar];
        match (judge(&self.redis, held.map(|held| held.stamp), rules), held) {
            (Verdict::Begin, _) => self.redis.begin_epoch(held.map_or(0, |held| held.stamp.version)),
            (Verdict::Continues, Some(held)) if !self.has_gap(&held) || !rules.no_gap => {
                self.mirrors[sidecar] = Some(self.read_on(held));
            }
            _ => self.load(sidecar, held, rules),
        }
    }

    fn has_gap(&self, held: &Mirror) -> bool {
        self.redis.version > held.stamp.version && self.redis.oldest > held.stamp.version + 1
    }

    fn read_on(&self, held: Mirror) -> Mirror {
        let behind = self.redis.oldest.max(held.stamp.version + 1);
        let news = self.redis.entry.filter(|entry| entry.version >= behind);
        let version = self.redis.version.max(held.stamp.version);
        Mirror { stamp: Stamp { version, ..held.stamp }, entry: news.or(held.entry), is_old: false, ..held }
    }

    fn load(&mut self, sidecar: usize, held: Option<Mirror>, rules: &Rules) {
        let Some(epoch) = self.redis.epoch else { return };
        let remembered = held.filter(|held| held.stamp.epoch != epoch.id && rules.write_back);
        if let Some(entry) = remembered.and_then(|held| held.entry) {
            self.redis.restore(entry);
        }
        let stamp = Stamp { epoch: epoch.id, version: self.redis.version };
        self.mirrors[sidecar] = Some(Mirror { stamp, entry: self.redis.entry, log_from: stamp.version, is_old: false });
    }

    /// Whether everybody who holds something of an epoch before has written it back to the one in force.
    fn is_settled(&self, rules: &Rules) -> bool {
        let followed = |id: u8| self.mirrors.iter().flatten().all(|mirror| mirror.stamp.epoch == id);
        let is_sound = |epoch: EpochRecord| epoch.lineage == self.redis.lineage || !rules.new_epoch_on_loss;
        !rules.settled_epoch || self.redis.epoch.is_some_and(|epoch| is_sound(epoch) && followed(epoch.id))
    }

    /// A poll reaches a sidecar, which puts it on record before anything else (`Polls::record`).
    pub(crate) fn record_poll(&mut self, worker: usize, sidecar: usize, rules: &Rules) {
        let holds = self.workers[worker].holds();
        self.workers[worker].poll_is_old = false;
        self.workers[worker].poll = Poll::None;
        let Some(mirror) = self.mirrors[sidecar] else { return };
        if holds.is_some() || rules.register_before_snapshot {
            self.redis.record_poll(worker, holds, self.workers[worker].position.is_none());
        }
        let wants_news = holds.is_some_and(|holds| holds.epoch == mirror.stamp.epoch);
        let Some(at) = self.redis.stamp() else { return };
        if self.is_settled(rules) && (wants_news || !mirror.is_old) {
            self.workers[worker].poll = Poll::Held { sidecar, at: Some(at), wants_news };
        }
    }

    /// A poll reaches a sidecar that cannot reach the store: whoever was on record is answered all the same.
    pub(crate) fn hold_unrecorded_poll(&mut self, worker: usize, sidecar: usize) {
        let holds = self.workers[worker].holds();
        if self.mirrors[sidecar].is_some_and(|mirror| holds.is_some_and(|holds| holds.epoch == mirror.stamp.epoch)) {
            self.workers[worker].poll_is_old = false;
            self.workers[worker].poll = Poll::Held { sidecar, at: None, wants_news: true };
        }
    }

    /// A sidecar answers a poll that it holds, if it can by now (`Needed::progress`).
    pub(crate) fn answer_poll(&mut self, worker: usize, rules: &Rules) {
        let who = self.workers[worker];
        let Poll::Held { sidecar, at, wants_news } = who.poll else { return };
        let Some(mirror) = self.mirrors[sidecar] else { return };
        let since = who.position.filter(|_| wants_news);
        if since.is_some_and(|since| since.epoch != mirror.stamp.epoch) {
            self.record_poll(worker, sidecar, rules);
            return;
        }
        let is_behind = since.is_some_and(|since| mirror.stamp.version < since.version);
        let covers_record = at.is_none_or(|at| mirror.stamp.covers(at)) || !rules.answer_covers_record;
        if rules.never_backwards && (is_behind || !covers_record) {
            return;
        }
        let banned = mirror.entry.is_some_and(|entry| entry.banned);
        let reply = match (since, who.loading) {
            (Some(since), _) if !is_behind && since.version >= mirror.log_from => {
                let change = mirror.entry.filter(|entry| entry.version > since.version).map(|entry| entry.banned);
                Reply::Delta { stamp: mirror.stamp, change }
            }
            (None, Some(_)) => Reply::LastPage { stamp: mirror.stamp },
            _ => Reply::FirstPage { stamp: mirror.stamp, banned },
        };
        let was_recorded_long_ago = at.is_none() && self.redis.rows[worker].is_none_or(|row| row.is_silent);
        let is_old = (mirror.is_old || was_recorded_long_ago) && rules.count_from_read;
        self.workers[worker].poll = Poll::Answered { reply, is_old };
    }

    /// A check reaches a sidecar, which notes its version first (rule P5).
    pub(crate) fn stamp_check(&mut self, sidecar: usize) {
        if let (Some(request), Some(mirror)) = (&mut self.request, self.mirrors[sidecar]) {
            request.check = Check::Stamped { sidecar, stamp: mirror.stamp };
        }
    }

    /// The sidecar reads the record and its own copy, and decides.
    pub(crate) fn decide_check(&mut self, rules: &Rules) {
        let is_settled = self.is_settled(rules);
        let Some(request) = &mut self.request else { return };
        let Check::Stamped { sidecar, stamp } = request.check else { return };
        let Some(mirror) = self.mirrors[sidecar].filter(|_| is_settled) else { return };
        let allow = !self.redis.record && !mirror.entry.is_some_and(|entry| entry.banned);
        request.check = Check::Answered { stamp, allow };
    }
}
