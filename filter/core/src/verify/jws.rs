//! The compact serialisation of a signed token (RFC 7515 §3.1).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use super::Invalid;
use super::object::Object;

/// A token taken apart. Nothing in it is believed yet.
#[derive(Debug)]
pub(super) struct Jws<'a> {
    /// What the signature is over: header, dot, payload.
    pub(super) signed: &'a [u8],
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// Header parameters that would change what the signature means, or bring a key along. Others say
/// nothing that could change the verdict.
const REFUSED: &[&str] = &["crit", "b64", "zip", "jwk", "jku", "x5u", "x5c"];

impl<'a> Jws<'a> {
    pub(super) fn parse(token: &'a [u8]) -> Result<Self, Invalid> {
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Invalid::Malformed);
        };
        let Object(header) = serde_json::from_slice(&decode(header)?).map_err(|_| Invalid::Malformed)?;
        let algorithm = header.get("alg").and_then(Value::as_str).ok_or(Invalid::Malformed)?;
        // RFC 8725 §3.1: the algorithm is the verifier's choice, never the token's.
        if algorithm != "HS256" || REFUSED.iter().any(|name| header.contains_key(*name)) {
            return Err(Invalid::Algorithm);
        }
        let signed = token.get(..token.len() - signature.len() - 1).ok_or(Invalid::Malformed)?;
        Ok(Self { signed, payload: decode(payload)?, signature: decode(signature)? })
    }
}

/// Strict base64url: no padding, no stray bits, so that each token has one spelling.
fn decode(part: &[u8]) -> Result<Vec<u8>, Invalid> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Invalid::Malformed)
}
