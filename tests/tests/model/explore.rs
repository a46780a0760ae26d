//! What may happen next, and what must never come of it.

use stateright::{Model, Property};

use crate::action::Action;
use crate::rules::{Budget, Rules};
use crate::state::{Admin, Check, Loading, Poll, Redis, Request, Row, State, Stream, Worker};

/// The protocol under some rules, with so many workers and so much trouble.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protocol {
    pub(crate) rules: Rules,
    pub(crate) workers: usize,
    pub(crate) trouble: Budget,
}

/// No request that arrived after the acknowledgement is admitted, nor would one be.
pub(crate) const NO_ADMISSION: &str = "after an acknowledged ban nobody is admitted";
/// No stream is open where the ban was applied.
pub(crate) const NO_STREAM: &str = "after an acknowledged ban no stream is open";
/// No worker goes to a lower version of the same epoch.
pub(crate) const NEVER_BACK: &str = "nobody goes backwards within an epoch";
/// When nobody is about to write, the feed says what the records say.
pub(crate) const AT_REST: &str = "at rest, record and entry agree";
/// The model is not vacuous.
pub(crate) const HAPPENS: &str = "a ban is acknowledged where it was applied";
/// The same of streams.
pub(crate) const CUTS: &str = "a stream is admitted, then cut by a ban that is acknowledged";

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut state = State::in_step(self.trouble);
        for (worker, row) in state.workers.iter_mut().zip(&mut state.redis.rows).skip(self.workers) {
            (*worker, *row) = (Worker::NEW, None);
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for worker in 0..self.workers {
            self.actions_of_worker(state, worker, actions);
        }
        for sidecar in 0..2 {
            actions.push(Action::Follow(sidecar));
            offer(actions, state.left.sidecar_restarts > 0, Action::RestartSidecar(sidecar));
        }
        self.actions_of_request(state, actions);
        let left = &state.left;
        offer(actions, left.silences > 0, Action::Silence);
        offer(actions, state.stray.is_some(), Action::RecordStray);
        offer(actions, left.other_writes > 0 && state.redis.epoch.is_some(), Action::OtherWrite);
        offer(actions, left.trims > 0, Action::Trim);
        offer(actions, left.flushes > 0, Action::Flush);
        offer(actions, left.lost_tails > 0, Action::LoseTail);
        actions.extend(state.admin_step(&self.rules).map(Action::Admin));
        offer(actions, left.admin_crashes > 0 && state.admin == Admin::Half, Action::CrashAdmin);
        offer(actions, left.lifts > 0 && state.admin == Admin::Acknowledged, Action::Lift);
        offer(actions, self.trouble.admin_crashes > 0 && state.can_reconcile(&self.rules), Action::Reconcile);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        self.apply(&mut next, action);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_ADMISSION, |_, state: &State| {
                let admits = state.workers.iter().any(Worker::admits);
                !(state.admitted_late || state.ban_is_acknowledged() && admits)
            }),
            Property::always(NO_STREAM, |_, state: &State| {
                let acknowledged = |row: &Option<Row>| row.is_some_and(|row| !row.is_silent);
                let is_open = |(worker, row): (&Worker, &Option<Row>)| {
                    worker.stream == Stream::Open && worker.is_barred && acknowledged(row)
                };
                !(state.ban_is_acknowledged() && state.workers.iter().zip(&state.redis.rows).any(is_open))
            }),
            Property::always(NEVER_BACK, |_, state: &State| !state.went_back),
            Property::always(AT_REST, |model: &Self, state: &State| {
                let is_whole = model.trouble.flushes + model.trouble.lost_tails == 0;
                let is_settled = state.is_at_rest() && !state.can_reconcile(&model.rules);
                !(is_whole && is_settled) || state.redis.record == state.redis.bans()
            }),
            Property::sometimes(HAPPENS, |_, state: &State| {
                state.ban_is_acknowledged() && state.workers.iter().any(|worker| worker.is_barred)
            }),
            Property::sometimes(CUTS, |model: &Self, state: &State| {
                let is_cut = state.workers.iter().any(|worker| worker.stream == Stream::Cut);
                state.ban_is_acknowledged() && (is_cut || model.trouble.requests == 0)
            }),
        ]
    }
}

fn offer(actions: &mut Vec<Action>, if_possible: bool, action: Action) {
    if if_possible {
        actions.push(action);
    }
}

impl Protocol {
    fn actions_of_worker(&self, state: &State, worker: usize, actions: &mut Vec<Action>) {
        let who = &state.workers[worker];
        match who.poll {
            Poll::None => {
                actions.extend((0..2).map(|sidecar| Action::Poll { worker, sidecar }));
                if state.left.unrecorded_polls > 0 {
                    actions.extend((0..2).map(|sidecar| Action::PollUnrecorded { worker, sidecar }));
                }
                offer(actions, state.left.lost_polls > 0 && state.stray.is_none(), Action::DelayPoll(worker));
            }
            Poll::Held { .. } => actions.push(Action::AnswerPoll(worker)),
            Poll::Answered { .. } => actions.push(Action::DeliverPoll(worker)),
        }
        offer(actions, who.poll != Poll::None && state.left.lost_polls > 0, Action::LosePoll(worker));
        offer(actions, state.left.worker_restarts > 0, Action::RestartWorker(worker));
        offer(actions, who.is_barred && who.stream == Stream::Open, Action::CutLate(worker));
        offer(actions, state.request.is_none() && state.left.requests > 0, Action::Request(worker));
    }

    fn actions_of_request(&self, state: &State, actions: &mut Vec<Action>) {
        let Some(request) = state.request else { return };
        match request.check {
            Check::Asked => actions.extend([0, 1].map(Action::StampCheck)),
            Check::Stamped { .. } => actions.push(Action::DecideCheck),
            Check::Answered { .. } => actions.push(Action::DeliverCheck),
        }
        actions.push(Action::LoseCheck);
    }

    fn apply(&self, state: &mut State, action: Action) {
        let rules = &self.rules;
        match action {
            Action::Silence => silence(state),
            Action::Poll { worker, sidecar } => state.record_poll(worker, sidecar, rules),
            Action::PollUnrecorded { worker, sidecar } => {
                state.left.unrecorded_polls -= 1;
                state.hold_unrecorded_poll(worker, sidecar);
            }
            Action::DelayPoll(at) => {
                state.left.lost_polls -= 1;
                state.stray = Some((at, state.workers[at].holds()));
            }
            Action::AnswerPoll(at) => state.answer_poll(at, rules),
            Action::DeliverPoll(at) => state.deliver_poll(at, rules),
            Action::LosePoll(at) => {
                state.left.lost_polls -= 1;
                state.workers[at].poll = Poll::None;
            }
            Action::RecordStray => {
                if let Some((at, holds)) = state.stray.take() {
                    state.redis.record_poll(at, holds, holds.is_none());
                }
            }
            Action::RestartWorker(at) => {
                state.left.worker_restarts -= 1;
                state.workers[at] = Worker::NEW;
                state.redis.rows[at] = None;
                state.stray = state.stray.filter(|(of, _)| *of != at);
                state.request = state.request.filter(|request| request.worker != at);
            }
            Action::CutLate(at) => state.workers[at].stream = Stream::Cut,
            Action::Follow(sidecar) => state.follow(sidecar, rules),
            Action::RestartSidecar(sidecar) => restart_sidecar(state, sidecar),
            Action::Request(at) => {
                state.left.requests -= 1;
                state.request(at);
            }
            Action::StampCheck(sidecar) => state.stamp_check(sidecar),
            Action::DecideCheck => state.decide_check(rules),
            Action::DeliverCheck => deliver_check(state, rules),
            Action::LoseCheck => state.resume(None, rules),
            _ => apply_to_store(state, action),
        }
    }
}

/// What the admin does, and what becomes of the store.
fn apply_to_store(state: &mut State, action: Action) {
    match action {
        Action::OtherWrite => {
            state.left.other_writes -= 1;
            state.redis.version += 1;
        }
        Action::Trim => {
            state.left.trims -= 1;
            state.redis.oldest = state.redis.oldest.max(state.redis.version);
        }
        Action::Flush => {
            state.left.flushes -= 1;
            lose_all(state);
            (state.redis.epoch, state.redis.version, state.redis.oldest) = (None, 0, 1);
        }
        Action::LoseTail => {
            state.left.lost_tails -= 1;
            lose_all(state);
            state.redis.lineage += 1;
        }
        Action::Admin(step) => state.step_admin(step),
        Action::CrashAdmin => {
            state.left.admin_crashes -= 1;
            state.admin = Admin::Crashed;
        }
        Action::Lift => {
            state.left.lifts -= 1;
            state.begin_lift();
        }
        _ => state.step_reconciler(),
    }
}

/// The store is as it was in the beginning. Whoever was put on record since is gone with it.
fn lose_all(state: &mut State) {
    let Redis { lineage, epochs, .. } = state.redis;
    state.redis = Redis { lineage, epochs, rows: [None; 2], ..State::in_step(state.left).redis };
}

/// Whatever was not renewed for the staleness bound and the margin is too old now.
fn silence(state: &mut State) {
    state.left.silences -= 1;
    for row in state.redis.rows.iter_mut().flatten() {
        row.is_silent = true;
    }
    for mirror in state.mirrors.iter_mut().flatten() {
        mirror.is_old = true;
    }
    if let Some(epoch) = &mut state.redis.epoch {
        epoch.is_young = false;
    }
    for worker in &mut state.workers {
        worker.is_fresh = false;
        worker.loading = worker.loading.map(|loading| Loading { is_fresh: false, ..loading });
        worker.poll_is_old = worker.poll != Poll::None;
    }
}

fn restart_sidecar(state: &mut State, sidecar: usize) {
    state.left.sidecar_restarts -= 1;
    state.mirrors[sidecar] = None;
    for worker in &mut state.workers {
        if matches!(worker.poll, Poll::Held { sidecar: of, .. } if of == sidecar) {
            worker.poll = Poll::None;
        }
    }
}

fn deliver_check(state: &mut State, rules: &Rules) {
    if let Some(Request { check: Check::Answered { stamp, allow }, .. }) = state.request {
        state.resume(Some((stamp, allow)), rules);
    }
}
