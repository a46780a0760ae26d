//! Sessions: a cookie lets its owner in, on its own host, until the session is ended or its owner is banned.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::wire::RawRequest;
use e2e::{Plan, World, poll, story_in};
use reqwest::Method;
use sekisho_protocol::session::cookie::{CookieKey, SECRET_BYTES};
use sekisho_sidecar::domain::feed::Mark;
use sekisho_sidecar::domain::session::Session;
use sekisho_sidecar::domain::time::UnixSeconds;
use sekisho_sidecar::service::feed::Feed;
use sekisho_sidecar::service::sessions::SessionStore;
use sekisho_sidecar::store::redis::RedisClient;
use sekisho_sidecar::store::redis::feed::RedisFeed;
use serde_json::{Value, json};

use crate::people::{COOKIE, HOST, asking, sign_in, store, with_sessions};

/// A world with a rule that takes sessions, and sends browsers to sign in.
pub(crate) fn people() -> Plan {
    Plan { policy: with_sessions, ..Plan::default() }
}

/// Ends a session as a sidecar does: on record first, then in the feed.
pub(super) async fn end(world: &World, session: &Session) -> Result<()> {
    let mark = Mark::ended_session(&session.id, session.ends_at);
    store(world)?.end(session, UnixSeconds(mark.until())).await?;
    RedisFeed::new(RedisClient::open(&world.redis.url())?).put(&mark).await?;
    Ok(())
}

/// Waits until nobody lets it in any more, then sees that every worker of every Envoy refuses it.
pub(crate) async fn is_refused_everywhere(world: &World, cookie: &str, status: u16) -> Result<Value> {
    let request = asking(cookie).bytes();
    let answer = poll::until("the session is refused", Duration::from_secs(10), async || {
        let answer = world.raw(&request).await?;
        ensure!(answer.status == status, "{answer:?}");
        Ok(answer)
    })
    .await?;
    for (worker, mut connection) in world.connections_by_worker(2).await? {
        let answer = connection.send(&request).await?;
        ensure!(answer.status == status, "{worker}: {answer:?}");
    }
    answer.json()
}

#[test]
fn a_cookie_lets_its_owner_in_and_never_reaches_the_upstream() {
    story_in(people(), async |world| {
        let ann = sign_in(world, "ann@example.com").await?;
        for _ in 0..3 {
            let received = world.raw(&asking(&ann.cookie).bytes()).await?.received()?;
            assert_eq!(received.all("x-forwarded-email"), ["ann@example.com"]);
            assert_eq!(received.all("cookie"), ["theme=dark; lang=ja"]);
        }
        let forged = CookieKey::of_mesh(&[b'x'; 32]).cookie(HOST, &[9; SECRET_BYTES]);
        let of_nobody = CookieKey::of_mesh(world.keys.mesh.as_bytes()).cookie(HOST, &[200; SECRET_BYTES]);
        for cookie in [forged.as_str(), &of_nobody, "", "x", &ann.cookie[1..]] {
            assert_eq!(world.raw(&asking(cookie).bytes()).await?.status, 401, "{cookie}");
        }
        let elsewhere = RawRequest::to_host("GET", "/console/page", "other.localhost");
        let elsewhere = elsewhere.header("cookie", format!("{COOKIE}={}", ann.cookie));
        assert_eq!(world.raw(&elsewhere.bytes()).await?.status, 401, "another host than its own");
        let twice = asking(&ann.cookie).header("cookie", format!("{COOKIE}={of_nobody}"));
        assert_eq!(world.raw(&twice.bytes()).await?.status, 400, "two sessions");
        let page = RawRequest::new("GET", "/console/page?a=b").header("sec-fetch-mode", "navigate");
        let answer = world.raw(&page.bytes()).await?;
        assert_eq!((answer.status, answer.header("location")), (302, Some("/oauth2/start?rd=/console/page%3Fa%3Db")));
        Ok(())
    });
}

#[test]
fn a_session_and_a_token_on_one_request_are_of_one_user() {
    story_in(people(), async |world| {
        let ann = sign_in(world, "ann@example.com").await?;
        for (email, status) in [("ann@example.com", 200), ("bob@example.com", 400)] {
            let both = asking(&ann.cookie).header("authorization", world.token_of(email).bearer());
            assert_eq!(world.raw(&both.bytes()).await?.status, status, "{email}");
        }
        Ok(())
    });
}

#[test]
fn an_ended_session_is_refused_on_every_worker_and_its_owners_other_one_is_not() {
    story_in(people(), async |world| {
        let (one, other) = (sign_in(world, "ann@example.com").await?, sign_in(world, "ann@example.com").await?);
        for (worker, mut connection) in world.connections_by_worker(2).await? {
            assert_eq!(connection.send(&asking(&one.cookie).bytes()).await?.status, 200, "{worker}");
        }
        end(world, &one.session).await?;
        let answer = is_refused_everywhere(world, &one.cookie, 401).await?;
        assert_eq!(answer["error"], "Session has been revoked");
        assert_eq!(world.raw(&asking(&other.cookie).bytes()).await?.status, 200);
        Ok(())
    });
}

#[test]
fn a_banned_user_is_told_so_whichever_session_they_come_with() {
    story_in(people(), async |world| {
        let (ann, bob) = (sign_in(world, "ann@example.com").await?, sign_in(world, "bob@example.com").await?);
        for session in [&ann, &bob] {
            assert_eq!(world.raw(&asking(&session.cookie).bytes()).await?.status, 200);
        }
        let ban = json!({"user_email": "Ann@Example.com"});
        let path = "/api/admin/sessions/revoke-user";
        let banned = world.app(Method::POST, path, &world.admin_token(), Some(&ban)).await?;
        assert_eq!(banned.status, 200, "acknowledged by every worker: {banned:?}");
        let answer = is_refused_everywhere(world, &ann.cookie, 403).await?;
        assert_eq!((&answer["error"], &answer["user_email"]), (&json!("Access denied"), &json!("ann@example.com")));
        let left = answer["banned_until_seconds"].as_u64().context("no time left")?;
        assert!((600_000..=604_800).contains(&left), "{left}");
        assert_eq!(world.raw(&asking(&bob.cookie).bytes()).await?.status, 200, "nobody else is");
        Ok(())
    });
}

#[test]
fn nobody_is_let_in_by_a_session_that_no_sidecar_can_look_up() {
    story_in(people(), async |world| {
        let (known, unknown) = (sign_in(world, "ann@example.com").await?, sign_in(world, "bob@example.com").await?);
        assert_eq!(world.raw(&asking(&known.cookie).bytes()).await?.status, 200);
        world.redis.pause().await?;
        let answer = world.raw(&asking(&unknown.cookie).bytes()).await?;
        world.redis.go_on().await?;
        assert_eq!(answer.status, 503, "an inability, never a refusal: {answer:?}");
        poll::until("it is let in again", Duration::from_secs(10), async || {
            let answer = world.raw(&asking(&unknown.cookie).bytes()).await?;
            ensure!(answer.status == 200, "{answer:?}");
            Ok(())
        })
        .await?;
        Ok(())
    });
}
