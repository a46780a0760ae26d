//! The records of tokens, on a real Redis.

use redis::AsyncCommands;
use serde_json::{Value, json};

use super::*;
use crate::domain::page::Direction;
use crate::domain::token::order::Sort;
use crate::service::tokens::listing::{Adopt, TokenIndex};
use crate::testing::RedisServer;

mod exchanges;
mod order;

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
        ..TokenRecord::default()
    }
}

async fn newest(tokens: &RedisTokens) -> Vec<StoredToken> {
    let standings = tokens.walk(Sort::CreatedAt, Direction::Desc, None, 10_000).await.unwrap();
    standings.into_iter().filter_map(|standing| standing.row).collect()
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
    let life: i64 = redis.ttl("user:tokens:ann@x.org").await.unwrap();
    assert_eq!(life, -1, "a set of tokens has no end of its own");
    assert_eq!(tokens.find(&id("t1")).await.unwrap().unwrap().record, ann);
    assert_eq!(tokens.find(&id("t2")).await.unwrap(), None);
}

#[tokio::test]
async fn a_revocation_is_on_record_until_its_end() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    let ann = record("t1", "ann@x.org", 1_000);
    tokens.insert(&ann).await.unwrap();
    let until = UnixSeconds::now().plus(190);
    tokens.revoke(&ann, until).await.unwrap();
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
    assert_eq!(revoked(&newest(&tokens).await), ["old"]);
    assert!(tokens.find(&id("old")).await.unwrap().unwrap().is_revoked);
    assert!(!tokens.find(&id("new")).await.unwrap().unwrap().is_revoked);
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
    assert_eq!(ids(&newest(&tokens).await), ["old"]);

    let newer =
        json!({"token_id": "newer", "user_email": "ann@x.org", "created_at": 6, "expires_at": 9_999_999_999_u64});
    let _: () = redis.set("token:info:newer", newer.to_string()).await.unwrap();
    tokens.adopt(Adopt::IfDue).await.unwrap();
    assert_eq!(newest(&tokens).await.len(), 1, "that was done less than a minute ago");
    tokens.adopt(Adopt::Now).await.unwrap();
    assert_eq!(ids(&newest(&tokens).await), ["newer", "old"]);
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
    assert_eq!(newest(&tokens).await.len(), 1_203);
}

#[tokio::test]
async fn no_record_of_another_program_keeps_the_others_from_being_adopted() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    let old = |id: &str, owner: &str, expires_at: u64| {
        json!({"token_id": id, "user_email": owner, "created_at": 5, "expires_at": expires_at}).to_string()
    };
    let _: () = redis.set(b"token:info:\xff\xfe", "x").await.unwrap();
    let _: () = redis.set("token:info:endless", old("endless", "eve@x.org", i64::MAX.unsigned_abs())).await.unwrap();
    let _: () = redis.set("token:info:odd", old("odd", "odd@x.org", 4_000_000_000)).await.unwrap();
    let _: () = redis.set("user:tokens:odd@x.org", "no set").await.unwrap();
    let _: () = redis.sadd("user:tokens:ann@x.org", b"\xff\xfe").await.unwrap();
    for n in 0..700 {
        let key = format!("token:info:t{n}");
        let _: () = redis.set(key, old(&format!("t{n}"), "ann@x.org", 4_000_000_000)).await.unwrap();
    }
    tokens.adopt(Adopt::Now).await.unwrap();
    assert_eq!(newest(&tokens).await.len(), 702);
    assert_eq!(tokens.of_user(&email("ann@x.org")).await.unwrap().len(), 700);
    assert_eq!(tokens.of_user(&email("odd@x.org")).await.unwrap(), []);
    assert_eq!(redis.zcard::<_, usize>("sekisho:tokens:places:ann@x.org").await.unwrap(), 700);
    assert!(redis.ttl::<_, i64>("sekisho:tokens:places:eve@x.org").await.unwrap() > 0, "its places end");
    let last = tokens.walk(Sort::ExpiresAt, Direction::Desc, None, 1).await.unwrap();
    assert_eq!(last[0].position.id, "endless");
    let _: () = redis.set("sekisho:not_before:ann@x.org", 6).await.unwrap();
    tokens.note_revoked(&email("ann@x.org")).await.unwrap();
    tokens.note_revoked(&email("odd@x.org")).await.unwrap();
    let issued = UnixSeconds(1)..UnixSeconds(6);
    let now = UnixSeconds::now();
    assert_eq!(tokens.count_issued(&email("ann@x.org"), issued.clone(), now).await.unwrap(), 700);
    assert_eq!(tokens.count_issued(&email("odd@x.org"), issued, now).await.unwrap(), 0);
    assert_eq!(tokens.count_issued(&email("ann@x.org"), UnixSeconds(6)..now, now).await.unwrap(), 0);
}
