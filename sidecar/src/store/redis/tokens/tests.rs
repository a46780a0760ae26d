//! The records of tokens, on a real Redis.

use redis::AsyncCommands;
use serde_json::{Value, json};

use super::*;
use crate::testing::RedisServer;

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

fn id(text: &str) -> TokenId {
    TokenId::parse(text).unwrap()
}

fn record(token_id: &str, user_email: &str, created_at: u64) -> TokenRecord {
    TokenRecord {
        token_id: token_id.into(),
        user_email: user_email.into(),
        token_name: "ci".into(),
        scopes: vec!["api:read".into()],
        created_at,
        expires_at: UnixSeconds::now().plus(100).get(),
        last_used: None,
    }
}

fn ids(tokens: &[StoredToken]) -> Vec<&str> {
    tokens.iter().map(|token| token.record.token_id.as_str()).collect()
}

#[tokio::test]
async fn a_token_is_on_record_as_the_old_gateway_expects_it() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    let ann = record("t1", "ann@x.org", 1_000);
    tokens.insert(&ann).await.unwrap();
    let text: String = redis.get("token:info:t1").await.unwrap();
    let expected = json!({"token_id": "t1", "user_email": "ann@x.org", "token_name": "ci", "scopes": ["api:read"],
        "created_at": 1_000, "expires_at": ann.expires_at, "last_used": null});
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    let ends: u64 = redis::cmd("EXPIRETIME").arg("token:info:t1").query_async(&mut redis).await.unwrap();
    assert_eq!(ends, ann.expires_at);
    let members: Vec<String> = redis.smembers("user:tokens:ann@x.org").await.unwrap();
    assert_eq!(members, ["t1"]);
    assert_eq!(tokens.find(&id("t1")).await.unwrap().unwrap().record, ann);
    assert_eq!(tokens.find(&id("t2")).await.unwrap(), None);
}

#[tokio::test]
async fn a_revocation_is_on_record_until_its_end() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    tokens.insert(&record("t1", "ann@x.org", 1_000)).await.unwrap();
    let until = UnixSeconds::now().plus(190);
    tokens.revoke(&id("t1"), until).await.unwrap();
    let value: String = redis.get("revoked:token:t1").await.unwrap();
    assert_eq!(value, "1");
    let ends: u64 = redis::cmd("EXPIRETIME").arg("revoked:token:t1").query_async(&mut redis).await.unwrap();
    assert_eq!(ends, until.get());
    assert!(tokens.find(&id("t1")).await.unwrap().unwrap().is_revoked);
}

#[tokio::test]
async fn a_token_from_before_its_owner_was_logged_out_is_revoked() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    for (token, owner, age) in [("old", "Ann@X.org", 999), ("new", "ann@x.org", 1_000), ("his", "bob@x.org", 1)] {
        tokens.insert(&record(token, owner, age)).await.unwrap();
    }
    let _: () = redis.set("sekisho:not_before:ann@x.org", 1_000).await.unwrap();
    let revoked = |tokens: &[StoredToken]| {
        let revoked = tokens.iter().filter(|token| token.is_revoked);
        revoked.map(|token| token.record.token_id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(revoked(&tokens.of_user(&email("ann@x.org")).await.unwrap()), ["old"]);
    assert_eq!(revoked(&tokens.newest(None, 10).await.unwrap()), ["old"]);
    assert!(tokens.find(&id("old")).await.unwrap().unwrap().is_revoked);
    assert!(!tokens.find(&id("new")).await.unwrap().unwrap().is_revoked);
}

#[tokio::test]
async fn all_tokens_are_listed_page_by_page_the_newest_first() {
    let server = RedisServer::start().await;
    let tokens = RedisTokens::new(server.client());
    for (token, age) in [("a", 1_000), ("c", 2_000), ("b", 2_000), ("d", 3_000), ("e", 99)] {
        tokens.insert(&record(token, "ann@x.org", age)).await.unwrap();
    }
    let first = tokens.newest(None, 2).await.unwrap();
    assert_eq!(ids(&first), ["d", "c"]);
    let second = tokens.newest(Some(&first[1].record.position()), 2).await.unwrap();
    assert_eq!(ids(&second), ["b", "a"]);
    let third = tokens.newest(Some(&second[1].record.position()), 2).await.unwrap();
    assert_eq!(ids(&third), ["e"]);
    assert_eq!(tokens.newest(None, 100).await.unwrap().len(), 5);
}

#[tokio::test]
async fn what_expired_leaves_the_index_as_it_is_noticed() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    for token in ["a", "b", "c"] {
        tokens.insert(&record(token, "ann@x.org", 1_000)).await.unwrap();
    }
    // As Redis does when its time has come.
    let _: () = redis.del("token:info:b").await.unwrap();
    assert_eq!(ids(&tokens.newest(None, 10).await.unwrap()), ["c", "a"]);
    let left: usize = redis.zcard("sekisho:tokens").await.unwrap();
    assert_eq!(left, 2);
    assert_eq!(ids(&tokens.of_user(&email("ann@x.org")).await.unwrap()), ["a", "c"]);
}

#[tokio::test]
async fn tokens_of_the_old_gateway_are_adopted_under_the_folded_address() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    let old = json!({"token_id": "old", "user_email": "Ann@X.org", "token_name": "n", "scopes": {}, "created_at": 5, "expires_at": 9_999_999_999_u64});
    let _: () = redis.set("token:info:old", old.to_string()).await.unwrap();
    let _: () = redis.sadd("user:tokens:Ann@X.org", "old").await.unwrap();
    let _: () = redis.set("token:info:broken", "{").await.unwrap();
    let _: () = redis.sadd("token:info:set", "x").await.unwrap();
    let _: () = redis.set("token:info:liar", old.to_string()).await.unwrap();
    assert!(tokens.of_user(&email("ann@x.org")).await.unwrap().is_empty());
    tokens.adopt(Adopt::IfDue).await.unwrap();
    assert_eq!(ids(&tokens.of_user(&email("ann@x.org")).await.unwrap()), ["old"]);
    assert_eq!(ids(&tokens.newest(None, 10).await.unwrap()), ["old"]);

    let newer =
        json!({"token_id": "newer", "user_email": "ann@x.org", "created_at": 6, "expires_at": 9_999_999_999_u64});
    let _: () = redis.set("token:info:newer", newer.to_string()).await.unwrap();
    tokens.adopt(Adopt::IfDue).await.unwrap();
    assert_eq!(tokens.newest(None, 10).await.unwrap().len(), 1, "it was not due");
    tokens.adopt(Adopt::Now).await.unwrap();
    assert_eq!(ids(&tokens.newest(None, 10).await.unwrap()), ["newer", "old"]);
}

#[tokio::test]
async fn a_user_with_more_tokens_than_one_step_gets_each_once() {
    let server = RedisServer::start().await;
    let tokens = RedisTokens::new(server.client());
    for n in 0..1_203 {
        tokens.insert(&record(&format!("t{n}"), "ann@x.org", n)).await.unwrap();
    }
    let found = tokens.of_user(&email("ann@x.org")).await.unwrap();
    assert_eq!(found.len(), 1_203);
    assert_eq!(tokens.newest(None, 10_000).await.unwrap().len(), 1_203);
}
