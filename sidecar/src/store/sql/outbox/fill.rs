//! Filling the outbox, in the transaction that appends events to the trail.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::audit::Event;
use crate::domain::webhook::{LAST_TURN, Webhook, WebhookName};
use crate::service::webhooks::outbox::WAITING_MAX;

pub(in crate::store::sql) const COUNT: &str = "SELECT COUNT(*) FROM outbox WHERE webhook = $1 AND given_up_at_ms = 0";
pub(in crate::store::sql) const INSERT: &str = "INSERT INTO outbox (webhook, event_id, body, created_at_ms, first_at_ms, due_at_ms, attempts, lease, given_up_at_ms, \
     failure, turn) VALUES ($1, $2, $3, $4, 0, $4, 0, '', 0, '', $5) ON CONFLICT (webhook, event_id) DO NOTHING";
pub(in crate::store::sql) const LEAVE_OUT: &str = "INSERT INTO outbox_webhooks (name, recent, paused_until_ms, last_success_at_ms, last_failure_at_ms, last_failure, \
     left_out, told_at_ms, known_at_ms) VALUES ($1, '', 0, 0, 0, '', $2, 0, 0) \
     ON CONFLICT (name) DO UPDATE SET left_out = outbox_webhooks.left_out + $2";

/// Who is told of what is appended.
#[derive(Clone, Default)]
pub(in crate::store::sql) struct Filling {
    webhooks: Arc<[Webhook]>,
    /// Those for which there was no room the last time.
    full: Arc<Mutex<BTreeSet<WebhookName>>>,
}

impl Filling {
    pub(in crate::store::sql) fn new(webhooks: Arc<[Webhook]>) -> Self {
        Self { webhooks, full: Arc::default() }
    }

    /// Each webhook that is told of some of `events`, and which.
    pub(in crate::store::sql) fn wanted<'a>(
        &'a self,
        events: &'a [(&'a Event, String)],
    ) -> impl Iterator<Item = (&'a Webhook, Vec<&'a (&'a Event, String)>)> {
        let of = |webhook: &'a Webhook| {
            (webhook, events.iter().filter(|(event, _)| webhook.wants(event)).collect::<Vec<_>>())
        };
        self.webhooks.iter().map(of).filter(|(_, events)| !events.is_empty())
    }

    /// Whether one more event that takes this turn may wait, if so many do. The last tenth is not for what comes last.
    pub(in crate::store::sql) fn has_room(waiting: u64, turn: u8) -> bool {
        waiting < if turn == LAST_TURN { WAITING_MAX / 10 * 9 } else { WAITING_MAX }
    }

    /// Says once that there is no room, and once that there is again.
    pub(in crate::store::sql) fn note(&self, webhook: &WebhookName, left_out: usize) {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        if left_out > 0 && full.insert(webhook.clone()) {
            tracing::warn!(%webhook, "events are left out: {WAITING_MAX} wait for the webhook already");
        } else if left_out == 0 && full.remove(webhook) {
            tracing::info!(%webhook, "there is room again for events that wait for the webhook");
        }
    }
}

/// Puts events that were appended into the outbox, for every webhook that is told of them. Who appends takes turns, so
/// nobody else adds to what is counted.
macro_rules! fill {
    ($transaction:ident, $filling:expr, $appended:expr) => {
        for (webhook, events) in $filling.wanted($appended) {
            let name = webhook.name.as_str();
            let counting = sqlx::query_as($crate::store::sql::outbox::fill::COUNT).bind(name);
            let (waiting,): (i64,) = counting.fetch_one(&mut *$transaction).await?;
            let (mut waiting, mut left_out) = (u64::try_from(waiting).unwrap_or(0), 0);
            for (event, body) in events {
                let turn = $crate::domain::webhook::turn(event);
                if !$crate::store::sql::outbox::fill::Filling::has_room(waiting, turn) {
                    left_out += 1;
                    continue;
                }
                let inserting = sqlx::query($crate::store::sql::outbox::fill::INSERT).bind(name).bind(&event.id);
                let inserting = inserting.bind(body).bind(number(event.at_ms)?).bind(i64::from(turn));
                inserting.execute(&mut *$transaction).await?;
                waiting += 1;
            }
            if left_out > 0 {
                let leaving = sqlx::query($crate::store::sql::outbox::fill::LEAVE_OUT).bind(name);
                leaving.bind(count(left_out)?).execute(&mut *$transaction).await?;
            }
            $filling.note(&webhook.name, left_out);
        }
    };
}
pub(in crate::store::sql) use fill;
