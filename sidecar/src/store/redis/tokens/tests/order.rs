//! Tokens in order, counted, found, forgotten; and the places that their owners have.

use super::*;
use crate::domain::search::Search;
use crate::domain::token::Summary;
use crate::domain::token::order::Position;
use crate::service::tokens::listing::Found;

fn named(token_id: &str, user_email: &str, token_name: &str, created_at: u64) -> TokenRecord {
    TokenRecord { token_name: token_name.into(), ..record(token_id, user_email, created_at) }
}

async fn five(tokens: &RedisTokens) {
    for (token, owner, name, age) in [
        ("a", "ann@x.org", "Work", 1_000),
        ("c", "bob@x.org", "lap*top", 2_000),
        ("b", "Ann@x.org", "éire", 2_000),
        ("d", "carl@y.org", "work", 3_000),
        ("e", "ann@x.org", "ann at home", 99),
    ] {
        tokens.insert(&named(token, owner, name, age)).await.unwrap();
    }
}

async fn pages(tokens: &RedisTokens, sort: Sort, direction: Direction) -> Vec<String> {
    let (mut after, mut seen) = (None::<Position>, Vec::new());
    loop {
        let page = tokens.walk(sort, direction, after.as_ref(), 2).await.unwrap();
        let Some(last) = page.last() else { return seen };
        after = Some(last.position.clone());
        seen.extend(page.into_iter().map(|standing| standing.row.unwrap().record.token_id));
    }
}

#[tokio::test]
async fn every_order_is_walked_page_by_page_in_both_directions() {
    let server = RedisServer::start().await;
    let tokens = RedisTokens::new(server.client());
    five(&tokens).await;
    for (id, used) in [("a", 50), ("d", 50), ("c", 7)] {
        let _: () = server.client().shared().zadd("sekisho:{tokens}:used", id, used).await.unwrap();
    }
    for (sort, ascending) in [
        (Sort::CreatedAt, ["e", "a", "b", "c", "d"]),
        (Sort::LastUsed, ["b", "e", "c", "a", "d"]),
        (Sort::UserEmail, ["e", "a", "b", "c", "d"]),
        (Sort::TokenName, ["e", "c", "a", "d", "b"]),
    ] {
        assert_eq!(pages(&tokens, sort, Direction::Asc).await, ascending, "{sort:?}");
        let descending: Vec<&str> = ascending.into_iter().rev().collect();
        assert_eq!(pages(&tokens, sort, Direction::Desc).await, descending, "{sort:?}, descending");
    }
}

#[tokio::test]
async fn tokens_of_one_second_are_each_walked_over_once_however_many_there_are() {
    let server = RedisServer::start().await;
    let tokens = RedisTokens::new(server.client());
    for n in 0..23 {
        tokens.insert(&record(&format!("t{n:02}"), "ann@x.org", 5)).await.unwrap();
    }
    let expected: Vec<String> = (0..23).map(|n| format!("t{n:02}")).collect();
    assert_eq!(pages(&tokens, Sort::CreatedAt, Direction::Asc).await, expected);
}

#[tokio::test]
async fn a_page_costs_the_same_however_many_tokens_stand_in_one_place_before_it() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    for n in 0..2_000 {
        tokens.insert(&record(&format!("t{n:04}"), "ann@x.org", 5)).await.unwrap();
    }
    for (direction, forget, most_ranges) in [
        (Direction::Asc, false, 21),
        (Direction::Desc, false, 21),
        // The last one of a page may be gone when the next one is asked for.
        (Direction::Asc, true, 21 * 12),
        (Direction::Desc, true, 21 * 12),
    ] {
        let _: () = redis::cmd("CONFIG").arg("RESETSTAT").query_async(&mut redis).await.unwrap();
        let (mut after, mut seen) = (None::<Position>, Vec::new());
        loop {
            let page = tokens.walk(Sort::LastUsed, direction, after.as_ref(), 100).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.position.clone());
            if forget {
                let _: () = redis.zrem("sekisho:{tokens}:used", &last.position.id).await.unwrap();
            }
            seen.extend(page.into_iter().map(|standing| standing.position));
        }
        let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut redis).await.unwrap();
        let calls = stats.split("cmdstat_zrange:calls=").nth(1).unwrap().split(',').next().unwrap();
        let calls: usize = calls.parse().unwrap();
        assert!(calls <= most_ranges, "{direction:?}, {forget}: {calls}");
        seen.sort();
        seen.dedup();
        // The round before took out the last one of each page.
        let expected = if direction == Direction::Desc && forget { 1_980 } else { 2_000 };
        assert_eq!(seen.len(), expected, "{direction:?}, {forget}");
    }
}

#[tokio::test]
async fn a_search_finds_addresses_and_names_whatever_stands_in_it() {
    let server = RedisServer::start().await;
    let tokens = RedisTokens::new(server.client());
    five(&tokens).await;
    for (text, expected) in [
        ("ANN", vec!["a", "b", "e"]),
        ("Éi", vec!["b"]),
        ("work", vec!["a", "d"]),
        ("p*t", vec!["c"]),
        ("w*k", vec![]),
        // An id is not looked into.
        ("d", vec![]),
        ("?", vec![]),
        ("[a-z]", vec![]),
        ("\\", vec![]),
    ] {
        let found = tokens.find_all(&Search::parse(Some(text)).unwrap(), 10).await.unwrap();
        let Found::All(found) = found else { panic!("{text:?} finds too many") };
        assert_eq!(ids(&found), expected, "{text:?}");
    }
    assert_eq!(tokens.find_all(&Search::parse(Some("x.org")).unwrap(), 3).await.unwrap(), Found::TooMany);
}

#[tokio::test]
async fn a_search_takes_as_many_steps_as_an_order_is_long() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    for (token, owner) in [("a", "aa@x.org"), ("b", "mm@x.org"), ("c", "zz@x.org")] {
        tokens.insert(&record(token, owner, 5)).await.unwrap();
    }
    let others: Vec<(u64, String)> = (0..4_500).map(|n| (0, format!("m{n:04}@y.org\u{1}laptop\u{1}t{n}"))).collect();
    let _: usize = redis.zadd_multiple("sekisho:{tokens}:email", &others).await.unwrap();
    let found = tokens.find_all(&Search::parse(Some("x.org")).unwrap(), 10).await.unwrap();
    let Found::All(found) = found else { panic!("too many") };
    assert_eq!(ids(&found), ["a", "b", "c"]);
}

#[tokio::test]
async fn what_ended_is_in_no_order_any_more_once_it_was_noticed() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    five(&tokens).await;
    // As Redis does when its time has come.
    let _: () = redis.del("token:info:b").await.unwrap();
    assert_eq!(ids(&newest(&tokens).await), ["d", "c", "a", "e"]);
    assert_eq!(tokens.prune_texts(0).await.unwrap(), 0);
    for order in ["created", "expires", "used", "email", "name"] {
        let left: usize = redis.zcard(format!("sekisho:{{tokens}}:{order}")).await.unwrap();
        assert_eq!(left, 4, "{order}");
    }
    assert_eq!(ids(&tokens.of_user(&email("ann@x.org")).await.unwrap()), ["a", "e"]);
}

#[tokio::test]
async fn nothing_that_ended_stays_in_any_order_whoever_issued_revoked_or_noticed_it() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    five(&tokens).await;
    // Revoked before it was adopted, or when it had ended: it is in no order, and never leaves one.
    tokens.revoke(&record("foreign", "eve@x.org", 1), UnixSeconds::now().plus(9)).await.unwrap();
    assert_eq!(redis.zcard::<_, usize>("sekisho:{tokens}:revoked").await.unwrap(), 0);
    for (token, sort) in [("a", Sort::UserEmail), ("c", Sort::TokenName)] {
        let _: () = redis.del(format!("token:info:{token}")).await.unwrap();
        tokens.walk(sort, Direction::Asc, None, 10).await.unwrap();
        for order in ["created", "email", "name"] {
            let key = format!("sekisho:{{tokens}}:{order}");
            let left: Vec<String> = redis.zrange(key, 0, -1).await.unwrap();
            assert!(!left.iter().any(|member| member.ends_with(token)), "{order}: {left:?}");
        }
    }
    // A revoked one of another program is counted once it is adopted.
    let old =
        json!({"token_id": "foreign", "user_email": "eve@x.org", "created_at": 5, "expires_at": 4_000_000_000_u64});
    let _: () = redis.set("token:info:foreign", old.to_string()).await.unwrap();
    tokens.adopt(Adopt::Now).await.unwrap();
    assert_eq!(redis.zcard::<_, usize>("sekisho:{tokens}:revoked").await.unwrap(), 1);
}

#[tokio::test]
async fn the_summary_counts_each_token_once() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    five(&tokens).await;
    let now = UnixSeconds::now();
    tokens.revoke(&named("c", "bob@x.org", "lap*top", 2_000), now.plus(500)).await.unwrap();
    let _: () = redis.set("sekisho:not_before:ann@x.org", 1_500).await.unwrap();
    tokens.note_revoked(&email("ann@x.org")).await.unwrap();
    // One of the old gateway, on record beyond its end; and one that ended.
    tokens.insert(&record("gone", "bob@x.org", 1)).await.unwrap();
    let _: () = redis.del("token:info:gone").await.unwrap();
    let old = json!({"token_id": "old", "user_email": "bob@x.org", "created_at": 5, "expires_at": 6});
    let _: () = redis.set("token:info:old", old.to_string()).await.unwrap();
    tokens.adopt(Adopt::Now).await.unwrap();
    let summary = tokens.summary(now.plus(101)).await.unwrap();
    assert_eq!(summary, Summary { total: 6, active: 0, expired: 3, revoked: 3 }, "all are over, and one is forgotten");
    let summary = tokens.summary(now).await.unwrap();
    assert_eq!(summary, Summary { total: 6, active: 2, expired: 1, revoked: 3 });
}

#[tokio::test]
async fn nobody_gets_more_places_than_there_are_and_revoking_frees_one() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    let reserve = async |name: &str| tokens.reserve(&email("ann@x.org"), &id(name), 2).await.unwrap() == Reserved::Done;
    assert!(reserve("t1").await);
    assert!(reserve("t2").await);
    assert!(!reserve("t3").await);
    let _: () = redis.zadd("sekisho:tokens:places:ann@x.org", "t2", UnixSeconds::now().get()).await.unwrap();
    assert!(reserve("t3").await, "the second has expired");
    tokens.revoke(&record("t1", "Ann@x.org", 1), UnixSeconds::now().plus(500)).await.unwrap();
    assert!(reserve("t4").await);
    assert!(!reserve("t5").await);
    tokens.release(&email("ann@x.org"), &id("t4")).await.unwrap();
    assert!(reserve("t5").await);
    let of_bob = tokens.reserve(&email("bob@x.org"), &id("b"), 1).await.unwrap();
    assert_eq!(of_bob, Reserved::Done, "everybody has places of their own");
}

#[tokio::test]
async fn a_place_is_kept_for_a_minute_until_there_is_a_token_and_then_until_its_end() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    let places = "sekisho:tokens:places:ann@x.org";
    assert_eq!(tokens.reserve(&email("ann@x.org"), &id("t1"), 1).await.unwrap(), Reserved::Done);
    let now = UnixSeconds::now();
    let ends: u64 = redis.zscore(places, "t1").await.unwrap();
    assert!((now.get() + 50..=now.get() + 61).contains(&ends), "nothing may ever come of it: {ends}");
    let token = TokenRecord { expires_at: now.plus(1_000).get(), ..record("t1", "ann@x.org", 1) };
    tokens.insert(&token).await.unwrap();
    assert_eq!(redis.zscore::<_, _, u64>(places, "t1").await.unwrap(), token.expires_at);
    let ends: u64 = redis::cmd("EXPIRETIME").arg(places).query_async(&mut redis).await.unwrap();
    assert_eq!(ends, token.expires_at);
}

#[tokio::test]
async fn who_revokes_all_the_time_has_room_and_leaves_only_so_many_records() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    for n in 0..60 {
        let token = format!("t{n}");
        assert_eq!(tokens.reserve(&email("ann@x.org"), &id(&token), 2).await.unwrap(), Reserved::Done, "{n}");
        tokens.insert(&record(&token, "ann@x.org", n)).await.unwrap();
        if n > 0 {
            tokens.revoke(&record(&token, "ann@x.org", n), UnixSeconds::now().plus(500)).await.unwrap();
        }
    }
    let kept = tokens.of_user(&email("ann@x.org")).await.unwrap();
    assert!((10..=20).contains(&kept.len()), "{}", kept.len());
    assert!(tokens.find(&id("t0")).await.unwrap().is_some_and(|token| !token.is_revoked), "what is good stays");
    assert_eq!(tokens.find(&id("t1")).await.unwrap(), None, "the oldest goes first");
    assert!(redis.exists::<_, bool>("revoked:token:t1").await.unwrap(), "and is still revoked");
    for order in BY_ID {
        assert!(redis.zscore::<_, _, Option<f64>>(order, "t1").await.unwrap().is_none(), "{order}");
    }
}

#[tokio::test]
async fn nobody_gets_more_than_a_thousand_tokens_a_day_whatever_becomes_of_them() {
    let server = RedisServer::start().await;
    let (tokens, mut redis) = (RedisTokens::new(server.client()), server.client().shared());
    let reserve = async |places| tokens.reserve(&email("ann@x.org"), &id("t"), places).await.unwrap();
    assert_eq!(reserve(2).await, Reserved::Done);
    let left: i64 = redis.ttl("sekisho:tokens:made:ann@x.org").await.unwrap();
    assert!((86_300..=86_400).contains(&left), "{left}");
    let _: u64 = redis.incr("sekisho:tokens:made:ann@x.org", 999).await.unwrap();
    let Reserved::NotToday { retry_after_s } = reserve(2).await else { panic!("a token too many") };
    assert!((86_300..=86_400).contains(&retry_after_s), "{retry_after_s}");
    assert_eq!(reserve(200).await, Reserved::Done, "who may have more may ask for more");
    assert_eq!(reserve(usize::MAX).await, Reserved::Done, "an operator always may");
}
