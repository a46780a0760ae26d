//! The provider is asked again whether it would still let somebody in: what comes of its answers, and of none.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::peers::provider::Fault;
use e2e::peers::sign_in::{Endpoint, Person, RefreshTokens};
use e2e::token::now;
use e2e::wire::Connection;
use e2e::world::People;
use e2e::{Answer, Plan, Shared, World, poll, story};
use serde_json::{Value, json};

use super::steps::{PAGE, everywhere, make_due, session_of, showing, signed_in, somebody};

const SOON: Duration = Duration::from_secs(20);
/// Where only auditors come.
const REPORTS: &str = "/reports/2026";
const SETTINGS: &[(&str, &str)] = &[("SEKISHO_SESSION_REFRESH_SECONDS", "1"), ("SEKISHO_SESSION_IDLE_SECONDS", "8")];

/// Where the provider is asked as often as can be. Its answers go wrong for everybody, so one story comes after the other.
static ASKED_AGAIN: Shared = Shared::in_turn(|| {
    let people = People { settings: SETTINGS, ..People::default() };
    Plan { people: Some(people), policy: with_reports, ..Plan::default() }
});

fn with_reports(policy: &mut Value) {
    let reports = json!({
        "name": "reports", "match": {"prefix": "/reports"}, "access": "protected", "sessions": "accept", "identity": "upstream",
        "require": {"groups": {"any": ["auditors"]}},
    });
    if let Some(routes) = policy["routes"].as_array_mut() {
        let console = routes.iter().position(|route| route["name"] == "console").unwrap_or_default();
        routes.insert(console, reports);
    }
}

async fn ask(world: &World, cookie: &str, path: &str) -> Result<Answer> {
    Connection::open(world.envoy.edge()).await?.send(&showing(cookie, path)).await
}

/// Somebody about whom the provider can be asked again, and their cookie.
async fn newcomer(world: &World) -> Result<(String, String)> {
    world.sign_in_provider()?.refresh_tokens(RefreshTokens::Always, true).await?;
    let email = somebody();
    let (_, cookie) = signed_in(world, &email).await?;
    Ok((email, cookie))
}

/// Uses a session until `path` is answered with `status`, by every worker.
async fn until_everywhere(world: &World, cookie: &str, path: &str, status: u16) -> Result<()> {
    poll::until(&format!("{path} is {status}"), SOON, async || {
        for _ in 0..16 {
            let answer = ask(world, cookie, path).await?;
            ensure!(answer.status == status, "{answer:?}");
        }
        Ok(())
    })
    .await
}

#[test]
fn what_the_provider_says_of_groups_from_then_on_counts() {
    story(&ASKED_AGAIN, async |world| {
        let (ann, cookie) = newcomer(world).await?;
        assert_eq!(ask(world, &cookie, REPORTS).await?.status, 403);
        let provider = world.sign_in_provider()?;
        provider.describe(&Person::new(&ann).claim("groups", json!(["staff", "auditors"]))).await?;
        until_everywhere(world, &cookie, REPORTS, 200).await?;
        provider.describe(&Person::new(&ann).claim("groups", json!([]))).await?;
        until_everywhere(world, &cookie, REPORTS, 403).await?;
        everywhere(world, &cookie, 200).await.map(drop)
    });
}

#[test]
fn a_session_ends_everywhere_when_the_provider_takes_back_what_it_gave() {
    story(&ASKED_AGAIN, async |world| {
        let provider = world.sign_in_provider()?;
        for how in ["revoked", "deleted", "no longer vouched for"] {
            let (ann, cookie) = newcomer(world).await?;
            match how {
                "revoked" => provider.revoke(&ann).await?,
                "deleted" => provider.describe(&Person::new(&ann).deleted()).await.map(drop)?,
                _ => provider.describe(&Person::new(&ann).claim("email_verified", false)).await.map(drop)?,
            }
            poll::until(how, SOON, async || {
                let answer = ask(world, &cookie, PAGE).await?;
                ensure!(answer.status == 401, "{answer:?}");
                Ok(())
            })
            .await?;
            // By the feed: nobody waits for what a worker remembers.
            let answer = everywhere(world, &cookie, 401).await.context(how)?;
            assert_eq!(answer.json()?["error"], "Session has been revoked");
        }
        Ok(())
    });
}

/// What keeps a provider from answering.
enum Trouble {
    Down,
    Answers(Fault),
}

#[test]
fn a_session_goes_on_while_the_provider_cannot_be_asked_and_is_asked_about_later() {
    story(&ASKED_AGAIN, async |world| {
        let provider = world.sign_in_provider()?;
        for (what, trouble) in [
            ("down", Trouble::Down),
            ("500", Trouble::Answers(Fault::Status(500))),
            ("429", Trouble::Answers(Fault::Status(429))),
            ("a page", Trouble::Answers(Fault::Html)),
            ("another client", Trouble::Answers(Fault::Refusal(401, "invalid_client"))),
            ("temporarily", Trouble::Answers(Fault::Refusal(400, "temporarily_unavailable"))),
        ] {
            let (_, cookie) = newcomer(world).await?;
            match trouble {
                Trouble::Down => provider.go_down().await?,
                Trouble::Answers(fault) => provider.behave(Endpoint::Refresh, Some(fault)).await?,
            }
            poll::until(what, SOON, async || {
                ask(world, &cookie, PAGE).await?.received().context(what)?;
                let at = session_of(world, &cookie).await?.refresh_at.context("never again")?;
                ensure!(at.get() > now() + 20, "not put off: {at:?}");
                Ok(())
            })
            .await?;
            everywhere(world, &cookie, 200).await.context(what)?;
            if what == "down" {
                provider.come_back().await?;
            }
            provider.behave(Endpoint::Refresh, None).await?;
            let before = provider.visits_to(Endpoint::Refresh).await?;
            make_due(world, &cookie).await?;
            poll::until(what, SOON, async || {
                ask(world, &cookie, PAGE).await?.received().context(what)?;
                ensure!(provider.visits_to(Endpoint::Refresh).await? > before, "it was not asked again");
                Ok(())
            })
            .await?;
            everywhere(world, &cookie, 200).await.context(what)?;
        }
        Ok(())
    });
}

#[test]
fn a_session_without_a_refresh_token_is_never_asked_about() {
    story(&ASKED_AGAIN, async |world| {
        let provider = world.sign_in_provider()?;
        provider.refresh_tokens(RefreshTokens::Never, true).await?;
        let (_, cookie) = signed_in(world, &somebody()).await?;
        let before = provider.visits_to(Endpoint::Refresh).await?;
        assert_eq!(session_of(world, &cookie).await?.refresh_at, None);
        poll::throughout(Duration::from_secs(3), async || ask(world, &cookie, PAGE).await?.received().map(drop))
            .await?;
        assert_eq!(provider.visits_to(Endpoint::Refresh).await?, before);
        Ok(())
    });
}
