//! Sessions of oauth2-proxy, made by other people's code: their owners are in, until they are over, deleted or banned.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::peers::oauth2_proxy::{COOKIE, Kept, Order, keep};
use e2e::token::now;
use e2e::wire::{Connection, RawRequest};
use e2e::{Plan, World, poll, story_in};
use redis::cmd;
use reqwest::Method;
use sekisho_protocol::session::cookie::{CookieKey, SECRET_BYTES, id};
use sekisho_sidecar::domain::session::Session;
use sekisho_sidecar::domain::time::UnixSeconds;
use sekisho_sidecar::service::sessions::SessionStore;
use sekisho_sidecar::store::redis::RedisClient;
use sekisho_sidecar::store::redis::sessions::RedisSessions;
use serde_json::{Value, json};

mod formats;

const WEEK_S: u64 = 604_800;

/// A world beside an oauth2-proxy, which answers under `/oauth2-proxy`.
fn beside_oauth2_proxy() -> Plan {
    Plan { policy: with_its_sessions, oauth2_proxy: true, ..Plan::default() }
}

fn with_its_sessions(policy: &mut Value) {
    policy["sessions"] = json!({"cookie": "sekisho", "oauth2_proxy": {"forward_on": ["oauth2-proxy"]}});
    let rules = [
        json!({"name": "oauth2-proxy", "match": {"prefix": "/oauth2-proxy"}, "access": "public"}),
        json!({"name": "staff", "match": {"prefix": "/console/staff"}, "access": "protected", "sessions": "accept",
               "require": {"groups": {"any": ["staff"]}}}),
        json!({"name": "console", "match": {"prefix": "/console"}, "access": "protected", "sessions": "accept",
               "answers": {"sign_in": "/oauth2-proxy/start"}, "identity": "upstream"}),
    ];
    if let Some(routes) = policy["routes"].as_array_mut() {
        // The app's own rules stay first.
        for (place, rule) in rules.into_iter().enumerate() {
            routes.insert(3 + place, rule);
        }
    }
}

/// Lets oauth2-proxy keep these sessions.
async fn kept(world: &World, orders: Vec<Order>) -> Result<Vec<Kept>> {
    keep(&world.redis, &world.keys.cookies, orders).await
}

async fn sign_in(world: &World, email: &str) -> Result<Kept> {
    kept(world, vec![Order::of(email)]).await?.pop().context("no session")
}

fn asking(cookie: &str) -> RawRequest {
    RawRequest::new("GET", "/console/page").header("cookie", format!("theme=dark; {COOKIE}={cookie}; lang=ja"))
}

/// Connections to every worker, each of which knows the session.
async fn known_everywhere(world: &World, cookie: &str) -> Result<Vec<(String, Connection)>> {
    let mut connections = world.connections_by_worker(1).await?;
    for (worker, connection) in &mut connections {
        let answer = connection.send(&asking(cookie).bytes()).await?;
        ensure!(answer.status == 200, "{worker}: {answer:?}");
    }
    Ok(connections)
}

/// How long it takes until every worker answers with this status.
async fn refused_after(connections: &mut [(String, Connection)], cookie: &str, status: u16) -> Result<Duration> {
    let begun = Instant::now();
    for (worker, connection) in connections {
        loop {
            let answer = connection.send(&asking(cookie).bytes()).await?;
            if answer.status == status {
                break;
            }
            ensure!(begun.elapsed() < Duration::from_secs(10), "{worker}: {answer:?}");
        }
    }
    Ok(begun.elapsed())
}

async fn delete(world: &World, key: &str) -> Result<()> {
    let deleted: u64 = world.redis.command(cmd("DEL").arg(key)).await?;
    ensure!(deleted == 1, "{key} was not there");
    Ok(())
}

#[test]
fn a_session_of_oauth2_proxy_lets_its_owner_in_and_its_cookie_goes_to_oauth2_proxy_alone() {
    story_in(beside_oauth2_proxy(), async |world| {
        let ann = sign_in(world, "Ann@Example.com").await?;
        for _ in 0..3 {
            let received = world.raw(&asking(&ann.cookie).bytes()).await?.received()?;
            assert_eq!(received.all("x-forwarded-email"), ["ann@example.com"]);
            assert_eq!(received.all("x-sekisho-method"), ["oauth2_proxy"]);
            assert_eq!(received.all("cookie"), ["theme=dark; lang=ja"]);
        }
        let of_staff = RawRequest::new("GET", "/console/staff").header("cookie", format!("{COOKIE}={}", ann.cookie));
        assert_eq!(world.raw(&of_staff.bytes()).await?.status, 200, "by its groups");
        let both = format!("{COOKIE}={}; sekisho=x; a=1", ann.cookie);
        let to_proxy = RawRequest::new("GET", "/oauth2-proxy/userinfo").header("cookie", both);
        let received = world.raw(&to_proxy.bytes()).await?.received()?;
        assert_eq!(received.all("cookie"), [format!("{COOKIE}={}; a=1", ann.cookie)]);
        let page = RawRequest::new("GET", "/console/page").header("sec-fetch-mode", "navigate");
        assert_eq!(world.raw(&page.bytes()).await?.header("location"), Some("/oauth2-proxy/start?rd=/console/page"));
        Ok(())
    });
}

#[test]
fn what_oauth2_proxy_would_not_take_lets_nobody_in() {
    story_in(beside_oauth2_proxy(), async |world| {
        let orders = vec![
            Order { wrong_secret: true, ..Order::of("ann@example.com") },
            Order { cookie_name: "_other_proxy", ..Order::of("ann@example.com") },
            Order { signed_at: now() - WEEK_S, ..Order::of("ann@example.com") },
            Order { signed_at: now() + 400, ..Order::of("ann@example.com") },
            Order { fields: json!({"ca": now() - WEEK_S, "e": "ann@example.com"}), ..Order::of("x") },
            Order::of("ann@example.com").field("eo", now() - 1),
            Order::of("ann@example.com").field("ca", now() + 400),
            Order { fields: json!({"ca": now(), "u": "0001"}), ..Order::of("x") },
        ];
        for (number, session) in kept(world, orders).await?.iter().enumerate() {
            let answer = world.raw(&asking(&session.cookie).bytes()).await?;
            assert_eq!(answer.status, 401, "session {number}: {answer:?}");
        }
        let ann = sign_in(world, "ann@example.com").await?;
        let flipped = ann.cookie.replace('|', "!");
        for cookie in [&ann.cookie[1..], &ann.cookie[..ann.cookie.len() - 4], &flipped, "", "a|1|b", &ann.ticket] {
            assert_eq!(world.raw(&asking(cookie).bytes()).await?.status, 401, "{cookie}");
        }
        assert_eq!(world.raw(&asking(&ann.cookie).bytes()).await?.status, 200, "the real one does");
        let twice = asking(&ann.cookie).header("cookie", format!("{COOKIE}=x"));
        assert_eq!(world.raw(&twice.bytes()).await?.status, 400, "two of a kind");
        Ok(())
    });
}

#[test]
fn a_session_that_oauth2_proxy_deletes_is_refused_by_every_worker_within_100_ms() {
    story_in(beside_oauth2_proxy(), async |world| {
        let mut quickest = Duration::MAX;
        for number in 0..5 {
            let ann = sign_in(world, &format!("ann{number}@example.com")).await?;
            let mut connections = known_everywhere(world, &ann.cookie).await?;
            delete(world, &ann.key).await?;
            quickest = quickest.min(refused_after(&mut connections, &ann.cookie, 401).await?);
        }
        // Whatever else the machine does, it can be as quick as that.
        ensure!(quickest < Duration::from_millis(100), "{quickest:?}");
        Ok(())
    });
}

#[test]
fn a_session_that_expires_in_redis_is_refused_by_every_worker_without_a_word() {
    story_in(beside_oauth2_proxy(), async |world| {
        let silent: String =
            world.redis.command(cmd("CONFIG").arg("SET").arg("notify-keyspace-events").arg("")).await?;
        assert_eq!(silent, "OK");
        let ann = sign_in(world, "ann@example.com").await?;
        let _: u64 = world.redis.command(cmd("PEXPIRE").arg(&ann.key).arg(4_000)).await?;
        let mut connections = known_everywhere(world, &ann.cookie).await?;
        let took = refused_after(&mut connections, &ann.cookie, 401).await?;
        ensure!(took < Duration::from_millis(4_500), "{took:?}");
        Ok(())
    });
}

#[test]
fn a_banned_user_is_told_so_and_signs_in_again_once_the_ban_is_over() {
    story_in(beside_oauth2_proxy(), async |world| {
        let (ann, bob) = (sign_in(world, "ann@example.com").await?, sign_in(world, "bob@example.com").await?);
        let mut connections = known_everywhere(world, &ann.cookie).await?;
        assert_eq!(world.raw(&asking(&bob.cookie).bytes()).await?.status, 200);
        let (token, ban) = (world.admin_token(), json!({"user_email": "Ann@Example.com"}));
        let banned = world.app(Method::POST, "/api/admin/sessions/revoke-user", &token, Some(&ban)).await?;
        assert_eq!(banned.status, 200, "acknowledged by every worker: {banned:?}");
        for (worker, connection) in &mut connections {
            let answer = connection.send(&asking(&ann.cookie).bytes()).await?;
            assert_eq!(answer.status, 403, "{worker}: {answer:?}");
            assert_eq!(answer.json()?["user_email"], "ann@example.com");
        }
        assert_eq!(world.raw(&asking(&bob.cookie).bytes()).await?.status, 200);
        // oauth2-proxy lets her sign in, and what it then keeps is worth nothing.
        let again = Order { ticket_of: Some(ann.ticket.clone()), ..Order::of("ann@example.com") };
        // A sign-in of another second has another cookie.
        let again = Order { signed_at: now() + 1, ..again };
        let again = Order { fields: json!({"ca": now(), "e": "ann@example.com", "n": "again"}), ..again };
        let again = kept(world, vec![again]).await?.pop().context("no session")?;
        assert_eq!(again.key, ann.key);
        let answer = world.raw(&asking(&again.cookie).bytes()).await?;
        assert_eq!(answer.status, 403, "{answer:?}");
        let left: u64 = world.redis.command(cmd("EXISTS").arg(&ann.key)).await?;
        assert_eq!(left, 0, "it is deleted, for oauth2-proxy, too");
        let path = "/api/admin/sessions/unban/ann@example.com";
        assert_eq!(world.app(Method::DELETE, path, &token, None).await?.status, 200);
        assert_eq!(world.raw(&asking(&again.cookie).bytes()).await?.status, 401, "not by what was then");
        let anew = Order { ticket_of: Some(ann.ticket), ..Order::of("ann@example.com") };
        let anew = Order { signed_at: now() + 2, ..anew };
        let anew = Order { fields: json!({"ca": now() + 2, "e": "ann@example.com", "n": "anew"}), ..anew };
        let anew = kept(world, vec![anew]).await?.pop().context("no session")?;
        poll::until("she is in again, with the same ticket", Duration::from_secs(15), async || {
            let answer = world.raw(&asking(&anew.cookie).bytes()).await?;
            ensure!(answer.status == 200, "{answer:?}");
            Ok(())
        })
        .await
    });
}

#[test]
fn of_two_cookies_our_own_counts_and_two_users_are_refused() {
    story_in(beside_oauth2_proxy(), async |world| {
        let theirs = sign_in(world, "ann@example.com").await?;
        let bobs = own_session(world, "bob@example.com", 1).await?;
        let both = |own: &str| asking(&theirs.cookie).header("cookie", format!("sekisho={own}")).bytes();
        let answer = world.raw(&both(&bobs)).await?;
        assert_eq!(answer.status, 400, "{answer:?}");
        let anns = own_session(world, "ann@example.com", 2).await?;
        let received = world.raw(&both(&anns)).await?.received()?;
        assert_eq!(received.all("x-sekisho-method"), ["session"]);
        delete(world, &theirs.key).await?;
        poll::until("that one says nothing any more", Duration::from_secs(5), async || {
            ensure!(world.raw(&asking(&theirs.cookie).bytes()).await?.status == 401);
            Ok(())
        })
        .await?;
        for own in [&anns, &bobs] {
            assert_eq!(world.raw(&both(own)).await?.status, 200, "nor against anybody's own");
        }
        Ok(())
    });
}

/// The cookie of a session of our own.
async fn own_session(world: &World, email: &str, number: u8) -> Result<String> {
    let secret = [number; SECRET_BYTES];
    let session: Session = serde_json::from_value(json!({
        "id": id(&secret), "subject": email, "email": email, "host": "localhost", "method": "session",
        "signed_in_at": now(), "last_access": now(), "ends_at": now() + 3_600, "idle_s": 600
    }))?;
    let store = RedisSessions::new(RedisClient::open(&world.redis.url())?);
    store.insert(&session, UnixSeconds(now())).await?;
    Ok(CookieKey::of_mesh(world.keys.mesh.as_bytes()).cookie("localhost", &secret))
}
