//! Providers as they should be, and as they should not.

use super::*;
use crate::test_provider::{Mood, Provider};

fn jwks(url: &str) -> Place {
    Place::Jwks(Url::parse(url).unwrap())
}

fn issuer(text: &str, allow_http: bool) -> Place {
    Place::Issuer { issuer: text.to_owned(), url: Url::parse(text).unwrap(), allow_http }
}

async fn fetch(place: &Place, known: &Origin, effort: Effort) -> Result<Fetched, String> {
    HttpKeys::default().fetch(place, known, effort).await.map_err(|unfetched| unfetched.0)
}

async fn document(place: &Place) -> Document {
    match fetch(place, &Origin::default(), Effort::Whole).await {
        Ok(Fetched::Document(document)) => document,
        other => panic!("{other:?}"),
    }
}

/// What is on record after this document.
fn known(document: &Document) -> Origin {
    Origin { location: document.location.clone(), etag: document.etag.clone(), ..Origin::default() }
}

#[tokio::test]
async fn a_set_comes_with_what_is_needed_to_ask_again() {
    let provider = Provider::start("a").await;
    let first = document(&jwks(&provider.url("/keys"))).await;
    assert!(String::from_utf8(first.body.clone()).unwrap().contains(r#""kid":"a""#));
    assert_eq!((first.max_age, &first.location), (Some(Duration::from_secs(3_600)), &Some(provider.url("/keys"))));
    let place = jwks(&provider.url("/keys"));
    let again = fetch(&place, &known(&first), Effort::Whole).await;
    assert!(matches!(again, Ok(Fetched::Unchanged { .. })), "{again:?}");
    assert_eq!(provider.not_modified(), 1);
    provider.publish(&["b"]);
    assert!(matches!(fetch(&place, &known(&first), Effort::Whole).await, Ok(Fetched::Document(_))));
}

#[tokio::test]
async fn a_set_from_elsewhere_or_with_keys_of_no_use_is_read_whole() {
    let provider = Provider::start("a").await;
    let place = jwks(&provider.url("/keys"));
    let known = known(&document(&place).await);
    for known in [
        Origin { location: Some("http://127.0.0.1:1/keys".into()), ..known.clone() },
        Origin { left_out: 1, ..known.clone() },
    ] {
        assert!(matches!(fetch(&place, &known, Effort::Whole).await, Ok(Fetched::Document(_))), "{known:?}");
    }
}

#[tokio::test]
async fn what_no_provider_should_answer_is_no_set() {
    let (provider, other) = (Provider::start("a").await, Provider::start("b").await);
    let place = jwks(&provider.url("/keys?secret=hunter2"));
    for (mood, expected) in [
        (Mood::Status(500), "the answer has the status 500".to_owned()),
        (Mood::Status(304), "the answer has the status 304".to_owned()),
        (Mood::Status(206), "the answer has the status 206".to_owned()),
        (Mood::Huge, "the answer has more than 524288 bytes".to_owned()),
        (Mood::HugeInParts, "the answer has more than 524288 bytes".to_owned()),
        (Mood::Redirect(other.url("/keys")), format!("it redirects to another origin, {}", other.url(""))),
        (
            Mood::Redirect("https://127.0.0.1/keys".into()),
            "it redirects to another origin, https://127.0.0.1".to_owned(),
        ),
        (Mood::Redirect("file:///etc/passwd".into()), "/keys: ".to_owned()),
        (Mood::Redirect("/loop".into()), "it redirects more than 3 times".to_owned()),
    ] {
        provider.turn(mood.clone());
        let error = fetch(&place, &Origin::default(), Effort::Whole).await.unwrap_err();
        assert!(error.starts_with(&provider.url("/keys: ")) && error.contains(&expected), "{mood:?}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert_eq!(other.fetches(), 0);
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed() {
    let provider = Provider::start("a").await;
    assert_eq!(document(&jwks(&provider.url("/moved"))).await.location, Some(provider.url("/moved")));
}

#[tokio::test]
async fn nobody_at_home_is_said_so() {
    let mut provider = Provider::start("a").await;
    provider.stop().await;
    let error = fetch(&jwks(&provider.url("/keys")), &Origin::default(), Effort::Whole).await.unwrap_err();
    assert!(error.to_lowercase().contains("refused"), "{error}");
}

#[tokio::test]
async fn an_issuers_keys_are_where_its_metadata_says() {
    let provider = Provider::start("a").await;
    let place = issuer(&provider.url(""), true);
    let first = document(&place).await;
    assert_eq!(first.location, Some(provider.url("/keys")));
    fetch(&place, &known(&first), Effort::KeysOnly).await.unwrap();
    assert_eq!((provider.discoveries(), provider.fetches()), (1, 2), "whoever waits needs no metadata again");
    fetch(&place, &known(&first), Effort::Whole).await.unwrap();
    assert_eq!(provider.discoveries(), 2);
}

#[tokio::test]
async fn keys_are_not_fetched_without_tls_only_because_they_were_before() {
    let provider = Provider::start("a").await;
    let known = known(&document(&issuer(&provider.url(""), true)).await);
    let error = fetch(&issuer(&provider.url(""), false), &known, Effort::KeysOnly).await.unwrap_err();
    assert!(error.contains("not an https URL"), "{error}");
    assert_eq!(provider.fetches(), 1);
}

#[tokio::test]
async fn an_authorization_server_without_openid_is_asked_as_rfc_8414_says() {
    let provider = Provider::start("a").await;
    provider.claim(&provider.url("/tenant"), &provider.url("/keys"));
    assert_eq!(document(&issuer(&provider.url("/tenant"), true)).await.location, Some(provider.url("/keys")));
    let error = fetch(&issuer(&provider.url("/nobody"), true), &Origin::default(), Effort::Whole).await.unwrap_err();
    assert!(error.contains("/nobody/.well-known/openid-configuration: the answer has the status 404"), "{error}");
    assert!(error.contains("/.well-known/oauth-authorization-server/nobody: the answer has the status 404"), "{error}");
}

#[tokio::test]
async fn metadata_of_somebody_else_leads_nowhere() {
    let provider = Provider::start("a").await;
    for (claimed, uri, allow_http, expected) in [
        ("https://evil.example", provider.url("/keys"), true, "the metadata of the issuer `https://evil.example`"),
        (&*format!("{}/", provider.url("")), provider.url("/keys"), true, "the metadata of the issuer"),
        (&*provider.url(""), provider.url("/keys"), false, "not an https URL"),
        (&*provider.url(""), "nowhere".to_owned(), true, "no URL"),
    ] {
        provider.claim(claimed, &uri);
        let error = fetch(&issuer(&provider.url(""), allow_http), &Origin::default(), Effort::Whole).await.unwrap_err();
        assert!(error.contains(expected), "{claimed} {uri}: {error}");
    }
    assert_eq!(provider.fetches(), 0);
}

#[test]
fn what_caches_are_told_counts() {
    for (cache_control, age, expected_s) in [
        (Some("max-age=600"), None, Some(600)),
        (Some("public, Max-Age=\"600\", must-revalidate"), Some("100"), Some(500)),
        (Some("max-age=10"), Some("100"), Some(0)),
        (Some("max-age=600, no-store"), None, Some(0)),
        (Some("no-cache"), None, Some(0)),
        (Some("max-age=soon"), None, None),
        (Some("max-age=99999999999999999999"), None, None),
        (Some("private"), None, None),
        (None, Some("7"), None),
    ] {
        let mut headers = HeaderMap::new();
        for (name, value) in [(CACHE_CONTROL, cache_control), (AGE, age)] {
            headers.extend(value.map(|value| (name, value.parse().unwrap())));
        }
        assert_eq!(max_age(&headers), expected_s.map(Duration::from_secs), "{cache_control:?} {age:?}");
    }
}

#[tokio::test]
async fn a_file_is_read_with_the_moment_of_its_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, "{}").unwrap();
    let read = document(&Place::File(path.clone())).await;
    assert_eq!((&*read.body, read.modified_at_ms.is_some()), (&b"{}"[..], true));
    std::fs::write(&path, vec![b' '; 600_000]).unwrap();
    for (path, expected) in
        [(path, "more than 524288 bytes"), (folder.path().into(), "is no file"), ("/nowhere".into(), "cannot be read")]
    {
        let error = fetch(&Place::File(path), &Origin::default(), Effort::Whole).await.unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
