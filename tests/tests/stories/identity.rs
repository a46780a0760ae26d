//! Assertions that are signed with a key pair: upstreams verify them with other people's libraries and the published
//! keys, as the examples in `docs/identity.md` do, and nobody takes one for a token.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use e2e::peers::Maker;
use e2e::peers::mint::MAKERS;
use e2e::peers::verify::{Outcome, Question};
use e2e::token::{now, verify_assertion};
use e2e::wire::{Connection, RawRequest};
use e2e::world::{APP_HOST, Keys};
use e2e::{Plan, Shared, Token, World, story};
use reqwest::Method;
use sekisho_core::identity::key::published;
use sekisho_protocol::identity::TYPE;
use serde_json::{Value, json};
use tokio::net::TcpListener;

mod signed;

use signed::{claims_of, hostile, sign};

#[expect(unreachable_pub, reason = "an example for others' programs, where it is in their library")]
#[path = "../../../docs/examples/verify-identity/verify.rs"]
mod example;

const HEADER: &str = "x-sekisho-identity";
const JWKS: &str = "/.well-known/jwks.json";
/// The algorithms of key pairs, each with the type of its keys as makers call it.
const ALGORITHMS: [(&str, &str); 2] = [("EdDSA", "Ed25519"), ("ES256", "P-256")];

/// A world with an upstream for each algorithm.
static UPSTREAMS: Shared = Shared::new(|| Plan { policy: with_upstreams, ..Plan::default() });
/// The same, whose operator went too far: the keys of assertions, and their audiences, are also those of tokens.
static TRUSTING: Shared = Shared::new(|| Plan { policy: trusting, ..Plan::default() });

fn with_upstreams(policy: &mut Value) {
    for (algorithm, _) in ALGORITHMS {
        let (name, prefix) = (audience(algorithm), format!("/{algorithm}"));
        let route = json!({"name": name, "match": {"prefix": prefix}, "access": "protected", "identity": name});
        let identity = json!({"name": name, "audience": name, "algorithm": algorithm});
        for (list, item) in [("routes", route), ("identities", identity)] {
            if let Some(items) = policy[list].as_array_mut() {
                items.insert(0, item);
            }
        }
    }
}

fn trusting(policy: &mut Value) {
    with_upstreams(policy);
    let tokens = &mut policy["providers"][0];
    tokens["jwks"] = json!({"keys": published(Keys::default().mesh.as_bytes())});
    if let Some(audiences) = tokens["audiences"].as_array_mut() {
        audiences.extend(ALGORITHMS.map(|(algorithm, _)| Value::from(audience(algorithm))));
    }
    // As an address is claimed in an assertion.
    tokens["email_claim"] = "email".into();
}

fn audience(algorithm: &str) -> String {
    format!("agent-{}", algorithm.to_lowercase())
}

#[test]
fn e6_the_examples_of_the_documentation_believe_what_reached_the_upstream_and_nothing_else() {
    story(&UPSTREAMS, async |world| {
        let url = relay(world.envoy.edge()).await?;
        for (algorithm, kind) in ALGORITHMS {
            let user = world.user();
            let real = asserted(world, algorithm, &user.token).await?;
            let mut cases = vec![("as it reached the upstream", real.clone(), true)];
            cases.extend(hostile(world, algorithm, kind, &real)?);
            let assertions: Vec<String> = cases.iter().map(|(_, assertion, _)| assertion.clone()).collect();
            for by in Verifier::ALL {
                let outcomes = by.verify(&url, &audience(algorithm), &assertions).await?;
                assert_eq!(outcomes.len(), cases.len());
                for ((what, _, good), outcome) in cases.iter().zip(&outcomes) {
                    let believed = matches!(outcome, Outcome::Claims(claims) if claims["sub"] == *user.email);
                    assert_eq!(believed, *good, "{algorithm} by {by:?}, {what}: {outcome:?}");
                }
                let elsewhere = by.verify(&url, "agent-elsewhere", &assertions).await?;
                assert!(elsewhere.iter().all(|outcome| matches!(outcome, Outcome::Refused(_))), "{elsewhere:?}");
            }
        }
        Ok(())
    });
}

#[test]
fn e6_an_assertion_of_a_key_pair_is_kept_from_the_first_request_on() {
    story(&UPSTREAMS, async |world| {
        for (algorithm, _) in ALGORITHMS {
            let (token, mut connection) = (world.user().token, Connection::open(world.envoy.edge()).await?);
            let mut shown = Vec::new();
            for _ in 0..5 {
                let received = connection.send(&request(algorithm, &token)).await?.received()?;
                shown.push(received.one(HEADER).context("no assertion")?.to_owned());
            }
            // A quarter of a minute may end in between, once.
            let made = shown.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!(made <= 1, "{algorithm}: {shown:?}");
        }
        Ok(())
    });
}

#[test]
fn the_keys_of_assertions_stand_beside_those_of_tokens_and_are_none_themselves() {
    story(&UPSTREAMS, async |world| {
        let keys = json!(published(world.keys.mesh.as_bytes()));
        let set = jwks(world.envoy.edge()).await?;
        let set: Value = serde_json::from_str(&set)?;
        for key in keys.as_array().context("no keys")? {
            let found = set["keys"].as_array().is_some_and(|set| set.contains(key));
            assert!(found, "{key} is not in {set}");
        }
        // What such a key signs is no token, even if it says that it is one, and the filters know keys of tokens.
        let rotate = json!({"algorithm": "EdDSA"});
        let path = "/api/admin/keys/rotate";
        world.app(Method::POST, path, &world.admin_token(), Some(&rotate)).await?.json_with(200)?;
        for (algorithm, _) in ALGORITHMS {
            let claims = token_claims(&world.user().email, "litellm-api");
            let token = sign(world, algorithm, &claims, "JWT", None)?;
            assert_eq!(refusal(world, &token).await?, "token_key", "{algorithm}");
        }
        Ok(())
    });
}

#[test]
fn rfc_8725_3_11_an_assertion_that_is_sent_back_is_no_token_even_where_its_keys_and_audience_would_do() {
    story(&TRUSTING, async |world| {
        for (algorithm, _) in ALGORITHMS {
            let user = world.user();
            // The claim of an address is another one in this world.
            let token = user.token.claim("email", user.email.as_str());
            let assertion = asserted(world, algorithm, &token).await?;
            assert_eq!(refusal(world, &assertion).await?, "token_type", "{algorithm}");
            // Everything but its type would do.
            let mut claims = claims_of(&assertion)?;
            for (typ, status) in [("JWT", 200), (TYPE, 401)] {
                claims["exp"] = json!(now() + 300);
                let signed = sign(world, algorithm, &claims, typ, None)?;
                let request = RawRequest::new("GET", "/v1/models").header("authorization", format!("Bearer {signed}"));
                assert_eq!(world.raw(&request.bytes()).await?.status, status, "{algorithm}, {typ}");
            }
        }
        Ok(())
    });
}

#[test]
fn what_is_signed_with_a_secret_is_an_assertion_as_before() {
    story(&UPSTREAMS, async |world| {
        let user = world.user();
        let received = world.get("/v1/models", &user.token).await?.received()?;
        let assertion = received.one(HEADER).context("no assertion")?;
        let claims = verify_assertion(assertion, world.keys.upstream.as_bytes(), "sample-upstream")?;
        assert_eq!(claims["sub"], *user.email);
        Ok(())
    });
}

/// An example of the documentation.
#[derive(Debug, Clone, Copy)]
enum Verifier {
    Of(Maker),
    Rust,
}

impl Verifier {
    const ALL: [Self; 3] = [Self::Of(MAKERS[0]), Self::Of(MAKERS[1]), Self::Rust];

    async fn verify(self, jwks_url: &str, audience: &str, assertions: &[String]) -> Result<Vec<Outcome>> {
        match self {
            Self::Of(maker) => {
                let (jwks_url, audience, assertions) = (jwks_url.to_owned(), audience.to_owned(), assertions.to_vec());
                let ask = move || {
                    let question = Question { jwks_url: &jwks_url, audience: &audience, assertions: &assertions };
                    maker.verify(&question)
                };
                tokio::task::spawn_blocking(ask).await?
            }
            Self::Rust => {
                let keys = reqwest::get(jwks_url).await?.json().await?;
                let outcome = |assertion: &String| match example::who_asks(assertion, &keys, audience) {
                    Ok(claims) => Outcome::Claims(claims),
                    Err(error) => Outcome::Refused(error.to_string()),
                };
                Ok(assertions.iter().map(outcome).collect())
            }
        }
    }
}

fn token_claims(email: &str, audience: &str) -> Value {
    json!({"iss": "sekisho", "aud": audience, "jti": "story", "user_email": email, "user_id": email, "scopes": [],
           "iat": now(), "nbf": now(), "exp": now() + 300})
}

fn request(algorithm: &str, token: &Token) -> Vec<u8> {
    RawRequest::new("GET", &format!("/{algorithm}/page")).header("authorization", token.bearer()).bytes()
}

/// The assertion that reached the upstream.
async fn asserted(world: &World, algorithm: &str, token: &Token) -> Result<String> {
    let received = world.raw(&request(algorithm, token)).await?.received()?;
    Ok(received.one(HEADER).context("no assertion")?.to_owned())
}

/// Makes sure that `token` is refused, and gives the stable code of the reason.
async fn refusal(world: &World, token: &str) -> Result<String> {
    // This route answers with problem details, which hold the code.
    let request = RawRequest::to_host("GET", "/api/token/list", APP_HOST);
    let answer = world.raw(&request.header("authorization", format!("Bearer {token}")).bytes()).await?;
    Ok(answer.json_with(401)?["code"].as_str().unwrap_or_default().to_owned())
}

/// The published keys, through Envoy.
async fn jwks(edge: SocketAddr) -> Result<String> {
    let answer = Connection::open(edge).await?.send(&RawRequest::to_host("GET", JWKS, APP_HOST).bytes()).await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(answer.body)
}

/// Gives the published keys a URL that every resolver knows: not all know hosts below `localhost`.
async fn relay(edge: SocketAddr) -> Result<String> {
    let serve =
        move || async move { jwks(edge).await.map_err(|error| (StatusCode::BAD_GATEWAY, format!("{error:?}"))) };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}{JWKS}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, Router::new().route(JWKS, get(serve))).await });
    Ok(url)
}
