//! What a filter's VM does: polls, answers to them, requests and their checks.

use crate::rules::Rules;
use crate::state::{Check, Loading, Poll, Reply, Request, Stamp, State, Stream, Worker};

impl State {
    /// The answer to a worker's poll arrives (`Replica::on_reply`).
    pub(crate) fn deliver_poll(&mut self, at: usize, rules: &Rules) {
        let before = self.workers[at];
        let Poll::Answered { reply, is_old } = before.poll else { return };
        let is_late = before.poll_is_old && rules.count_from_sent;
        let is_fresh = !is_late && !is_old;
        let mut worker = Worker { poll: Poll::None, ..before };
        match reply {
            Reply::Delta { stamp, change } => worker.take_delta(stamp, change, is_fresh),
            Reply::FirstPage { stamp, banned } => worker.take_first_page(stamp, banned, is_fresh, rules),
            Reply::LastPage { stamp } => worker.take_last_page(stamp, is_fresh, rules),
        }
        if worker.is_barred && worker.stream == Stream::Open && rules.cut_before_acknowledging {
            worker.stream = Stream::Cut;
        }
        self.went_back |= went_back(before.position, worker.position);
        self.workers[at] = worker;
    }

    /// The user sends a request to a worker.
    pub(crate) fn request(&mut self, at: usize) {
        let is_late = self.ban_is_acknowledged();
        self.request = Some(Request { worker: at, is_late, check: Check::Asked });
        if self.workers[at].admits() {
            self.admit();
        }
    }

    /// The answer to the check arrives, or none does (`flow::resume`).
    pub(crate) fn resume(&mut self, answer: Option<(Stamp, bool)>, rules: &Rules) {
        let Some(request) = self.request else { return };
        let worker = self.workers[request.worker];
        let is_as_new = |stamp: Stamp| worker.position.is_some_and(|position| stamp.covers(position));
        let admits = match answer {
            Some((_, false)) => false,
            Some((stamp, true)) => !worker.is_barred || is_as_new(stamp) || !rules.old_allow_never_wins,
            None if worker.is_barred && rules.hit_bars => false,
            None => (worker.is_fresh && worker.position.is_some()) || !rules.fenced_promise,
        };
        if admits {
            self.admit();
        }
        self.request = None;
    }

    fn admit(&mut self) {
        if let Some(request) = self.request.take() {
            self.workers[request.worker].stream = Stream::Open;
            self.admitted_late |= request.is_late && self.ban_is_acknowledged();
        }
    }
}

fn went_back(before: Option<Stamp>, after: Option<Stamp>) -> bool {
    before.zip(after).is_some_and(|(before, after)| before.epoch == after.epoch && after.version < before.version)
}

impl Worker {
    fn take_delta(&mut self, stamp: Stamp, change: Option<bool>, is_fresh: bool) {
        self.position = Some(stamp);
        self.is_fresh |= is_fresh;
        self.is_barred = change.unwrap_or(self.is_barred);
    }

    fn take_first_page(&mut self, stamp: Stamp, banned: bool, is_fresh: bool, rules: &Rules) {
        if rules.never_backwards && went_back(self.position, Some(stamp)) {
            return;
        }
        self.loading = Some(Loading { stamp, named: banned, is_fresh });
        self.is_barred |= banned;
    }

    fn take_last_page(&mut self, stamp: Stamp, is_fresh: bool, rules: &Rules) {
        let Some(loading) = self.loading.take() else { return };
        if loading.stamp.epoch != stamp.epoch {
            self.is_fresh = false;
            return;
        }
        if stamp.version < loading.stamp.version {
            self.loading = rules.never_backwards.then_some(loading);
            return;
        }
        self.position = Some(if rules.oldest_page_counts { loading.stamp } else { stamp });
        self.is_fresh = loading.is_fresh && is_fresh;
        self.is_barred = loading.named;
    }
}
