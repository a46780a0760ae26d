//! Exchanges: how often, for how long, and what is kept of them.

use super::*;
use crate::service::tokens::refresh::{EXCHANGES_MAX, Exchange, Exchanged, Exchanges, Member, Tie};

fn exchange(old: &str) -> Exchange {
    let now = UnixSeconds::now();
    Exchange { old: old.into(), family: "first".into(), grace_s: 30, old_ends: now.plus(1_000), until: now.plus(2_000) }
}

fn members(ids: &[&str], until: UnixSeconds) -> Vec<Member> {
    ids.iter().map(|id| Member { id: (*id).to_owned(), until }).collect()
}

async fn members_of(tokens: &RedisTokens, family: &str, ties: &[Tie]) -> Vec<String> {
    let (mut all, mut at) = (Vec::new(), Some(0));
    while let Some(cursor) = at {
        let (ids, next) = tokens.members(family, ties, cursor).await.unwrap();
        all.extend(ids);
        at = next;
    }
    all.sort();
    all.dedup();
    all
}

#[tokio::test]
async fn a_token_is_exchanged_a_few_times_until_its_grace_time_is_over() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    let now = UnixSeconds::now();
    let first = tokens.note(&exchange("a")).await.unwrap().unwrap();
    assert!((30..=35).contains(&first.since(now)), "{first:?}");
    for _ in 1..EXCHANGES_MAX {
        let again = Exchange { grace_s: 500, until: now.plus(100), ..exchange("a") };
        assert_eq!(tokens.note(&again).await.unwrap(), Some(first), "the first exchange says until when");
    }
    assert_eq!(tokens.note(&exchange("a")).await.unwrap(), None);
    let left: i64 = redis.ttl("sekisho:token:exchange:a").await.unwrap();
    assert!(left > 1_900, "it is remembered for as long as the longest of what came of it: {left}");
    let short = Exchange { old_ends: now.plus(7), ..exchange("b") };
    assert_eq!(tokens.note(&short).await.unwrap(), Some(now.plus(7)), "not longer than it lives");
    for token in ["in line", "cut short", "marked"] {
        assert!(tokens.note(&exchange(token)).await.unwrap().is_some());
    }
    tokens.retire_at("in line", now.plus(30)).await.unwrap();
    tokens.mark_retired("marked").await.unwrap();
    assert!(tokens.note(&exchange("in line")).await.unwrap().is_some());
    assert_eq!(tokens.note(&exchange("marked")).await.unwrap(), None, "it is being revoked");
    server.age_exchanges(40).await;
    assert_eq!(tokens.to_retire(10).await.unwrap(), ["in line"]);
    assert_eq!(tokens.note(&exchange("in line")).await.unwrap(), None, "too late, whoever has it in hand");
    let anew = tokens.note(&exchange("cut short")).await.unwrap().unwrap();
    assert!(anew.since(now) >= 30, "an exchange that did not come to its end is begun anew: {anew:?}");
}

#[tokio::test]
async fn a_family_remembers_its_tokens_until_they_end_and_takes_none_once_it_is_sealed() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    let now = UnixSeconds::now();
    assert!(tokens.join("first", Tie::Exchanged, &members(&["first", "b"], now.plus(1_000))).await.unwrap());
    assert!(tokens.join("first", Tie::Exchanged, &members(&["c"], now.plus(10))).await.unwrap());
    assert!(tokens.join("first", Tie::Generated, &members(&["ci"], now.plus(20))).await.unwrap());
    let ends: u64 = redis::cmd("EXPIRETIME").arg("sekisho:token:members:first").query_async(&mut redis).await.unwrap();
    assert_eq!(ends, now.plus(1_000).get(), "it lives as long as the longest of them");
    tokens.seal("first", &[Tie::Exchanged]).await.unwrap();
    assert_eq!(members_of(&tokens, "first", &[Tie::Exchanged]).await, ["b", "c", "first"]);
    assert_eq!(members_of(&tokens, "first", &Tie::ALL).await, ["b", "c", "ci", "first"]);
    assert!(!tokens.join("first", Tie::Exchanged, &members(&["d"], now.plus(10))).await.unwrap());
    let _: () = redis.zadd("sekisho:token:members:first", "+ci", now.get() - 1).await.unwrap();
    assert!(
        tokens.join("first", Tie::Generated, &members(&["e"], now.plus(10))).await.unwrap(),
        "not sealed for those"
    );
    assert_eq!(members_of(&tokens, "first", &[Tie::Generated]).await, ["e"], "what ended is forgotten");
    tokens.seal("first", &Tie::ALL).await.unwrap();
    assert!(!tokens.join("first", Tie::Generated, &members(&["f"], now.plus(10))).await.unwrap());
}

#[tokio::test]
async fn a_family_of_any_size_is_read_in_steps() {
    let server = RedisServer::start().await;
    let tokens = RedisTokens::new(server.client());
    let ids: Vec<String> = (0..1_203).map(|n| format!("t{n:04}")).collect();
    let many: Vec<&str> = ids.iter().map(String::as_str).collect();
    assert!(tokens.join("f", Tie::Generated, &members(&many, UnixSeconds::now().plus(10))).await.unwrap());
    let (step, next) = tokens.members("f", &Tie::ALL, 0).await.unwrap();
    assert!(step.len() < 1_203 && next.is_some(), "{}", step.len());
    assert_eq!(members_of(&tokens, "f", &Tie::ALL).await, ids);
}

#[tokio::test]
async fn what_is_to_be_done_is_taken_by_one_and_comes_back_if_that_one_dies() {
    let server = RedisServer::start().await;
    let (tokens, now) = (RedisTokens::new(server.client()), UnixSeconds::now());
    tokens.retire_at("a", now.plus(15)).await.unwrap();
    tokens.retire_at("a", now.plus(50)).await.unwrap();
    assert!(tokens.to_retire(10).await.unwrap().is_empty(), "not yet");
    server.age_exchanges(15).await;
    assert_eq!(tokens.to_retire(10).await.unwrap(), ["a"]);
    assert!(tokens.to_retire(10).await.unwrap().is_empty(), "somebody has it in hand");
    server.age_exchanges(10).await;
    assert_eq!(tokens.to_retire(10).await.unwrap(), ["a"], "that one died");
    tokens.retired("a").await.unwrap();
    server.age_exchanges(100).await;
    assert!(tokens.to_retire(10).await.unwrap().is_empty());

    tokens.begin_revocation("r").await.unwrap();
    assert!(tokens.begun_revocations(10).await.unwrap().is_empty(), "whoever began it is at it");
    server.age_exchanges(10).await;
    assert_eq!(tokens.begun_revocations(10).await.unwrap(), ["r"]);
    tokens.end_revocation("r").await.unwrap();
    server.age_exchanges(100).await;
    assert!(tokens.begun_revocations(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_family_has_one_case_however_often_its_tokens_are_shown() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    let ids = ["first".to_owned(), "never exchanged".to_owned()];
    tokens.note(&exchange("first")).await.unwrap();
    let exchanged = |is_retired| Some(Exchanged { family: "first".into(), is_retired });
    assert_eq!(tokens.exchanged(&ids).await.unwrap(), [exchanged(false), None], "its grace time is not over");
    for id in &ids {
        tokens.mark_retired(id).await.unwrap();
    }
    assert_eq!(tokens.exchanged(&ids).await.unwrap(), [exchanged(true), None]);
    let left: i64 = redis.ttl("sekisho:token:exchange:never exchanged").await.unwrap();
    assert!(left > 0, "nothing stays for ever");
    assert!(tokens.open_case("first").await.unwrap());
    assert!(!tokens.open_case("first").await.unwrap());
    assert_eq!(tokens.open_cases(10).await.unwrap(), ["first"]);
    tokens.seal("first", &Tie::ALL).await.unwrap();
    assert!(!tokens.is_closed("first").await.unwrap());
    tokens.close_case("first").await.unwrap();
    assert!(tokens.is_closed("first").await.unwrap());
    assert!(!tokens.open_case("first").await.unwrap(), "it was seen to");
    let left: i64 = redis.ttl("sekisho:token:members:first").await.unwrap();
    assert!(left > 0, "nothing stays for ever");
}
