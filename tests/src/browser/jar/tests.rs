use reqwest::{Method, Url};

use super::*;

const HERE: &str = "http://app.localhost:1/oauth2/callback";

fn url(text: &str) -> Url {
    let Ok(url) = text.parse() else { unreachable!("{text}") };
    url
}

fn jar(headers: &[&str]) -> Jar {
    let mut jar = Jar::default();
    for header in headers {
        jar.take(header, &url(HERE));
    }
    jar
}

#[test]
fn cookies_that_a_browser_would_refuse_are_refused() {
    for (header, kept) in [
        ("a=1", true),
        ("a=1; Domain=localhost; Path=/oauth2", true),
        ("a=1; Domain=other.localhost", false),
        ("a=1; SameSite=None", false),
        ("a=1; SameSite=None; Secure", true),
        ("__Secure-a=1; Path=/", false),
        ("__Host-a=1; Secure; Path=/", true),
        ("__Host-a=1; Path=/", false),
        ("__Host-a=1; Secure; Path=/oauth2", false),
        ("__Host-a=1; Secure; Path=/; Domain=app.localhost", false),
        ("a=1; Max-Age=0", false),
        ("a=1; Max-Age=-5", false),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", false),
        ("without a value", false),
    ] {
        assert_eq!(!jar(&[header]).all(HERE).is_empty(), kept, "{header}");
    }
}

#[test]
fn a_cookie_goes_to_its_host_and_path_alone() {
    let jar = jar(&["a=1", "b=2; Path=/", "c=3; Domain=app.localhost; Path=/oauth2/start"]);
    for (address, expected) in [
        ("http://app.localhost:1/oauth2/start", Some("c=3; a=1; b=2")),
        ("http://app.localhost:2/oauth2", Some("a=1; b=2")),
        ("http://app.localhost:1/oauth2x", Some("b=2")),
        ("http://sub.app.localhost:1/oauth2/start/x", Some("c=3")),
        ("http://localhost:1/", None),
    ] {
        assert_eq!(jar.header_for(&url(address), None, &Method::GET).as_deref(), expected, "{address}");
    }
}

#[test]
fn other_sites_send_what_same_site_lets_them() {
    let jar = jar(&["lax=1", "strict=2; SameSite=Strict", "none=3; SameSite=None; Secure"]);
    let (near, far) = (url("http://app.localhost:9/"), url("http://127.0.0.1:9/"));
    for (from, method, expected) in [
        (None, Method::GET, "lax=1; strict=2; none=3"),
        (Some(&near), Method::POST, "lax=1; strict=2; none=3"),
        (Some(&far), Method::GET, "lax=1; none=3"),
        (Some(&far), Method::POST, "none=3"),
    ] {
        assert_eq!(jar.header_for(&url(HERE), from, &method).as_deref(), Some(expected), "{from:?} {method}");
    }
}

#[test]
fn a_cookie_takes_the_place_of_its_predecessor() {
    let mut jar = jar(&["a=1; Path=/", "a=2; Path=/", "a=3; Path=/oauth2"]);
    assert_eq!(jar.all(HERE).len(), 2);
    jar.take("a=; Path=/; Max-Age=0", &url(HERE));
    assert_eq!(jar.get(HERE, "a").map(|cookie| cookie.value.as_str()), Some("3"));
}
