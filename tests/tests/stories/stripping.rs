//! What a client could forge never reaches an upstream, however it is spelt (rule E1).

use anyhow::{Context, Result};
use e2e::token::verify_assertion;
use e2e::upstream::Received;
use e2e::wire::RawRequest;
use e2e::{User, World, story};

use crate::CALM;

/// The value of every forged header.
const FORGED: &str = "forged@example.com";

/// Every name that only Sekisho, a trusted proxy or Envoy may set.
const NAMES: &[&str] = &[
    "x-sekisho-identity",
    "x-sekisho-subject",
    "x-sekisho-method",
    "x-sekisho-token-id",
    "x-sekisho-scopes",
    "x-sekisho-whatever-comes-next",
    "x-forwarded-email",
    "x-forwarded-user",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-authenticated-user",
    "x-authenticated-email",
    "x-admin-action",
    "x-litellm-customer-id",
    "x-litellm-end-user-id",
    "remote-user",
    "x-envoy-original-path",
    "x-envoy-decorator-operation",
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-forwarded-uri",
    "x-real-ip",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-http-method-override",
];

type Spell = fn(&str) -> String;

/// Spellings that some upstream takes for the name itself.
const SPELLINGS: &[(&str, Spell)] = &[
    ("as it is", |name| name.to_owned()),
    ("upper case", |name| name.to_uppercase()),
    ("mixed case", |name| name.replace("-f", "-F").replace("x-", "X-")),
    ("dots", |name| name.replace('-', ".")),
    ("tildes", |name| name.replace('-', "~")),
    ("one dot", |name| name.replacen('-', ".", 1)),
];

#[test]
fn e1_forged_identity_headers_never_reach_an_upstream() {
    story(&CALM, async |world| {
        let User { email, token } = world.user();
        for (spelling, spell) in SPELLINGS {
            for path in ["/v1/models", "/public/page"] {
                let mut request = RawRequest::new("GET", path).header("authorization", token.bearer());
                for name in NAMES {
                    request = request.header(&spell(name), FORGED);
                }
                let received = world.raw(&request.bytes()).await?.received()?;
                expect_nothing_forged(&received, spelling);
                if path == "/v1/models" {
                    expect_identity(world, &received, &email)?;
                }
            }
        }
        Ok(())
    });
}

#[test]
fn e1_names_with_underscores_are_refused_by_envoy_and_stripped_by_the_filter() {
    story(&CALM, async |world| {
        let User { email, token } = world.user();
        let underscores: Spell = |name| name.replace('-', "_");
        let one: Spell = |name| name.replacen('-', "_", 1);
        for spell in [underscores, one] {
            for path in ["/v1/models", "/public/page"] {
                let mut request = RawRequest::new("GET", path).header("authorization", token.bearer());
                for name in NAMES.iter().filter(|name| name.contains('-')) {
                    request = request.header(&spell(name), FORGED);
                }
                assert_eq!(
                    world.raw(&request.clone().bytes()).await?.status,
                    400,
                    "Envoy refuses them as users run it"
                );
                let received = world.raw_to(world.envoy.bare(), &request.bytes()).await?.received()?;
                expect_nothing_forged(&received, "underscores");
                if path == "/v1/models" {
                    expect_identity(world, &received, &email)?;
                }
            }
        }
        Ok(())
    });
}

#[test]
fn e1_repeated_forged_headers_go_with_all_their_values() {
    story(&CALM, async |world| {
        let User { email, token } = world.user();
        let mut request = RawRequest::new("GET", "/v1/models").header("authorization", token.bearer());
        for name in ["x-sekisho-identity", "X-Sekisho-Identity", "x-forwarded-email", "X-FORWARDED-EMAIL"] {
            request = request.header(name, FORGED).header(name, format!("{FORGED}, {FORGED}"));
        }
        let received = world.raw(&request.bytes()).await?.received()?;
        expect_nothing_forged(&received, "repeated");
        expect_identity(world, &received, &email)
    });
}

#[test]
fn e1_forged_trailers_never_reach_an_upstream() {
    story(&CALM, async |world| {
        let User { email, token } = world.user();
        for path in ["/v1/chat/completions", "/public/page"] {
            let request = RawRequest::new("POST", path).header("authorization", token.bearer()).with_trailers(
                "{}",
                &[
                    ("x-checksum", "honest"),
                    ("x-sekisho-identity", FORGED),
                    ("X_Sekisho_Subject", FORGED),
                    ("x.forwarded.email", FORGED),
                    ("remote-user", FORGED),
                    ("authorization", FORGED),
                ],
            );
            let received = world.raw_to(world.envoy.bare(), &request).await?.received()?;
            expect_nothing_forged(&received, "trailers");
            assert_eq!(received.trailers, [("x-checksum".to_owned(), "honest".to_owned())], "{path}");
            assert_eq!(received.body, "{}");
            if path.starts_with("/v1") {
                expect_identity(world, &received, &email)?;
            }
        }
        Ok(())
    });
}

#[test]
fn e1_a_connection_header_cannot_nominate_our_headers_for_removal() {
    story(&CALM, async |world| {
        let User { email, token } = world.user();
        for (number, nominated) in [
            "x-sekisho-identity, x-forwarded-email",
            "Upgrade, x-sekisho-identity",
            "upgrade, X-Forwarded-Email, keep-alive",
        ]
        .into_iter()
        .enumerate()
        {
            let path = |kind: &str| format!("/v1/nominated/{kind}/{number}");
            let get = |kind: &str| RawRequest::new("GET", &path(kind)).header("authorization", token.bearer());
            let websocket = get("upgrade").header("upgrade", "websocket").header("sec-websocket-version", "13");
            let websocket = websocket.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
            for (kind, request) in [("plain", get("plain")), ("upgrade", websocket)] {
                // The upstream takes no upgrade, and Envoy drops the body of its answer: ask its memory.
                world.raw(&request.header("connection", nominated).bytes()).await?;
                let [received] = &world.upstream.with_path(&path(kind))[..] else { panic!("not one request: {kind}") };
                expect_identity(world, received, &email)?;
                for value in received.all("connection") {
                    assert_eq!(value.to_ascii_lowercase(), "upgrade", "{nominated}");
                }
            }
        }
        Ok(())
    });
}

#[test]
fn a_public_route_is_open_but_tells_the_upstream_nothing_about_who_asks() {
    story(&CALM, async |world| {
        let request = RawRequest::new("GET", "/public/page").header("x-sekisho-identity", FORGED).bytes();
        let received = world.raw(&request).await?.received()?;
        expect_nothing_forged(&received, "public");
        for name in ["x-sekisho-identity", "x-sekisho-subject", "x-forwarded-email", "x-forwarded-user"] {
            assert_eq!(received.all(name), Vec::<&str>::new(), "{name}");
        }
        Ok(())
    });
}

fn expect_nothing_forged(received: &Received, spelling: &str) {
    let all = received.headers.iter().chain(&received.trailers);
    let forged: Vec<_> = all.filter(|(_, value)| value.contains("forged")).collect();
    assert!(forged.is_empty(), "{spelling}: {forged:?} reached the upstream at {}", received.path);
}

fn expect_identity(world: &World, received: &Received, email: &str) -> Result<()> {
    let assertion = received.one("x-sekisho-identity").context("not exactly one assertion")?;
    let claims = verify_assertion(assertion, world.keys.upstream.as_bytes(), "sample-upstream")?;
    assert_eq!(claims["sub"], email);
    assert_eq!(received.one("x-forwarded-email"), Some(email));
    Ok(())
}
