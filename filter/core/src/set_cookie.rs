//! What an upstream may not tell browsers: to keep a cookie of ours (rule E7). Whoever could set one could sign a browser in as
//! somebody else.
//!
//! Only headers count: browsers take no cookie from trailers (RFC 9110 §6.5.1), nor from what comes before the answer (1xx).

use crate::config::Policy;
use crate::credential::cookie::OwnCookies;
use crate::credential::oauth2_proxy::CookieRule;
use crate::head::Pairs;
use crate::route::RouteId;
use crate::session::Sessions;

/// Of which cookies an answer is cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Guard {
    /// Of none: there are no sessions, or the app API answers.
    #[default]
    Nothing,
    /// Of ours: oauth2-proxy answers.
    Ours,
    /// Of ours, and of oauth2-proxy's.
    All,
}

impl Guard {
    /// Those of which the answers of a rule's upstream are cleaned.
    #[must_use]
    pub fn of(policy: &Policy, id: RouteId) -> Self {
        match policy.sessions.as_ref() {
            Some(_) if policy.routes.get(id).is_for_the_app() => Self::Nothing,
            Some(sessions) if sessions.leads_to_oauth2_proxy(id) => Self::Ours,
            Some(_) => Self::All,
            None => Self::Nothing,
        }
    }

    /// The names of them.
    #[must_use]
    pub fn names(self, sessions: &Sessions) -> Option<OwnCookies<'_>> {
        let oauth2_proxy = sessions.oauth2_proxy.as_ref().filter(|_| self == Self::All).map(CookieRule::name);
        (self != Self::Nothing).then_some(OwnCookies { session: &sessions.cookie, attempts: true, oauth2_proxy })
    }
}

/// The values of `set-cookie` that may stay; none if all may.
#[must_use]
pub fn kept<'a>(pairs: &Pairs<'a>, own: OwnCookies<'_>) -> Option<Vec<&'a [u8]>> {
    let all = || pairs.iter().filter(|(name, _)| *name == b"set-cookie").map(|(_, value)| *value);
    let is_ours = |value: &&[u8]| own.include(name(value));
    all().any(|value| is_ours(&value)).then(|| all().filter(|value| !is_ours(value)).collect())
}

/// The name under which a browser would show the cookie again (RFC 6265 §5.2). One without a name is shown as its value
/// alone: `=a=b` comes back as `a=b`.
fn name(value: &[u8]) -> &[u8] {
    let nameless = |byte: &u8| *byte == b'=' || byte.is_ascii_whitespace();
    let start = value.iter().position(|byte| !nameless(byte)).unwrap_or(value.len());
    let rest = value.get(start..).unwrap_or_default();
    rest.split(|byte| matches!(byte, b'=' | b';')).next().unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn e7_an_upstream_sets_no_cookie_of_ours_however_it_is_written() {
        for (value, is_ours) in [
            ("__Host-sekisho=x; Path=/; Secure", true),
            ("__Host-sekisho=; Max-Age=0", true),
            ("  __Host-sekisho \t= x", true),
            ("__Host-sekisho-abc=x", true),
            ("__Host-sekisho-=x", true),
            ("=__Host-sekisho=x", true),
            ("\t= =__Host-sekisho=x", true),
            ("__Host-sekisho", true),
            ("__Host-sekisho; a=b", true),
            ("_proxy=x", true),
            ("_proxy-x=x", false),
            ("theme=dark", false),
            ("theme=__Host-sekisho=x", false),
            ("theme=dark; __Host-sekisho=x", false),
            ("a=1, __Host-sekisho=x", false), // browsers do not split at commas
            ("__Host-sekisho2=x", false),
            ("__host-sekisho=x", false), // nor do names differ by case to nobody
            ("sekisho=x", false),
            ("", false),
            ("=", false),
        ] {
            let pairs: &Pairs<'_> =
                &[(b"set-cookie", b"a=1"), (b"x-set-cookie", b"1"), (b"set-cookie", value.as_bytes())];
            let own = OwnCookies { session: "__Host-sekisho", attempts: true, oauth2_proxy: Some("_proxy") };
            let expected = is_ours.then(|| vec![&b"a=1"[..]]);
            assert_eq!(kept(pairs, own), expected, "{value:?}");
        }
        assert_eq!(kept(&[], OwnCookies { session: "s", attempts: true, oauth2_proxy: None }), None);
    }
}
