//! Sessions are listed and ended: by a ban, by administrators and by their owners, on every worker.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::load::request;
use e2e::wire::RawRequest;
use e2e::world::APP_HOST;
use e2e::{User, World, story_in};
use reqwest::Method;
use serde_json::{Value, json};

use crate::people::{COOKIE, SignedIn, asking, sign_in, sign_in_at};
use crate::sessions::{is_refused_everywhere, people};

pub(crate) const SESSIONS: &str = "/api/admin/sessions";
const LLM: &str = "/v1/models";

/// A call of an administrator's through Envoy, which every worker acknowledges.
pub(crate) async fn admin(world: &World, method: Method, path: &str) -> Result<Value> {
    world.app(method, path, &world.admin_token(), None).await?.json_with(200)
}

/// The sessions of somebody, as an administrator sees them.
pub(crate) async fn rows_of(world: &World, email: &str) -> Result<Vec<Value>> {
    let list = admin(world, Method::GET, &format!("{SESSIONS}?user_email={email}")).await?;
    Ok(list["sessions"].as_array().context("no list")?.clone())
}

/// Each worker answers each of these requests with this status, now.
async fn everywhere(world: &World, requests: &[Vec<u8>], status: u16) -> Result<()> {
    for (worker, mut connection) in world.connections_by_worker(1).await? {
        for request in requests {
            let answer = connection.send(request).await?;
            ensure!(answer.status == status, "{worker}: {answer:?}");
        }
    }
    Ok(())
}

fn shown(sessions: &[&SignedIn]) -> Vec<Vec<u8>> {
    sessions.iter().map(|session| asking(&session.cookie).bytes()).collect()
}

fn with_token(user: &User) -> Vec<Vec<u8>> {
    vec![request(LLM, user)]
}

/// A call for oneself with the cookie, as a page of the same site makes it.
fn own(method: &str, path: &str, session: &SignedIn) -> Vec<u8> {
    let request = RawRequest::to_host(method, path, APP_HOST).header("cookie", format!("{COOKIE}={}", session.cookie));
    request.header("origin", format!("http://{APP_HOST}")).header("sec-fetch-site", "same-origin").bytes()
}

#[test]
fn a_ban_ends_sessions_and_an_unban_lets_the_token_in_and_asks_browsers_to_sign_in() {
    story_in(people(), async |world| {
        let user = world.user();
        let (one, two) = (sign_in(world, &user.email).await?, sign_in(world, &user.email).await?);
        let other = sign_in(world, &world.user().email).await?;
        everywhere(world, &shown(&[&one, &two, &other]), 200).await?;
        let banned = world.ban(&user).await?.json_with(200)?;
        assert_eq!(banned["deleted_count"], 2, "{banned}");
        everywhere(world, &shown(&[&one, &two]), 403).await?;
        everywhere(world, &with_token(&user), 401).await?;
        admin(world, Method::DELETE, &format!("{SESSIONS}/unban/{}", user.email)).await?;
        let new = sign_in(world, &user.email).await?;
        everywhere(world, &with_token(&user), 200).await?;
        everywhere(world, &shown(&[&one, &two]), 401).await?;
        everywhere(world, &shown(&[&new, &other]), 200).await?;
        let answer = world.raw(&asking(&one.cookie).bytes()).await?.json()?;
        assert_eq!(answer["error"], "Session has been revoked", "{answer}");
        Ok(())
    });
}

#[test]
fn one_session_ends_or_all_of_somebody_and_every_worker_refuses_them_once_that_is_answered() {
    story_in(people(), async |world| {
        let user = world.user();
        let mut sessions = Vec::new();
        for _ in 0..3 {
            sessions.push(sign_in(world, &user.email).await?);
        }
        let [one, two, three] = &sessions[..] else { anyhow::bail!("three sessions") };
        everywhere(world, &shown(&[one, two, three]), 200).await?;
        let path = format!("{SESSIONS}/{}", one.session.id);
        let ended = admin(world, Method::DELETE, &path).await?;
        assert_eq!((&ended["session_key"], &ended["acknowledged"]), (&json!(one.session.id), &ended["workers"]));
        everywhere(world, &shown(&[one]), 401).await?;
        everywhere(world, &shown(&[two, three]), 200).await?;
        let again = world.app(Method::DELETE, &path, &world.admin_token(), None).await?;
        assert_eq!((again.status, again.json()?["session_key"].clone()), (404, json!(one.session.id)));
        let ended = admin(world, Method::DELETE, &format!("{SESSIONS}/user/{}", user.email.to_uppercase())).await?;
        assert_eq!(ended["deleted_count"], 2, "{ended}");
        everywhere(world, &shown(&[one, two, three]), 401).await?;
        everywhere(world, &with_token(&user), 200).await?;
        let new = sign_in(world, &user.email).await?;
        everywhere(world, &shown(&[&new]), 200).await?;
        let logout = json!({"user_email": user.email});
        let path = format!("{SESSIONS}/logout-user");
        let ended = world.app(Method::POST, &path, &world.admin_token(), Some(&logout)).await?.json_with(200)?;
        assert_eq!(ended["deleted_count"], 1, "{ended}");
        everywhere(world, &shown(&[&new]), 401).await?;
        Ok(())
    });
}

#[test]
fn sessions_are_listed_page_by_page_and_told_when_they_were_used() {
    story_in(people(), async |world| {
        let (ann, bob) = (world.user(), world.user());
        let mut keys = BTreeSet::new();
        for _ in 0..230 {
            keys.insert(sign_in(world, &ann.email).await?.session.id.to_string());
        }
        let bobs = sign_in(world, &bob.email).await?;
        for query in [String::new(), format!("&q={}", ann.email), format!("&user_email={}", ann.email)] {
            let (mut seen, mut pages, mut cursor) = (Vec::new(), 0, String::new());
            loop {
                let page = admin(world, Method::GET, &format!("{SESSIONS}?limit=100{query}{cursor}")).await?;
                assert_eq!(page["total"], 231, "{query}");
                let rows = page["sessions"].as_array().context("no list")?;
                seen.extend(rows.iter().filter_map(|row| Some(row["session_key"].as_str()?.to_owned())));
                pages += 1;
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            let distinct: BTreeSet<String> = seen.iter().cloned().collect();
            assert_eq!((pages, seen.len()), (3, distinct.len()), "{query}: none twice");
            let expected = if query.is_empty() { 231 } else { 230 };
            assert_eq!((distinct.len(), distinct.is_superset(&keys)), (expected, true), "{query}");
        }
        let stats = admin(world, Method::GET, &format!("{SESSIONS}/stats")).await?;
        assert_eq!(stats["user_sessions"], json!({ann.email.as_str(): 230, bob.email.as_str(): 1}), "{stats}");
        let row = &rows_of(world, &bob.email).await?[0];
        assert_eq!(row["session_key"], json!(bobs.session.id), "{row}");
        assert_eq!(
            (&row["address"], &row["agent"], &row["method"]),
            (&json!("192.0.2.7"), &json!("Fox"), &json!("session"))
        );
        Ok(())
    });
}

#[test]
fn people_see_and_end_their_own_sessions_with_the_cookie_alone() {
    story_in(people(), async |world| {
        let (ann, bob) = (world.user(), world.user());
        let here = sign_in_at(world, &ann.email, APP_HOST).await?;
        let elsewhere = sign_in(world, &ann.email).await?;
        let bobs = sign_in(world, &bob.email).await?;
        let listed = world.raw(&own("GET", "/api/session", &here)).await?.json_with(200)?;
        assert_eq!((&listed["user_email"], &listed["count"]), (&json!(ann.email), &json!(2)), "{listed}");
        for row in listed["sessions"].as_array().context("no list")? {
            assert_eq!(row["is_current"], json!(row["session_key"] == json!(here.session.id)), "{row}");
        }
        let of_bob = format!("/api/session?session_key={}", bobs.session.id);
        assert_eq!(world.raw(&own("DELETE", &of_bob, &here)).await?.status, 404);
        let of_ann = format!("/api/session?session_key={}", elsewhere.session.id);
        world.raw(&own("DELETE", &of_ann, &here)).await?.json_with(200)?;
        everywhere(world, &shown(&[&elsewhere]), 401).await?;
        everywhere(world, &shown(&[&bobs]), 200).await?;
        world.raw(&own("DELETE", "/api/session", &here)).await?.json_with(200)?;
        everywhere(world, &[own("GET", "/api/session", &here)], 401).await?;
        is_refused_everywhere(world, &elsewhere.cookie, 401).await?;
        let as_admin = own("GET", SESSIONS, &sign_in_at(world, e2e::world::ADMIN, APP_HOST).await?);
        assert_eq!(world.raw(&as_admin).await?.status, 200, "a session holds what admin calls need besides the role");
        let as_bob = own("GET", SESSIONS, &sign_in_at(world, &bob.email, APP_HOST).await?);
        assert_eq!(world.raw(&as_bob).await?.status, 403, "and without the role that is nothing");
        Ok(())
    });
}
