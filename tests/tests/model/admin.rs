//! What those do who write: the admin who bans and lifts, and the reconciler.

use crate::rules::Rules;
use crate::state::{Admin, EpochRecord, Reconciler, Redis, Row, Stamp, State};

/// What an admin's call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AdminStep {
    WriteRecord,
    WriteEntry,
    Acknowledge,
    RemoveRecord,
    LiftEntry,
}

impl State {
    /// The next step of the admin's call, if it can be taken now.
    pub(crate) fn admin_step(&self, rules: &Rules) -> Option<AdminStep> {
        match self.admin {
            Admin::Idle if rules.record_first => Some(AdminStep::WriteRecord),
            Admin::Idle => Some(AdminStep::WriteEntry),
            Admin::Half if rules.record_first => Some(AdminStep::WriteEntry),
            Admin::Half => Some(AdminStep::WriteRecord),
            Admin::Written(stamp) => {
                (self.everybody_covers(stamp, rules) && self.redis.bans()).then_some(AdminStep::Acknowledge)
            }
            Admin::Lifting(_) => Some(AdminStep::RemoveRecord),
            Admin::RecordRemoved(_) => Some(AdminStep::LiftEntry),
            Admin::Acknowledged | Admin::Lifted | Admin::Crashed => None,
        }
    }

    /// Takes that step.
    pub(crate) fn step_admin(&mut self, step: AdminStep) {
        let is_second = self.admin == Admin::Half;
        let written = |redis: &Redis| redis.stamp().map_or(Admin::Crashed, Admin::Written);
        self.admin = match (step, self.admin) {
            (AdminStep::WriteRecord, _) => {
                self.redis.record = true;
                if is_second { written(&self.redis) } else { Admin::Half }
            }
            (AdminStep::WriteEntry, _) => {
                self.redis.write(true, 0);
                if is_second { written(&self.redis) } else { Admin::Half }
            }
            (AdminStep::RemoveRecord, Admin::Lifting(version)) => {
                self.redis.record = false;
                Admin::RecordRemoved(version)
            }
            (AdminStep::LiftEntry, Admin::RecordRemoved(version)) => self.lift_entry(version),
            (AdminStep::Acknowledge, _) => Admin::Acknowledged,
            (_, unchanged) => unchanged,
        };
    }

    /// Somebody asks for the lift: the entry's version is read first (`Bans::erase`).
    pub(crate) fn begin_lift(&mut self) {
        self.admin = Admin::Lifting(self.redis.entry.map_or(0, |entry| entry.version));
    }

    fn lift_entry(&mut self, version: u8) -> Admin {
        match self.redis.entry {
            Some(entry) if entry.banned && self.redis.record => Admin::Crashed,
            Some(entry) if entry.banned && entry.version != version => Admin::RecordRemoved(entry.version),
            Some(entry) if entry.banned => {
                self.redis.write(false, 0);
                Admin::Lifted
            }
            _ => Admin::Lifted,
        }
    }

    /// Whether nobody on record lags (`acknowledgement::count`). The admin's call is at sidecar 0.
    fn everybody_covers(&self, stamp: Stamp, rules: &Rules) -> bool {
        // Who joined later reads the change with its snapshot, and is stale until then.
        let is_joining = |row: &Row| row.holds.is_none() && row.joined.is_some_and(|joined| joined.covers(stamp));
        let has_applied = |row: &Row| row.holds.is_some_and(|holds| holds.covers(stamp));
        let is_sound = |epoch: EpochRecord| epoch.lineage == self.redis.lineage || !rules.new_epoch_on_loss;
        let knows_everybody = self.redis.epoch.is_some_and(|epoch| !epoch.is_young && is_sound(epoch));
        let holds_it = self.mirrors[0].is_some_and(|mirror| mirror.stamp.covers(stamp));
        (knows_everybody || !rules.lost_registry_counts_nobody_out)
            && (holds_it || !rules.acknowledger_holds)
            && self.redis.rows.iter().flatten().all(|row| row.is_silent || has_applied(row) || is_joining(row))
    }

    /// Whether a reconciler has something to do.
    pub(crate) fn can_reconcile(&self, rules: &Rules) -> bool {
        let is_new = self.redis.record && !self.redis.bans() && rules.reconcile;
        self.reconciler != Reconciler::Idle || is_new
    }

    /// The next step of a reconciler (`Reconciler::settle`).
    pub(crate) fn step_reconciler(&mut self) {
        self.reconciler = match self.reconciler {
            Reconciler::Idle => Reconciler::Looked,
            Reconciler::Looked if self.redis.bans() => Reconciler::Idle,
            Reconciler::Looked => Reconciler::Put(self.redis.write(true, 0).version),
            Reconciler::Put(version) => {
                if !self.redis.record && self.redis.entry.is_some_and(|entry| entry.version == version) {
                    self.redis.write(false, 0);
                }
                Reconciler::Idle
            }
        };
    }
}
