//! Tokens in headers, query parameters and cookies, and what upstreams and logs get to see of them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::wire::RawRequest;
use e2e::{Plan, Shared, User, World, poll, story};
use serde_json::{Value, json};

/// Reads tokens in every kind of place.
static PLACES: Shared = Shared::new(|| Plan { policy: every_place, ..Plan::default() });

fn every_place(policy: &mut Value) {
    policy["tokens"] = json!({"from": [
        {"header": "authorization", "scheme": "Bearer"}, {"header": "x-api-token", "prefix": "tok-"},
        {"query": "access_token"}, {"cookie": "jwt"},
    ]});
    if let Some(routes) = policy["routes"].as_array_mut() {
        let route = json!({"name": "kept", "match": {"prefix": "/kept"}, "access": "protected", "identity": "upstream",
                           "tokens": {"forward": true, "payload_header": "x-jwt-payload"}});
        routes.insert(0, route);
    }
}

#[test]
fn e4_a_token_is_taken_from_each_place_and_never_passed_on() {
    story(&PLACES, async |world| {
        let User { email, token } = world.user();
        let text = token.text();
        let get = |path: &str| RawRequest::new("GET", path);
        for (place, request) in [
            ("scheme", get("/v1/place").header("authorization", format!("bearer {text}"))),
            ("prefix", get("/v1/place").header("X-Api-Token", format!("tok-{text}"))),
            ("query", get(&format!("/v1/place?a=1&access_token={text}&b=2"))),
            ("cookie", get("/v1/place").header("cookie", format!("a=1; jwt={text}; b=2"))),
            ("spelling", get("/v1/place").header("x-api-token", format!("tok-{text}")).header("x.api.token", &text)),
            ("twice", get(&format!("/v1/place?access_token={text}")).header("authorization", format!("Bearer {text}"))),
        ] {
            let received = world.raw_to(world.envoy.bare(), &request.bytes()).await?.received()?;
            assert_eq!(received.all("x-forwarded-email"), [email.as_str()], "{place}");
            assert!(!format!("{received:?}").contains(&text), "{place}: {received:?}");
            match place {
                "query" => assert_eq!(received.path, "/v1/place?a=1&b=2"),
                "cookie" => assert_eq!(received.all("cookie"), ["a=1; b=2"]),
                _ => assert_eq!(received.path, "/v1/place", "{place}"),
            }
        }
        Ok(())
    });
}

#[test]
fn e4_two_different_tokens_in_two_places_are_refused() {
    story(&PLACES, async |world| {
        let (one, other) = (world.user().token.text(), world.user().token.text());
        for request in [
            RawRequest::new("GET", &format!("/v1/x?access_token={one}")).header("cookie", format!("jwt={other}")),
            RawRequest::new("GET", &format!("/v1/x?access_token={one}&access_token={other}")),
            RawRequest::new("GET", &format!("/v1/x?access_token={one}&%61ccess_token={other}")),
            RawRequest::new("GET", "/v1/x").header("cookie", format!("jwt={one}; jwt={other}")),
        ] {
            let answer = world.raw(&request.bytes()).await?;
            assert_eq!(answer.status, 400, "{answer:?}");
        }
        Ok(())
    });
}

#[test]
fn a_token_in_the_query_is_in_no_log_whatever_becomes_of_the_request() {
    story(&PLACES, async |world| {
        let token = world.user().token;
        let forged = token.clone().signed_with("a secret that the forger made up, long enough");
        for (case, target) in [
            ("admitted", format!("/v1/logged/admitted?access_token={}", token.text())),
            ("forged", format!("/v1/logged/forged?%61ccess%5Ftoken={}", forged.text())),
            ("unusual", format!("/v1//logged/unusual?access_token={}", token.text())),
            ("several", format!("/v1/logged/several?access_token={}&access_token={}", token.text(), forged.text())),
        ] {
            let request = RawRequest::new("GET", &target);
            world.raw_to(world.envoy.bare(), &request.bytes()).await?;
            let logged = target_of(world, case).await?;
            assert!(logged.ends_with(case), "{case}: {logged}");
        }
        let log = world.envoy.output().await;
        for token in [token.text(), forged.text()] {
            assert!(!log.contains(&token), "a token is in the log");
        }
        Ok(())
    });
}

#[test]
fn a_route_passes_the_token_and_its_payload_on_if_its_operator_wants_it() {
    story(&PLACES, async |world| {
        let token = world.user().token;
        let request = RawRequest::new("GET", "/kept/x")
            .header("authorization", token.bearer())
            .header("x.jwt.payload", "forged")
            .header("x-jwt-payload", "forged");
        let received = world.raw(&request.bytes()).await?.received()?;
        assert_eq!(received.all("authorization"), [token.bearer()]);
        let payload = token.text();
        let payload = payload.split('.').nth(1).context("no payload")?;
        assert_eq!((received.all("x-jwt-payload"), received.all("x.jwt.payload").len()), (vec![payload], 0));
        Ok(())
    });
}

/// What the access log says of the request whose path ends like this, once Envoy has written it.
async fn target_of(world: &World, case: &str) -> Result<String> {
    poll::until("the access log holds the request", Duration::from_secs(15), async || {
        let log = world.envoy.output().await;
        let mut entries = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let entry = entries.find(|entry| entry["path"].as_str().is_some_and(|path| path.ends_with(case)));
        let target = entry.as_ref().and_then(|entry| entry["target"].as_str());
        ensure!(target.is_some(), "no entry for {case} yet");
        Ok(target.unwrap_or_default().to_owned())
    })
    .await
}
