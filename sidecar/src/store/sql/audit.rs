//! The trail of audit events, in SQL.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use super::outbox::fill::{Filling, fill};
use super::{Sql, begin_write, on_pool};
use crate::domain::audit::chain::{ChainHash, Columns, End, Link};
use crate::domain::audit::{Event, Outcome, Place, Question, Recorded, Severity};
use crate::domain::webhook::Webhook;
use crate::service::audit::trail::{Ends, Pruned, Trail};
use crate::service::error::StoreError;

/// Takes the turn to append: PostgreSQL locks the row.
const TAKE_HEAD: &str = "UPDATE audit_chain SET seq = seq WHERE name = 'head' RETURNING seq, hash";
const MOVE_END: &str = "UPDATE audit_chain SET seq = $2, hash = $3 WHERE name = $1";
const INSERT: &str = "INSERT INTO audit_events (seq, id, at_ms, action, severity, actor, target, outcome, body, hash) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING";
const ENDS: &str = "SELECT name, seq, hash FROM audit_chain";
const LINKS: &str = "SELECT seq, hash, body, id, at_ms, action, severity, actor, target, outcome FROM audit_events \
                     WHERE seq > $1 ORDER BY seq LIMIT $2";
const OLDEST: &str = "SELECT seq, at_ms, hash FROM audit_events ORDER BY seq LIMIT $1";
const DELETE: &str = "DELETE FROM audit_events WHERE seq <= $1";

/// The trail.
#[derive(Clone)]
pub struct SqlTrail {
    sql: Sql,
    outbox: Filling,
}

impl SqlTrail {
    /// The trail in this database.
    #[must_use]
    pub fn new(sql: Sql) -> Self {
        Self { sql, outbox: Filling::default() }
    }

    /// The same; what is appended is put into the outbox for these webhooks.
    #[must_use]
    pub fn telling(self, webhooks: Arc<[Webhook]>) -> Self {
        Self { outbox: Filling::new(webhooks), ..self }
    }
}

/// A row of [`LINKS`].
type LinkRow = (i64, String, String, String, i64, String, String, String, String, String);

/// A value to look for.
enum Value {
    Text(String),
    Number(i64),
}

#[async_trait]
impl Trail for SqlTrail {
    async fn append(&self, events: &[Event]) -> Result<End, StoreError> {
        let pool = self.sql.pool().await?;
        Ok(begin_write!(pool, |transaction| {
            let (seq, hash): (i64, String) = sqlx::query_as(TAKE_HEAD).fetch_one(&mut *transaction).await?;
            let (mut head, mut appended) = (end(seq, &hash)?, Vec::new());
            for event in events {
                let body = serde_json::to_string(event).map_err(|error| StoreError::corrupt(&event.id, error))?;
                let (next, columns) = (head.after(&body), event.columns());
                let inserted = sqlx::query(INSERT)
                    .bind(number(next.seq)?)
                    .bind(columns.id)
                    .bind(number(columns.at_ms)?)
                    .bind(columns.action)
                    .bind(columns.severity)
                    .bind(columns.actor)
                    .bind(columns.target)
                    .bind(columns.outcome)
                    .bind(&body)
                    .bind(next.hash.to_string())
                    .execute(&mut *transaction)
                    .await?;
                // One that was appended before is in the trail already: a sidecar ended before it could say so.
                if inserted.rows_affected() > 0 {
                    head = next;
                    appended.push((event, body));
                }
            }
            fill!(transaction, self.outbox, &appended);
            let moved = sqlx::query(MOVE_END).bind("head").bind(number(head.seq)?).bind(head.hash.to_string());
            moved.execute(&mut *transaction).await?;
            head
        }))
    }

    async fn query(
        &self,
        question: &Question,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Vec<Recorded>, StoreError> {
        let (sql, values) = select(question, after, limit)?;
        let pool = self.sql.pool().await?;
        let rows: Vec<(i64, String, String)> = on_pool!(pool, |pool| {
            let mut query = sqlx::query_as(AssertSqlSafe(sql));
            for value in values {
                query = match value {
                    Value::Text(text) => query.bind(text),
                    Value::Number(number) => query.bind(number),
                };
            }
            query.fetch_all(pool).await?
        });
        rows.into_iter().map(recorded).collect()
    }

    async fn links(&self, after: u64, limit: usize) -> Result<Vec<Link>, StoreError> {
        let pool = self.sql.pool().await?;
        let rows: Vec<LinkRow> = on_pool!(pool, |pool| {
            sqlx::query_as(LINKS).bind(number(after)?).bind(count(limit)?).fetch_all(pool).await?
        });
        rows.into_iter().map(link).collect()
    }

    async fn ends(&self) -> Result<Ends, StoreError> {
        let pool = self.sql.pool().await?;
        let rows: Vec<(String, i64, String)> = on_pool!(pool, |pool| sqlx::query_as(ENDS).fetch_all(pool).await?);
        let named = |wanted: &str| {
            let row = rows.iter().find(|(name, ..)| name == wanted);
            row.map_or_else(
                || Err(StoreError::corrupt("audit_chain", "an end is missing")),
                |(_, seq, hash)| end(*seq, hash),
            )
        };
        Ok(Ends { start: named("start")?, head: named("head")? })
    }

    async fn prune(&self, before_ms: u64, limit: usize) -> Result<Pruned, StoreError> {
        let pool = self.sql.pool().await?;
        Ok(begin_write!(pool, |transaction| {
            // Appends wait: they would take numbers behind rows that go.
            let _: (i64, String) = sqlx::query_as(TAKE_HEAD).fetch_one(&mut *transaction).await?;
            let oldest: Vec<(i64, i64, String)> =
                sqlx::query_as(OLDEST).bind(count(limit)?).fetch_all(&mut *transaction).await?;
            let before = number(before_ms)?;
            let old: Vec<_> = oldest.iter().take_while(|(_, at_ms, _)| *at_ms < before).collect();
            let mut pruned = Pruned { count: old.len(), more: old.len() == limit, start: None };
            if let Some((seq, _, hash)) = old.last() {
                sqlx::query(DELETE).bind(*seq).execute(&mut *transaction).await?;
                let moved = sqlx::query(MOVE_END).bind("start").bind(*seq).bind(hash);
                moved.execute(&mut *transaction).await?;
                pruned.start = Some(end(*seq, hash)?);
            }
            pruned
        }))
    }
}

/// The statement that answers `question`, and what it looks for. Only constants and numbers of parameters stand in it.
fn select(question: &Question, after: Option<Place>, limit: usize) -> Result<(String, Vec<Value>), StoreError> {
    let mut search = Search::default();
    search.one_of("action", question.actions.iter().map(|action| action.word()));
    search.text("severity =", question.severity.map(Severity::word));
    search.text("outcome =", question.outcome.map(Outcome::word));
    search.text("actor =", question.actor.as_deref());
    search.text("target =", question.target.as_deref());
    search.number("at_ms >=", question.from_ms)?;
    search.number("at_ms <", question.until_ms)?;
    if let Some(Place { at_ms, seq }) = after {
        let (at_ms, seq) =
            (search.parameter(Value::Number(number(at_ms)?)), search.parameter(Value::Number(number(seq)?)));
        search.conditions.push(format!("(at_ms, seq) < ({at_ms}, {seq})"));
    }
    let limit = search.parameter(Value::Number(count(limit)?));
    let conditions = if search.conditions.is_empty() { "1 = 1".to_owned() } else { search.conditions.join(" AND ") };
    let sql = format!(
        "SELECT seq, hash, body FROM audit_events WHERE {conditions} ORDER BY at_ms DESC, seq DESC LIMIT {limit}"
    );
    Ok((sql, search.values))
}

/// Conditions, and the values of their parameters.
#[derive(Default)]
struct Search {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Search {
    fn parameter(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn one_of(&mut self, column: &str, wanted: impl Iterator<Item = &'static str>) {
        let parameters: Vec<String> = wanted.map(|word| self.parameter(Value::Text(word.to_owned()))).collect();
        if !parameters.is_empty() {
            self.conditions.push(format!("{column} IN ({})", parameters.join(", ")));
        }
    }

    fn text(&mut self, condition: &str, wanted: Option<&str>) {
        if let Some(wanted) = wanted {
            let parameter = self.parameter(Value::Text(wanted.to_owned()));
            self.conditions.push(format!("{condition} {parameter}"));
        }
    }

    fn number(&mut self, condition: &str, wanted: Option<u64>) -> Result<(), StoreError> {
        if let Some(wanted) = wanted {
            let parameter = self.parameter(Value::Number(number(wanted)?));
            self.conditions.push(format!("{condition} {parameter}"));
        }
        Ok(())
    }
}

/// As SQL holds it.
fn number(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|error| StoreError::corrupt("(number)", error))
}

fn count(value: usize) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|error| StoreError::corrupt("(number)", error))
}

fn end(seq: i64, hash: &str) -> Result<End, StoreError> {
    let parsed = u64::try_from(seq).ok().zip(ChainHash::parse(hash));
    let (seq, hash) = parsed.ok_or_else(|| StoreError::corrupt("audit_chain", "a hash is none"))?;
    Ok(End { seq, hash })
}

fn recorded((seq, hash, body): (i64, String, String)) -> Result<Recorded, StoreError> {
    let event = serde_json::from_str(&body).map_err(|error| StoreError::corrupt("audit_events", error))?;
    Ok(Recorded { end: end(seq, &hash)?, event })
}

fn link(row: LinkRow) -> Result<Link, StoreError> {
    let (seq, hash, body, id, at_ms, action, severity, actor, target, outcome) = row;
    // A time before 1970 is nobody's event: it differs from what the text says.
    let at_ms = u64::try_from(at_ms).unwrap_or(u64::MAX);
    let columns = Columns { id, at_ms, action, severity, actor, target, outcome };
    Ok(Link { end: end(seq, &hash)?, body, columns })
}
