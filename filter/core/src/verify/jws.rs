//! The compact serialisation of a signed token (RFC 7515 §3.1, §7.1).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sekisho_protocol::keyset::KID_MAX_BYTES;

use super::Invalid;
use super::algorithm::Algorithm;
use super::json::{Object, Value};

/// A token taken apart. Nothing in it is believed yet.
#[derive(Debug)]
pub(super) struct Jws<'a> {
    /// What the signature is over: header, dot, payload, as they were sent.
    pub(super) signed: &'a [u8],
    header: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8],
}

/// What a token's header asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// How it claims to be signed.
    pub(super) algorithm: Algorithm,
    /// Which key it names.
    pub(super) key_id: Option<String>,
    /// What it is, without `application/` (RFC 7515 §4.1.9).
    pub(super) kind: Option<String>,
}

impl<'a> Jws<'a> {
    pub(super) fn split(token: &'a [u8]) -> Result<Self, Invalid> {
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Invalid::Malformed);
        };
        match parts.count() {
            0 => {}
            // RFC 7516 §9: five parts are an encrypted token.
            2 => return Err(Invalid::Encrypted),
            _ => return Err(Invalid::Malformed),
        }
        let signed = token.get(..header.len() + 1 + payload.len()).ok_or(Invalid::Malformed)?;
        Ok(Self { signed, header, payload, signature })
    }

    pub(super) fn header(&self) -> Result<Header, Invalid> {
        Header::parse(&decode(self.header)?)
    }

    pub(super) fn payload(&self) -> Result<Vec<u8>, Invalid> {
        decode(self.payload)
    }

    pub(super) fn signature(&self) -> Result<Vec<u8>, Invalid> {
        decode(self.signature)
    }
}

impl Header {
    fn parse(json: &[u8]) -> Result<Self, Invalid> {
        let (mut algorithm, mut key_id, mut kind) = (None, None, None);
        for (name, value) in Object::parse(json)?.iter() {
            match name {
                "alg" => algorithm = Some(value.as_text().ok_or(Invalid::Malformed)?.to_owned()),
                "kid" => key_id = Some(named_key(value)?),
                "typ" => kind = Some(media_type(value)?.to_owned()),
                "cty" if media_type(value)?.eq_ignore_ascii_case("jwt") => return Err(Invalid::Nested),
                // What would change what the signature means, or bring a key along.
                "crit" => return Err(Invalid::Critical),
                "b64" => return Err(Invalid::Unencoded),
                "zip" => return Err(Invalid::Compressed),
                "jwk" | "jku" | "x5u" | "x5c" => return Err(Invalid::EmbeddedKey),
                // Other parameters say nothing that could change the verdict (RFC 7515 §4).
                _ => {}
            }
        }
        let name = algorithm.ok_or(Invalid::Malformed)?;
        if name.eq_ignore_ascii_case("none") {
            return Err(Invalid::Unsigned);
        }
        Ok(Self { algorithm: Algorithm::from_name(&name).ok_or(Invalid::Algorithm)?, key_id, kind })
    }
}

fn named_key(value: &Value<'_>) -> Result<String, Invalid> {
    let fits = |id: &&str| id.len() <= KID_MAX_BYTES && !id.chars().any(char::is_control);
    value.as_text().filter(fits).map(str::to_owned).ok_or(Invalid::KeyId)
}

/// A media type, from which `application/` may be left out.
fn media_type<'v>(value: &'v Value<'_>) -> Result<&'v str, Invalid> {
    const PREFIX: &str = "application/";
    let name = value.as_text().ok_or(Invalid::Malformed)?;
    let prefixed = name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
    Ok(if prefixed { name.get(PREFIX.len()..).unwrap_or_default() } else { name })
}

/// Strict base64url: no padding, no white space, no stray bits, so that each token has one spelling.
fn decode(part: &[u8]) -> Result<Vec<u8>, Invalid> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Invalid::Encoding)
}
