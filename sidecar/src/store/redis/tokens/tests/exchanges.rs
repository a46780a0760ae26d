//! Exchanges: how often, for how long, and what is kept of them.

use super::*;
use crate::service::tokens::refresh::{EXCHANGES_MAX, Exchange, Exchanges};

fn exchange(old: &str, new: &str, now: UnixSeconds) -> Exchange {
    Exchange {
        old: old.into(),
        new: new.into(),
        family: "first".into(),
        good_until: now.plus(30),
        now,
        until: now.plus(1_000),
    }
}

#[tokio::test]
async fn a_token_is_exchanged_a_few_times_until_its_grace_time_is_over() {
    let server = RedisServer::start().await;
    let (tokens, now) = (RedisTokens::new(server.client()), UnixSeconds::now());
    for n in 0..EXCHANGES_MAX as u64 {
        let again = exchange("a", "b", now.plus(n));
        assert_eq!(tokens.note(&again).await.unwrap(), Some(now.plus(30)), "the first exchange says until when");
    }
    assert_eq!(tokens.note(&exchange("a", "b", now.plus(9))).await.unwrap(), None);
    assert!(tokens.note(&exchange("z", "y", now)).await.unwrap().is_some());
    tokens.retire_at("z", now.plus(30)).await.unwrap();
    assert!(tokens.note(&exchange("z", "w", now.plus(29))).await.unwrap().is_some());
    assert_eq!(tokens.note(&exchange("z", "x", now.plus(30))).await.unwrap(), None, "too late");
    assert!(tokens.note(&exchange("c", "d", now)).await.unwrap().is_some());
    let cut_short = tokens.note(&exchange("c", "e", now.plus(31))).await.unwrap();
    assert_eq!(cut_short, Some(now.plus(61)), "an exchange that did not come to its end is begun anew");
}

#[tokio::test]
async fn a_family_remembers_all_its_tokens_and_takes_none_once_it_is_sealed() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    let now = UnixSeconds::now();
    assert!(tokens.join(&exchange("first", "b", now)).await.unwrap());
    assert!(tokens.join(&Exchange { until: now.plus(10), ..exchange("b", "c", now) }).await.unwrap());
    let ends: u64 = redis::cmd("EXPIRETIME").arg("sekisho:token:family:first").query_async(&mut redis).await.unwrap();
    assert_eq!(ends, now.plus(1_000).get(), "it lives as long as the longest of them");
    let mut members = tokens.seal_family("first").await.unwrap();
    members.sort();
    assert_eq!(members, ["b", "c", "first"]);
    assert!(!tokens.join(&exchange("c", "d", now)).await.unwrap());
    assert!(!tokens.open_case("first", now).await.unwrap(), "its case was opened before");
}

#[tokio::test]
async fn what_is_to_be_done_is_taken_by_one_and_comes_back_if_that_one_dies() {
    let server = RedisServer::start().await;
    let (tokens, now) = (RedisTokens::new(server.client()), UnixSeconds::now());
    tokens.retire_at("a", now.plus(5)).await.unwrap();
    tokens.retire_at("a", now.plus(50)).await.unwrap();
    assert!(tokens.to_retire(now, 10).await.unwrap().is_empty(), "not yet");
    assert_eq!(tokens.to_retire(now.plus(5), 10).await.unwrap(), ["a"]);
    assert!(tokens.to_retire(now.plus(5), 10).await.unwrap().is_empty(), "somebody has it in hand");
    assert_eq!(tokens.to_retire(now.plus(15), 10).await.unwrap(), ["a"], "that one died");
    tokens.retired("a").await.unwrap();
    assert!(tokens.to_retire(now.plus(100), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn only_a_token_that_was_retired_after_an_exchange_leads_to_its_family() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    let now = UnixSeconds::now();
    tokens.note(&exchange("first", "b", now)).await.unwrap();
    assert_eq!(tokens.family_of_retired("first").await.unwrap(), None, "its grace time is not over");
    tokens.retired("first").await.unwrap();
    assert_eq!(tokens.family_of_retired("first").await.unwrap().as_deref(), Some("first"));
    tokens.retired("never exchanged").await.unwrap();
    assert_eq!(tokens.family_of_retired("never exchanged").await.unwrap(), None);
    let left: i64 = redis.ttl("sekisho:token:exchange:never exchanged").await.unwrap();
    assert!(left > 0, "nothing stays for ever");
    assert!(tokens.open_case("first", now).await.unwrap());
    assert!(!tokens.open_case("first", now).await.unwrap(), "one case, however often it is shown");
    assert_eq!(tokens.open_cases(now, 10).await.unwrap(), ["first"]);
    tokens.close_case("first").await.unwrap();
    assert!(tokens.open_cases(now.plus(60), 10).await.unwrap().is_empty());
}
