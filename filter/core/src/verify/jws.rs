//! The compact serialisation of a signed token (RFC 7515 §3.1).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::Invalid;

/// A token taken apart. Nothing in it is believed yet.
#[derive(Debug)]
pub(super) struct Jws<'a> {
    /// What the signature is over: header, dot, payload.
    pub(super) signed: &'a [u8],
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// The header's members that matter. Others say nothing that could change the verdict; those that
/// could (`crit`, `b64`, and keys brought along) are refused.
#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    crit: Option<Value>,
    #[serde(default)]
    b64: Option<Value>,
    #[serde(default)]
    jwk: Option<Value>,
    #[serde(default)]
    jku: Option<Value>,
    #[serde(default)]
    x5u: Option<Value>,
    #[serde(default)]
    x5c: Option<Value>,
    #[serde(default)]
    zip: Option<Value>,
}

impl<'a> Jws<'a> {
    pub(super) fn parse(token: &'a [u8]) -> Result<Self, Invalid> {
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Invalid::Malformed);
        };
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| Invalid::Malformed)?;
        // RFC 8725 §3.1: the algorithm is the verifier's choice, never the token's.
        if header.alg != "HS256" {
            return Err(Invalid::Algorithm);
        }
        let extras = [header.crit, header.b64, header.jwk, header.jku, header.x5u, header.x5c, header.zip];
        if extras.iter().any(Option::is_some) {
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
