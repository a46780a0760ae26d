//! The trail: complete, in order, found by what its events say, and not to be changed without its showing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use serde_json::json;

use super::{Database, databases};
use crate::domain::audit::chain::{Break, End, Link};
use crate::domain::audit::{Action, ActionWord, By, Event, Outcome, Place, Question, Recorded};
use crate::domain::page::Window;
use crate::service::audit::trail::{AuditTrail, Ends, Pruned, Trail};
use crate::service::clock::now_ms;
use crate::service::error::StoreError;
use crate::store::redis::RedisClient;
use crate::store::redis::journal::RedisJournal;
use crate::store::sql::audit::SqlTrail;
use crate::testing::RedisServer;

fn event(number: u64, action: Action, actor: &str, target: &str) -> Event {
    let id = format!("event-{number:08}");
    let mut event = Event::begun(id, 1_000_000 + number, action, By::caller(actor), Some(target));
    event.outcome = Outcome::Done;
    event.tell("number", json!(number));
    event
}

fn ban(number: u64) -> Event {
    event(number, Action::BanGiven, "root@example.com", &format!("user-{number}@example.com"))
}

async fn filled(database: &Database, count: u64) -> SqlTrail {
    let trail = SqlTrail::new(database.open());
    trail.append(&(1..=count).map(ban).collect::<Vec<_>>()).await.unwrap();
    trail
}

/// The trail, for those who only read it.
fn trail_of(trail: SqlTrail) -> AuditTrail {
    AuditTrail::new(Arc::new(RedisJournal::new(RedisClient::open("redis://127.0.0.1:1").unwrap())), Arc::new(trail))
}

#[tokio::test]
async fn an_event_that_is_delivered_twice_is_in_the_trail_once() {
    for database in databases().await {
        let trail = SqlTrail::new(database.open());
        let head = trail.append(&[ban(1), ban(2)]).await.unwrap();
        assert_eq!(trail.append(&[ban(2), ban(1)]).await.unwrap(), head, "{}", database.name);
        assert_eq!(trail.append(&[ban(2), ban(3)]).await.unwrap().seq, 3, "{}", database.name);
        assert_eq!(trail_of(trail).verify(None).await.unwrap().unwrap().count, 3, "{}", database.name);
    }
}

#[tokio::test]
async fn sidecars_that_append_at_once_make_one_chain_of_all_their_events() {
    for database in databases().await {
        SqlTrail::new(database.open()).append(&[]).await.unwrap();
        join_all((0..4).map(|sidecar| {
            let trail = SqlTrail::new(database.open());
            async move {
                for batch in 0..10 {
                    let first = sidecar * 1_000 + batch * 10;
                    trail.append(&(first..first + 10).map(ban).collect::<Vec<_>>()).await.unwrap();
                }
            }
        }))
        .await;
        let verified = trail_of(SqlTrail::new(database.open())).verify(None).await.unwrap().unwrap();
        assert_eq!((verified.count, verified.ends.head.seq), (400, 400), "{}", database.name);
    }
}

#[tokio::test]
async fn whatever_is_changed_in_the_trail_shows() {
    for (statement, expected) in [
        ("UPDATE audit_events SET body = REPLACE(body, 'user-5@', 'user-6@') WHERE seq = 5", Break::Changed(5)),
        ("UPDATE audit_events SET actor = 'somebody@example.com' WHERE seq = 6", Break::Misfiled(6)),
        ("UPDATE audit_events SET at_ms = at_ms + 1 WHERE seq = 6", Break::Misfiled(6)),
        (
            "UPDATE audit_events SET hash = (SELECT hash FROM audit_events WHERE seq = 1) WHERE seq = 7",
            Break::Changed(7),
        ),
        ("DELETE FROM audit_events WHERE seq = 4", Break::Missing(4)),
        ("DELETE FROM audit_events WHERE seq = 1", Break::Missing(1)),
        ("DELETE FROM audit_events WHERE seq = 10", Break::End { found: 9, expected: 10 }),
        ("UPDATE audit_chain SET seq = 9 WHERE name = 'head'", Break::Changed(9)),
    ] {
        for database in databases().await {
            let trail = trail_of(filled(&database, 10).await);
            trail.verify(None).await.unwrap().unwrap();
            database.tamper(statement).await;
            assert_eq!(trail.verify(None).await.unwrap(), Err(expected.clone()), "{}: {statement}", database.name);
        }
    }
}

#[tokio::test]
async fn a_trail_that_is_written_anew_from_its_beginning_is_not_the_one_that_somebody_remembers() {
    for database in databases().await {
        let trail = filled(&database, 10).await;
        let remembered = trail.ends().await.unwrap().head;
        trail.append(&[ban(11)]).await.unwrap();
        let verified = trail_of(trail).verify(Some(remembered)).await.unwrap().unwrap();
        assert_eq!(verified.count, 11, "{}", database.name);

        let other = databases().await.remove(0);
        let forged = SqlTrail::new(other.open());
        let events: Vec<Event> = (1..=11).filter(|number| *number != 5).map(ban).collect();
        forged.append(&events).await.unwrap();
        let forged = trail_of(forged);
        forged.verify(None).await.unwrap().unwrap();
        assert_eq!(forged.verify(Some(remembered)).await.unwrap(), Err(Break::Remembered(10)));
        let ahead = End { seq: 99, ..remembered };
        assert_eq!(forged.verify(Some(ahead)).await.unwrap(), Err(Break::Remembered(99)));
    }
}

#[tokio::test]
async fn events_are_found_by_time_actor_action_target_and_outcome_the_newest_first() {
    for database in databases().await {
        let trail = SqlTrail::new(database.open());
        let mut events: Vec<Event> = (1..=20)
            .map(|number| {
                let action = if number % 2 == 0 { Action::BanGiven } else { Action::TokenRevoked };
                let actor = if number % 5 == 0 { "ann@example.com" } else { "root@example.com" };
                event(number, action, actor, &format!("user-{}@example.com", number % 3))
            })
            .collect();
        events[3].outcome = Outcome::Failed;
        trail.append(&events).await.unwrap();
        let trail = trail_of(trail);
        let numbers = async |question: Question| -> Vec<u64> {
            let page = trail.list(&question, &Window::choose(None, None).unwrap()).await.unwrap();
            page.rows.iter().map(|row| row.event.at_ms - 1_000_000).collect()
        };
        let all = Question::default;
        assert_eq!(numbers(all()).await, (1..=20).rev().collect::<Vec<_>>(), "{}", database.name);
        for (question, expected) in [
            (Question { from_ms: Some(1_000_018), ..all() }, vec![20, 19, 18]),
            (Question { until_ms: Some(1_000_003), ..all() }, vec![2, 1]),
            (Question { actor: Some("ann@example.com".into()), ..all() }, vec![20, 15, 10, 5]),
            (
                Question { actor: Some("ann@example.com".into()), actions: vec![Action::BanGiven], ..all() },
                vec![20, 10],
            ),
            (
                Question { target: Some("user-0@example.com".into()), from_ms: Some(1_000_010), ..all() },
                vec![18, 15, 12],
            ),
            (Question { outcome: Some(Outcome::Failed), ..all() }, vec![4]),
            (Question { actor: Some("' OR '1' = '1".into()), ..all() }, vec![]),
        ] {
            assert_eq!(numbers(question.clone()).await, expected, "{}: {question:?}", database.name);
        }
    }
}

#[tokio::test]
async fn pages_follow_on_each_other_while_events_are_added() {
    for database in databases().await {
        let trail = trail_of(filled(&database, 25).await);
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let window = Window::choose(Some(10), after).unwrap();
            let page = trail.list(&Question::default(), &window).await.unwrap();
            seen.extend(page.rows.iter().map(|row| row.end.seq));
            SqlTrail::new(database.open()).append(&[ban(100 + seen.len() as u64)]).await.unwrap();
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, (1..=25).rev().collect::<Vec<_>>(), "{}", database.name);
        let wrong = Window::choose(Some(10), Some("'; DROP TABLE audit_events; --".into())).unwrap();
        assert_eq!(trail.list(&Question::default(), &wrong).await.unwrap_err().status(), 400);
    }
}

#[tokio::test]
async fn what_is_older_than_the_retention_goes_and_the_chain_of_the_rest_holds() {
    for database in databases().await {
        let trail = filled(&database, 2_500).await;
        let before = trail.ends().await.unwrap();
        let redis = RedisServer::start().await;
        let kept = AuditTrail::new(Arc::new(RedisJournal::new(redis.client())), Arc::new(trail));
        assert_eq!(kept.prune(1_000_000 + 2_401).await.unwrap(), 2_400, "{}", database.name);
        let verified = kept.verify(None).await.unwrap().unwrap();
        assert_eq!((verified.count, verified.ends.start.seq, verified.ends.head), (100, 2_400, before.head));
        // A head that somebody wrote down before its events went proves nothing any more, for nor against the trail.
        for seq in [7, 2_400] {
            let gone = kept.verify(Some(End { seq, hash: verified.ends.start.hash })).await.unwrap();
            assert_eq!(gone, Err(Break::Dropped { remembered: seq, start: 2_400 }), "{}", database.name);
        }
        assert_eq!(kept.prune(u64::MAX >> 1).await.unwrap(), 100, "{}", database.name);
        let empty = kept.verify(None).await.unwrap().unwrap();
        assert_eq!((empty.count, empty.ends.head), (0, before.head), "{}", database.name);
        kept.carry().await.unwrap();
        let told = kept.list(&Question::default(), &Window::choose(None, None).unwrap()).await.unwrap().rows;
        let told: Vec<_> =
            told.iter().map(|row| (row.end.seq, row.event.action.clone(), &row.event.details["count"])).collect();
        let pruned = ActionWord::from(Action::AuditPruned);
        assert_eq!(told, [(2_502, pruned.clone(), &json!(100)), (2_501, pruned, &json!(2_400))], "{}", database.name);
        let verified = kept.verify(None).await.unwrap().unwrap();
        assert_eq!(verified.ends.head.seq, 2_502, "{}", database.name);
        assert_eq!(verified.pruning.map(|pruning| pruning.before_ms), Some(u64::MAX >> 1), "{}", database.name);
    }
}

#[tokio::test]
async fn a_trail_that_somebody_cut_off_at_its_beginning_does_not_pass_for_one_that_was_pruned() {
    const DAY: Duration = Duration::from_secs(86_400);
    for database in databases().await {
        let trail = filled(&database, 5).await;
        let remembered = trail.ends().await.unwrap().head;
        trail.append(&(6..=10).map(ban).collect::<Vec<_>>()).await.unwrap();
        database.tamper("DELETE FROM audit_events WHERE seq <= 5").await;
        database.tamper("UPDATE audit_chain SET seq = 5 WHERE name = 'start'").await;
        let hash = format!("UPDATE audit_chain SET hash = '{}' WHERE name = 'start'", remembered.hash);
        database.tamper(hash.leak()).await;
        let redis = RedisServer::start().await;
        let trail = AuditTrail::new(Arc::new(RedisJournal::new(redis.client())), Arc::new(trail));
        let dropped = Break::Dropped { remembered: 5, start: 5 };
        assert_eq!(trail.verify(Some(remembered)).await.unwrap(), Err(dropped), "{}", database.name);
        let verified = trail.verify(None).await.unwrap().unwrap();
        assert!(!verified.begins_as_it_should(DAY), "{}: {verified:?}", database.name);
        // What the retention drops, an event tells of; nothing that was younger than it is explained so.
        for (before_ms, expected) in [(1_000_007, true), (now_ms(), false)] {
            trail.prune(before_ms).await.unwrap();
            trail.carry().await.unwrap();
            let verified = trail.verify(None).await.unwrap().unwrap();
            assert_eq!(verified.begins_as_it_should(DAY), expected, "{}: {verified:?}", database.name);
        }
    }
}

#[tokio::test]
async fn an_event_of_a_newer_sidecar_is_in_the_trail_like_every_other() {
    for database in databases().await {
        let newer = Event { action: ActionWord::Other("moon.landed".into()), ..ban(2) };
        let trail = SqlTrail::new(database.open());
        trail.append(&[ban(1), newer.clone(), ban(3)]).await.unwrap();
        let trail = trail_of(trail);
        let rows = trail.list(&Question::default(), &Window::choose(None, None).unwrap()).await.unwrap().rows;
        assert_eq!(rows.len(), 3, "{}", database.name);
        assert_eq!(rows[1].event, newer, "{}", database.name);
        assert_eq!(trail.verify(None).await.unwrap().unwrap().count, 3, "{}", database.name);
    }
}

/// A trail that is pruned between two looks at it.
struct PrunedMeanwhile(SqlTrail, AtomicBool);

#[async_trait]
impl Trail for PrunedMeanwhile {
    async fn append(&self, events: &[Event]) -> Result<End, StoreError> {
        self.0.append(events).await
    }

    async fn query(&self, what: &Question, after: Option<Place>, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        self.0.query(what, after, limit).await
    }

    async fn links(&self, after: u64, limit: usize) -> Result<Vec<Link>, StoreError> {
        if !self.1.swap(true, Ordering::Relaxed) {
            self.0.prune(1_000_004, 100).await?;
        }
        self.0.links(after, limit).await
    }

    async fn ends(&self) -> Result<Ends, StoreError> {
        self.0.ends().await
    }

    async fn prune(&self, before_ms: u64, limit: usize) -> Result<Pruned, StoreError> {
        self.0.prune(before_ms, limit).await
    }
}

#[tokio::test]
async fn what_is_pruned_beside_a_walk_is_no_event_that_somebody_took_out() {
    for database in databases().await {
        let pruned_meanwhile = PrunedMeanwhile(filled(&database, 10).await, AtomicBool::new(false));
        let head = pruned_meanwhile.ends().await.unwrap().head;
        let redis = RedisJournal::new(RedisClient::open("redis://127.0.0.1:1").unwrap());
        let trail = AuditTrail::new(Arc::new(redis), Arc::new(pruned_meanwhile));
        let verified = trail.verify(Some(head)).await.unwrap().unwrap();
        assert_eq!((verified.count, verified.ends.start.seq), (7, 3), "{}", database.name);
    }
}
