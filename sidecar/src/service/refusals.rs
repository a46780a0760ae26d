//! Refused admin calls, in the audit trail: who tried what, and why it was refused. Strangers can cause them, so only so
//! many are recorded in each minute; the next one says how many were left out.

use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::audit::quota::Quota;
use crate::domain::audit::{Action, By, Outcome};
use crate::domain::error::Failure;
use crate::domain::time::UnixSeconds;
use crate::service::audit::{Audit, Deed};

/// Most events of one caller in a minute.
const OF_EACH: u32 = 5;
/// Most events of all callers in a minute.
const OF_ALL: u32 = 60;

/// Records them.
#[derive(Clone)]
pub struct Refusals {
    audit: Audit,
    quota: Arc<Mutex<Quota>>,
}

/// A call that somebody made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path's template: nothing of what the caller put into it.
    pub template: String,
}

impl Refusals {
    /// Records in `audit`.
    #[must_use]
    pub fn new(audit: Audit) -> Self {
        Self { audit, quota: Arc::new(Mutex::new(Quota::new(OF_EACH, OF_ALL))) }
    }

    /// Records that `by` was refused `call`. Nobody waits for that. What is no refusal, such as a store that is away, is
    /// nobody's doing.
    pub fn note(&self, by: By, call: Call, failure: &Failure) {
        let code = failure.code();
        if failure.status() >= 500 {
            return;
        }
        let admitted = {
            let mut quota = self.quota.lock().unwrap_or_else(PoisonError::into_inner);
            quota.admit(&by.actor, UnixSeconds::now().get())
        };
        let Some(left_out) = admitted else { return };
        let audit = self.audit.clone();
        tokio::spawn(async move {
            let deed = Deed::new(Action::AccessRefused, by, &call.template);
            let tell = |event: &mut crate::domain::audit::Event| {
                event.tell("method", call.method);
                event.tell("code", code);
                event.tell("left_out", (left_out > 0).then_some(left_out));
            };
            audit.note(deed, Outcome::Refused, tell).await;
        });
    }
}
