//! Calls and their answers, on a real Redis.

use redis::AsyncCommands;
use tokio::task::JoinSet;

use super::*;
use crate::testing::RedisServer;

const LIFE: Duration = Duration::from_secs(15);

fn slot(key: &str) -> Slot {
    Slot { caller: "ann".into(), key: key.into() }
}

/// What a call is; calls with different words are different calls.
fn print(word: &str) -> Fingerprint {
    Fingerprint::from_text(word)
}

fn sealed() -> Sealed {
    Sealed::of_text("c2VhbGVk".into())
}

#[tokio::test]
async fn of_many_who_ask_at_once_one_carries_the_call_out() {
    let server = RedisServer::start().await;
    let mut asking = JoinSet::new();
    for sidecar in 0..4 {
        let store = RedisAnswers::new(server.client());
        asking.spawn(async move { store.claim(&slot("k"), &print("a"), &sidecar.to_string(), LIFE).await.unwrap() });
    }
    let known = asking.join_all().await;
    assert_eq!(known.iter().filter(|known| **known == Known::Claimed).count(), 1, "{known:?}");
    assert_eq!(known.iter().filter(|known| **known == Known::Running).count(), 3, "{known:?}");
}

#[tokio::test]
async fn a_call_is_known_by_its_key_until_its_answer_ends() {
    let server = RedisServer::start().await;
    let (store, mut redis) = (RedisAnswers::new(server.client()), server.client().shared());
    let ask = async |key: &str, word: &str| store.claim(&slot(key), &print(word), "1", LIFE).await.unwrap();
    assert_eq!(ask("k", "a").await, Known::Claimed);
    assert_eq!(ask("k", "b").await, Known::Another);
    assert_eq!(ask("k2", "a").await, Known::Claimed, "another key is another call");
    store.keep(&slot("k"), "1", Some(&sealed())).await.unwrap();
    store.keep(&slot("k2"), "1", None).await.unwrap();
    assert_eq!(ask("k", "a").await, Known::Answered(Some(sealed())));
    assert_eq!(ask("k", "b").await, Known::Another);
    assert_eq!(ask("k2", "a").await, Known::Answered(None));
    for key in ["sekisho:answers:{ann}", "sekisho:answers:{ann}:k"] {
        let ttl: i64 = redis.ttl(key).await.unwrap();
        assert!((86_390..=86_400).contains(&ttl), "{key}: {ttl}");
    }
}

#[tokio::test]
async fn only_the_claim_that_holds_says_what_became_of_the_call() {
    let server = RedisServer::start().await;
    let store = RedisAnswers::new(server.client());
    let ask = async |claim: &str, life| store.claim(&slot("k"), &print("a"), claim, life).await.unwrap();
    assert_eq!(ask("dead", Duration::from_millis(20)).await, Known::Claimed);
    tokio::time::sleep(Duration::from_millis(40)).await;
    assert_eq!(ask("next", LIFE).await, Known::Claimed, "a claim that nobody renews ends");
    store.keep(&slot("k"), "dead", Some(&sealed())).await.unwrap();
    store.release(&slot("k"), "dead").await.unwrap();
    assert_eq!(ask("third", LIFE).await, Known::Running);
    store.release(&slot("k"), "next").await.unwrap();
    assert_eq!(ask("third", LIFE).await, Known::Claimed, "what was released may be made again at once");
}

#[tokio::test]
async fn a_claim_that_is_renewed_holds_on() {
    let server = RedisServer::start().await;
    let (store, mut redis) = (RedisAnswers::new(server.client()), server.client().shared());
    store.claim(&slot("k"), &print("a"), "1", Duration::from_millis(200)).await.unwrap();
    store.renew(&slot("k"), "2", LIFE).await.unwrap();
    let ttl_ms: i64 = redis.pttl("sekisho:answers:{ann}:k").await.unwrap();
    assert!(ttl_ms <= 200, "{ttl_ms}: somebody else's claim");
    store.renew(&slot("k"), "1", LIFE).await.unwrap();
    let ttl_ms: i64 = redis.pttl("sekisho:answers:{ann}:k").await.unwrap();
    assert!(ttl_ms > 10_000, "{ttl_ms}");
}

#[tokio::test]
async fn of_one_caller_a_bounded_number_is_remembered_and_the_oldest_goes() {
    let server = RedisServer::start().await;
    let (store, mut redis) = (RedisAnswers::new(server.client()), server.client().shared());
    let mut calls = redis::pipe();
    for call in 0..CALLS_OF_ONE_CALLER {
        let name = format!("old{call:04}");
        let at_ms = crate::domain::time::UnixSeconds::now().get() * 1_000 - 60_000 + u64::try_from(call).unwrap();
        calls.zadd("sekisho:answers:{ann}", &name, at_ms).hset(format!("sekisho:answers:{{ann}}:{name}"), "x", "y");
    }
    calls.exec_async(&mut redis).await.unwrap();
    store.claim(&slot("new"), &print("a"), "1", LIFE).await.unwrap();
    let left: usize = redis.zcard("sekisho:answers:{ann}").await.unwrap();
    assert_eq!(left, CALLS_OF_ONE_CALLER);
    for (name, expected) in [("old0000", false), ("old0001", true), ("new", true)] {
        let is_there: bool = redis.exists(format!("sekisho:answers:{{ann}}:{name}")).await.unwrap();
        assert_eq!(is_there, expected, "{name}");
    }
}
