//! How a request was decided, for whoever may know: the access log, Envoy's RBAC filter, holders of the key.

use anyhow::{Context, Result};
use e2e::wire::RawRequest;
use e2e::{Answer, Token, User, World, story};
use serde_json::json;

use super::access_log_of;
use super::watched::{WATCHED, until_counted};

async fn ask(world: &World, path: &str, token: Option<&Token>, headers: &[(&str, &str)]) -> Result<Answer> {
    let request =
        headers.iter().fold(RawRequest::new("GET", path), |request, (name, value)| request.header(name, value));
    let request = token.iter().fold(request, |request, token| request.header("authorization", token.bearer()));
    world.raw(&request.bytes()).await
}

#[test]
fn the_access_log_says_of_each_request_how_it_was_decided_where_it_is_to() {
    story(&WATCHED, async |world| {
        let User { token, .. } = world.user();
        for (path, token, expected) in [
            ("/asked/log/passed", Some(&token), json!(["allow", "asked", null])),
            ("/asked/log/refused", None, json!(["deny", "asked", "credential_missing"])),
            ("/shadow/log/refused", None, json!(["shadow_deny", "shadow", "credential_missing"])),
            ("/public/log", None, json!(["allow", "public", null])),
        ] {
            ask(world, path, token, &[]).await?;
            let entry = access_log_of(world, path).await?;
            assert_eq!(json!([entry["decision"], entry["route"], entry["reason"]]), expected, "{path}");
        }
        Ok(())
    });
}

#[test]
fn envoys_rbac_filter_lets_pass_what_was_allowed_and_not_what_a_shadow_only_would_refuse() {
    story(&WATCHED, async |world| {
        let User { token, .. } = world.user();
        for (path, token, status) in [
            ("/guarded/x", Some(&token), 200),
            ("/guarded/shadow/x", Some(&token), 200),
            ("/guarded/shadow/x", None, 403),
            ("/guarded/x", None, 401),
            ("/shadow/x", None, 200),
        ] {
            let answer = ask(world, path, token, &[]).await?;
            assert_eq!(answer.status, status, "{path}: {answer:?}");
            assert_eq!(answer.body.contains("RBAC"), status == 403, "{path}: {answer:?}");
        }
        Ok(())
    });
}

#[test]
fn a_request_that_a_shadow_would_refuse_reaches_the_upstream_as_nobodys_and_is_counted() {
    story(&WATCHED, async |world| {
        let user = world.user();
        let forged = user.token.clone().signed_with("a secret that the forger made up, long enough");
        let claimed = [("x-forwarded-email", "root@example.com"), ("x-sekisho-identity", "forged")];
        let received = ask(world, "/shadow/counted", Some(&forged), &claimed).await?.received()?;
        for name in
            ["x-forwarded-email", "x-forwarded-user", "x-sekisho-identity", "x-sekisho-subject", "authorization"]
        {
            assert_eq!(received.all(name), Vec::<&str>::new(), "{name}");
        }
        let received = ask(world, "/shadow/counted/known", Some(&user.token), &[]).await?.received()?;
        assert_eq!(received.one("x-forwarded-email"), Some(user.email.as_str()), "who would pass is vouched for");
        assert_eq!(access_log_of(world, "/shadow/counted").await?["reason"], "token_signature");
        let of = [("route", "shadow"), ("decision", "shadow_deny"), ("reason", "token_signature")];
        until_counted(world, "sekisho_filter_requests", &[(1, &of), (0, &[("route", "shadow"), ("decision", "deny")])])
            .await
    });
}

#[test]
fn only_holders_of_the_key_are_told_why_and_the_key_ends_at_the_filter() {
    const EXPLAIN: &str = "x-sekisho-explain";
    story(&WATCHED, async |world| {
        let User { token, .. } = world.user();
        let key = world.keys.explain.clone();
        let nearly = format!("{}x", key.get(..key.len() - 1).context("a short key")?);
        let told = |answer: &Answer| answer.headers.iter().any(|(name, _)| name.starts_with("x-sekisho-"));
        for shown in [None, Some(nearly.as_str()), Some("")] {
            let headers: Vec<_> = shown.iter().map(|key| (EXPLAIN, *key)).collect();
            for token in [None, Some(&token)] {
                let answer = ask(world, "/asked/why", token, &headers).await?;
                assert!(!told(&answer), "{answer:?}");
                if token.is_some() {
                    assert_eq!(answer.received()?.all(EXPLAIN), Vec::<&str>::new(), "no key of any kind goes on");
                }
            }
        }
        let passed = ask(world, "/asked/why", Some(&token), &[(EXPLAIN, &key)]).await?;
        let refused = ask(world, "/asked/why", None, &[(EXPLAIN, &key)]).await?;
        for (answer, expected) in [
            (&passed, ["allow", "none", "asked", "jwt; provider=tokens"]),
            (&refused, ["deny", "credential_missing", "asked", "none"]),
        ] {
            let names = ["decision", "reason", "route", "credential"];
            let found = names.map(|name| answer.header(&format!("x-sekisho-{name}")).unwrap_or_default());
            assert_eq!(found, expected, "{answer:?}");
            let version = answer.header("x-sekisho-version").context("no version")?;
            assert!(version.starts_with("feed=") && version.contains("configuration="), "{version}");
        }
        assert!(!passed.body.contains(&key), "the key reached the upstream: {passed:?}");
        assert_eq!(passed.received()?.all(EXPLAIN), Vec::<&str>::new());
        assert!(!e2e::process::logs_of(world.folder()).contains(&key), "a log holds the key");
        Ok(())
    });
}
