//! The lists of sessions, on a real Redis.

use std::collections::HashMap;

use redis::aio::ConnectionManager;
use serde_json::json;

use super::*;
use crate::domain::page::Direction;
use crate::domain::search::Search;
use crate::domain::session_order::{Position, Sort, Wanted};
use crate::service::sessions::listing::{Found, Review, SessionIndex, Stats};
use crate::testing::RedisServer;

struct World {
    sessions: RedisSessions,
    redis: ConnectionManager,
    _server: RedisServer,
}

/// A session of somebody that began and was used so many seconds ago.
fn session(id: &str, who: &str, began: u64, used: u64) -> Session {
    let now = UnixSeconds::now().get();
    let session = json!({"id": id, "subject": who, "email": who, "host": "app.x", "method": "session",
        "signed_in_at": now - began, "last_access": now - used, "ends_at": now + 10_000, "idle_s": 600,
        "address": "192.0.2.7", "agent": "Fox"});
    serde_json::from_value(session).unwrap()
}

impl World {
    async fn start() -> Self {
        let server = RedisServer::start().await;
        Self { sessions: RedisSessions::new(server.client()), redis: server.client().shared(), _server: server }
    }

    async fn add(&self, session: &Session) {
        self.sessions.insert(session, UnixSeconds::now()).await.unwrap();
    }

    /// Three sessions of two people.
    async fn with_three() -> Self {
        let world = Self::start().await;
        for (id, who, began, used) in
            [("s1", "ann@x.org", 30, 10), ("s2", "Bob@y.org", 20, 20), ("_oauth2_proxy-3", "ANN@x.org", 10, 5)]
        {
            world.add(&session(id, who, began, used)).await;
        }
        world
    }

    async fn listed(&self, sort: Sort, direction: Direction) -> Vec<String> {
        let standings = self.sessions.walk(sort, direction, None, 100).await.unwrap();
        standings.into_iter().filter_map(|standing| Some(standing.row?.id.to_string())).collect()
    }

    async fn newest(&self) -> Vec<String> {
        self.listed(Sort::LastAccess, Direction::Desc).await
    }

    async fn found(&self, wanted: &Wanted, most: usize) -> Option<Vec<String>> {
        match self.sessions.find_all(wanted, most).await.unwrap() {
            Found::TooMany => None,
            Found::All(sessions) => Some(sessions.iter().map(|session| session.id.to_string()).collect()),
        }
    }

    async fn stats(&self, most: usize) -> (usize, usize, HashMap<String, usize>) {
        let Stats { sessions, users, of_users } = self.sessions.stats(most, UnixSeconds::now()).await.unwrap();
        (sessions, users, of_users.into_iter().collect())
    }

    /// How many entries each list has.
    async fn sizes(&mut self) -> [usize; 6] {
        let mut pipe = redis::pipe();
        pipe.hlen("sekisho:{sessions}:entries");
        for list in ["users", "texts", "used", "begun", "ends"] {
            pipe.zcard(format!("sekisho:{{sessions}}:{list}"));
        }
        pipe.query_async(&mut self.redis).await.unwrap()
    }
}

fn after(session: &str, sort: Sort, all: &[Session]) -> Position {
    Position::of(all.iter().find(|other| other.id.as_str() == session).unwrap(), sort)
}

#[tokio::test]
async fn sessions_are_listed_by_last_use_and_by_begin_from_either_end() {
    let world = World::with_three().await;
    let ids = |ids: [&str; 3]| ids.map(str::to_owned).to_vec();
    for (sort, newest) in
        [(Sort::LastAccess, ["_oauth2_proxy-3", "s1", "s2"]), (Sort::CreatedAt, ["_oauth2_proxy-3", "s2", "s1"])]
    {
        assert_eq!(world.listed(sort, Direction::Desc).await, ids(newest), "{sort:?}");
        let mut oldest = ids(newest);
        oldest.reverse();
        assert_eq!(world.listed(sort, Direction::Asc).await, oldest, "{sort:?}");
    }
}

#[tokio::test]
async fn a_walk_goes_on_behind_a_session_that_is_gone_and_shows_none_twice() {
    let world = World::start().await;
    let all: Vec<Session> = (0..1_200).map(|n| session(&format!("s{n:04}"), "ann@x.org", 9, 10 + n / 400)).collect();
    for session in &all {
        world.add(session).await;
    }
    let (mut seen, mut from) = (Vec::new(), None);
    loop {
        let page = world.sessions.walk(Sort::LastAccess, Direction::Desc, from.as_ref(), 100).await.unwrap();
        let Some(last) = page.last() else { break };
        from = Some(last.position.clone());
        let gone = page.last().and_then(|standing| standing.row.clone()).unwrap();
        seen.extend(page.iter().filter_map(|standing| Some(standing.row.as_ref()?.id.to_string())));
        world.sessions.forget(&gone).await.unwrap();
    }
    let mut expected: Vec<(u64, String)> =
        all.iter().map(|session| (session.last_access.get(), session.id.to_string())).collect();
    expected.sort_by(|one, other| other.cmp(one));
    assert_eq!(seen, expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
}

#[tokio::test]
async fn sessions_are_found_by_text_and_by_owner_up_to_a_bound() {
    let world = World::with_three().await;
    let search = |q: &str| Wanted { search: Search::parse(Some(q)).unwrap(), ..Wanted::default() };
    for (q, expected) in [
        ("X.ORG", vec!["_oauth2_proxy-3", "s1"]),
        ("bob", vec!["s2"]),
        ("192.0.2", vec!["_oauth2_proxy-3", "s1", "s2"]),
        ("oauth2", vec![]),
    ] {
        let mut found = world.found(&search(q), 3).await.unwrap();
        found.sort();
        assert_eq!(found, expected, "{q}");
    }
    assert_eq!(world.found(&search("192.0.2"), 2).await, None);
    let of = |who: &str| Wanted { subject: Some(Subject::try_from(who.to_owned()).unwrap()), ..Wanted::default() };
    let mut anns = world.found(&of("Ann@X.org"), 2).await.unwrap();
    anns.sort();
    assert_eq!(anns, ["_oauth2_proxy-3", "s1"]);
    assert_eq!(world.found(&of("ann@x.org"), 1).await, None);
    assert!(world.found(&of("ann@x.or"), 1).await.unwrap().is_empty(), "a part of a name is no name");
}

#[tokio::test]
async fn sessions_are_counted_by_owner() {
    let mut world = World::with_three().await;
    let counts = |counts: &[(&str, usize)]| counts.iter().map(|(who, n)| ((*who).to_owned(), *n)).collect();
    assert_eq!(world.stats(10).await, (3, 2, counts(&[("ann@x.org", 2), ("bob@y.org", 1)])));
    assert_eq!(world.stats(1).await, (3, 2, counts(&[("ann@x.org", 2)])), "those with the most");
    // Once more changes nothing; and it becomes known whose it is.
    world.add(&session("s1", "ann@x.org", 30, 10)).await;
    world.add(&session("_oauth2_proxy-3", "carl@z.org", 10, 5)).await;
    assert_eq!(world.stats(10).await.2, counts(&[("ann@x.org", 1), ("bob@y.org", 1), ("carl@z.org", 1)]));
    assert_eq!(world.sizes().await, [3, 3, 3, 3, 3, 3]);
    let ann = Subject::try_from("ann@x.org".to_owned()).unwrap();
    let anns = world.sessions.of_subject(&ann).await.unwrap();
    assert_eq!(anns.iter().map(|session| session.id.as_str()).collect::<Vec<_>>(), ["s1"]);
    for (id, who) in [("s1", "ann@x.org"), ("s2", "bob@y.org"), ("_oauth2_proxy-3", "carl@z.org")] {
        world.sessions.forget(&session(id, who, 1, 1)).await.unwrap();
    }
    assert_eq!(world.stats(10).await, (0, 0, HashMap::new()));
    assert_eq!(world.sizes().await, [0; 6], "nothing is left behind");
}

#[tokio::test]
async fn a_session_that_cannot_be_listed_is_not_kept() {
    let mut world = World::start().await;
    let _: () = world.redis.set("sekisho:{sessions}:entries", "taken").await.unwrap();
    assert!(world.sessions.insert(&session("s1", "ann@x.org", 1, 1), UnixSeconds::now()).await.is_err());
    let keys: Vec<String> = world.redis.keys("sekisho:session:*").await.unwrap();
    assert!(keys.is_empty(), "{keys:?}");
}

#[tokio::test]
async fn what_is_ended_or_began_too_early_is_in_no_list_and_forgotten_by_a_review() {
    let mut world = World::with_three().await;
    let now = UnixSeconds::now();
    let ended = session("s1", "ann@x.org", 30, 10);
    world.sessions.end(&ended, now.plus(600)).await.unwrap();
    world.sessions.outdate(&session("s2", "bob@y.org", 1, 1).subject, now, now.plus(600)).await.unwrap();
    assert_eq!(world.newest().await, ["_oauth2_proxy-3"]);
    let Review { outdated, next } = world.sessions.review(0).await.unwrap();
    assert_eq!((outdated.len(), outdated[0].id.as_str(), next), (1, "s2", 0));
    assert_eq!(
        world.sizes().await,
        [2, 2, 2, 2, 2, 2],
        "the ended one is forgotten; the other one has to be ended first"
    );
    let _: () = world.redis.set_ex("sekisho:not_before:ann@x.org", now.get(), 600).await.unwrap();
    assert!(world.newest().await.is_empty(), "a logout bars as well");
}

#[tokio::test]
async fn what_nobody_used_in_time_is_forgotten_and_what_just_begins_is_not() {
    let mut world = World::with_three().await;
    let now = UnixSeconds::now();
    let _: () = world.redis.del("sekisho:session:s1").await.unwrap();
    assert_eq!(world.newest().await, ["_oauth2_proxy-3", "s2"]);
    world.sessions.review(0).await.unwrap();
    assert_eq!(world.sessions.prune(now).await.unwrap(), 0);
    assert_eq!(world.sizes().await, [3, 2, 3, 3, 3, 3], "it may be on its way into the store");
    // It was used, and the lists have not heard of it.
    let seen = session("s2", "bob@y.org", 20, 20);
    let kept = Session { last_access: now.plus(500), ..seen.clone() };
    assert_eq!(world.sessions.count(now.plus(600)).await.unwrap(), 3);
    assert_eq!(world.sessions.prune(now.plus(700)).await.unwrap(), 1);
    assert_eq!(world.newest().await, ["_oauth2_proxy-3", "s2"], "their records are there");
    assert!(world.sessions.replace(&seen, &kept, now.plus(500)).await.unwrap());
    assert!(!world.sessions.replace(&seen, &kept, now.plus(500)).await.unwrap(), "it was changed meanwhile");
    assert_eq!(world.sessions.count(now.plus(700)).await.unwrap(), 1);
    assert_eq!(world.newest().await, ["s2", "_oauth2_proxy-3"], "it was used last");
    world.sessions.forget(&kept).await.unwrap();
    world.sessions.replace(&kept, &kept, now.plus(600)).await.unwrap();
    assert_eq!(world.newest().await, ["_oauth2_proxy-3"], "a use that is written down late brings nothing back");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_spoils_no_list() {
    let mut world = World::with_three().await;
    let _: () = world.redis.set("sekisho:session:s1", "{}").await.unwrap();
    assert_eq!(world.newest().await, ["_oauth2_proxy-3", "s2"]);
    let all: Vec<Session> = vec![session("_oauth2_proxy-3", "ann@x.org", 10, 5)];
    let from = after("_oauth2_proxy-3", Sort::LastAccess, &all);
    let rest = world.sessions.walk(Sort::LastAccess, Direction::Desc, Some(&from), 5).await.unwrap();
    let rows: Vec<Option<&str>> =
        rest.iter().map(|standing| standing.row.as_ref().map(|row| row.id.as_str())).collect();
    assert_eq!(rows, [None, Some("s2")]);
}
