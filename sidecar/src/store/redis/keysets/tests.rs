//! The records of keysets, on a real Redis.

use sekisho_protocol::keyset::Jwk;

use super::*;
use crate::testing::RedisServer;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(30);

fn google() -> SourceName {
    SourceName::parse("google").unwrap()
}

fn record(revision: u64) -> KeysetRecord {
    let key = Jwk { kty: "EC".into(), kid: Some("a".into()), ..Jwk::default() };
    KeysetRecord { revision, keys: vec![key], ..KeysetRecord::default() }
}

#[tokio::test]
async fn a_record_is_what_was_written_last_and_has_no_end() {
    let server = RedisServer::start().await;
    let (store, mut redis) = (RedisKeysets::new(server.client()), server.client().shared());
    assert_eq!(store.look(&google()).await.unwrap(), Look::default());
    let turn = store.take_turn(&google(), LONG).await.unwrap().unwrap();
    for revision in [7, 9] {
        assert!(store.write(&turn, &record(revision)).await.unwrap());
        assert_eq!(store.look(&google()).await.unwrap().record, Some(record(revision)));
    }
    let life: i64 = redis.ttl("sekisho:keyset:{google}").await.unwrap();
    assert_eq!(life, -1);
}

#[tokio::test]
async fn turns_of_one_source_exclude_each_other_and_end_by_themselves() {
    let server = RedisServer::start().await;
    let store = RedisKeysets::new(server.client());
    let first = store.take_turn(&google(), SHORT).await.unwrap().unwrap();
    assert_eq!(store.take_turn(&google(), SHORT).await.unwrap(), None);
    assert!(store.take_turn(&SourceName::own(), SHORT).await.unwrap().is_some(), "another source's");
    let second = loop {
        if let Some(turn) = store.take_turn(&google(), LONG).await.unwrap() {
            break turn;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(!store.write(&first, &record(1)).await.unwrap(), "its turn is over");
    store.end_turn(first).await.unwrap();
    assert!(store.write(&second, &record(2)).await.unwrap(), "nobody else can end it");
    store.end_turn(second).await.unwrap();
    assert!(store.take_turn(&google(), LONG).await.unwrap().is_some());
}

#[tokio::test]
async fn one_question_at_a_time_is_asked() {
    let server = RedisServer::start().await;
    let store = RedisKeysets::new(server.client());
    let (first, is_first) = store.ask(&google(), LONG).await.unwrap();
    let (second, is_second) = store.ask(&google(), LONG).await.unwrap();
    assert_eq!((is_first, is_second, &second.id), (true, false, &first.id));
    assert!(second.left > Duration::from_secs(50) && second.left <= LONG, "{second:?}");
    assert_eq!(store.look(&google()).await.unwrap().question.map(|question| question.id), Some(first.id));
    let (other, is_other) = store.ask(&SourceName::own(), SHORT).await.unwrap();
    assert!(is_other);
    while store.look(&SourceName::own()).await.unwrap().question.is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_ne!(store.ask(&SourceName::own(), SHORT).await.unwrap().0.id, other.id);
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error() {
    let server = RedisServer::start().await;
    let (store, mut redis) = (RedisKeysets::new(server.client()), server.client().shared());
    for text in ["soon", "{}", r#"{"revision":-1,"keys":[]}"#] {
        let _: () = redis.set("sekisho:keyset:{google}", text).await.unwrap();
        assert!(matches!(store.look(&google()).await, Err(StoreError::Corrupt { .. })), "{text}");
    }
}
