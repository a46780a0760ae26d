//! Cookies that hold a token (RFC 6265 §4.2.1). HTTP/2 may split them over several headers (RFC 9113 §8.2.3).

use std::borrow::Cow;

use crate::head::Head;

/// The cookies of sessions, and of sign-ins under way, whose names are that of the session with `-` and more behind it.
#[derive(Debug, Clone, Copy)]
pub struct OwnCookies<'p> {
    /// The name of the session's.
    pub session: &'p str,
    /// Whether those of sign-ins are meant, too.
    pub attempts: bool,
    /// The name of oauth2-proxy's, if it is meant, too.
    pub oauth2_proxy: Option<&'p str>,
}

impl OwnCookies<'_> {
    /// Whether a cookie is one of them.
    #[must_use]
    pub fn include(&self, name: &[u8]) -> bool {
        match name.strip_prefix(self.session.as_bytes()) {
            Some([]) => true,
            Some([b'-', ..]) if self.attempts => true,
            _ => self.oauth2_proxy.is_some_and(|known| known.as_bytes() == name),
        }
    }
}

/// The values of the cookie `name`. Quotes around a value belong to its notation.
pub fn values<'a>(head: &Head<'a>, name: &str) -> impl Iterator<Item = Cow<'a, [u8]>> {
    cookies(head).filter_map(move |cookie| {
        let value = value_of(cookie, name)?;
        let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        Some(Cow::Borrowed(quoted.unwrap_or(value)))
    })
}

/// All cookies but `names` and our own, as the value of one header, if one of them is there.
pub fn without(head: &Head<'_>, names: &[&str], own: Option<OwnCookies<'_>>) -> Option<String> {
    let is_one = |cookie: &[u8]| {
        let is = |name: &[u8]| {
            names.iter().any(|known| known.as_bytes() == name) || own.is_some_and(|own| own.include(name))
        };
        split(cookie).is_some_and(|(name, _)| is(name))
    };
    if !cookies(head).any(is_one) {
        return None;
    }
    let kept: Vec<_> = cookies(head).filter(|cookie| !is_one(cookie)).map(String::from_utf8_lossy).collect();
    Some(kept.join("; "))
}

fn cookies<'a>(head: &Head<'a>) -> impl Iterator<Item = &'a [u8]> {
    let headers = head.pairs.iter().filter(|(name, _)| *name == b"cookie").map(|(_, value)| *value);
    headers.flat_map(|value| value.split(|b| *b == b';')).map(<[u8]>::trim_ascii).filter(|cookie| !cookie.is_empty())
}

fn value_of<'a>(cookie: &'a [u8], name: &str) -> Option<&'a [u8]> {
    split(cookie).filter(|(given, _)| *given == name.as_bytes()).map(|(_, value)| value)
}

/// Name and value.
fn split(cookie: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = cookie.iter().position(|b| *b == b'=')?;
    let (name, value) = cookie.split_at_checked(at)?;
    Some((name.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_cookie_is_found_in_whichever_header_it_came() {
        for (headers, found, rest) in [
            (&["t=x"][..], &["x"][..], Some("")),
            (&["a=1; t=x; b=2"], &["x"], Some("a=1; b=2")),
            (&["a=1", "t=x", "b=2;t=y"], &["x", "y"], Some("a=1; b=2")),
            (&["t=\"x\""], &["x"], Some("")),
            (&["t=\"x"], &["\"x"], Some("")),
            (&[" t = x "], &["x"], Some("")),
            (&["t=a=b"], &["a=b"], Some("")),
            (&["T=x; tt=y; t"], &[], None),
            (&[], &[], None),
        ] {
            let pairs: Vec<(&[u8], &[u8])> = headers.iter().map(|value| (&b"cookie"[..], value.as_bytes())).collect();
            let head = Head { pairs: &pairs, ..Head::default() };
            let values: Vec<_> = values(&head, "t").map(Cow::into_owned).collect();
            assert_eq!(values, found.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>(), "{headers:?}");
            assert_eq!(without(&head, &["t"], None).as_deref(), rest, "{headers:?}");
        }
    }

    #[test]
    fn e7_our_own_cookies_are_told_apart_by_their_names() {
        let pairs: &[(&[u8], &[u8])] = &[(b"cookie", b"a=1; s=x; s-1=y; p=q"), (b"cookie", b"s-=z; s2=b; S=c; t=d; s")];
        let head = Head { pairs, ..Head::default() };
        let own = |attempts| Some(OwnCookies { session: "s", attempts, oauth2_proxy: attempts.then_some("p") });
        assert_eq!(without(&head, &[], own(true)).as_deref(), Some("a=1; s2=b; S=c; t=d; s"));
        assert_eq!(without(&head, &["t"], own(false)).as_deref(), Some("a=1; s-1=y; p=q; s-=z; s2=b; S=c; s"));
        assert_eq!(without(&head, &[], None), None);
    }
}
