//! Browsers with sessions: pages of other sites that misuse them, upstreams that set cookies, sessions that are worth
//! nothing where none is needed, and what people see who may not pass.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::upstream::Received;
use e2e::wire::{Connection, Heard, RawRequest, handshake};
use e2e::{Plan, Shared, World, poll, story};
use reqwest::Method;
use serde_json::{Value, json};

use super::sessions::end;
use crate::people::{COOKIE, SignedIn, sign_in};

static PEOPLE: Shared = Shared::new(|| Plan { policy: with_browsers, ..Plan::default() });

fn with_browsers(policy: &mut Value) {
    policy["sessions"] = json!({"cookie": COOKIE});
    let rule = |name: &str, access: &str, identity: &str| {
        json!({
            "name": name, "match": {"prefix": format!("/{name}")}, "access": access, "sessions": "accept", "identity": identity
        })
    };
    let rules = [
        rule("console", "protected", "upstream"),
        rule("stream", "protected", "upstream"),
        rule("welcome", "optional", "upstream"),
        rule("as-the-app", "optional", "app"),
    ];
    if let Some(routes) = policy["routes"].as_array_mut() {
        // The app's own rules stay first.
        routes.splice(3..3, rules);
    }
}

fn with(session: &SignedIn, method: &str, path: &str) -> RawRequest {
    RawRequest::new(method, path).header("cookie", format!("{COOKIE}={}", session.cookie))
}

/// Waits until every worker of every Envoy answers so.
async fn on_every_worker(world: &World, request: RawRequest, is_so: impl Fn(u16, &str) -> bool) -> Result<()> {
    let bytes = request.bytes();
    for (worker, mut connection) in world.connections_by_worker(1).await? {
        poll::until("every worker answers so", Duration::from_secs(10), async || {
            let answer = connection.send(&bytes).await?;
            ensure!(is_so(answer.status, &answer.body), "{worker}: {answer:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

fn is_anybodys(status: u16, body: &str) -> bool {
    let received = serde_json::from_str::<Received>(body);
    status == 200 && received.is_ok_and(|received| received.all("x-sekisho-subject").is_empty())
}

#[test]
fn a_session_that_was_ended_is_none_where_none_is_needed() {
    story(&PEOPLE, async |world| {
        let cleo = sign_in(world, "cleo@example.com").await?;
        let received = world.raw(&with(&cleo, "GET", "/welcome").bytes()).await?.received()?;
        assert_eq!(received.all("x-forwarded-email"), ["cleo@example.com"]);
        end(world, &cleo.session).await?;
        on_every_worker(world, with(&cleo, "GET", "/console"), |status, _| status == 401).await?;
        on_every_worker(world, with(&cleo, "GET", "/welcome"), is_anybodys).await
    });
}

#[test]
fn a_page_of_another_site_changes_nothing_with_somebodys_session() {
    story(&PEOPLE, async |world| {
        let dora = sign_in(world, "dora@example.com").await?;
        for (number, (name, value, status)) in [
            ("x-none", "1", 403),
            ("origin", "http://evil.example", 403),
            ("origin", "null", 403),
            ("sec-fetch-site", "cross-site", 403),
            ("sec-fetch-site", "same-site", 403),
            ("origin", "http://localhost", 200),
            ("sec-fetch-site", "same-origin", 200),
        ]
        .into_iter()
        .enumerate()
        {
            let path = format!("/console/delete/{number}");
            let answer = world.raw(&with(&dora, "POST", &path).header(name, value).bytes()).await?;
            assert_eq!(answer.status, status, "{name}: {value}: {answer:?}");
            assert_eq!(world.upstream.with_path(&path).len(), usize::from(status == 200), "at the upstream");
            if status == 403 {
                assert_eq!(answer.json()?["code"], "cross_site");
            }
            assert_eq!(world.raw(&with(&dora, "GET", "/console").header(name, value).bytes()).await?.status, 200);
        }
        let token = world.token_of("dora@example.com").bearer();
        let beside = with(&dora, "POST", "/console").header("authorization", token);
        assert_eq!(world.raw(&beside.bytes()).await?.status, 200, "no browser shows a token by itself");
        Ok(())
    });
}

#[test]
fn a_page_of_another_site_opens_no_websocket_with_somebodys_session() {
    story(&PEOPLE, async |world| {
        let emma = sign_in(world, "emma@example.com").await?;
        for origin in ["http://evil.example", "null", ""] {
            let mut connection = Connection::open(world.envoy.edge()).await?;
            let request = handshake(with(&emma, "GET", "/stream/echo").header("origin", origin));
            let answer = connection.send(&request).await?;
            assert_eq!((answer.status, answer.header("upgrade")), (403, None), "{origin}: {answer:?}");
        }
        let mut connection = Connection::open(world.envoy.edge()).await?;
        connection.write(&handshake(with(&emma, "GET", "/stream/echo").header("origin", "http://localhost"))).await?;
        let head = connection.head().await?;
        let mut websocket = connection.upgraded(&head).await?;
        websocket.say("hello").await?;
        ensure!(websocket.hear().await? == Heard::Text("hello".into()), "no echo");
        Ok(())
    });
}

#[test]
fn no_upstream_but_the_app_sets_our_cookies_or_sees_those_of_sign_ins() {
    story(&PEOPLE, async |world| {
        let fay = sign_in(world, "fay@example.com").await?;
        let foreign = ["theme=dark; Path=/", "sekishou=1"];
        let ours = ["sekisho=stolen; Path=/", "sekisho-abc=1; HttpOnly", " =sekisho=x"];
        for (path, is_ours_set, seen) in [
            ("/console/page", false, "a=1; b=2"),
            ("/welcome/page", false, "a=1; b=2"),
            ("/public/page", false, "a=1; b=2"),
            ("/as-the-app/page", true, "a=1; sekisho-abc=sealed; b=2"),
        ] {
            let cookies = format!("a=1; {COOKIE}={}; sekisho-abc=sealed; b=2", fay.cookie);
            let request = RawRequest::new("GET", path).header("cookie", cookies);
            let request = [foreign[0], ours[0], ours[1], foreign[1], ours[2]]
                .into_iter()
                .fold(request, |request, cookie| request.header("x-sample-set-cookie", cookie));
            let answer = world.raw(&request.bytes()).await?;
            let set: Vec<_> =
                answer.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.trim()).collect();
            let expected: Vec<_> = if is_ours_set {
                vec![foreign[0], ours[0], ours[1], foreign[1], ours[2].trim()]
            } else {
                foreign.to_vec()
            };
            assert_eq!(set, expected, "{path}");
            assert_eq!(answer.received()?.all("cookie"), [seen], "{path}");
        }
        Ok(())
    });
}

#[test]
fn somebody_banned_reads_for_how_long_in_a_browser_and_a_program_gets_json() {
    story(&PEOPLE, async |world| {
        let gina = sign_in(world, "gina@example.com").await?;
        assert_eq!(world.raw(&with(&gina, "GET", "/console").bytes()).await?.status, 200);
        let ban = json!({"user_email": "gina@example.com"});
        let banned =
            world.app(Method::POST, "/api/admin/sessions/revoke-user", &world.admin_token(), Some(&ban)).await?;
        assert_eq!(banned.status, 200, "{banned:?}");
        on_every_worker(world, with(&gina, "GET", "/console"), |status, body| {
            status == 403 && serde_json::from_str::<Value>(body).is_ok_and(|body| body["error"] == "Access denied")
        })
        .await?;
        let navigation = with(&gina, "GET", "/console").header("sec-fetch-mode", "navigate");
        let answer = world.raw(&navigation.header("accept-language", "en;q=0.3, ja").bytes()).await?;
        assert_eq!((answer.status, answer.header("content-type")), (403, Some("text/html; charset=utf-8")));
        assert!(answer.body.contains("gina@example.com は利用を停止されています"), "{answer:?}");
        assert!(answer.body.contains("あと7日で") || answer.body.contains("あと6日23時間で"), "{answer:?}");
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{answer:?}");
        on_every_worker(world, with(&gina, "GET", "/welcome"), is_anybodys).await
    });
}

#[test]
fn somebody_whose_session_was_ended_reads_so_where_nobody_said_where_to_sign_in() {
    story(&PEOPLE, async |world| {
        let hana = sign_in(world, "hana@example.com").await?;
        end(world, &hana.session).await?;
        let navigation = || with(&hana, "GET", "/console").header("accept", "text/html");
        on_every_worker(world, navigation(), |status, body| status == 401 && body.contains("<h1>Session ended</h1>"))
            .await
    });
}
