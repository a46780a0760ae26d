//! Fills Redis and databases as the product does: by its own stores, its mesh listener and its API.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Result, ensure};
use e2e::token::{now, now_ms};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use redis::cmd;
use reqwest::Method;
use sekisho_protocol::activity::{ActivityReport, Method as Credential, SubjectActivity};
use sekisho_protocol::{Email, PROTOCOL, ReplicaId, Subject, path};
use sekisho_sidecar::domain::audit::{Action, By, Event, Outcome};
use sekisho_sidecar::domain::session::{Session, SessionId};
use sekisho_sidecar::domain::time::UnixSeconds;
use sekisho_sidecar::domain::token::TokenRecord;
use sekisho_sidecar::service::audit::trail::Trail as _;
use sekisho_sidecar::service::sessions::SessionStore as _;
use sekisho_sidecar::service::tokens::TokenStore as _;
use sekisho_sidecar::store::redis::sessions::RedisSessions;
use sekisho_sidecar::store::redis::tokens::RedisTokens;
use sekisho_sidecar::store::sql::Sql;
use sekisho_sidecar::store::sql::audit::SqlTrail;
use serde_json::json;

use crate::scene::{self, Scene};

pub(crate) const PEOPLE: u64 = 50_000;
pub(crate) const TOKENS: u64 = 100_000;
pub(crate) const SESSIONS: u64 = 100_000;
pub(crate) const BANS: u64 = 10_000;
pub(crate) const EVENTS: u64 = 1_000_000;

/// Of so many tokens one has ended, and left behind what a clean-up clears away.
const LEFT_BEHIND: u64 = 10;
/// Calls at a time.
const LANES: usize = 32;
/// Rows of one report.
const ROWS: u64 = 1_000;
/// Events of one transaction.
const BATCH: u64 = 5_000;
/// How long ago the oldest event was, in milliseconds: less than the trail keeps.
const HISTORY_MS: u64 = 80 * 86_400_000;

/// Whose address has this number.
pub(crate) fn person(number: u64) -> String {
    format!("person-{number:05}@example.com")
}

/// The id of the token with this number.
fn token(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// Two tokens for each person.
///
/// # Errors
/// Redis is away.
pub(crate) async fn tokens(scene: &Scene) -> Result<()> {
    let (store, begin) = (RedisTokens::new(scene.client()?), now());
    let all = stream::iter((0..TOKENS).map(|number| {
        let store = store.clone();
        let record = TokenRecord {
            token_id: token(number),
            user_email: person(number / 2),
            token_name: format!("laptop {}", number % 1_000),
            scopes: vec!["api:read".to_owned(), "api:write".to_owned()],
            created_at: begin - number % 100_000,
            expires_at: begin + 86_400 + number % 1_000_000,
            ..TokenRecord::default()
        };
        async move { store.insert(&record).await }
    }));
    all.buffer_unordered(LANES).try_collect::<()>().await?;
    Ok(())
}

/// Two sessions for each of as many other people: nobody of them is banned, which would end them.
///
/// # Errors
/// Redis is away.
pub(crate) async fn sessions(scene: &Scene) -> Result<()> {
    let (store, begin) = (RedisSessions::new(scene.client()?), UnixSeconds(now()));
    let all = stream::iter((0..SESSIONS).map(|number| {
        let store = store.clone();
        async move {
            let owner = person(PEOPLE + number / 2);
            let session = Session {
                id: SessionId::parse(&format!("{number:043}"))?,
                subject: Subject::try_from(owner.clone())?,
                email: Some(Email::parse(&owner)?),
                host: "app.example.com".to_owned(),
                method: Credential::Session,
                claims: serde_json::Map::from_iter([("groups".to_owned(), json!(["sales", "support"]))]),
                signed_in_at: UnixSeconds(begin.get() - 3_600 - number % 10_000),
                last_access: UnixSeconds(begin.get() - number % 3_600),
                ends_at: begin.plus(43_200),
                idle_s: 14_400,
                refresh_at: None,
                address: Some(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(number)?))),
                agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".to_owned().into()),
            };
            anyhow::Ok(store.insert(&session, begin).await?)
        }
    }));
    all.buffer_unordered(LANES).try_collect().await
}

/// What tokens leave behind that end, as Redis drops their records.
///
/// # Errors
/// Redis is away.
pub(crate) async fn leftovers(scene: &Scene) -> Result<u64> {
    let ended: Vec<String> =
        (0..TOKENS).step_by(LEFT_BEHIND as usize).map(|number| format!("token:info:{}", token(number))).collect();
    let mut dropped = 0;
    for some in ended.chunks(100) {
        dropped += scene.redis.command::<u64>(cmd("DEL").arg(some)).await?;
    }
    Ok(dropped)
}

/// Each person came once, with a token.
///
/// # Errors
/// The sidecar takes no report.
pub(crate) async fn active_users(scene: &Scene) -> Result<()> {
    let (client, url) = (scene::envoy()?, format!("http://127.0.0.1:{}{}", scene.sidecar.ports().mesh, path::ACTIVITY));
    for sequence in 1..=PEOPLE / ROWS {
        let rows = (sequence - 1) * ROWS..sequence * ROWS;
        let subjects = rows.map(|number| {
            Ok(SubjectActivity {
                subject: Subject::try_from(person(number))?,
                method: Credential::Jwt,
                token_id: Some(token(number * 2 + 1)),
                requests: 1 + number % 100,
                last_access: now() - number % 3_600,
                address: Some(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(number)?))),
            })
        });
        let report = ActivityReport {
            protocol: PROTOCOL,
            replica: ReplicaId::from_bytes([7; 16]),
            sequence,
            subjects: subjects.collect::<Result<_>>()?,
            outcomes: Vec::new(),
            verifications: Vec::new(),
            dropped: 0,
        };
        let answer = client.post(&url).bearer_auth(&scene.keys.mesh).json(&report).send().await?;
        ensure!(answer.status().is_success(), "{answer:?}");
    }
    Ok(())
}

/// Bans every fifth person.
///
/// # Errors
/// The sidecar bans nobody.
pub(crate) async fn bans(scene: &Scene) -> Result<()> {
    let all = stream::iter((0..BANS).map(async |number| {
        let body = json!({"user_email": person(number * 5), "reason": "a measurement"});
        scene.call(Method::POST, "/api/admin/sessions/revoke-user", Some(&body)).await.map(drop)
    }));
    all.buffer_unordered(LANES).try_collect().await
}

/// Events of the last months.
///
/// # Errors
/// The database is away.
pub(crate) async fn events(sql: Sql) -> Result<()> {
    let (trail, begin) = (SqlTrail::new(sql), now_ms() - HISTORY_MS);
    for batch in 0..EVENTS / BATCH {
        let events: Vec<Event> = (batch * BATCH..(batch + 1) * BATCH).map(|number| event(number, begin)).collect();
        trail.append(&events).await?;
    }
    Ok(())
}

fn event(number: u64, begin: u64) -> Event {
    let at_ms = begin + number * (HISTORY_MS / EVENTS);
    let id = format!("{:08x}-{:04x}-7000-8000-{number:012}", at_ms >> 16, at_ms & 0xffff);
    let action = match number % 10 {
        0 => Action::BanGiven,
        1 => Action::BanLifted,
        2 => Action::TokenRevoked,
        _ => Action::TokenIssued,
    };
    let by = By::caller(&format!("admin-{}@example.com", number % 50));
    let mut event = Event::begun(id, at_ms, action, by, Some(&person(number * 7 % PEOPLE)));
    event.outcome = Outcome::Done;
    event
}
