//! What is made of oauth2-proxy's sessions.

use super::*;

#[test]
fn oauth2_proxys_sessions_count_only_where_that_is_switched_on_and_as_it_is_told() {
    assert_eq!(parse(None, &with_secrets(&[])).unwrap().oauth2_proxy(), None);
    let usual = parse(None, &with_secrets(&[("SEKISHO_OAUTH2_PROXY", "1")])).unwrap();
    let rules = usual.oauth2_proxy().unwrap();
    assert_eq!((rules.cookie.as_str(), rules.expire_s, rules.ends_with_tokens), ("_oauth2_proxy", 604_800, true));
    assert_eq!((rules.prefixes.len(), rules.prefixes[0].as_str()), (6, "_oauth2_proxy-"));
    let yaml = "oauth2_proxy: { enabled: true, cookie: __Secure-sso.x, expire_s: 3600, outlives_tokens: true,
        email_domains: ['@X.org'], patterns: ['session:*'] }";
    let own = parse(Some(yaml), &with_secrets(&[])).unwrap();
    let rules = own.oauth2_proxy().unwrap();
    assert_eq!(
        (rules.expire_s, rules.ends_with_tokens, &rules.email_domains[..]),
        (3_600, false, &["x.org".into()][..])
    );
    assert_eq!(rules.prefixes, ["__Secure-sso.x-", "session:"]);
}
