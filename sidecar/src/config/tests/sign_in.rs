//! How people sign in.

use super::*;

/// What signing in needs.
const SIGN_IN: [(&str, &str); 4] = [
    ("SEKISHO_OIDC_ISSUER", "https://login.example.com"),
    ("SEKISHO_OIDC_CLIENT_ID", "sekisho"),
    ("SEKISHO_SIGN_IN_ORIGINS", "https://app.example.com, https://chat.example.com:8443"),
    ("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "@Example.com, example.org"),
];

#[test]
fn people_sign_in_where_an_issuer_is_named_and_it_is_said_who_may() {
    assert!(parse(None, &with_secrets(&[])).unwrap().sign_in().is_none());
    let settings = parse(None, &with_secrets(&SIGN_IN)).unwrap();
    let sign_in = settings.sign_in().unwrap();
    assert_eq!(sign_in.registration.scopes, ["email", "profile"]);
    assert!(sign_in.registration.client_secret.is_none() && !sign_in.registration.allow_http);
    assert_eq!(
        sign_in.origins.iter().map(|origin| origin.host()).collect::<Vec<_>>(),
        ["app.example.com", "chat.example.com"]
    );
    assert_eq!(sign_in.admission.domains, ["example.com", "example.org"]);
    assert!(sign_in.admission.verified && !sign_in.admission.everybody);
    assert_eq!((sign_in.refresh_s, sign_in.leaves_provider, sign_in.logout_revokes), (Some(900), true, false));
    let more = [
        ("SEKISHO_SESSION_REFRESH_SECONDS", "0"),
        ("SEKISHO_SIGN_OUT_HERE_ONLY", "1"),
        ("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "*"),
    ];
    let settings = parse(None, &with_secrets(&[&more[..], &SIGN_IN[..3]].concat())).unwrap();
    let sign_in = settings.sign_in().unwrap();
    assert_eq!((sign_in.refresh_s, sign_in.leaves_provider, sign_in.admission.everybody), (None, false, true));
}

#[test]
fn what_is_wrong_with_signing_in_is_listed_with_what_to_do() {
    let changed = |name: &'static str, value: &'static str| {
        let mut all = with_secrets(&SIGN_IN);
        all.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            all.push((name, value));
        }
        told(parse(None, &all))
    };
    for (name, value, expected) in [
        ("SEKISHO_OIDC_ISSUER", "", "SEKISHO_OIDC_CLIENT_ID: says nothing without SEKISHO_OIDC_ISSUER"),
        (
            "SEKISHO_OIDC_ISSUER",
            "http://login.example.com",
            "SEKISHO_OIDC_ISSUER: `http://login.example.com` is no issuer",
        ),
        ("SEKISHO_OIDC_ISSUER", "https://login.example.com/?x", "is no issuer"),
        ("SEKISHO_OIDC_CLIENT_ID", "", "SEKISHO_OIDC_CLIENT_ID: is missing"),
        ("SEKISHO_SIGN_IN_ORIGINS", "", "SEKISHO_SIGN_IN_ORIGINS: is missing"),
        ("SEKISHO_SIGN_IN_ORIGINS", "https://app.example.com/path", "is no origin"),
        ("SEKISHO_SIGN_IN_ORIGINS", "http://app.example.com", "must be https"),
        (
            "SEKISHO_SIGN_IN_ORIGINS",
            "https://a.example.com,https://a.example.com:8443",
            "names a host that is named already",
        ),
        ("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "", "SEKISHO_SIGN_IN_ALLOWED_DOMAINS: is missing"),
        ("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "*,example.com", "`*` is everybody"),
        ("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "exa mple", "is not a domain"),
        ("SEKISHO_OIDC_PROMPT", "none", "SEKISHO_OIDC_PROMPT: `none` is none of"),
        ("SEKISHO_OIDC_EMAIL_VERIFIED", "maybe", "is neither required nor ignored"),
        ("SEKISHO_SIGN_IN_INSECURE", "1", "must be http"),
    ] {
        let problems = changed(name, value);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{name}={value}: {problems:?}");
    }
}
