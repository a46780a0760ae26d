//! The cookies of sessions and of sign-ins that have begun (RFC 6265bis).

use axum::http::{HeaderMap, HeaderValue, header};

use crate::domain::sign_in::{attempt, cookie_name};

/// How cookies are named and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cookies {
    /// Whether they are for TLS alone.
    pub(super) is_secure: bool,
}

impl Cookies {
    fn name(self) -> &'static str {
        cookie_name(self.is_secure)
    }

    /// Puts a session into the browser.
    pub(super) fn session(self, value: &str, max_age_s: u64) -> Option<HeaderValue> {
        self.set(self.name(), value, max_age_s)
    }

    /// Takes it away.
    pub(super) fn no_session(self) -> Option<HeaderValue> {
        self.set(self.name(), "", 0)
    }

    /// Puts an attempt into the browser; `name` is its state's.
    pub(super) fn attempt(self, name: &str, value: &str) -> Option<HeaderValue> {
        self.set(&self.attempt_name(name), value, attempt::LIFE_S)
    }

    /// Takes it away.
    pub(super) fn no_attempt(self, name: &str) -> Option<HeaderValue> {
        self.set(&self.attempt_name(name), "", 0)
    }

    /// The attempts that a browser has: the ends of their names, and their values.
    pub(super) fn attempts(self, headers: &HeaderMap) -> Vec<(String, String)> {
        let prefix = self.attempt_name("");
        let pairs =
            all(headers).filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?.to_owned(), value.to_owned())));
        pairs.collect()
    }

    /// The attempt of one state; none if the browser shows two, of which one may be a forgery.
    pub(super) fn find_attempt(self, headers: &HeaderMap, name: &str) -> Option<String> {
        let mut found = self.attempts(headers).into_iter().filter(|(known, _)| known == name);
        let (first, second) = (found.next(), found.next());
        first.filter(|_| second.is_none()).map(|(_, value)| value)
    }

    fn attempt_name(self, name: &str) -> String {
        format!("{}-{name}", self.name())
    }

    /// `Lax`: the provider's redirect back is a navigation from another site, and must bring the attempt along.
    fn set(self, name: &str, value: &str, max_age_s: u64) -> Option<HeaderValue> {
        let secure = if self.is_secure { "; Secure" } else { "" };
        HeaderValue::from_str(&format!("{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}"))
            .ok()
    }
}

/// All cookies of a request. One that is no text, which another host may have set, hides no other.
fn all(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    let texts =
        lines.flat_map(|line| line.split(|byte| *byte == b';')).filter_map(|pair| std::str::from_utf8(pair).ok());
    texts.filter_map(|pair| pair.trim().split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_this_host_and_no_script() {
        let secure = Cookies { is_secure: true };
        let cookie = secure.session("v", 60).unwrap();
        assert_eq!(cookie, "__Host-sekisho=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        let plain = Cookies { is_secure: false };
        assert_eq!(plain.no_session().unwrap(), "sekisho=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
        assert_eq!(
            secure.attempt("abc", "v").unwrap(),
            "__Host-sekisho-abc=v; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure"
        );
    }

    #[test]
    fn an_attempt_is_found_by_its_name_unless_there_are_two() {
        let cookies = Cookies { is_secure: true };
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; __Host-sekisho=s;__Host-sekisho-x=1"));
        headers.append(header::COOKIE, HeaderValue::from_static("__Host-sekisho-y=2=; sekisho-x=9"));
        assert_eq!(cookies.attempts(&headers), [("x".into(), "1".into()), ("y".into(), "2=".into())]);
        assert_eq!(cookies.find_attempt(&headers, "y").as_deref(), Some("2="));
        assert_eq!(cookies.find_attempt(&headers, "z"), None);
        // What another host may have set for this one, too.
        headers.append(header::COOKIE, HeaderValue::from_bytes(b"a=\xe9; __Host-sekisho-w=4; b=\xc3\xa9").unwrap());
        assert_eq!(cookies.find_attempt(&headers, "w").as_deref(), Some("4"));
        headers.append(header::COOKIE, HeaderValue::from_static("__Host-sekisho-x=3"));
        assert_eq!(cookies.find_attempt(&headers, "x"), None);
    }
}
