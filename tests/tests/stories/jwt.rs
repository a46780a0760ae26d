//! A valid token passes with an identity that the upstream can verify; every other is refused with
//! the documented answer, and none of them hurts the worker that reads it.

use anyhow::{Context, Result};
use e2e::token::verify_assertion;
use e2e::wire::RawRequest;
use e2e::{Answer, Token, User, World, story};
use serde_json::{Value, json};

use crate::CALM;

#[test]
fn a_valid_token_passes_with_an_identity_that_the_upstream_verifies() {
    story(&CALM, async |world| {
        let User { email, token } = world.user();
        let received = world.get("/v1/models?limit=2", &token).await?.received()?;
        assert_eq!((received.method.as_str(), received.path.as_str()), ("GET", "/v1/models?limit=2"));

        let assertion = received.one("x-sekisho-identity").context("no assertion")?;
        let claims = verify_assertion(assertion, world.keys.upstream.as_bytes(), "sample-upstream")?;
        assert_eq!((&claims["sub"], &claims["email"]), (&json!(email), &json!(email)));
        assert_eq!((&claims["iss"], &claims["method"]), (&json!("sekisho"), &json!("jwt")));
        assert_eq!((&claims["token_id"], &claims["token_name"]), (&json!(token.id()), &json!("story")));
        assert_eq!(claims["scopes"], json!(["api:read", "api:write"]));

        for (name, value) in [
            ("x-forwarded-email", email.as_str()),
            ("x-forwarded-user", &email),
            ("x-sekisho-subject", &email),
            ("x-sekisho-method", "jwt"),
            ("x-sekisho-token-id", token.id()),
            ("x-sekisho-scopes", "api:read api:write"),
        ] {
            assert_eq!(received.one(name), Some(value), "{name}");
        }
        assert_eq!(received.all("authorization"), Vec::<&str>::new(), "the client's credential goes no further");
        Ok(())
    });
}

#[test]
fn an_identity_is_one_for_each_user_whatever_the_case_of_the_address() {
    story(&CALM, async |world| {
        let User { email, .. } = world.user();
        let token = world.token_of(&email.to_uppercase());
        let received = world.get("/v1/models", &token).await?.received()?;
        assert_eq!(received.one("x-forwarded-email"), Some(email.as_str()));
        Ok(())
    });
}

#[test]
fn e6_the_assertion_for_the_upstream_is_worth_nothing_at_the_app_api() {
    story(&CALM, async |world| {
        let User { token, .. } = world.user();
        let received = world.get("/v1/models", &token).await?.received()?;
        let assertion = received.one("x-sekisho-identity").context("no assertion")?;
        let stolen = [("x-sekisho-identity", assertion)];
        let answer = world.a.app(reqwest::Method::GET, "/api/token/list", &stolen, None).await?;
        assert_eq!(answer.status, 401, "{answer:?}");
        Ok(())
    });
}

#[test]
fn every_token_that_is_not_valid_is_refused_and_the_workers_go_on() {
    story(&CALM, async |world| {
        let created = world.envoy.stat("wasm.envoy.wasm.runtime.v8.created").await?;
        // Each refusal several times, over connections of their own: both workers meet each of them.
        for _ in 0..8 {
            for (what, bearer, reason) in invalid_tokens(world) {
                let marker = format!("/v1/refused/{}", world.token_of("x").id());
                let request = RawRequest::new("GET", &marker).header("authorization", bearer).bytes();
                let answer = world.raw(&request).await?;
                expect_refusal(&answer, &what, &format!("Invalid or expired token: {reason}"), Some(&reason))?;
                assert_eq!(world.upstream.with_path(&marker), vec![], "{what} reached the upstream");
            }
        }
        for _ in 0..32 {
            let User { token, .. } = world.user();
            let request = RawRequest::new("GET", "/v1/models").header("authorization", token.bearer()).bytes();
            world.raw(&request).await?.received()?;
        }
        assert_eq!(world.envoy.vm_reloads().await?, 0);
        assert_eq!(world.envoy.stat("wasm.envoy.wasm.runtime.v8.created").await?, created, "a VM was replaced");
        Ok(())
    });
}

/// Name, value of `Authorization`, reason.
fn invalid_tokens(world: &World) -> Vec<(String, Vec<u8>, String)> {
    let User { email, token } = world.user();
    let now = e2e::token::now();
    let text = token.text();
    let parts: Vec<&str> = text.split('.').collect();
    let truncated = |bytes: usize| text.get(..text.len() - bytes).unwrap_or_default().to_owned();
    let other = "another secret, just as long as the right one";
    let table: Vec<(&str, String, &str)> = vec![
        ("expired", token.clone().claim("exp", now - 31).text(), "token has expired"),
        ("without an end", token.clone().without("exp").text(), "token has expired"),
        ("not yet valid", token.clone().claim("nbf", now + 60).text(), "token is not valid yet"),
        ("issued in the future", token.clone().claim("iat", now + 60).text(), "token is not valid yet"),
        ("wrong signature", token.clone().signed_with(other).text(), "signature is invalid"),
        ("empty signature", token.clone().with_signature([]).text(), "signature is invalid"),
        ("alg none", token.clone().algorithm("none").with_signature([]).text(), "unsigned tokens are not accepted"),
        ("alg None", token.clone().algorithm("None").text(), "unsigned tokens are not accepted"),
        (
            "HS512 with the right key",
            token.clone().signed_with_hs512(&world.keys.jwt).text(),
            "algorithm is not accepted",
        ),
        ("RS256", token.clone().algorithm("RS256").with_signature([7; 256]).text(), "algorithm is not accepted"),
        ("wrong issuer", token.clone().claim("iss", "somebody").text(), "issuer is not accepted"),
        ("no issuer", token.clone().without("iss").text(), "issuer is not accepted"),
        ("wrong audience", token.clone().claim("aud", "somewhere").text(), "audience is not accepted"),
        ("no audience", token.clone().without("aud").text(), "audience is not accepted"),
        ("no e-mail", token.clone().without("user_email").text(), "e-mail address is missing"),
        ("an e-mail that is none", token.clone().claim("user_email", "ann").text(), "e-mail address is missing"),
        ("an e-mail with a line break", token.clone().claim("user_email", "a\n@b").text(), "e-mail address is missing"),
        (
            "times as text",
            token.clone().claim("exp", "tomorrow").text(),
            "a time in the token is not a whole number of seconds",
        ),
        ("the signature cut short", truncated(3), "signature is invalid"),
        ("the signature cut within a byte", truncated(2), "token is not canonical base64url"),
        ("the signature cut off", format!("{}.{}", parts[0], parts[1]), "token is malformed"),
        ("the claims cut off", parts[0].to_owned(), "token is malformed"),
        ("a fourth part", format!("{text}.{}", parts[2]), "token is malformed"),
        ("five parts", format!("{text}.a.b"), "encrypted tokens are not supported"),
        ("no JSON", "YQ.YQ.YQ".into(), "token is malformed"),
        ("20 KiB", token.clone().claim("padding", "x".repeat(20 * 1024)).text(), "token is too long"),
        (
            "90 KiB",
            Token::new(&world.keys.jwt, "id", &email).claim("p", "x".repeat(66 * 1024)).text(),
            "token is too long",
        ),
    ];
    let row = |(what, token, reason): (&str, String, &str)| {
        (what.to_owned(), format!("Bearer {token}").into_bytes(), reason.to_owned())
    };
    table.into_iter().map(row).collect()
}

#[test]
fn what_is_no_bearer_token_is_refused_in_the_words_of_the_old_gateway() {
    story(&CALM, async |world| {
        let User { token, .. } = world.user();
        let format = "Invalid Authorization header format";
        for (what, authorization, message) in [
            ("none", None, "Authorization header required"),
            ("empty", Some(Vec::new()), format),
            ("Basic", Some(b"Basic YTpi".to_vec()), format),
            ("no token", Some(b"Bearer".to_vec()), format),
            ("no space", Some(format!("Bearer{}", token.text()).into_bytes()), format),
            ("two words", Some(format!("{} x", token.bearer()).into_bytes()), format),
            ("not UTF-8", Some(b"Bearer \xff\xfe\x80".to_vec()), format),
            ("a valid token and a byte that is not UTF-8", Some([token.bearer().as_bytes(), b"\xff"].concat()), format),
        ] {
            let mut request = RawRequest::new("GET", "/v1/models");
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            expect_refusal(&world.raw(&request.bytes()).await?, what, message, None)?;
        }
        Ok(())
    });
}

#[test]
fn e1_two_authorization_headers_or_a_comma_are_no_proper_request() {
    story(&CALM, async |world| {
        let (one, other) = (world.user().token.bearer(), world.user().token.bearer());
        let get = || RawRequest::new("GET", "/v1/models");
        for (what, request) in [
            ("two tokens", get().header("authorization", &one).header("Authorization", &other)),
            ("the same token twice", get().header("authorization", &one).header("authorization", &one)),
            ("a comma", get().header("authorization", format!("{one}, {other}"))),
            ("a comma behind the token", get().header("authorization", format!("{one},"))),
        ] {
            let answer = world.raw(&request.bytes()).await?;
            let message = "The request carries more than one credential";
            let expected = json!({"error": {"message": message, "type": "invalid_request_error"}});
            assert_eq!(answer.json_with(400)?, expected, "{what}");
            assert_eq!(answer.header("www-authenticate"), None, "{what}");
        }
        Ok(())
    });
}

#[test]
fn e11_strange_headers_beside_a_valid_token_harm_nobody() {
    story(&CALM, async |world| {
        let bearer = world.user().token.bearer();
        for (what, name, value) in [
            ("not UTF-8", "x-strange", b"\xff\xfe\x80".to_vec()),
            ("latin-1", "x-name", b"Andr\xe9".to_vec()),
            ("90 KiB", "x-large", vec![b'x'; 90 * 1024]),
            ("a cookie that is not UTF-8", "cookie", b"a=\xff".to_vec()),
        ] {
            for _ in 0..8 {
                let request =
                    RawRequest::new("GET", "/v1/models").header("authorization", &bearer).header(name, &value);
                let answer = world.raw(&request.bytes()).await?;
                assert_eq!(
                    answer.status,
                    200,
                    "{what}: {} {}",
                    answer.status,
                    answer.body.chars().take(300).collect::<String>()
                );
                assert_eq!(answer.received()?.all(name).len(), 1, "{what}");
            }
        }
        assert_eq!(world.envoy.vm_reloads().await?, 0);
        Ok(())
    });
}

#[test]
fn a_route_without_llm_clients_refuses_with_problem_details() {
    story(&CALM, async |world| {
        let request = RawRequest::to_host("GET", "/api/token/list", e2e::world::APP_HOST).bytes();
        let answer = world.raw(&request).await?;
        let body = answer.json_with(401)?;
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(
            body,
            json!({"type": "about:blank", "title": "Unauthorized", "status": 401, "code": "credential_missing",
                   "detail": "Authorization header required"})
        );
        Ok(())
    });
}

/// The documented answer of the LLM path (compatibility) with the challenge of RFC 6750 §3.
fn expect_refusal(answer: &Answer, what: &str, message: &str, reason: Option<&str>) -> Result<()> {
    let body: Value = answer.json_with(401).with_context(|| what.to_owned())?;
    assert_eq!(body, json!({"error": {"message": message, "type": "authentication_error"}}), "{what}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
    let challenge = match reason {
        Some(reason) => format!(r#"Bearer realm="sekisho", error="invalid_token", error_description="{reason}""#),
        // RFC 6750 §3.1: a request without any credential gets no error code.
        None if message.ends_with("required") => r#"Bearer realm="sekisho""#.to_owned(),
        None => r#"Bearer realm="sekisho", error="invalid_request""#.to_owned(),
    };
    assert_eq!(answer.header("www-authenticate"), Some(challenge.as_str()), "{what}");
    Ok(())
}
