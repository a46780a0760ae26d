//! The outbox, in SQL: `outbox` has a row for each event and webhook, `outbox_webhooks` one for each webhook. Who changes
//! rows of a webhook takes its row first, so that nobody waits for each other in a circle.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{Sql, begin_write, on_pool};
use crate::domain::webhook::pace::Recent;
use crate::service::error::StoreError;
use crate::service::webhooks::outbox::{
    FORGOTTEN_MS, GivenUp, KEPT_MS, Lease, Letter, Outbox, Settlement, Standing, WAITING_MAX,
};

pub(super) mod fill;

/// Makes the row of a webhook, or takes it: PostgreSQL locks it.
const TAKE_WEBHOOK: &str = "INSERT INTO outbox_webhooks (name, recent, paused_until_ms, last_success_at_ms, \
                            last_failure_at_ms, last_failure, left_out, told_at_ms, known_at_ms) \
                            VALUES ($1, '', 0, 0, 0, '', 0, 0, $2) \
                            ON CONFLICT (name) DO UPDATE SET known_at_ms = $2 RETURNING recent, paused_until_ms";
const WEBHOOK: &str = "SELECT recent, paused_until_ms FROM outbox_webhooks WHERE name = $1";
const DUE: &str = "SELECT event_id FROM outbox WHERE webhook = $1 AND given_up_at_ms = 0 AND due_at_ms <= $2 LIMIT 1";
const LEASE: &str = "UPDATE outbox SET lease = $3, due_at_ms = $4, attempts = attempts + 1, \
                     first_at_ms = CASE WHEN first_at_ms = 0 THEN $2 ELSE first_at_ms END \
                     WHERE webhook = $1 AND given_up_at_ms = 0 AND due_at_ms <= $2 AND event_id IN \
                     (SELECT event_id FROM outbox WHERE webhook = $1 AND given_up_at_ms = 0 AND due_at_ms <= $2 \
                     ORDER BY turn, due_at_ms, event_id LIMIT $5) RETURNING event_id, body, attempts, first_at_ms";
const COUNT_ATTEMPTS: &str = "UPDATE outbox_webhooks SET recent = $2 WHERE name = $1";
const SUCCEED: &str = "UPDATE outbox_webhooks SET last_success_at_ms = $2 WHERE name = $1";
const FAIL: &str = "UPDATE outbox_webhooks SET last_failure_at_ms = $2, last_failure = $3, paused_until_ms = \
                    CASE WHEN paused_until_ms < $4 THEN $4 ELSE paused_until_ms END WHERE name = $1";
const DELETE: &str = "DELETE FROM outbox WHERE webhook = $1 AND event_id = $2";
const PUT_OFF: &str = "UPDATE outbox SET due_at_ms = $4, given_up_at_ms = $5, failure = $6 \
                       WHERE webhook = $1 AND event_id = $2 AND lease = $3 AND given_up_at_ms = 0";
const TELL: &str = "UPDATE outbox_webhooks SET told_at_ms = $2 WHERE name = $1 AND told_at_ms < $3";
const WAITING: &str =
    "SELECT webhook, COUNT(*), MIN(created_at_ms) FROM outbox WHERE given_up_at_ms = 0 GROUP BY webhook";
const GIVEN_UP: &str = "SELECT webhook, COUNT(*) FROM outbox WHERE given_up_at_ms > 0 GROUP BY webhook";
const WEBHOOKS: &str = "SELECT name, left_out, last_success_at_ms, last_failure_at_ms, last_failure, paused_until_ms \
                        FROM outbox_webhooks";
const LIST_GIVEN_UP: &str = "SELECT event_id, attempts, given_up_at_ms, failure FROM outbox \
                             WHERE webhook = $1 AND given_up_at_ms > 0 ORDER BY given_up_at_ms DESC, event_id LIMIT $2";
const RETRY: &str = "UPDATE outbox SET given_up_at_ms = 0, due_at_ms = $2, attempts = 0, first_at_ms = 0, lease = '' \
                     WHERE webhook = $1 AND given_up_at_ms > 0";
/// All of whom something is known.
const NAMES: &str = "SELECT name FROM outbox_webhooks UNION SELECT webhook FROM outbox ORDER BY 1";
/// Takes the row of a webhook, if it has one, and changes nothing.
const HOLD_WEBHOOK: &str = "UPDATE outbox_webhooks SET name = name WHERE name = $1";
const DROP_OLD: &str = "DELETE FROM outbox WHERE webhook = $1 AND given_up_at_ms > 0 AND given_up_at_ms < $2";
const DROP_BEYOND: &str = "DELETE FROM outbox WHERE webhook = $1 AND given_up_at_ms > 0 AND event_id IN (SELECT event_id \
                           FROM outbox WHERE webhook = $1 AND given_up_at_ms > 0 \
                           ORDER BY given_up_at_ms DESC, event_id LIMIT 10000 OFFSET $2)";
const DROP_FORGOTTEN: &str = "DELETE FROM outbox WHERE webhook = $1 AND created_at_ms < $2 AND NOT EXISTS \
                              (SELECT 1 FROM outbox_webhooks WHERE name = $1 AND known_at_ms >= $2)";
const FORGET: &str = "DELETE FROM outbox_webhooks WHERE name = $1 AND known_at_ms < $2 \
                      AND NOT EXISTS (SELECT 1 FROM outbox WHERE webhook = $1)";

/// The outbox.
#[derive(Clone)]
pub struct SqlOutbox {
    sql: Sql,
}

impl SqlOutbox {
    /// The outbox in this database.
    #[must_use]
    pub fn new(sql: Sql) -> Self {
        Self { sql }
    }

    /// Whether an attempt could be made. Looked at without a turn to write, since mostly there is nothing.
    async fn may_lease(&self, webhook: &str, lease: &Lease) -> Result<bool, StoreError> {
        let pool = self.sql.pool().await?;
        let now = number(lease.now_ms)?;
        on_pool!(pool, |pool| {
            let due: Option<(String,)> = sqlx::query_as(DUE).bind(webhook).bind(now).fetch_optional(pool).await?;
            let row: Option<(String, i64)> = sqlx::query_as(WEBHOOK).bind(webhook).fetch_optional(pool).await?;
            Ok(due.is_some() && row.is_none_or(|(recent, paused)| room(&recent, paused, lease).is_some()))
        })
    }
}

/// How many attempts may be made, and those that were, if it is any.
fn room(recent: &str, paused_until_ms: i64, lease: &Lease) -> Option<(u32, Recent)> {
    if whole(paused_until_ms) > lease.now_ms {
        return None;
    }
    let mut recent = Recent::parse(recent);
    let room = recent.room(lease.now_ms, lease.per_minute).min(lease.at_most);
    (room > 0).then_some((room, recent))
}

#[async_trait]
impl Outbox for SqlOutbox {
    async fn lease(&self, webhook: &str, lease: &Lease) -> Result<Vec<Letter>, StoreError> {
        if !self.may_lease(webhook, lease).await? {
            return Ok(Vec::new());
        }
        let pool = self.sql.pool().await?;
        let (now, until) = (number(lease.now_ms)?, number(lease.until_ms)?);
        let rows: Vec<(String, String, i64, i64)> = begin_write!(pool, |transaction| {
            let (recent, paused): (String, i64) =
                sqlx::query_as(TAKE_WEBHOOK).bind(webhook).bind(now).fetch_one(&mut *transaction).await?;
            match room(&recent, paused, lease) {
                None => Vec::new(),
                Some((room, mut recent)) => {
                    let taking = sqlx::query_as(LEASE).bind(webhook).bind(now).bind(&lease.holder).bind(until);
                    let rows: Vec<_> = taking.bind(i64::from(room)).fetch_all(&mut *transaction).await?;
                    recent.add(lease.now_ms, u32::try_from(rows.len()).unwrap_or(u32::MAX));
                    let counting = sqlx::query(COUNT_ATTEMPTS).bind(webhook).bind(recent.text());
                    counting.execute(&mut *transaction).await?;
                    rows
                }
            }
        });
        let letter = |(event_id, body, attempts, first_at_ms)| Letter {
            event_id,
            body,
            attempts: whole(attempts),
            first_at_ms: whole(first_at_ms),
            holder: lease.holder.clone(),
        };
        Ok(rows.into_iter().map(letter).collect())
    }

    async fn settle(
        &self,
        webhook: &str,
        letter: &Letter,
        settlement: &Settlement,
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        let pool = self.sql.pool().await?;
        let now = number(now_ms)?;
        let (failure, due, given_up, pause) = match settlement {
            Settlement::Delivered => (None, 0, 0, 0),
            Settlement::PutOff { until_ms, pause_until_ms, failure } => {
                (Some(failure), number(*until_ms)?, 0, number(pause_until_ms.unwrap_or(0))?)
            }
            Settlement::GivenUp { failure } => (Some(failure), now, now, 0),
        };
        Ok(begin_write!(pool, |transaction| {
            let row = match failure {
                None => {
                    sqlx::query(SUCCEED).bind(webhook).bind(now).execute(&mut *transaction).await?;
                    sqlx::query(DELETE).bind(webhook).bind(&letter.event_id)
                }
                Some(failure) => {
                    let failing = sqlx::query(FAIL).bind(webhook).bind(now).bind(failure).bind(pause);
                    failing.execute(&mut *transaction).await?;
                    let row = sqlx::query(PUT_OFF).bind(webhook).bind(&letter.event_id).bind(&letter.holder);
                    row.bind(due).bind(given_up).bind(failure)
                }
            };
            row.execute(&mut *transaction).await?.rows_affected() > 0
        }))
    }

    async fn take_turn_to_tell(&self, webhook: &str, now_ms: u64, last_before_ms: u64) -> Result<bool, StoreError> {
        let pool = self.sql.pool().await?;
        let (now, before) = (number(now_ms)?, number(last_before_ms)?);
        Ok(begin_write!(pool, |transaction| {
            let told = sqlx::query(TELL).bind(webhook).bind(now).bind(before);
            told.execute(&mut *transaction).await?.rows_affected() > 0
        }))
    }

    async fn standings(&self) -> Result<BTreeMap<String, Standing>, StoreError> {
        let pool = self.sql.pool().await?;
        let (waiting, given_up, webhooks): (Vec<(String, i64, i64)>, Vec<(String, i64)>, Vec<WebhookRow>) =
            on_pool!(pool, |pool| {
                (
                    sqlx::query_as(WAITING).fetch_all(pool).await?,
                    sqlx::query_as(GIVEN_UP).fetch_all(pool).await?,
                    sqlx::query_as(WEBHOOKS).fetch_all(pool).await?,
                )
            });
        let mut standings: BTreeMap<String, Standing> = webhooks.into_iter().map(standing).collect();
        for (webhook, count, since) in waiting {
            let standing = standings.entry(webhook).or_default();
            (standing.waiting, standing.waiting_since_ms) = (whole(count), some(since));
        }
        for (webhook, count) in given_up {
            standings.entry(webhook).or_default().given_up = whole(count);
        }
        Ok(standings)
    }

    async fn given_up(&self, webhook: &str, limit: usize) -> Result<Vec<GivenUp>, StoreError> {
        let pool = self.sql.pool().await?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: Vec<(String, i64, i64, String)> =
            on_pool!(pool, |pool| { sqlx::query_as(LIST_GIVEN_UP).bind(webhook).bind(limit).fetch_all(pool).await? });
        let given_up = |(event_id, attempts, given_up_at_ms, failure)| GivenUp {
            event_id,
            attempts: whole(attempts),
            given_up_at_ms: whole(given_up_at_ms),
            failure,
        };
        Ok(rows.into_iter().map(given_up).collect())
    }

    async fn retry(&self, webhook: &str, now_ms: u64) -> Result<u64, StoreError> {
        let pool = self.sql.pool().await?;
        let now = number(now_ms)?;
        Ok(begin_write!(pool, |transaction| {
            let taking = sqlx::query(TAKE_WEBHOOK).bind(webhook).bind(now);
            taking.execute(&mut *transaction).await?;
            sqlx::query(RETRY).bind(webhook).bind(now).execute(&mut *transaction).await?.rows_affected()
        }))
    }

    async fn tidy(&self, webhooks: &[&str], now_ms: u64) -> Result<u64, StoreError> {
        let pool = self.sql.pool().await?;
        let now = number(now_ms)?;
        let old = number(now_ms.saturating_sub(KEPT_MS))?;
        let forgotten = number(now_ms.saturating_sub(FORGOTTEN_MS))?;
        let mut dropped = 0;
        for webhook in webhooks {
            dropped += begin_write!(pool, |transaction| {
                sqlx::query(TAKE_WEBHOOK).bind(*webhook).bind(now).execute(&mut *transaction).await?;
                let beyond = sqlx::query(DROP_BEYOND).bind(*webhook).bind(number(WAITING_MAX)?);
                beyond.execute(&mut *transaction).await?.rows_affected()
            });
        }
        let names: Vec<(String,)> = on_pool!(pool, |pool| sqlx::query_as(NAMES).fetch_all(pool).await?);
        for (name,) in &names {
            dropped += begin_write!(pool, |transaction| {
                sqlx::query(HOLD_WEBHOOK).bind(name).execute(&mut *transaction).await?;
                let old = sqlx::query(DROP_OLD).bind(name).bind(old).execute(&mut *transaction).await?;
                let gone = sqlx::query(DROP_FORGOTTEN).bind(name).bind(forgotten).execute(&mut *transaction).await?;
                sqlx::query(FORGET).bind(name).bind(forgotten).execute(&mut *transaction).await?;
                old.rows_affected() + gone.rows_affected()
            });
        }
        Ok(dropped)
    }
}

/// A row of [`WEBHOOKS`].
type WebhookRow = (String, i64, i64, i64, String, i64);

fn standing((name, left_out, success, failed, failure, paused): WebhookRow) -> (String, Standing) {
    let standing = Standing {
        left_out: whole(left_out),
        last_success_at_ms: some(success),
        last_failure_at_ms: some(failed),
        last_failure: Some(failure).filter(|failure| !failure.is_empty()),
        paused_until_ms: some(paused),
        ..Standing::default()
    };
    (name, standing)
}

/// As SQL holds it.
fn number(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|error| StoreError::corrupt("(number)", error))
}

fn whole(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// 0 stands for never.
fn some(value: i64) -> Option<u64> {
    Some(whole(value)).filter(|value| *value > 0)
}
