//! Bytes → credential. Only what the route reads, where it reads it, counts (rule E4).

pub mod cookie;
pub mod oauth2_proxy;
pub mod places;
pub mod query;

use std::borrow::Cow;

use crate::denial::Malformed;
use crate::head::Head;
use crate::verify::{Invalid, TOKEN_MAX_BYTES};
use places::{Place, Places};

/// What a client shows to prove who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential<'a> {
    /// A token (RFC 6750 §2), not verified yet.
    Token(Cow<'a, [u8]>),
}

/// Why there is no credential to verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCredential {
    /// The client showed none.
    Missing,
    /// There is a header for it, but no token in it.
    NotBearer,
    /// There is a header for it, and in it a credential of another kind.
    Foreign,
    /// There is a token that cannot be valid.
    Invalid(Invalid),
    /// The request is not well-formed.
    Malformed(Malformed),
}

/// What one place holds.
enum Found<'a> {
    Nothing,
    /// Something that should be a token and is none.
    Other,
    /// Something of another kind, such as another scheme.
    Foreign,
    Token(Cow<'a, [u8]>),
    /// More than one: whose is it?
    Several,
}

/// The one credential of a request, among the places in which its route reads one. The same one twice is one;
/// what does not look like a token counts only if nothing does.
///
/// Its bytes are not looked at here if there is one place only: every request pays for that, and what is found
/// in the cache of verified tokens was looked at before. Whoever does not find it asks [`check_shape`].
///
/// # Errors
/// [`NoCredential`] says why there is none.
pub fn extract<'a>(places: &Places, head: &Head<'a>) -> Result<Credential<'a>, NoCredential> {
    if let [place] = &*places.from {
        return match look(place, head) {
            Found::Token(token) => Ok(Credential::Token(token)),
            Found::Nothing => Err(NoCredential::Missing),
            Found::Other => Err(NoCredential::NotBearer),
            Found::Foreign => Err(NoCredential::Foreign),
            Found::Several => Err(NoCredential::Malformed(Malformed::SeveralCredentials)),
        };
    }
    extract_among(places, head)
}

/// The value of the cookie in which a browser shows its session, if it shows one.
///
/// # Errors
/// [`Malformed::SeveralCredentials`] if it shows two.
pub fn session<'a>(name: &str, head: &Head<'a>) -> Result<Option<Cow<'a, [u8]>>, NoCredential> {
    match one_of(cookie::values(head, name)) {
        Found::Token(cookie) => Ok(Some(cookie)),
        Found::Several => Err(NoCredential::Malformed(Malformed::SeveralCredentials)),
        Found::Nothing | Found::Other | Found::Foreign => Ok(None),
    }
}

/// Whether a browser shows this token by itself: it is in a cookie, and nowhere else.
#[must_use]
pub fn is_in_cookies_alone(token: &[u8], places: &Places, head: &Head<'_>) -> bool {
    let is_cookie = |place: &&Place| matches!(place, Place::Cookie(_));
    let holds = |place: &Place| matches!(look(place, head), Found::Token(found) if *found == *token);
    places.from.iter().any(|place| is_cookie(&place))
        && !places.from.iter().any(|place| !is_cookie(&place) && holds(place))
}

fn extract_among<'a>(places: &Places, head: &Head<'a>) -> Result<Credential<'a>, NoCredential> {
    let (mut found, mut unlike, mut other, mut foreign) = (None, None, false, false);
    for place in &places.from {
        match look(place, head) {
            Found::Nothing => {}
            Found::Other => other = true,
            Found::Foreign => foreign = true,
            Found::Several => return Err(NoCredential::Malformed(Malformed::SeveralCredentials)),
            Found::Token(token) => match check_shape(&token) {
                Err(NoCredential::NotBearer) => other = true,
                Err(refused @ NoCredential::Malformed(_)) => return Err(refused),
                _ if !looks_like_a_token(&token) => unlike = Some(token),
                _ => {
                    if found.replace(token).is_some_and(|before| found.as_ref() != Some(&before)) {
                        return Err(NoCredential::Malformed(Malformed::SeveralCredentials));
                    }
                }
            },
        }
    }
    match found.or(unlike) {
        Some(token) => Ok(Credential::Token(token)),
        None if other => Err(NoCredential::NotBearer),
        None if foreign => Err(NoCredential::Foreign),
        None => Err(NoCredential::Missing),
    }
}

/// Whether these bytes can be one token at all.
///
/// # Errors
/// They are several, joined by Envoy with a comma (rule E1); they are no token68; there are too many.
pub fn check_shape(token: &[u8]) -> Result<(), NoCredential> {
    if is_token68(token) {
        let is_too_long = token.len() > TOKEN_MAX_BYTES;
        return if is_too_long { Err(NoCredential::Invalid(Invalid::TooLong)) } else { Ok(()) };
    }
    if token.contains(&b',') {
        return Err(NoCredential::Malformed(Malformed::SeveralCredentials));
    }
    Err(NoCredential::NotBearer)
}

fn look<'a>(place: &Place, head: &Head<'a>) -> Found<'a> {
    match place {
        Place::Scheme { header, scheme } => {
            in_header(head, header, |value| after_scheme(value, scheme), |value| has_scheme(value, scheme))
        }
        Place::Header { header, prefix } => {
            in_header(head, header, |value| after_prefix(value, prefix), |value| has_prefix(value, prefix))
        }
        Place::Query(name) => one_of(query::values(head.path, name)),
        Place::Cookie(name) => one_of(cookie::values(head, name)),
    }
}

/// Two headers are two credentials even with equal values (rule E1).
fn in_header<'a>(
    head: &Head<'a>,
    header: &[u8],
    token: impl Fn(&'a [u8]) -> Option<&'a [u8]>,
    is_ours: impl Fn(&[u8]) -> bool,
) -> Found<'a> {
    let mut values = head.pairs.iter().filter(|(name, _)| *name == header).map(|(_, value)| *value);
    match (values.next(), values.next()) {
        (None, _) => Found::Nothing,
        (Some(_), Some(_)) => Found::Several,
        // Two credentials even if none of them is a token.
        (Some(value), None) => match token(value) {
            Some(token) => Found::Token(Cow::Borrowed(token)),
            None if value.contains(&b',') => Found::Several,
            None if is_ours(value) => Found::Other,
            None => Found::Foreign,
        },
    }
}

/// Cookies and parameters may be repeated, as long as they all say the same.
fn one_of<'a>(values: impl Iterator<Item = Cow<'a, [u8]>>) -> Found<'a> {
    let mut one: Option<Cow<'a, [u8]>> = None;
    for value in values {
        if one.as_ref().is_some_and(|known| *known != value) {
            return Found::Several;
        }
        one = Some(value);
    }
    match one {
        None => Found::Nothing,
        Some(value) if value.is_empty() => Found::Other,
        Some(value) => Found::Token(value),
    }
}

/// The credential behind a scheme: scheme 1*SP token68 (RFC 9110 §11.4, RFC 6750 §2.1). Schemes are
/// case-insensitive.
fn after_scheme<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (given, rest) = value.split_at_checked(scheme.len())?;
    if !given.eq_ignore_ascii_case(scheme.as_bytes()) || rest.first() != Some(&b' ') {
        return None;
    }
    Some(rest.trim_ascii()).filter(|token| !token.is_empty())
}

/// Whether a value would be of this scheme to a reader that is less strict about what follows it.
fn has_scheme(value: &[u8], scheme: &str) -> bool {
    let value = value.trim_ascii_start();
    value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
        && !value.get(scheme.len()).is_some_and(u8::is_ascii_alphanumeric)
}

fn has_prefix(value: &[u8], prefix: &str) -> bool {
    let value = value.trim_ascii_start();
    value.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

fn after_prefix<'a>(value: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    Some(value.strip_prefix(prefix.as_bytes())?.trim_ascii()).filter(|token| !token.is_empty())
}

/// One look at each byte: tokens are long, and every request shows one.
fn is_token68(token: &[u8]) -> bool {
    !token.is_empty() && token.iter().all(|byte| TOKEN68.get(usize::from(*byte)).is_some_and(|plain| *plain))
}

/// The bytes of token68 (RFC 9110 §11.2).
#[expect(clippy::indexing_slicing, reason = "a byte is an index of 256 places, and this runs when compiled")]
const TOKEN68: [bool; 256] = {
    let mut plain = [false; 256];
    let mut rest = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=".as_slice();
    while let [byte, after @ ..] = rest {
        plain[*byte as usize] = true;
        rest = after;
    }
    plain
};

/// A signed or encrypted token has at least two dots (RFC 7515 §7.1); an API key in the same header has none.
fn looks_like_a_token(token: &[u8]) -> bool {
    token.split(|byte| *byte == b'.').nth(2).is_some()
}

#[cfg(test)]
mod tests;
