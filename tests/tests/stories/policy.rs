//! What rules add to a valid credential, and what a push of other rules changes.

use anyhow::{Context, Result, ensure};
use e2e::envoy::Listeners;
use e2e::token::Token;
use e2e::wire::{Connection, RawRequest};
use e2e::{Answer, Plan, Shared, User, World, story, story_in};
use serde_json::{Value, json};

/// Rules about scopes, claims and addresses, with a credential for the upstream.
static RULES: Shared = Shared::new(|| Plan { policy: with_rules, ..Plan::default() });

fn with_rules(policy: &mut Value) {
    policy["client_address"] = "connection".into();
    policy["explain"] = json!({"key_env": "SEKISHO_UPSTREAM_IDENTITY_KEY"});
    let rules = json!([
        {
            "name": "team", "match": {"template": "/teams/{team}/{*rest}"}, "access": "protected", "identity": "upstream",
            "require": {"claims": [{"claim": "team", "equals_path": "team"}]},
            "identity_headers": [
                {"header": "x-forwarded-email", "value": "email"}, {"header": "x-team", "claim": "team"},
                {"header": "x-roles", "claim": "/realm_access/roles"}
            ]
        },
        {
            "name": "write", "match": {"prefix": "/write", "methods": ["POST", "PUT"]}, "access": "protected",
            "require": {"scopes": {"all": ["write:all"]}}
        },
        {
            "name": "key", "match": {"prefix": "/key"}, "access": "protected",
            "upstream_credential": [
                {"when": {"scopes": {"all": ["admin"]}}, "secret_env": "SEKISHO_UPSTREAM_IDENTITY_KEY"},
                {"header": "x-api-key", "secret_env": "SEKISHO_UPSTREAM_IDENTITY_KEY"}
            ]
        },
        {
            "name": "office", "match": {"prefix": "/office"}, "access": "public",
            "require": {"addresses": {"allow": ["127.0.0.0/8"]}}
        },
        {
            "name": "elsewhere", "match": {"prefix": "/elsewhere"}, "access": "public",
            "require": {"addresses": {"block": ["127.0.0.1"]}}
        },
        {
            "name": "page", "match": {"prefix": "/page"}, "access": "protected",
            "answers": {"sign_in": "/oauth2/start", "custom": {"403": {"status": 404, "body": "{code}"}}}
        },
        {"name": "closed", "match": {"prefix": "/closed"}, "access": "deny"},
        {"name": "perhaps", "match": {"prefix": "/perhaps"}, "access": "optional", "identity": "upstream"}
    ]);
    if let (Some(routes), Value::Array(mut rules)) = (policy["routes"].as_array_mut(), rules) {
        // The app's own rules stay first.
        let rest = routes.split_off(3);
        routes.append(&mut rules);
        routes.extend(rest);
    }
}

fn bearing(method: &str, path: &str, token: &Token) -> RawRequest {
    RawRequest::new(method, path).header("authorization", token.bearer())
}

fn code(answer: &Answer) -> Result<String> {
    let body: Value = serde_json::from_str(&answer.body).with_context(|| format!("no JSON: {answer:?}"))?;
    Ok(body["code"].as_str().context("no code")?.to_owned())
}

#[test]
fn a_claim_opens_the_paths_that_it_names_and_reaches_the_upstream_as_a_header() {
    story(&RULES, async |world| {
        let token = world.user().token.claim("team", "blue").claim("realm_access", json!({"roles": ["a", "b"]}));
        let request = bearing("GET", "/teams/blue/board", &token).header("X-Team", "red").header("x-roles", "root");
        let received = world.raw(&request.bytes()).await?.received()?;
        assert_eq!(received.all("x-team"), ["blue"]);
        assert_eq!(received.all("x-roles"), ["a,b"]);
        assert!(received.all("x-sekisho-subject").is_empty(), "the rule names its headers itself");
        assert_eq!(received.all("authorization").len(), 0);
        let answer = world.raw(&bearing("GET", "/teams/red/board", &token).bytes()).await?;
        assert_eq!((answer.status, code(&answer)?.as_str()), (403, "claim_mismatch"));
        Ok(())
    });
}

#[test]
fn a_missing_scope_is_named_in_the_challenge() {
    story(&RULES, async |world| {
        let User { token, .. } = world.user();
        let answer = world.raw(&bearing("POST", "/write/x", &token).header("content-length", "0").bytes()).await?;
        assert_eq!((answer.status, code(&answer)?.as_str()), (403, "scope_missing"));
        let challenge = answer.header("www-authenticate").context("no challenge")?;
        ensure!(challenge.contains(r#"error="insufficient_scope""#) && challenge.contains(r#"scope="write:all""#));
        assert_eq!(world.raw(&bearing("GET", "/write/x", &token).bytes()).await?.status, 200, "another rule's method");
        Ok(())
    });
}

#[test]
fn the_upstream_is_shown_its_own_credential() {
    story(&RULES, async |world| {
        let User { token, .. } = world.user();
        let request = bearing("GET", "/key/1", &token).header("x-api-key", "mine").header("X_Api_Key", "mine");
        let received = world.raw_to(world.envoy.bare(), &request.bytes()).await?.received()?;
        assert_eq!(received.all("x-api-key"), [world.keys.upstream.as_str()]);
        assert!(received.all("x_api_key").is_empty() && received.all("authorization").is_empty());
        let admin = token.claim("scopes", json!(["admin"])).claim("jti", "another");
        let received = world.raw(&bearing("GET", "/key/2", &admin).bytes()).await?.received()?;
        assert_eq!(received.all("authorization"), [format!("Bearer {}", world.keys.upstream)]);
        Ok(())
    });
}

#[test]
fn e3_an_address_is_the_one_that_envoy_saw_whatever_the_client_writes() {
    story(&RULES, async |world| {
        for claimed in ["", "203.0.113.9", "203.0.113.9, 10.0.0.1"] {
            let ask = |path| RawRequest::new("GET", path).header("x-forwarded-for", claimed).bytes();
            assert_eq!(world.raw(&ask("/office/x")).await?.status, 200, "{claimed}");
            let answer = world.raw(&ask("/elsewhere/x")).await?;
            assert_eq!((answer.status, code(&answer)?.as_str()), (403, "address_not_allowed"), "{claimed}");
        }
        Ok(())
    });
}

#[test]
fn browsers_are_sent_to_sign_in_and_operators_write_their_own_refusals() {
    story(&RULES, async |world| {
        let page =
            RawRequest::new("GET", "/page/a?b=c").header("sec-fetch-mode", "navigate").header("accept", "text/html");
        let answer = world.raw(&page.bytes()).await?;
        assert_eq!((answer.status, answer.header("location")), (302, Some("/oauth2/start?rd=/page/a%3Fb%3Dc")));
        let call = RawRequest::new("GET", "/page/a").header("sec-fetch-mode", "cors").header("accept", "*/*");
        assert_eq!(world.raw(&call.bytes()).await?.status, 401);
        let closed = world.raw(&RawRequest::new("GET", "/closed").bytes()).await?;
        assert_eq!((closed.status, code(&closed)?.as_str()), (403, "route_closed"));
        Ok(())
    });
}

#[test]
fn whoever_need_not_sign_in_may_and_is_known_then() {
    story(&RULES, async |world| {
        let User { email, token } = world.user();
        let received = world.raw(&RawRequest::new("GET", "/perhaps").bytes()).await?.received()?;
        assert!(received.all("x-sekisho-identity").is_empty());
        let received = world.raw(&bearing("GET", "/perhaps", &token).bytes()).await?.received()?;
        assert_eq!(received.all("x-forwarded-email"), [email.as_str()]);
        let forged = token.signed_with("a secret that the forger made up, long enough");
        assert_eq!(world.raw(&bearing("GET", "/perhaps", &forged).bytes()).await?.status, 401);
        Ok(())
    });
}

/// What the answer says about the cache, asked over `connection`.
async fn cache(world: &World, connection: &mut Connection, path: &str, token: &Token) -> Result<(u16, String)> {
    let request = bearing("GET", path, token).header("x-sekisho-explain", &world.keys.upstream);
    let answer = connection.send(&request.bytes()).await?;
    Ok((answer.status, answer.header("x-sekisho-cache").context("nothing is explained")?.to_owned()))
}

#[test]
fn p11_a_push_of_other_rules_applies_at_once_and_costs_no_cached_token_its_place() {
    story_in(Plan { listeners: Listeners::FromFile, policy: with_rules, ..Plan::default() }, async |world| {
        let token = world.user().token.claim("team", "blue").claim("floor", 7);
        let replicas = world.replicas().await?;
        for connection in &mut world.connections_to_every_worker().await? {
            cache(world, connection, "/teams/blue/x", &token).await?;
            assert_eq!(cache(world, connection, "/teams/blue/x", &token).await?, (200, "hit".into()));
        }
        let other = |floor: u64| {
            move |policy: &mut Value| {
                policy["routes"][3]["require"] = json!({"claims": [{"claim": "floor", "equals": floor}]});
            }
        };
        for (floor, status) in [(8, 403), (7, 200)] {
            world.envoy.push_policy(other(floor)).await?;
            for connection in &mut world.connections_to_every_worker().await? {
                assert_eq!(cache(world, connection, "/teams/red/x", &token).await?, (status, "hit".into()));
            }
        }
        assert_eq!(world.replicas().await?, replicas, "other replicas are on record than before");
        Ok(())
    });
}

#[test]
fn a_push_of_a_wrong_configuration_leaves_the_old_one_serving() {
    story_in(Plan { listeners: Listeners::FromFile, policy: with_rules, ..Plan::default() }, async |world| {
        let User { token, .. } = world.user();
        let wrong = |policy: &mut Value| policy["routes"][3]["require"] = json!({"scope": "x"});
        let refused = world.envoy.push_policy(wrong).await;
        ensure!(refused.is_err(), "Envoy took a wrong configuration");
        let log = world.envoy.output().await;
        ensure!(log.contains("configuration refused: routes[3].require.scope: is not a known field"), "{log}");
        assert_eq!(world.get("/v1/models", &token).await?.status, 200);
        assert_eq!(world.raw(&RawRequest::new("GET", "/closed").bytes()).await?.status, 403);
        assert_eq!(world.envoy.vm_reloads().await?, 0);
        Ok(())
    });
}
