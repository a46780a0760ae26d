//! The journal: no event is lost or doubled on its way, whoever dies.

use std::sync::Arc;
use std::time::Duration;

use redis::AsyncCommands;

use super::raw;
use crate::domain::audit::{Action, By, Event, Outcome};
use crate::domain::error::Failure;
use crate::service::audit::{Audit, Backlog, Deed, Journal as _, WAITING_MAX};
use crate::store::redis::journal::RedisJournal;
use crate::testing::RedisServer;

fn event(id: &str, at_ms: u64) -> Event {
    Event::begun(id.to_owned(), at_ms, Action::BanGiven, By::operator("root"), Some("ann@x.org"))
}

fn deed() -> Deed {
    Deed::new(Action::BanGiven, By::operator("root"), "ann@x.org")
}

async fn line(journal: &RedisJournal) -> Vec<(String, Outcome)> {
    let waiting = journal.waiting(100).await.unwrap();
    waiting.into_iter().map(|waiting| (waiting.event.id, waiting.event.outcome)).collect()
}

#[tokio::test]
async fn an_event_is_open_until_it_is_in_line_and_in_line_until_it_is_forgotten() {
    let server = RedisServer::start().await;
    let journal = RedisJournal::new(server.client());
    assert!(journal.open(&event("a", 1)).await.unwrap());
    assert_eq!(line(&journal).await, []);
    assert!(journal.close(&Event { outcome: Outcome::Done, ..event("a", 1) }).await.unwrap());
    assert_eq!(line(&journal).await, [("a".to_owned(), Outcome::Done)]);
    assert_eq!(journal.close_abandoned(u64::MAX).await.unwrap(), 0, "it is open no more");
    let places: Vec<String> = journal.waiting(100).await.unwrap().into_iter().map(|waiting| waiting.place).collect();
    journal.forget(&places).await.unwrap();
    assert_eq!(line(&journal).await, []);
}

#[tokio::test]
async fn what_was_cut_short_is_closed_once_as_interrupted_and_what_runs_is_left_alone() {
    let server = RedisServer::start().await;
    let (one, other) = (RedisJournal::new(server.client()), RedisJournal::new(server.client()));
    for (id, at_ms) in [("old", 1_000), ("new", 9_000)] {
        assert!(one.open(&event(id, at_ms)).await.unwrap());
    }
    let (a, b) = tokio::join!(one.close_abandoned(5_000), other.close_abandoned(5_000));
    assert_eq!(a.unwrap() + b.unwrap(), 1);
    assert_eq!(line(&one).await, [("old".to_owned(), Outcome::Interrupted)]);
}

#[tokio::test]
async fn a_change_that_takes_long_is_not_taken_for_one_that_was_cut_short() {
    let server = RedisServer::start().await;
    let journal = RedisJournal::new(server.client());
    let begun = event("long", 1_000);
    assert!(journal.open(&begun).await.unwrap());
    journal.touch(&begun, 400_000).await.unwrap();
    assert_eq!(journal.close_abandoned(400_000).await.unwrap(), 0);
    assert!(journal.close(&Event { outcome: Outcome::Done, ..begun.clone() }).await.unwrap());
    journal.touch(&begun, 500_000).await.unwrap();
    assert_eq!(journal.close_abandoned(u64::MAX).await.unwrap(), 0, "what is closed is not opened again");
    assert_eq!(line(&journal).await, [("long".to_owned(), Outcome::Done)]);
    // Whoever touched it may end, too.
    assert!(journal.open(&event("cut short", 2_000)).await.unwrap());
    journal.touch(&event("cut short", 2_000), 3_000).await.unwrap();
    assert_eq!(journal.close_abandoned(3_001).await.unwrap(), 1);
    let closed = journal.waiting(9).await.unwrap().pop().unwrap().event;
    assert_eq!(closed, event("cut short", 2_000), "nothing of the journal's own is in it");
}

#[tokio::test]
async fn each_change_is_recorded_with_what_came_of_it() {
    let server = RedisServer::start().await;
    let journal = RedisJournal::new(server.client());
    let audit = Audit::new(Arc::new(journal.clone()));
    let subject = || "ann@x.org".to_owned().try_into().unwrap();
    for (result, expected) in [
        (Ok(7), Outcome::Done),
        (Err(Failure::NotBanned { subject: subject() }), Outcome::Refused),
        (Err(Failure::Unavailable { cause: "away".into() }), Outcome::Failed),
    ] {
        let said = audit.record(deed(), async { result.clone() }, |number, event| event.tell("number", *number)).await;
        assert_eq!(said, result);
        let waiting = journal.waiting(100).await.unwrap();
        let last = waiting.last().map(|waiting| waiting.event.clone()).unwrap();
        assert_eq!((last.outcome, last.target.as_deref()), (expected, Some("ann@x.org")));
        let detail = if result.is_ok() { last.details["number"] == 7 } else { last.details["code"].is_string() };
        assert!(detail, "{last:?}");
    }
}

/// Does `step` for each number, many at once.
async fn many(server: &RedisServer, numbers: std::ops::Range<u64>, step: impl Fn(&mut redis::Pipeline, u64)) {
    let mut connection = server.client().dedicated().await.unwrap();
    for thousand in numbers.clone().step_by(1_000) {
        let mut pipeline = redis::pipe();
        (thousand..numbers.end.min(thousand + 1_000)).for_each(|number| step(&mut pipeline, number));
        pipeline.exec_async(&mut connection).await.unwrap();
    }
}

fn put_in_line(pipeline: &mut redis::Pipeline, number: u64) {
    pipeline.cmd("XADD").arg("sekisho:{audit}:line").arg("*").arg("event").arg(number).ignore();
}

fn put_open(pipeline: &mut redis::Pipeline, number: u64) {
    pipeline.cmd("HSET").arg("sekisho:{audit}:open").arg(number).arg(number).ignore();
}

#[tokio::test]
async fn nobody_can_leave_an_administrator_no_room_by_what_everybody_may_do() {
    let own = |id: &str| Event::begun(id.into(), 1, Action::TokenRevoked, By::caller("eve@x.org"), Some("eve@x.org"));
    for (open, waiting) in [(9_000, 0), (0, 90_000)] {
        let server = RedisServer::start().await;
        let journal = RedisJournal::new(server.client());
        many(&server, 0..open, put_open).await;
        many(&server, 1..waiting, put_in_line).await;
        let room = open == 0;
        assert_eq!(journal.open(&own("the last one")).await.unwrap(), room);
        many(&server, 0..u64::from(room), put_in_line).await;
        assert!(!journal.open(&own("one more")).await.unwrap(), "{open} open, {waiting} wait");
        assert_eq!(journal.close(&own("only seen")).await.unwrap(), !room, "{open} open, {waiting} wait");
        assert!(journal.open(&event("a ban", 1)).await.unwrap(), "{open} open, {waiting} wait");
        assert!(journal.close(&event("a ban", 1)).await.unwrap(), "{open} open, {waiting} wait");
    }
}

#[tokio::test]
async fn nothing_is_changed_that_cannot_be_recorded() {
    let server = RedisServer::start().await;
    let audit = Audit::new(Arc::new(RedisJournal::new(server.client())));
    let mut connection = server.client().dedicated().await.unwrap();
    many(&server, 0..WAITING_MAX, put_in_line).await;
    let journal = RedisJournal::new(server.client());
    assert!(!journal.close(&event("new", 1)).await.unwrap(), "what was only seen is left out");
    let refused = audit.record(deed(), async { panic!("it was begun") }, |(): &(), _| {}).await;
    assert_eq!(refused, Err(Failure::AuditFull));
    let open: u64 = connection.hlen("sekisho:{audit}:open").await.unwrap();
    assert_eq!(open, 0);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_holds_up_no_other() {
    let server = RedisServer::start().await;
    let journal = RedisJournal::new(server.client());
    let _: String = raw(&server, &["XADD", "sekisho:{audit}:line", "*", "event", "{\"of\":\"nobody\"}"]).await;
    let _: String = raw(&server, &["XADD", "sekisho:{audit}:line", "*", "something", "else"]).await;
    let mut connection = server.client().dedicated().await.unwrap();
    let mut bytes = redis::cmd("XADD");
    bytes.arg("sekisho:{audit}:line").arg("*").arg("event").arg(&b"\xff\xfe"[..]);
    let _: String = bytes.query_async(&mut connection).await.unwrap();
    let _: u64 = raw(&server, &["HSET", "sekisho:{audit}:open", "x", "not json"]).await;
    assert!(journal.close(&Event { outcome: Outcome::Done, ..event("a", 1) }).await.unwrap());
    let first = journal.waiting(2).await.unwrap();
    assert_eq!(first.iter().map(|waiting| waiting.event.id.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(line(&journal).await, [("a".to_owned(), Outcome::Done)]);
    assert_eq!(journal.close_abandoned(u64::MAX).await.unwrap(), 0);
    // It is still there for people.
    type Entry = (String, Vec<(String, Vec<u8>)>);
    let aside: Vec<Entry> = raw(&server, &["XRANGE", "sekisho:{audit}:aside", "-", "+"]).await;
    let aside: Vec<String> =
        aside.iter().map(|(_, fields)| String::from_utf8_lossy(&fields[1].1).replace('\\', "")).collect();
    for (found, expected) in aside.iter().zip(["{\"of\":\"nobody\"}", "something", "\u{fffd}", "not json"]) {
        assert!(found.contains(expected), "{found}");
    }
    assert_eq!(aside.len(), 4);
}

#[tokio::test]
async fn what_waits_is_counted_with_how_long_the_first_of_it_has_waited() {
    let server = RedisServer::start().await;
    let journal = RedisJournal::new(server.client());
    assert_eq!(journal.backlog().await.unwrap(), Backlog::default());
    let _: String = raw(&server, &["XADD", "sekisho:{audit}:line", "1000-0", "event", "{}"]).await;
    assert!(journal.close(&event("a", 1)).await.unwrap() && journal.open(&event("b", 2)).await.unwrap());
    let backlog = journal.backlog().await.unwrap();
    assert_eq!((backlog.waiting, backlog.open), (2, 1));
    assert!(backlog.oldest > Duration::from_secs(1_000_000_000), "{backlog:?}");
}
