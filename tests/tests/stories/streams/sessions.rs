//! Streams that a browser opened with its session end with it (rule P12): when somebody ends it, when its owner is banned and
//! when it expires. Those of oauth2-proxy's sessions do as well as those of our own.

use anyhow::{Context, Result, ensure};
use e2e::peers::oauth2_proxy::{self, Kept, Order};
use e2e::token::now;
use e2e::{Plan, Shared, World, story};
use redis::cmd;
use reqwest::Method;
use sekisho_sidecar::domain::session::Session;
use sekisho_sidecar::domain::time::UnixSeconds;
use sekisho_sidecar::service::sessions::SessionStore;
use serde_json::{Value, json};

use super::open::{Kind, connections_to_each_worker};
use super::{EXPIRED, Streams, WAS_CUT, each_kind};
use crate::bans::ban;
use crate::people::{COOKIE, HOST, SignedIn, sign_in, store};

/// Without it no browser may open a websocket, or send something.
const OF_THE_SAME_HOST: (&str, &str) = ("origin", "http://localhost");

static OPEN: Shared = Shared::in_turn(|| Plan { policy: with_streams, oauth2_proxy: true, ..Plan::default() });

fn with_streams(policy: &mut Value) {
    policy["sessions"] = json!({"cookie": COOKIE, "oauth2_proxy": {}});
    let streams = json!({
        "name": "streams", "match": {"prefix": "/stream"}, "access": "protected", "sessions": "accept", "identity": "upstream"
    });
    if let Some(routes) = policy["routes"].as_array_mut() {
        // The app's own rules stay first.
        routes.insert(3, streams);
    }
}

/// A cookie header with a session of our own.
fn ours(session: &SignedIn) -> String {
    format!("{COOKIE}={}", session.cookie)
}

/// One with a session of oauth2-proxy.
fn theirs(session: &Kept) -> String {
    format!("{}={}", oauth2_proxy::COOKIE, session.cookie)
}

/// A session that oauth2-proxy keeps, of somebody who has just signed in.
async fn kept(world: &World, email: &str) -> Result<Kept> {
    let kept = oauth2_proxy::keep(&world.redis, &world.keys.cookies, vec![Order::of(email)]).await?;
    kept.into_iter().next().context("no session")
}

/// Every kind of stream on every worker, opened with each of these cookies: some are to be cut, the others go on.
async fn streams(world: &World, cut: &[String], others: &[String]) -> Result<Streams> {
    let mut streams = Streams { cut: Vec::new(), finish: Vec::new(), others: Vec::new() };
    let each = Kind::ALL.len() * (cut.len() + others.len());
    for connections in connections_to_each_worker(world, each).await? {
        let mut connections = connections.into_iter();
        for (number, cookie) in cut.iter().chain(others).enumerate() {
            let some = connections.by_ref().take(Kind::ALL.len()).collect();
            let opened = each_kind(world, some, HOST, &[("cookie", cookie), OF_THE_SAME_HOST]).await?;
            if number < cut.len() { &mut streams.cut } else { &mut streams.others }.extend(opened);
        }
    }
    Ok(streams)
}

/// An administrator ends a session, and every worker acknowledges that.
async fn end(world: &World, key: &str) -> Result<()> {
    let path = format!("/api/admin/sessions/{key}");
    let ended = world.app(Method::DELETE, &path, &world.admin_token(), None).await?.json_with(200)?;
    ensure!(ended["acknowledged"] == ended["workers"] && ended["lagging"] == json!([]), "{ended}");
    Ok(())
}

#[test]
fn p12_a_session_that_is_ended_takes_its_streams_along_and_leaves_those_of_its_owners_others() {
    story(&OPEN, async |world| {
        let email = world.user().email;
        let (one, other) = (sign_in(world, &email).await?, sign_in(world, &email).await?);
        let streams = streams(world, &[ours(&one)], &[ours(&other)]).await?;
        end(world, one.session.id.as_str()).await?;
        streams.expect_cut(WAS_CUT).await
    });
}

#[test]
fn p12_a_ban_cuts_the_streams_of_all_its_owners_sessions_and_nobody_elses() {
    story(&OPEN, async |world| {
        let (ann, bob) = (world.user(), world.user());
        let anns = [ours(&sign_in(world, &ann.email).await?), theirs(&kept(world, &ann.email).await?)];
        let bobs = [ours(&sign_in(world, &bob.email).await?), theirs(&kept(world, &bob.email).await?)];
        let streams = streams(world, &anns, &bobs).await?;
        ban(world, &ann.email).await?;
        streams.expect_cut(WAS_CUT).await
    });
}

#[test]
fn p12_a_stream_ends_with_the_session_that_opened_it() {
    story(&OPEN, async |world| {
        let email = world.user().email;
        let (lasting, long) = (sign_in(world, &email).await?, sign_in(world, &email).await?);
        // Late enough for all streams to be opened before.
        let ends_at = now() + 8;
        let short = Session { ends_at: UnixSeconds(ends_at), ..long.session.clone() };
        ensure!(store(world)?.replace(&long.session, &short, UnixSeconds(now())).await?, "somebody changed it");
        let streams = streams(world, &[ours(&long)], &[ours(&lasting)]).await?;
        streams.end_by_themselves(ends_at).await?;
        streams.expect_cut(EXPIRED).await
    });
}

#[test]
fn p12_what_oauth2_proxy_deletes_takes_its_streams_along() {
    story(&OPEN, async |world| {
        let email = world.user().email;
        let (one, other) = (kept(world, &email).await?, kept(world, &email).await?);
        let ours = ours(&sign_in(world, &email).await?);
        let streams = streams(world, &[theirs(&one)], &[theirs(&other), ours]).await?;
        let deleted: u64 = world.redis.command(cmd("DEL").arg(&one.key)).await?;
        ensure!(deleted == 1, "{} was not there", one.key);
        streams.end_by_themselves(0).await?;
        streams.expect_cut(WAS_CUT).await
    });
}

#[test]
fn p12_a_session_of_oauth2_proxy_that_is_ended_takes_its_streams_along() {
    story(&OPEN, async |world| {
        let email = world.user().email;
        let (one, other) = (kept(world, &email).await?, kept(world, &email).await?);
        let streams = streams(world, &[theirs(&one)], &[theirs(&other)]).await?;
        end(world, &one.key).await?;
        streams.expect_cut(WAS_CUT).await
    });
}

#[test]
fn p12_a_stream_ends_with_the_session_of_oauth2_proxy_that_opened_it() {
    story(&OPEN, async |world| {
        let email = world.user().email;
        let ends_at = now() + 8;
        let orders = vec![Order::of(&email).field("eo", ends_at), Order::of(&email)];
        let sessions = oauth2_proxy::keep(&world.redis, &world.keys.cookies, orders).await?;
        let streams = streams(world, &[theirs(&sessions[0])], &[theirs(&sessions[1])]).await?;
        streams.end_by_themselves(ends_at).await?;
        streams.expect_cut(EXPIRED).await
    });
}
