//! What all calls of the API have in common, through Envoy: calls sent twice, pages of other sites, lists that are polled.

use anyhow::Result;
use e2e::wire::RawRequest;
use e2e::world::APP_HOST;
use e2e::{Answer, Token, World, story};
use reqwest::Method;
use serde_json::json;

use crate::CALM;

/// Asks for a token with these headers besides; Envoy takes the sidecars in turn.
async fn generate(world: &World, token: &Token, name: &str, headers: &[(&str, &str)]) -> Result<Answer> {
    let body = json!({"token_name": name}).to_string();
    let mut request = RawRequest::to_host("POST", "/api/token/generate", APP_HOST)
        .header("authorization", token.bearer())
        .header("content-type", "application/json")
        .header("content-length", body.len().to_string());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut bytes = request.bytes();
    bytes.extend(body.as_bytes());
    world.raw(&bytes).await
}

#[test]
fn a_call_that_is_sent_four_times_with_one_key_makes_one_token() {
    story(&CALM, async |world| {
        let token = world.user().token;
        let key = [("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324")];
        let first = generate(world, &token, "laptop", &key).await?;
        let first = (first.json_with(200)?, first.header("idempotency-replayed").map(str::to_owned));
        assert_eq!(first.1, None);
        for _ in 0..3 {
            let again = generate(world, &token, "laptop", &key).await?;
            assert_eq!((again.json_with(200)?, again.header("idempotency-replayed")), (first.0.clone(), Some("true")));
        }
        assert_eq!(generate(world, &token, "desktop", &key).await?.json_with(422)?["code"], "idempotency_key_reused");
        let list = world.app(Method::GET, "/api/token/list", &token, None).await?.json_with(200)?;
        assert_eq!(list["count"], 1);
        Ok(())
    });
}

#[test]
fn a_page_of_another_site_makes_a_browser_change_nothing() {
    story(&CALM, async |world| {
        let token = world.user().token;
        for headers in [
            &[("sec-fetch-site", "cross-site"), ("cookie", "theme=dark")][..],
            &[("origin", "https://evil.example"), ("cookie", "theme=dark")],
            &[("origin", "null")],
            &[("cookie", "theme=dark")],
        ] {
            let refused = generate(world, &token, "n", headers).await?;
            assert_eq!(refused.json_with(403)?["code"], "cross_site", "{headers:?}");
        }
        for headers in
            [&[("sec-fetch-site", "same-origin"), ("cookie", "a=b")][..], &[("origin", "http://sekisho.localhost")]]
        {
            assert_eq!(generate(world, &token, "n", headers).await?.status, 200, "{headers:?}");
        }
        Ok(())
    });
}

#[test]
fn a_list_that_is_polled_is_sent_once() {
    story(&CALM, async |world| {
        let token = world.user().token;
        generate(world, &token, "n", &[]).await?;
        let list = RawRequest::to_host("GET", "/api/token/list", APP_HOST).header("authorization", token.bearer());
        let first = world.raw(&list.clone().bytes()).await?;
        let tag = first.header("etag").map(str::to_owned).unwrap_or_default();
        assert_eq!((first.status, tag.is_empty()), (200, false), "{first:?}");
        for (name, expected) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(first.header(name), Some(expected), "{name}");
        }
        for _ in 0..2 {
            let same = world.raw(&list.clone().header("if-none-match", &*tag).bytes()).await?;
            assert_eq!((same.status, same.body.len()), (304, 0), "{same:?}");
        }
        generate(world, &token, "m", &[]).await?;
        assert_eq!(world.raw(&list.header("if-none-match", &*tag).bytes()).await?.status, 200);
        Ok(())
    });
}
