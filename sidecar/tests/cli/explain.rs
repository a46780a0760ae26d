//! `sekisho explain`: what the filter would decide, by its own code.

use std::io::Write as _;
use std::path::Path;

use super::{Ended, bare, run};

/// The configuration that users run.
fn example() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/envoy.yaml").display().to_string()
}

fn explain(request: &str, more: &[&str]) -> Ended {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(request.as_bytes()).expect("written");
    let (example, request) = (example(), file.path().display().to_string());
    let mut arguments = vec!["explain", "--config", example.as_str(), "--request", request.as_str()];
    arguments.extend(more);
    run(bare(&arguments))
}

/// Not signed with anybody's secret.
const TOKEN: &str = concat!(
    "eyJhbGciOiJIUzI1NiJ9.",
    // {"iss":"sekisho","aud":"litellm-api","user_email":"ann@example.com","jti":"t-1","exp":4102444800}
    "eyJpc3MiOiJzZWtpc2hvIiwiYXVkIjoibGl0ZWxsbS1hcGkiLCJ1c2VyX2VtYWlsIjoiYW5uQGV4YW1wbGUuY29tIiwianRpIjoidC0xIiwiZXhwIjo0MTAyNDQ0ODAwfQ.",
    "c2lnbmF0dXJl"
);

#[test]
fn a_request_is_decided_and_explained_without_a_proxy() {
    for (request, outcome, why) in [
        ("GET /public/page HTTP/1.1\nHost: localhost\n", "passes", "x-sekisho-route: public"),
        ("GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", "answered 401", "x-sekisho-reason: credential_missing"),
        ("GET /v1//models HTTP/1.1\nHost: localhost\n", "answered 400", "x-sekisho-decided-by: request"),
        ("GET http://sekisho.localhost/health HTTP/1.1\nHost: other\n", "passes", "x-sekisho-route: health"),
    ] {
        let ended = explain(request, &[]);
        assert_eq!(ended.code, 0, "{}", ended.err);
        assert!(ended.out.starts_with(outcome) && ended.out.contains(why), "{request}: {}", ended.out);
    }
}

#[test]
fn a_token_whose_key_is_elsewhere_may_be_taken_for_valid() {
    let request = format!("GET /v1/models HTTP/1.1\nHost: localhost\nAuthorization: Bearer {TOKEN}\n");
    let strict = explain(&request, &[]);
    assert!(strict.out.contains("x-sekisho-reason: token_signature"), "{}", strict.out);
    let trusting = explain(&request, &["--trust-tokens"]);
    assert!(trusting.out.starts_with("passes"), "{}", trusting.out);
    assert!(trusting.out.contains("+ x-forwarded-email: ann@example.com"), "{}", trusting.out);
    assert!(trusting.out.contains("- authorization"), "{}", trusting.out);
    let late = explain(&request, &["--trust-tokens", "--at", "4102444900"]);
    assert!(late.out.contains("x-sekisho-reason: token_expired"), "{}", late.out);
}

#[test]
fn programs_get_the_same_as_json() {
    let json = explain("GET /v1/models HTTP/1.1\nHost: localhost\n", &["--json"]).json();
    assert_eq!((&json["outcome"], &json["status"]), (&"answered".into(), &401.into()));
    assert_eq!(json["why"]["route"], "llm");
    assert_eq!(json["why"]["decided_by"], "extract");
}

#[test]
fn what_cannot_be_read_is_said_with_its_file() {
    for request in ["", "GET /\n", "GET / HTTP/1.1\nno header\n"] {
        let ended = explain(request, &[]);
        assert_eq!(ended.code, 2, "{request:?}: {}", ended.out);
        assert!(ended.err.contains(": "), "{}", ended.err);
    }
    assert_eq!(run(bare(&["explain", "--request", "/nowhere"])).code, 2, "no configuration is named");
}
