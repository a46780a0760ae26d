//! Turns: of all sidecars one asks the provider about a session at a time, for as long as that takes.

use std::time::Duration;

use super::*;
use crate::domain::session::SessionId;
use crate::service::sign_in::grants::GrantStore;
use crate::store::redis::grants::RedisGrants;

const MINUTE: Duration = Duration::from_secs(60);
/// Long enough for a busy machine to say something twice.
const SHORT: Duration = Duration::from_secs(20);
/// Over before anybody asks again, or soon after.
const MOMENT: Duration = Duration::from_millis(20);

fn session() -> SessionId {
    SessionId::parse("a-session").unwrap()
}

/// Waits for a turn that ends by itself.
async fn until_taken(grants: &RedisGrants, owner: &str) {
    let taken = async {
        while !grants.take_turn(&session(), owner, MINUTE).await.unwrap() {
            tokio::time::sleep(MOMENT).await;
        }
    };
    tokio::time::timeout(SHORT, taken).await.expect("the turn ends by itself");
}

#[tokio::test]
async fn whoever_has_the_turn_keeps_it_beyond_its_first_life_by_renewing_it_and_nobody_else_takes_it() {
    let server = RedisServer::start().await;
    let (grants, id) = (RedisGrants::new(server.client()), session());
    assert!(grants.take_turn(&id, "a", SHORT).await.unwrap());
    assert!(!grants.take_turn(&id, "b", SHORT).await.unwrap());
    assert!(!grants.take_turn(&id, "a", SHORT).await.unwrap(), "nor twice by the same");
    assert!(life(&server, "sekisho:grant:a-session:turn").await <= 20, "whoever wanted it made it no longer");
    assert!(grants.renew_turn(&id, "a", MINUTE).await.unwrap());
    let left = life(&server, "sekisho:grant:a-session:turn").await;
    assert!((21..=60).contains(&left), "{left}");
    assert!(!grants.take_turn(&id, "b", SHORT).await.unwrap());
    let other = SessionId::parse("another-session").unwrap();
    assert!(grants.take_turn(&other, "b", SHORT).await.unwrap(), "each session has a turn of its own");
}

#[tokio::test]
async fn a_turn_that_is_renewed_outlives_its_first_life() {
    const LIFE: Duration = Duration::from_secs(2);
    let server = RedisServer::start().await;
    let (grants, id) = (RedisGrants::new(server.client()), session());
    let begun = std::time::Instant::now();
    assert!(grants.take_turn(&id, "a", LIFE).await.unwrap());
    while begun.elapsed() < LIFE * 5 / 4 {
        assert!(grants.renew_turn(&id, "a", LIFE).await.unwrap(), "after {:?}", begun.elapsed());
        assert!(!grants.take_turn(&id, "b", LIFE).await.unwrap(), "after {:?}", begun.elapsed());
        tokio::time::sleep(MOMENT).await;
    }
    until_taken(&grants, "b").await;
}

#[tokio::test]
async fn a_turn_is_free_once_it_ended_or_its_life_is_over() {
    let server = RedisServer::start().await;
    let (grants, id) = (RedisGrants::new(server.client()), session());
    assert!(grants.take_turn(&id, "a", MINUTE).await.unwrap());
    grants.end_turn(&id, "a").await.unwrap();
    assert!(grants.take_turn(&id, "b", MOMENT).await.unwrap());
    until_taken(&grants, "c").await;
}

#[tokio::test]
async fn whoever_lost_the_turn_neither_renews_nor_ends_anothers() {
    let server = RedisServer::start().await;
    let (grants, id) = (RedisGrants::new(server.client()), session());
    assert!(!grants.renew_turn(&id, "a", MINUTE).await.unwrap(), "nobody has it");
    assert!(grants.take_turn(&id, "a", MOMENT).await.unwrap());
    until_taken(&grants, "b").await;
    let left = life(&server, "sekisho:grant:a-session:turn").await;
    assert!(!grants.renew_turn(&id, "a", 2 * MINUTE).await.unwrap());
    assert!(life(&server, "sekisho:grant:a-session:turn").await <= left, "it lives no longer for that");
    grants.end_turn(&id, "a").await.unwrap();
    assert!(!grants.take_turn(&id, "c", MINUTE).await.unwrap(), "it is still another's");
    assert!(grants.renew_turn(&id, "b", MINUTE).await.unwrap());
    grants.end_turn(&id, "b").await.unwrap();
    assert!(grants.take_turn(&id, "a", MINUTE).await.unwrap());
}
