//! What a request asks for, in the one form in which rules are compared with it.

use std::borrow::Cow;

use crate::denial::Malformed;
use crate::head::{Head, Pairs};
use crate::path;

/// What a request asks for.
#[derive(Debug)]
pub struct Target<'a> {
    /// Lower case, without a port.
    pub host: Cow<'a, str>,
    /// Decoded: as an upstream reads it.
    pub path: Cow<'a, str>,
    /// `:method`, in capital letters.
    pub method: &'a [u8],
    /// All headers.
    pub pairs: &'a Pairs<'a>,
}

impl<'a> Target<'a> {
    /// The target of a request.
    ///
    /// # Errors
    /// [`Malformed`] if there is none, or one that servers could read in different ways.
    pub fn of(head: &Head<'a>) -> Result<Self, Malformed> {
        if head.path.is_empty() || !is_plain_method(head.method) {
            return Err(Malformed::Target);
        }
        let path = path::normal_path(head.path).map_err(Malformed::Path)?;
        // What is no host could still reach a rule for every host, and an upstream that reads it as one.
        let host = path::normal_host(head.authority).ok_or(Malformed::Target)?;
        Ok(Self { host, path, method: head.method, pairs: head.pairs })
    }
}

/// Methods are told apart by their case (RFC 9110 §9.1), but not by every server: `get` could pass a rule about
/// `GET` and still be one to the upstream.
fn is_plain_method(method: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    !method.is_empty() && method.iter().all(plain) && method != b"CONNECT"
}
