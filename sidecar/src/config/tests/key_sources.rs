//! Where the keys of identity providers come from.

use super::*;

#[test]
fn sources_of_keys_are_read_from_either_place() {
    let yaml = "
key_sources:
  - { name: google, issuer: https://accounts.google.com }
  - name: partner
    jwks_uri: http://127.0.0.1:8080/keys?of=us
    allow_http: true
    refresh_s: 60
    refetch_interval_s: 1
    timeout_ms: 500
  - { name: batch, file: /etc/sekisho/batch.jwks.json }
";
    let json = r#"[{"name":"google","issuer":"https://accounts.google.com"},
        {"name":"partner","jwks_uri":"http://127.0.0.1:8080/keys?of=us","allow_http":true,"refresh_s":60,"refetch_interval_s":1,"timeout_ms":500},
        {"name":"batch","file":"/etc/sekisho/batch.jwks.json"}]"#;
    let of_file = parse(Some(yaml), &with_secrets(&[])).unwrap();
    let of_env = parse(Some("key_sources: [nonsense]"), &with_secrets(&[("SEKISHO_KEY_SOURCES", json)])).unwrap();
    assert_eq!(of_file.key_sources(), of_env.key_sources());
    let shown: Vec<String> =
        of_file.key_sources().iter().map(|source| format!("{} {}", source.name, source.place)).collect();
    assert_eq!(
        shown,
        [
            "google issuer https://accounts.google.com",
            "partner http://127.0.0.1:8080/keys",
            "batch file /etc/sekisho/batch.jwks.json"
        ]
    );
    let numbers =
        |source: &Source| (source.refresh.as_secs(), source.refetch_interval.as_secs(), source.timeout.as_millis());
    let numbers: Vec<_> = of_file.key_sources().iter().map(numbers).collect();
    assert_eq!(numbers, [(3_600, 10, 3_000), (60, 1, 500), (3_600, 10, 3_000)]);
}

#[test]
fn everything_that_is_wrong_with_sources_of_keys_is_told_at_once() {
    let yaml = "
key_sources:
  - issuer: https://a.org
  - { name: sekisho, issuer: https://a.org }
  - { name: a b, issuer: http://a.org, surprise: 1 }
  - { name: two, issuer: https://a.org, file: /a }
  - { name: none }
  - { name: dup, jwks_uri: https://a.org/k }
  - { name: dup, jwks_uri: https://a.org/k }
  - { name: n, jwks_uri: 'https://u:hunter2@a.org/k', refresh_s: 4, refetch_interval_s: 0, timeout_ms: soon, allow_http: 1 }
  - { name: q, issuer: 'https://a.org/?x=1' }
  - { name: u, issuer: a.org }
  - text
";
    let problems = told(parse(Some(yaml), &with_secrets(&[])));
    assert_eq!(
        problems,
        [
            "key_sources[0].name: is missing: what filters call the source",
            "key_sources[1].name: `sekisho` is the source of the keys with which Sekisho signs itself",
            "key_sources[2].surprise: is not a setting of a source; there are name, issuer, jwks_uri, file, allow_http, refresh_s, refetch_interval_s, timeout_ms",
            "key_sources[2].name: a source's name has 1 to 128 ASCII letters, digits, `.`, `_` or `-`",
            "key_sources[2].issuer: `http://a.org` is not an https URL; `allow_http: true` takes it nevertheless",
            "key_sources[3]: needs exactly one of `issuer`, `jwks_uri` and `file`",
            "key_sources[4]: needs exactly one of `issuer`, `jwks_uri` and `file`",
            "key_sources[6].name: `dup` is the name of another source",
            "key_sources[7].allow_http: must be true or false",
            "key_sources[7].jwks_uri: must hold no user, no password and no fragment",
            "key_sources[7].refresh_s: `4` is not a whole number from 5 to 86400",
            "key_sources[7].refetch_interval_s: `0` is not a whole number from 1 to 3600",
            "key_sources[7].timeout_ms: `\"soon\"` is not a whole number from 100 to 10000",
            "key_sources[8].issuer: an issuer has no query",
            "key_sources[9].issuer: `a.org` is not an https URL",
            "key_sources[10]: is not a source with a `name`",
        ]
    );
    let env = with_secrets(&[("SEKISHO_KEY_SOURCES", r#"[{"name":"a","file":"x","y":1}]"#)]);
    assert!(told(parse(None, &env))[0].starts_with("SEKISHO_KEY_SOURCES[0].y: is not a setting"));
    for text in ["google", "{}", "7"] {
        let problems = told(parse(None, &[&with_secrets(&[])[..], &[("SEKISHO_KEY_SOURCES", text)]].concat()));
        assert!(problems[0].starts_with("SEKISHO_KEY_SOURCES: is not a list such as"), "{problems:?}");
    }
}
