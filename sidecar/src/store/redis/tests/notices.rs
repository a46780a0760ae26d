//! Redis's notices of what other programs do.

use std::time::Duration;

use sekisho_protocol::feed::Kind;
use tokio::time::timeout;

use super::*;
use crate::service::feed::source::{Deed, Notice, Notices};
use crate::store::redis::notices::RedisNotices;

async fn next(notices: &mut RedisNotices) -> Notice {
    timeout(Duration::from_secs(5), notices.next()).await.expect("a notice").unwrap()
}

#[tokio::test]
async fn p9_notices_are_switched_on_without_switching_anything_off() {
    let server = RedisServer::start_with(&["--save", "", "--notify-keyspace-events", "Elx"]).await;
    let mut notices = RedisNotices::new(server.client());
    assert!(notices.subscribe().await.unwrap());
    let (_, flags): (String, String) = raw(&server, &["CONFIG", "GET", "notify-keyspace-events"]).await;
    for flag in "ElxKg$e".chars() {
        assert!(flags.contains(flag), "{flag} in {flags}");
    }
}

#[tokio::test]
async fn p9_a_ban_and_its_end_by_another_program_are_noticed() {
    let server = RedisServer::start().await;
    let mut notices = RedisNotices::new(server.client());
    notices.subscribe().await.unwrap();
    let _: String = raw(&server, &["SET", "active_user_deleted:Ann@x", "1"]).await;
    let _: i64 = raw(&server, &["DEL", "active_user_deleted:Ann@x"]).await;
    let _: String = raw(&server, &["SET", "revoked:token:t1", "1"]).await;
    let notice = |kind, name: &str, deed| Notice { kind, name: name.into(), deed };
    assert_eq!(next(&mut notices).await, notice(Kind::Ban, "Ann@x", Deed::Written));
    assert_eq!(next(&mut notices).await, notice(Kind::Ban, "Ann@x", Deed::Deleted));
    assert_eq!(next(&mut notices).await, notice(Kind::Token, "t1", Deed::Written));
}

#[tokio::test]
async fn p9_a_redis_that_may_not_be_configured_is_told_apart_from_one_that_is_away() {
    let mut server = RedisServer::start_with(&["--save", "", "--rename-command", "CONFIG", ""]).await;
    let mut notices = RedisNotices::new(server.client());
    assert_eq!(notices.subscribe().await, Ok(false));
    server.stop();
    assert!(notices.next().await.is_err());
    assert!(notices.subscribe().await.is_err());
}
