//! Whom of those that the provider lets in we let in, too.

use anyhow::{Context, ensure};
use e2e::peers::sign_in::Person;
use e2e::world::People;
use e2e::{Browser, Plan, Shared, story};
use serde_json::json;

use super::steps::{PAGE, is_told, somebody, try_to_sign_in};

const SETTINGS: &[(&str, &str)] = &[
    ("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "example.com,@Example.ORG"),
    ("SEKISHO_SIGN_IN_ALLOWED_EMAILS", "guest@elsewhere.example"),
    ("SEKISHO_OIDC_ACR_VALUES", "urn:stories:mfa"),
    ("SEKISHO_OIDC_AMR_VALUES", "otp,hwk"),
];

/// Where not everybody may sign in, and nobody with a password alone.
static STRICT: Shared = Shared::new(|| {
    let people = People { settings: SETTINGS, ..People::default() };
    Plan { people: Some(people), ..Plan::default() }
});

/// Somebody with a second factor.
fn strong(email: &str) -> Person {
    Person::new(email).acr("urn:stories:mfa").amr(&["pwd", "otp"])
}

#[test]
fn domains_and_addresses_that_are_named_may_sign_in_and_no_others() {
    story(&STRICT, async |world| {
        for (email, may) in [
            (somebody().as_str(), true),
            ("ann@example.org", true),
            ("ANN@EXAMPLE.org", true),
            ("guest@elsewhere.example", true),
            ("other@elsewhere.example", false),
            ("ann@sub.example.com", false),
            ("ann@notexample.com", false),
            ("ann@example.com.evil.example", false),
            ("example.com@evil.example", false),
        ] {
            world.sign_in_provider()?.describe(&strong(email)).await?;
            let mut browser = Browser::new()?;
            let page = try_to_sign_in(world, &mut browser, PAGE, email).await?;
            if may {
                let received = page.answer.received().context(email.to_owned())?;
                assert_eq!(received.all("x-forwarded-email"), [email.to_ascii_lowercase()]);
            } else {
                is_told(world, &browser, &page, 403, "No access").context(email.to_owned())?;
                // The way out is another account, for which the provider has to ask.
                let [link] = &page.links()[..] else { anyhow::bail!("{page:?}") };
                let asked = browser.get(&world.at(link)).await?.redirect()?.context("no redirect")?;
                ensure!(asked.query_pairs().any(|pair| pair == ("prompt".into(), "select_account".into())), "{asked}");
            }
        }
        Ok(())
    });
}

#[test]
fn an_address_that_the_provider_does_not_vouch_for_is_none() {
    story(&STRICT, async |world| {
        for (what, change) in [("unverified", json!(false)), ("not said", json!(null))] {
            let email = somebody();
            world.sign_in_provider()?.describe(&strong(&email).claim("email_verified", change)).await?;
            let mut browser = Browser::new()?;
            let page = try_to_sign_in(world, &mut browser, PAGE, &email).await?;
            is_told(world, &browser, &page, 403, "No access").context(what)?;
            ensure!(page.answer.body.contains("has not confirmed"), "{page:?}");
        }
        let email = somebody();
        world.sign_in_provider()?.describe(&strong(&email).without("email")).await?;
        let mut browser = Browser::new()?;
        let page = try_to_sign_in(world, &mut browser, PAGE, &email).await?;
        is_told(world, &browser, &page, 403, "No access")
    });
}

#[test]
fn a_password_alone_is_not_enough_where_a_second_factor_is_wanted() {
    story(&STRICT, async |world| {
        for (what, person) in [
            ("no acr", Person::new(&somebody()).amr(&["otp"])),
            ("a weaker acr", Person::new(&somebody()).acr("urn:stories:password").amr(&["otp"])),
            ("a weaker amr", Person::new(&somebody()).acr("urn:stories:mfa").amr(&["pwd"])),
        ] {
            let claims = world.sign_in_provider()?.describe(&person).await?;
            let email = claims["email"].as_str().context("no address")?;
            let mut browser = Browser::new()?;
            let page = try_to_sign_in(world, &mut browser, PAGE, email).await?;
            is_told(world, &browser, &page, 403, "A second factor is needed").context(what)?;
        }
        let login = Browser::new()?.open(&world.at(PAGE)).await?;
        let asked = login.steps.iter().find(|step| step.url.path() == "/auth").context("not asked")?;
        ensure!(
            asked.url.query_pairs().any(|pair| pair == ("acr_values".into(), "urn:stories:mfa".into())),
            "{asked:?}"
        );
        Ok(())
    });
}
