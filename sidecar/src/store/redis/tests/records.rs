//! Records: what bars, what other programs wrote, and bringing the feed into line with them.

use std::sync::Arc;

use sekisho_protocol::activity::Method;
use sekisho_protocol::check::CheckRequest;
use sekisho_protocol::feed::Kind;
use sekisho_protocol::{PROTOCOL, ReplicaId};

use super::*;
use crate::domain::feed::record::Record;
use crate::jobs::reconcile::walk;
use crate::service::checks::{CheckRecords, Standing};
use crate::service::feed::mirror::Mirror;
use crate::service::feed::reconcile::{Reconciler, Settled};
use crate::service::feed::source::{Deed, Records};
use crate::service::feed::{Feed, LiveEntry};
use crate::store::redis::feed::RedisFeed;
use crate::store::redis::records::RedisRecords;

async fn start() -> (RedisServer, RedisFeed, RedisRecords, Reconciler) {
    let server = RedisServer::start().await;
    let (feed, records) = (RedisFeed::new(server.client()), RedisRecords::new(server.client()));
    let reconciler = Reconciler::new(Arc::new(feed.clone()), Arc::new(records.clone()), Mirror::default());
    (server, feed, records, reconciler)
}

fn check(who: &str, token: Option<&str>) -> CheckRequest {
    CheckRequest {
        protocol: PROTOCOL,
        replica: ReplicaId::from_bytes([1; 16]),
        route: String::new(),
        subject: subject(who),
        method: Method::Jwt,
        token_id: token.map(str::to_owned),
        issued_at: None,
        keys: None,
        recent_sign_in: false,
    }
}

async fn entry(feed: &RedisFeed, name: &str) -> Option<LiveEntry> {
    feed.entry(Kind::Ban, name).await.unwrap()
}

#[tokio::test]
async fn a_standing_tells_bans_with_their_end_and_revoked_tokens() {
    let (server, _, records, _) = start().await;
    let end = later();
    let _: String = raw(&server, &["SET", "active_user_deleted:ann@x", "1", "EXAT", &end.to_string()]).await;
    let _: String = raw(&server, &["SET", "active_user_deleted:eve@x", "1"]).await;
    let _: String = raw(&server, &["SET", "revoked:token:t1", "1"]).await;
    for (who, token, banned_until, credential_ended) in [
        ("ann@x", None, Some(end), false),
        ("Ann@X", Some("t2"), Some(end), false),
        ("eve@x", Some("t1"), Some(FOREVER), true),
        ("bob@x", Some("t1"), None, true),
        ("bob@x", Some("t2"), None, false),
    ] {
        let (standing, _) = records.standing(&check(who, token)).await.unwrap();
        assert_eq!(standing, Standing { banned_until, credential_ended, ..Standing::default() }, "{who} {token:?}");
    }
}

#[tokio::test]
async fn a_standing_tells_since_when_tokens_are_valid() {
    let (server, _, records, _) = start().await;
    let _: String = raw(&server, &["SET", "sekisho:not_before:ann@x", "1700", "EX", "600"]).await;
    assert_eq!(records.standing(&check("Ann@X", None)).await.unwrap().0.issued_before, Some(1_700));
    assert_eq!(records.standing(&check("bob@x", Some("t"))).await.unwrap().0.issued_before, None);
    let _: String = raw(&server, &["SET", "sekisho:not_before:eve@x", "soon"]).await;
    assert!(records.standing(&check("eve@x", None)).await.is_err(), "never an allow");
}

#[tokio::test]
async fn a_standing_tells_who_must_sign_in_and_when_they_did_if_that_is_asked() {
    let (server, _, records, _) = start().await;
    let _: String = raw(&server, &["SET", "sekisho:sign_in_needed:ann@x", "{}"]).await;
    let _: String = raw(&server, &["SET", "sekisho:signed_in:ann@x", "1700"]).await;
    for (who, recent_sign_in, sign_in_needed, signed_in) in
        [("Ann@X", true, true, Some(1_700)), ("bob@x", true, false, None), ("ann@x", false, false, None)]
    {
        let request = CheckRequest { recent_sign_in, ..check(who, Some("t")) };
        let expected = Standing { sign_in_needed, signed_in, ..Standing::default() };
        assert_eq!(records.standing(&request).await.unwrap().0, expected, "{who}");
    }
    let _: String = raw(&server, &["SET", "sekisho:signed_in:ann@x", "soon"]).await;
    let request = CheckRequest { recent_sign_in: true, ..check("ann@x", None) };
    assert!(records.standing(&request).await.is_err(), "never an allow");
}

#[tokio::test]
async fn a_standing_of_a_session_tells_since_when_sessions_are_valid_besides() {
    let (server, _, records, _) = start().await;
    let _: String = raw(&server, &["SET", "sekisho:sessions:not_before:ann@x", "1800", "EX", "600"]).await;
    for (others, expected) in [("1700", 1_800), ("1900", 1_900)] {
        let _: String = raw(&server, &["SET", "sekisho:not_before:ann@x", others, "EX", "600"]).await;
        for method in [Method::Session, Method::Oauth2Proxy] {
            let request = CheckRequest { method, ..check("Ann@X", Some("s")) };
            let (standing, _) = records.standing(&request).await.unwrap();
            assert_eq!(standing.issued_before, Some(expected), "{method:?}");
        }
    }
    let (standing, _) = records.standing(&check("ann@x", Some("t"))).await.unwrap();
    assert_eq!(standing.issued_before, Some(1_900), "no token's matter");
    let _: String = raw(&server, &["SET", "sekisho:sessions:not_before:eve@x", "soon"]).await;
    let request = CheckRequest { method: Method::Session, ..check("eve@x", None) };
    assert!(records.standing(&request).await.is_err(), "never an allow");
}

#[tokio::test]
async fn p8_a_logout_on_record_without_an_entry_or_with_a_lower_one_gets_one() {
    let (server, feed, _, reconciler) = start().await;
    let now = UnixSeconds::now().get();
    for (name, moment) in [("ann@x", now), ("bob@x", now + 5)] {
        let end = (now + 600).to_string();
        let key = format!("sekisho:not_before:{name}");
        let _: String = raw(&server, &["SET", &key, &moment.to_string(), "EXAT", &end]).await;
    }
    let lower = Record { end: now + 600, floor: now }.mark(Kind::NotBefore, "bob@x");
    feed.put(&lower).await.unwrap();
    assert_eq!(walk(&reconciler).await.unwrap(), 2);
    for (name, moment) in [("ann@x", now), ("bob@x", now + 5)] {
        let entry = feed.entry(Kind::NotBefore, name).await.unwrap().unwrap();
        assert_eq!(entry.floor, moment, "{name}");
        assert!(entry.until.abs_diff(now + 600) <= 1, "{name}: {entry:?}");
    }
    assert_eq!(walk(&reconciler).await.unwrap(), 0, "once is enough");
}

#[tokio::test]
async fn p8_the_absence_of_a_logouts_record_lifts_nothing_not_even_on_purpose() {
    let (_server, feed, _, reconciler) = start().await;
    feed.put(&Mark::not_before(&subject("ann@x"), later())).await.unwrap();
    assert_eq!(walk(&reconciler).await.unwrap(), 0);
    for deed in [Deed::Written, Deed::Deleted] {
        assert_eq!(reconciler.settle(Kind::NotBefore, "ann@x", deed).await.unwrap(), Settled::Agreed);
    }
    assert!(feed.entry(Kind::NotBefore, "ann@x").await.unwrap().is_some());
}

#[tokio::test]
async fn a_logout_that_cannot_be_read_keeps_a_walk_from_nobody_else() {
    let (server, feed, _, reconciler) = start().await;
    let _: String = raw(&server, &["SET", "sekisho:not_before:ann@x", "soon"]).await;
    let _: i64 = raw(&server, &["SADD", "sekisho:not_before:bob@x", "7"]).await;
    let _: String = raw(&server, &["SET", "sekisho:not_before:eve@x", "1700", "EX", "600"]).await;
    assert_eq!(walk(&reconciler).await.unwrap(), 1);
    assert_eq!(feed.entry(Kind::NotBefore, "eve@x").await.unwrap().unwrap().floor, 1_700);
}

#[tokio::test]
async fn p8_a_record_without_an_entry_gets_one() {
    let (server, feed, _, reconciler) = start().await;
    for n in 0..1_200 {
        let _: String = raw(&server, &["SET", &format!("active_user_deleted:P{n}@x"), "1", "EX", "600"]).await;
    }
    let _: String = raw(&server, &["SET", "revoked:token:t1", "1", "EX", "600"]).await;
    assert_eq!(walk(&reconciler).await.unwrap(), 1_201);
    assert!(entry(&feed, "p77@x").await.is_some(), "names are folded");
    let token = feed.entry(Kind::Token, "t1").await.unwrap().unwrap();
    assert!(token.until >= later() + 85, "rule P10: longer than the record");
    assert_eq!(walk(&reconciler).await.unwrap(), 0, "once is enough");
}

#[tokio::test]
async fn p8_the_absence_of_a_record_lifts_nothing() {
    let (_server, feed, _, reconciler) = start().await;
    feed.put(&ban("ann@x")).await.unwrap();
    assert_eq!(walk(&reconciler).await.unwrap(), 0);
    assert_eq!(reconciler.settle(Kind::Ban, "ann@x", Deed::Written).await.unwrap(), Settled::Agreed);
    assert!(entry(&feed, "ann@x").await.is_some());
}

#[tokio::test]
async fn p9_a_record_that_was_deleted_on_purpose_lifts_its_entry() {
    let (server, feed, _, reconciler) = start().await;
    let _: String = raw(&server, &["SET", "active_user_deleted:Ann@x", "1", "EX", "600"]).await;
    assert_eq!(reconciler.settle(Kind::Ban, "Ann@x", Deed::Written).await.unwrap(), Settled::Put);
    // A notice that came late says nothing about a record that is there.
    assert_eq!(reconciler.settle(Kind::Ban, "Ann@x", Deed::Deleted).await.unwrap(), Settled::Agreed);
    let _: i64 = raw(&server, &["DEL", "active_user_deleted:Ann@x"]).await;
    assert_eq!(reconciler.settle(Kind::Ban, "Ann@x", Deed::Deleted).await.unwrap(), Settled::Lifted);
    assert_eq!(entry(&feed, "ann@x").await, None);
}

#[tokio::test]
async fn p9_a_deleted_record_lifts_nothing_while_the_same_person_has_another() {
    let (server, feed, _, reconciler) = start().await;
    let _: String = raw(&server, &["SET", "active_user_deleted:ann@x", "1", "EX", "600"]).await;
    reconciler.settle(Kind::Ban, "ann@x", Deed::Written).await.unwrap();
    assert_eq!(reconciler.settle(Kind::Ban, "Ann@X", Deed::Deleted).await.unwrap(), Settled::Agreed);
    assert!(entry(&feed, "ann@x").await.is_some());
}

#[tokio::test]
async fn whoever_is_banned_under_several_spellings_is_so_for_as_long_as_the_longest_says() {
    for [long, short] in [["ann@x", "Ann@X"], ["Ann@X", "ann@x"], ["Ann@x", "aNN@x"]] {
        let (server, feed, _, reconciler) = start().await;
        for (name, life) in [(long, "900"), (short, "60")] {
            let _: String = raw(&server, &["SET", &format!("active_user_deleted:{name}"), "1", "EX", life]).await;
            reconciler.settle(Kind::Ban, name, Deed::Written).await.unwrap();
        }
        let ends_in = async || entry(&feed, "ann@x").await.unwrap().until.abs_diff(UnixSeconds::now().get());
        assert!(ends_in().await > 890, "{long} {short}");
        let before = entry(&feed, "ann@x").await;
        for _ in 0..3 {
            assert_eq!(walk(&reconciler).await.unwrap(), 0, "a walk changes nothing: {long} {short}");
        }
        assert_eq!(entry(&feed, "ann@x").await, before);
        let _: i64 = raw(&server, &["DEL", &format!("active_user_deleted:{long}")]).await;
        assert_eq!(reconciler.settle(Kind::Ban, long, Deed::Deleted).await.unwrap(), Settled::Put);
        assert!(ends_in().await <= 61, "what is left counts: {long} {short}");
        let _: i64 = raw(&server, &["DEL", &format!("active_user_deleted:{short}")]).await;
        assert_eq!(reconciler.settle(Kind::Ban, short, Deed::Deleted).await.unwrap(), Settled::Lifted);
    }
}

#[tokio::test]
async fn p9_a_ban_whose_record_was_changed_ends_with_it() {
    let (server, feed, _, reconciler) = start().await;
    feed.put(&ban("ann@x")).await.unwrap();
    for (life, expected) in [("60", Settled::Put), ("61", Settled::Agreed), ("900", Settled::Put)] {
        let _: String = raw(&server, &["SET", "active_user_deleted:ann@x", "1", "EX", life]).await;
        assert_eq!(reconciler.settle(Kind::Ban, "ann@x", Deed::Written).await.unwrap(), expected, "{life} s");
    }
    let until = entry(&feed, "ann@x").await.unwrap().until;
    assert!(until.abs_diff(UnixSeconds::now().get() + 900) <= 2);
}

#[tokio::test]
async fn sweeping_removes_what_is_over_and_nothing_else() {
    let (server, feed, records, _) = start().await;
    let now = UnixSeconds::now().get();
    feed.put(&ban("ann@x")).await.unwrap();
    for n in 0..1_200 {
        feed.put(&Mark::ban(&subject(&format!("p{n}@x")), now - 1)).await.unwrap();
    }
    let bob = feed.put(&ban("bob@x")).await.unwrap();
    feed.lift(Kind::Ban, "bob@x", bob.version).await.unwrap();
    let (mut removed, mut cursor) = records.sweep(None).await.unwrap();
    while cursor.is_some() {
        let step = records.sweep(cursor).await.unwrap();
        (removed, cursor) = (removed + step.0, step.1);
    }
    assert_eq!(removed, 1_200);
    assert_eq!(raw::<u64>(&server, &["HLEN", "sekisho:{feed}:entries"]).await, 2, "a lift is remembered");
    assert_eq!(raw::<Vec<String>>(&server, &["ZRANGE", "sekisho:{feed}:bans", "0", "-1"]).await, ["ann@x"]);
}
