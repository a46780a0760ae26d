//! Signatures of webhooks, as Standard Webhooks 1.0 says: HMAC-SHA256 over id, time and body.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How such a secret begins.
const PREFIX: &str = "whsec_";
/// Fewest and most bytes of one, decoded.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What a webhook's receiver knows, too.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Zeroizing<Vec<u8>>);

/// Why a text is no such secret. Holds nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be whsec_ and 24 to 64 bytes in base64; make one with `echo whsec_$(openssl rand -base64 32)`, and tell the receiver"
)]
pub struct InvalidSecret;

impl SigningSecret {
    /// The secret in this text: `whsec_` and base64.
    ///
    /// # Errors
    /// [`InvalidSecret`].
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| InvalidSecret)?);
        if BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(InvalidSecret) }
    }

    /// The header `webhook-signature` of a message with this id and body, sent at this Unix second.
    #[must_use]
    pub fn sign(&self, id: &str, at_s: u64, body: &str) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(format!("{id}.{at_s}.").as_bytes());
        mac.update(body.as_bytes());
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_signed_as_the_standard_says() {
        // The vector of the reference implementations.
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{secret:?}"), "SigningSecret(…)");
    }

    #[test]
    fn a_secret_that_is_too_short_or_none_is_refused_without_being_shown() {
        let of = |length: usize| format!("whsec_{}", STANDARD.encode(vec![7_u8; length]));
        for text in [of(23), of(65), of(32).replace("whsec_", ""), "whsec_?".into(), String::new()] {
            let error = SigningSecret::parse(&text).unwrap_err().to_string();
            assert!(text.len() < 10 || !error.contains(&text), "{error}");
        }
        SigningSecret::parse(&of(24)).unwrap();
        SigningSecret::parse(&of(64)).unwrap();
    }
}
