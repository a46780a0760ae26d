//! What may happen, in words.

use std::fmt;

use crate::admin::AdminStep;

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Silence,
    Poll { worker: usize, sidecar: usize },
    PollUnrecorded { worker: usize, sidecar: usize },
    DelayPoll(usize),
    AnswerPoll(usize),
    DeliverPoll(usize),
    LosePoll(usize),
    RecordStray,
    RestartWorker(usize),
    CutLate(usize),
    Follow(usize),
    RestartSidecar(usize),
    OtherWrite,
    Trim,
    Flush,
    LoseTail,
    Request(usize),
    StampCheck(usize),
    DecideCheck,
    DeliverCheck,
    LoseCheck,
    Admin(AdminStep),
    CrashAdmin,
    Lift,
    Reconcile,
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence => write!(out, "the staleness bound and its margin pass"),
            Self::Poll { worker, sidecar } => {
                write!(out, "worker {worker} polls sidecar {sidecar}, which puts it on record")
            }
            Self::PollUnrecorded { worker, sidecar } => {
                write!(out, "worker {worker} polls sidecar {sidecar}, which cannot put it on record")
            }
            Self::DelayPoll(worker) => {
                write!(out, "worker {worker} polls and gives up, but the poll is still under way")
            }
            Self::AnswerPoll(worker) => write!(out, "the sidecar answers worker {worker}'s poll"),
            Self::DeliverPoll(worker) => write!(out, "worker {worker} gets the answer"),
            Self::LosePoll(worker) => write!(out, "worker {worker} gives its poll up"),
            Self::RecordStray => write!(out, "the poll that was given up is put on record after all"),
            Self::RestartWorker(worker) => write!(out, "worker {worker} starts anew"),
            Self::CutLate(worker) => write!(out, "worker {worker} cuts the stream, late"),
            Self::Follow(sidecar) => write!(out, "sidecar {sidecar} reads on in Redis"),
            Self::RestartSidecar(sidecar) => write!(out, "sidecar {sidecar} starts anew"),
            Self::OtherWrite => write!(out, "an entry about somebody else is written"),
            Self::Trim => write!(out, "the stream loses its oldest writes"),
            Self::Flush => write!(out, "Redis is flushed"),
            Self::LoseTail => write!(out, "Redis restarts and has lost what was written last"),
            Self::Request(worker) => write!(out, "the user sends a request to worker {worker}"),
            Self::StampCheck(sidecar) => write!(out, "sidecar {sidecar} gets the check and notes its version"),
            Self::DecideCheck => write!(out, "the sidecar reads the record and decides"),
            Self::DeliverCheck => write!(out, "the worker gets the decision"),
            Self::LoseCheck => write!(out, "the check fails"),
            Self::Admin(AdminStep::WriteRecord) => write!(out, "the ban's record is written"),
            Self::Admin(AdminStep::WriteEntry) => write!(out, "the ban's entry is written to the feed"),
            Self::Admin(AdminStep::Acknowledge) => write!(out, "the ban is acknowledged"),
            Self::Admin(AdminStep::RemoveRecord) => write!(out, "the ban's record is removed"),
            Self::Admin(AdminStep::LiftEntry) => write!(out, "the ban's entry is lifted"),
            Self::CrashAdmin => write!(out, "the admin's sidecar crashes"),
            Self::Lift => write!(out, "the lift of the ban is asked for"),
            Self::Reconcile => write!(out, "the reconciler goes one step on"),
        }
    }
}
