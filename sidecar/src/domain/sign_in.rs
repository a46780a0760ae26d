//! Signing in: who an identity provider says that somebody is, and on which hosts people sign in.

use serde_json::{Map, Value};
use url::{Origin as UrlOrigin, Url};

pub mod admission;
pub mod attempt;
pub mod grant;
pub mod registration;

/// The cookie of a session over TLS: its prefix makes browsers take it from this very host alone, for this host alone
/// (RFC 6265bis §4.1.3.2).
pub const COOKIE: &str = "__Host-sekisho";
/// For trials over plain HTTP, where browsers take a cookie with that prefix from localhost at most.
const PLAIN_COOKIE: &str = "sekisho";

/// What a session's cookie is called.
#[must_use]
pub const fn cookie_name(is_secure: bool) -> &'static str {
    if is_secure { COOKIE } else { PLAIN_COOKIE }
}

/// What an identity provider said of somebody in an ID token whose signature, audience, times and nonce were found
/// good (OpenID Connect Core §3.1.3.7), and at its userinfo endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Testimony {
    /// Who says so.
    pub issuer: String,
    /// The provider's own name for them: never another one's, never given away again.
    pub sub: String,
    /// The provider's name for the session that it keeps itself (OpenID Connect Back-Channel Logout 1.0 §2.1).
    pub sid: Option<String>,
    /// All claims, those of the ID token before those of userinfo.
    pub claims: Map<String, Value>,
}

impl Testimony {
    /// A claim that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }
}

/// An origin on which people sign in (RFC 6454 §4): what browsers show, behind whatever proxies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(Url);

impl Origin {
    /// The origin that `text` names: a scheme, a host, perhaps a port, and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_web = matches!(url.scheme(), "https" | "http");
        let is_bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        (is_web && is_bare && matches!(url.origin(), UrlOrigin::Tuple(..))).then_some(Self(url))
    }

    /// Its front page.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Its host, in lower case and without a port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether it is protected by TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The address of a page of it.
    #[must_use]
    pub fn page(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        for (text, expected) in [
            ("https://App.example.com", Some(("app.example.com", true))),
            ("https://app.example.com/", Some(("app.example.com", true))),
            ("http://localhost:8080", Some(("localhost", false))),
            ("https://[::1]:8443", Some(("[::1]", true))),
            ("https://app.example.com/path", None),
            ("https://app.example.com?x", None),
            ("https://app.example.com#x", None),
            ("https://ann@app.example.com", None),
            ("ftp://app.example.com", None),
            ("app.example.com", None),
            ("https://", None),
            ("*", None),
        ] {
            let origin = Origin::parse(text);
            assert_eq!(origin.as_ref().map(|origin| (origin.host(), origin.is_secure())), expected, "{text}");
        }
        let origin = Origin::parse("http://localhost:8080").unwrap();
        assert_eq!(origin.page("/oauth2/callback").as_str(), "http://localhost:8080/oauth2/callback");
    }
}
