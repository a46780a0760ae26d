//! Bytes → credential. Only what the route accepts counts (rule E4).

use crate::denial::Malformed;
use crate::head::Credentials;
use crate::verify::{Invalid, TOKEN_MAX_BYTES};

/// What a client shows to prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// A bearer token (RFC 6750 §2.1), not verified yet.
    Bearer(&'a [u8]),
}

/// Why there is no credential to verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCredential {
    /// The client showed none.
    Missing,
    /// There is an `Authorization` header, but no bearer token in it.
    NotBearer,
    /// There is a token that cannot be valid.
    Invalid(Invalid),
    /// The request is not well-formed.
    Malformed(Malformed),
}

/// The credential in `Authorization`.
///
/// # Errors
/// [`NoCredential`] says why there is none.
pub fn extract(authorization: Credentials<'_>) -> Result<Credential<'_>, NoCredential> {
    let value = match authorization {
        Credentials::None => return Err(NoCredential::Missing),
        Credentials::Several => return Err(NoCredential::Malformed(Malformed::SeveralCredentials)),
        Credentials::One(value) => value,
    };
    // Envoy joins repeated headers with a comma: two credentials again.
    if value.contains(&b',') {
        return Err(NoCredential::Malformed(Malformed::SeveralCredentials));
    }
    let token = bearer(value).ok_or(NoCredential::NotBearer)?;
    if token.len() > TOKEN_MAX_BYTES {
        return Err(NoCredential::Invalid(Invalid::TooLong));
    }
    Ok(Credential::Bearer(token))
}

/// The token of a bearer credential: `Bearer` 1*SP b64token (RFC 6750 §2.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"bearer") || rest.first() != Some(&b' ') {
        return None;
    }
    let token = rest.trim_ascii();
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    (!token.is_empty() && token.iter().all(plain)).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn e4_only_a_recognisable_bearer_token_is_a_credential() {
        let long = format!("Bearer {}", "a".repeat(TOKEN_MAX_BYTES + 1));
        for (value, expected) in [
            ("Bearer abc.d-e_f", Ok(Credential::Bearer(b"abc.d-e_f"))),
            ("bearer abc", Ok(Credential::Bearer(b"abc"))), // RFC 9110 §11.1: the scheme is case-insensitive
            ("BEARER   abc ", Ok(Credential::Bearer(b"abc"))),
            ("Bearer", Err(NoCredential::NotBearer)),
            ("Bearer ", Err(NoCredential::NotBearer)),
            ("Bearerabc", Err(NoCredential::NotBearer)),
            ("Basic abc", Err(NoCredential::NotBearer)),
            ("Bearer a b", Err(NoCredential::NotBearer)),
            ("Bearer \u{e9}", Err(NoCredential::NotBearer)),
            ("", Err(NoCredential::NotBearer)),
            ("Bearer a,Bearer b", Err(NoCredential::Malformed(Malformed::SeveralCredentials))),
            (&long, Err(NoCredential::Invalid(Invalid::TooLong))),
        ] {
            assert_eq!(extract(Credentials::One(value.as_bytes())), expected, "{value:?}");
        }
        assert_eq!(extract(Credentials::None), Err(NoCredential::Missing));
    }

    #[test]
    fn e1_a_repeated_credential_header_is_malformed_even_with_equal_values() {
        assert_eq!(extract(Credentials::Several), Err(NoCredential::Malformed(Malformed::SeveralCredentials)));
    }
}
