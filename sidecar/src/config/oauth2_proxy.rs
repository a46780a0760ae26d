//! `oauth2_proxy`: whose sessions are taken beside our own.

use super::reader::Reader;
use super::sections::email_domain;
use crate::domain::oauth2_proxy::rules::Rules;

/// Most bytes of its cookie's name, as in the filter: the names of its sessions begin with it.
const COOKIE_MAX_BYTES: usize = 64;
/// No browser keeps a cookie for longer than 400 days (RFC 6265bis §5.5).
const EXPIRE_MAX_S: u64 = 400 * 86_400;
/// Fewest bytes before the `*` of a pattern: with fewer it could be anything.
const PREFIX_MIN_BYTES: usize = 4;
/// Most patterns: each is a walk of its own.
const PATTERNS_MAX: usize = 16;
/// What the gateway that Sekisho replaces took for sessions.
const PATTERNS: &str = "_oauth2_proxy-*,_oauth2_proxy_*,_oauth2_proxy:*,oauth2-*,oauth2_*,session:*";
/// What keys begin with that are no sessions, whatever is configured.
const NOT_SESSIONS: [&str; 6] = ["sekisho:", "token:", "user:", "revoked:", "active_user", "cleanup:"];

/// The rules, if oauth2-proxy's sessions count at all.
pub(super) fn read(reader: &mut Reader) -> Option<Rules> {
    let is_on = reader.flag("oauth2_proxy.enabled");
    let cookie = reader.label("oauth2_proxy.cookie", "_oauth2_proxy", COOKIE_MAX_BYTES);
    // Of what may be in a cookie's name, what may be in the name of a session.
    if !cookie.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        reader.wrong("oauth2_proxy.cookie", "must consist of letters, digits, `-`, `_` and `.`");
    }
    let domains = reader.list("oauth2_proxy.email_domains");
    let rules = Rules {
        expire_s: reader.number("oauth2_proxy.expire_s", 604_800, 60..=EXPIRE_MAX_S),
        email_domains: domains
            .iter()
            .map(|domain| email_domain(reader, "oauth2_proxy.email_domains", domain))
            .collect(),
        ends_with_tokens: !reader.flag("oauth2_proxy.outlives_tokens"),
        prefixes: prefixes(reader, &cookie),
        cookie,
    };
    is_on.then_some(rules)
}

fn prefixes(reader: &mut Reader, cookie: &str) -> Vec<String> {
    const PATH: &str = "oauth2_proxy.patterns";
    let mut patterns = reader.list(PATH);
    if patterns.is_empty() {
        patterns = PATTERNS.split(',').map(str::to_owned).collect();
    }
    if patterns.len() > PATTERNS_MAX {
        reader.wrong(PATH, format!("has {} patterns, more than {PATTERNS_MAX}", patterns.len()));
    }
    let mut prefixes = Vec::new();
    for pattern in patterns {
        let prefix = pattern
            .strip_suffix('*')
            .filter(|prefix| prefix.len() >= PREFIX_MIN_BYTES && !prefix.contains(['*', '?', '[', ']', '\\', '^']));
        match prefix {
            None => reader.wrong(PATH, format!("`{pattern}` is not a text of at least 4 bytes and a `*`")),
            Some(prefix) if NOT_SESSIONS.iter().any(|n| n.starts_with(prefix) || prefix.starts_with(n)) => {
                reader.wrong(PATH, format!("`{pattern}` names what is no session"));
            }
            Some(prefix) => prefixes.push(prefix.to_owned()),
        }
    }
    let own = format!("{cookie}-");
    if !prefixes.iter().any(|prefix| own.starts_with(prefix)) {
        prefixes.insert(0, own);
    }
    prefixes
}
