//! What a request asks for, in the one form in which rules are compared with it.

use std::borrow::Cow;

use crate::denial::Malformed;
use crate::head::{Head, Pairs};
use crate::path::readings::{Kinds, Readings};
use crate::path::{self, Unusual};

/// What a request asks for.
#[derive(Debug)]
pub struct Target<'a> {
    /// Lower case, without a port.
    pub host: Cow<'a, str>,
    /// Decoded: as an upstream reads it.
    pub path: Cow<'a, str>,
    /// How other upstreams read it; none if all read it the same.
    pub ambiguity: Option<Ambiguity>,
    /// `:method`, in capital letters.
    pub method: &'a [u8],
    /// All headers.
    pub pairs: &'a Pairs<'a>,
}

/// A path that upstreams read in several ways, of kinds that some rule tolerates.
#[derive(Debug)]
pub struct Ambiguity {
    /// Why it is refused where it is not tolerated.
    pub unusual: Unusual,
    /// What is unusual about it.
    pub kinds: Kinds,
    /// Its readings besides [`Target::path`].
    pub others: Vec<String>,
}

impl<'a> Target<'a> {
    /// The target of a request, if all that is unusual about its path is of kinds that some rule `tolerates`.
    ///
    /// # Errors
    /// [`Malformed`] if there is none, or one that servers could read in different ways.
    pub fn of(head: &Head<'a>, tolerated: Kinds) -> Result<Self, Malformed> {
        if head.path.is_empty() || !is_plain_method(head.method) {
            return Err(Malformed::Target);
        }
        let (path, ambiguity) = match path::normal_path(head.path) {
            Ok(path) => (path, None),
            Err(unusual) => several(head.path, tolerated, unusual).map_err(Malformed::Path)?,
        };
        // What is no host could still reach a rule for every host, and an upstream that reads it as one.
        let host = path::normal_host(head.authority).ok_or(Malformed::Target)?;
        Ok(Self { host, path, ambiguity, method: head.method, pairs: head.pairs })
    }

    /// The readings of the path besides the first.
    #[must_use]
    pub fn others(&self) -> &[String] {
        self.ambiguity.as_ref().map_or(&[], |ambiguity| &ambiguity.others)
    }

    /// The same with a path of one reading.
    pub(super) fn read_as<'r>(&'r self, path: &'r str) -> Target<'r> {
        let (host, path) = (Cow::Borrowed(&*self.host), Cow::Borrowed(path));
        Target { host, path, ambiguity: None, method: self.method, pairs: self.pairs }
    }
}

fn several<'a>(
    target: &[u8],
    tolerated: Kinds,
    unusual: Unusual,
) -> Result<(Cow<'a, str>, Option<Ambiguity>), Unusual> {
    if tolerated.are_none() {
        return Err(unusual);
    }
    let Readings { kinds, first, others } = Readings::of(target, tolerated).ok_or(unusual)?;
    Ok((Cow::Owned(first), Some(Ambiguity { unusual, kinds, others })))
}

/// Methods are told apart by their case (RFC 9110 §9.1), but not by every server: `get` could pass a rule about
/// `GET` and still be one to the upstream.
fn is_plain_method(method: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    !method.is_empty() && method.iter().all(plain) && method != b"CONNECT"
}
