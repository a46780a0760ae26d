//! Streams that are open already end with what admitted them (rule P12).
//!
//! A ban, a revocation, a logout everywhere and the end of the token itself cut what they concern, on
//! every worker, before the change is acknowledged; unless the route says `on_ban: finish`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::wire::Connection;
use e2e::{Plan, Shared, Token, User, World, poll, story};
use reqwest::Method;
use serde_json::{Value, json};

mod http2;
pub(crate) mod open;
mod sessions;

use crate::bans::{ban, lift};
use open::{Kind, Mark, Open, connections_to_each_worker};

/// A route as it is unless it says otherwise.
const CUT: &str = "cut.localhost";
/// A route that lets streams finish.
const FINISH: &str = "finish.localhost";
/// What a request gets that is cut before its answer has begun.
const WAS_CUT: (u16, &str) = (503, "stream_cut");
/// The same at the end of its token, or its session.
const EXPIRED: (u16, &str) = (401, "token_expired");
/// In which time streams end by themselves whose credentials do.
const ENDED: Duration = Duration::from_secs(15);

static OPEN: Shared = Shared::in_turn(|| Plan { policy: with_both_routes, ..Plan::default() });

fn with_both_routes(policy: &mut Value) {
    // Not 0: to a clock that is a moment behind, a token of this very second is not valid yet.
    policy["providers"][0]["leeway_s"] = json!(1);
    if let Some(routes) = policy["routes"].as_array_mut() {
        let route = |name: &str, host: &str| json!({"name": name, "match": {"host": host}, "access": "protected", "identity": "upstream"});
        let mut finish = route("finish", FINISH);
        finish["on_ban"] = json!("finish");
        routes.splice(0..0, [route("cut", CUT), finish]);
    }
}

#[test]
fn p12_a_ban_cuts_every_kind_of_stream_on_every_worker_and_nobody_elses() {
    story(&OPEN, async |world| {
        let (ann, bob) = (world.user(), world.user());
        let streams = Streams::of(world, &ann.token.bearer(), &bob.token.bearer()).await?;
        ban(world, &ann.email).await?;
        streams.expect_cut(WAS_CUT).await
    });
}

#[test]
fn p12_a_revocation_cuts_the_streams_of_that_token_and_not_those_of_its_sisters() {
    story(&OPEN, async |world| {
        let User { token, .. } = world.user();
        let (id, bearer) = minted(world, &token).await?;
        let streams = Streams::of(world, &bearer, &token.bearer()).await?;
        let body = json!({"token_id": id});
        world.app(Method::POST, "/api/token/revoke", &token, Some(&body)).await?.json_with(200)?;
        streams.expect_cut(WAS_CUT).await
    });
}

#[test]
fn p12_a_logout_everywhere_cuts_the_streams_of_earlier_tokens_and_nobody_elses() {
    story(&OPEN, async |world| {
        let (ann, bob) = (world.user(), world.user());
        let earlier = world.token_of(&ann.email).claim("iat", e2e::token::now() - 60);
        let streams = Streams::of(world, &earlier.bearer(), &bob.token.bearer()).await?;
        let body = json!({"user_email": ann.email});
        let path = "/api/admin/sessions/logout-user";
        world.app(Method::POST, path, &world.admin_token(), Some(&body)).await?.json_with(200)?;
        streams.expect_cut(WAS_CUT).await
    });
}

#[test]
fn p12_a_stream_ends_with_its_token() {
    story(&OPEN, async |world| {
        let User { email, token: lasting } = world.user();
        let expires = e2e::token::now() + 4;
        let short = world.token_of(&email).claim("exp", expires);
        let streams = Streams::of(world, &short.bearer(), &lasting.bearer()).await?;
        streams.end_by_themselves(expires).await?;
        streams.expect_cut(EXPIRED).await
    });
}

#[test]
fn p12_after_an_unban_a_new_stream_works_at_once() {
    story(&OPEN, async |world| {
        let User { email, token } = world.user();
        ban(world, &email).await?;
        lift(world, &email).await?;
        for connections in connections_to_each_worker(world, Kind::ALL.len()).await? {
            for (kind, connection) in Kind::ALL.into_iter().zip(connections) {
                Open::begin(world, connection, kind, CUT, &by(&token.bearer())).await?.ends_well().await?;
            }
        }
        Ok(())
    });
}

#[test]
fn p12_of_two_hundred_streams_exactly_those_of_the_banned_end() {
    const STREAMS_EACH: usize = 2;
    story(&OPEN, async |world| {
        let users: Vec<User> = (0..100).map(|_| world.user()).collect();
        let mut streams = Vec::new();
        for user in &users {
            for _ in 0..STREAMS_EACH {
                let connection = Connection::open(world.envoy.edge()).await?;
                streams.push(Open::begin(world, connection, Kind::Idle, CUT, &by(&user.token.bearer())).await?);
            }
        }
        let kept = streams.split_off(50 * STREAMS_EACH);
        for user in &users[..50] {
            ban(world, &user.email).await?;
        }
        for open in streams {
            let mark = open.mark();
            open.was_cut(mark, WAS_CUT).await?;
        }
        for open in kept {
            open.ends_well().await?;
        }
        Ok(())
    });
}

/// Every kind of stream on every worker, three times.
struct Streams {
    /// Those that are to be cut.
    cut: Vec<Open>,
    /// The same token's on the route that lets them finish.
    finish: Vec<Open>,
    /// Somebody else's.
    others: Vec<Open>,
}

impl Streams {
    async fn of(world: &World, bearer: &str, other: &str) -> Result<Self> {
        let mut streams = Self { cut: Vec::new(), finish: Vec::new(), others: Vec::new() };
        for mut connections in connections_to_each_worker(world, 3 * Kind::ALL.len()).await? {
            let mut others = connections.split_off(Kind::ALL.len());
            let finish = others.split_off(Kind::ALL.len());
            streams.cut.extend(each_kind(world, connections, CUT, &by(bearer)).await?);
            streams.finish.extend(each_kind(world, finish, FINISH, &by(bearer)).await?);
            streams.others.extend(each_kind(world, others, CUT, &by(other)).await?);
        }
        Ok(streams)
    }

    /// Waits until the upstream was left by those that are to be cut, which is not the case before `earliest`, Unix seconds.
    async fn end_by_themselves(&self, earliest: u64) -> Result<()> {
        for open in &self.cut {
            let (kind, visit) = (open.kind, &open.visit);
            poll::until_true(&format!("{kind:?} has ended"), ENDED, async || Ok(!visit.is_open())).await?;
            let now = e2e::token::now();
            ensure!(now >= earliest, "{kind:?} ended at {now}, before {earliest}");
        }
        Ok(())
    }

    /// Called at the very moment of the acknowledgement.
    async fn expect_cut(self, instead: (u16, &str)) -> Result<()> {
        let marks: Vec<Mark> = self.cut.iter().map(Open::mark).collect();
        for (open, mark) in self.cut.into_iter().zip(marks) {
            open.was_cut(mark, instead).await?;
        }
        for open in self.finish.into_iter().chain(self.others) {
            open.ends_well().await?;
        }
        Ok(())
    }
}

/// What somebody shows who comes with a token.
fn by(bearer: &str) -> [(&str, &str); 1] {
    [("authorization", bearer)]
}

async fn each_kind(
    world: &World,
    connections: Vec<Connection>,
    host: &str,
    shown: &[(&str, &str)],
) -> Result<Vec<Open>> {
    let mut streams = Vec::new();
    for (kind, connection) in Kind::ALL.into_iter().zip(connections) {
        streams.push(Open::begin(world, connection, kind, host, shown).await?);
    }
    Ok(streams)
}

/// Id and bearer of a token that the token API minted: no other can be revoked.
async fn minted(world: &World, token: &Token) -> Result<(String, String)> {
    let body = json!({"token_name": "a story"});
    let minted = world.app(Method::POST, "/api/token/generate", token, Some(&body)).await?.json_with(200)?;
    let text = |name: &str| minted[name].as_str().map(str::to_owned).with_context(|| format!("no {name}: {minted}"));
    Ok((text("token_id")?, format!("Bearer {}", text("token")?)))
}
