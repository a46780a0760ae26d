//! Where a route reads tokens, and what becomes of them behind the checkpoint.

use std::borrow::Cow;
use std::rc::Rc;

use super::cookie::{self, OwnCookies};
use crate::head::{Head, folds_to};
use crate::identity::{Edits, Header};
use crate::route::Route;

/// Where a route reads tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Each of these may hold the token; if several do, it must be the same.
    pub from: Vec<Place>,
    /// Whether headers and cookies that hold a token go on to the upstream. A query parameter never does.
    pub forward: bool,
    /// The header that carries the token's payload to the upstream, base64url as it is in the token.
    pub payload_header: Option<Rc<str>>,
}

/// One place. Names of headers are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A header with an authentication scheme (RFC 9110 §11.4).
    Scheme {
        /// Its name.
        header: Box<[u8]>,
        /// Compared without regard to case.
        scheme: String,
    },
    /// A header with a text before the token, or with nothing but the token.
    Header {
        /// Its name.
        header: Box<[u8]>,
        /// Compared exactly; may be empty.
        prefix: String,
    },
    /// A parameter of the query.
    Query(String),
    /// A cookie.
    Cookie(String),
}

impl Default for Places {
    fn default() -> Self {
        let bearer = Place::Scheme { header: b"authorization".as_slice().into(), scheme: "Bearer".into() };
        Self { from: vec![bearer], forward: false, payload_header: None }
    }
}

impl Place {
    /// Whether both are the same header, parameter or cookie.
    #[must_use]
    pub fn is_where(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Scheme { header, .. } | Self::Header { header, .. },
                Self::Scheme { header: known, .. } | Self::Header { header: known, .. },
            ) => folds_to(header, known) || folds_to(known, header),
            (Self::Query(one), Self::Query(other)) | (Self::Cookie(one), Self::Cookie(other)) => one == other,
            _ => false,
        }
    }
}

impl Places {
    /// The header that tells the upstream what the token says. Only of one that was verified: what is not could
    /// say anything.
    #[must_use]
    pub fn payload(&self, token: &[u8]) -> Option<Header> {
        let name = self.payload_header.as_ref()?;
        Some((Cow::Owned(name.to_string()), payload(token)?))
    }

    /// The query parameters among them.
    pub fn parameters(&self) -> impl Iterator<Item = &str> + Clone {
        self.from.iter().filter_map(|place| match place {
            Place::Query(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The cookies among them.
    pub fn cookies(&self) -> impl Iterator<Item = &str> + Clone {
        self.from.iter().filter_map(|place| match place {
            Place::Cookie(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The headers among them.
    pub fn headers(&self) -> impl Iterator<Item = &[u8]> {
        self.from.iter().filter_map(|place| match place {
            Place::Scheme { header, .. } | Place::Header { header, .. } => Some(&**header),
            _ => None,
        })
    }
}

/// Takes every header and cookie away in which a token could be that is not to go on, however an upstream reads the
/// names of headers (rule E1): a credential is for this checkpoint, not for what lies behind it. `own` are the cookies of
/// sessions, if there are any. `keeps` says of which places the header itself goes on; what only folds to its name never does.
pub fn take_away(
    route: &Route,
    own: Option<OwnCookies<'_>>,
    keeps: &dyn Fn(&Places) -> bool,
    head: &Head<'_>,
    edits: &mut Edits,
) {
    const USUAL: &[u8] = b"authorization";
    for shown in route.places() {
        let keeps = keeps(shown);
        for header in shown.headers() {
            let goes = |name: &[u8]| folds_to(name, header) && !(keeps && name == header);
            for (name, _) in head.pairs.iter().filter(|(name, _)| goes(name)) {
                edits.remove.push(if *name == USUAL { Cow::Borrowed(USUAL) } else { Cow::Owned(name.to_vec()) });
            }
        }
    }
    let cookies: Vec<_> = route.places().filter(|shown| !shown.forward).flat_map(Places::cookies).collect();
    // Those of sessions alone were taken away when the request began.
    if !cookies.is_empty() {
        take_cookies(&cookies, own, head, edits);
    }
}

/// Takes these cookies away, whatever was taken away before: sessions never go on (rule E7), whatever the rule.
pub fn take_cookies(names: &[&str], own: Option<OwnCookies<'_>>, head: &Head<'_>, edits: &mut Edits) {
    if names.is_empty() && own.is_none() {
        return;
    }
    if let Some(rest) = cookie::without(head, names, own) {
        edits.remove_once(b"cookie");
        edits.set.retain(|(name, _)| name != "cookie");
        if !rest.is_empty() {
            edits.set.push(("cookie".into(), rest.into()));
        }
    }
}

/// The middle part of a token: base64url of its claims.
fn payload(token: &[u8]) -> Option<Rc<str>> {
    token.split(|byte| *byte == b'.').nth(1).and_then(|part| std::str::from_utf8(part).ok()).map(Rc::from)
}
