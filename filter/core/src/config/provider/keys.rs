//! The keys of a provider: secrets, public keys, the source that sidecars fetch more from.

use std::mem::take;
use std::rc::Rc;

use sekisho_protocol::keyset::{Jwk, KEYS_MAX, SOURCE_MAX_BYTES};
use serde::Deserialize as _;
use serde_json::Value;

use super::super::field::Field;
use super::super::parse::Parser;
use super::super::raw::{RawJwks, RawProvider};
use crate::secret::Secret;
use crate::verify::algorithm::Algorithm;
use crate::verify::key::VerifyingKey;

/// Members that only a private or secret key has (RFC 7518 §6).
pub(in super::super) const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl Parser<'_> {
    /// The keys that stand in the configuration, and the source of others. A provider has at least one of both.
    pub(super) fn keys(
        &mut self,
        path: &str,
        raw: &mut RawProvider,
        listed: Option<&[Algorithm]>,
    ) -> (Vec<Rc<VerifyingKey>>, Option<Rc<str>>) {
        let secrets = [
            ("hs256_secret_env", Algorithm::Hs256, take(&mut raw.hs256_secret_env)),
            ("hs384_secret_env", Algorithm::Hs384, take(&mut raw.hs384_secret_env)),
            ("hs512_secret_env", Algorithm::Hs512, take(&mut raw.hs512_secret_env)),
        ];
        let (jwks, source) = (take(&mut raw.jwks), take(&mut raw.key_source));
        let no_secret = secrets.iter().all(|(_, _, field)| matches!(field, Field::Absent));
        if no_secret && matches!((&jwks, &source), (Field::Absent, Field::Absent)) {
            self.problems.push(path, "has no key: name `hs256_secret_env` (or 384, 512), `jwks` or `key_source`");
        }
        let mut keys = Vec::new();
        for (name, algorithm, field) in secrets {
            keys.extend(self.hmac_key(&format!("{path}.{name}"), algorithm, field, listed));
        }
        keys.extend(self.jwks(&format!("{path}.jwks"), jwks));
        (keys, self.key_source(format!("{path}.key_source"), source))
    }

    fn hmac_key(
        &mut self,
        path: &str,
        algorithm: Algorithm,
        field: Field<String>,
        listed: Option<&[Algorithm]>,
    ) -> Option<Rc<VerifyingKey>> {
        if matches!(field, Field::Absent) {
            if listed.is_some_and(|listed| listed.contains(&algorithm)) {
                self.problems.push(path, format_args!("is missing, though `algorithms` lists {algorithm}"));
            }
            return None;
        }
        if listed.is_some_and(|listed| !listed.contains(&algorithm)) {
            self.problems.push(path, format_args!("verifies nothing, since `algorithms` leaves out {algorithm}"));
        }
        let variable = self.problems.text(path, field)?;
        Some(Rc::new(VerifyingKey::hmac(self.jwt_secret(path, &variable, algorithm)?, algorithm)))
    }

    /// RFC 7518 §3.2: a key of HMAC has at least the size of its hash. The secret of an installation that Sekisho
    /// takes over may be shorter, if its operator says so.
    fn jwt_secret(&mut self, path: &str, variable: &str, algorithm: Algorithm) -> Option<Secret> {
        let allowed = (self.environment)("SEKISHO_ALLOW_SHORT_JWT_SECRET").as_deref() == Some("1");
        self.secret(path, variable, if allowed { 1 } else { algorithm.hash().size_bytes() })
    }

    fn jwks(&mut self, path: &str, field: Field<RawJwks>) -> Vec<Rc<VerifyingKey>> {
        let Some(RawJwks { keys: raw }) = self.problems.optional(path, field) else {
            return Vec::new();
        };
        if raw.is_empty() || raw.len() > KEYS_MAX {
            self.problems.push(format_args!("{path}.keys"), format_args!("is a list of 1 to {KEYS_MAX} keys"));
            return Vec::new();
        }
        let mut keys = Vec::with_capacity(raw.len());
        for (index, key) in raw.iter().enumerate() {
            match public_key(key) {
                Ok(key) => keys.push(Rc::new(key)),
                Err(message) => self.problems.push(format_args!("{path}.keys[{index}]"), message),
            }
        }
        keys
    }

    fn key_source(&mut self, path: String, field: Field<String>) -> Option<Rc<str>> {
        if matches!(field, Field::Absent) {
            return None;
        }
        let name = self.problems.text(&path, field)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if name.len() > SOURCE_MAX_BYTES || !name.bytes().all(plain) {
            let wanted = "letters, digits, `.`, `_` and `-`";
            self.problems.push(path, format_args!("is not a name of at most {SOURCE_MAX_BYTES} {wanted}"));
            return None;
        }
        Some(name.into())
    }
}

fn public_key(value: &Value) -> Result<VerifyingKey, String> {
    // It would not be used, but it stands in a place that many can read: better its owner hears of it.
    if let Some(name) = PRIVATE.iter().find(|name| value.get(name).is_some()) {
        return Err(format!("has the private member `{name}`: only public keys stand in a configuration"));
    }
    let jwk = Jwk::deserialize(value).map_err(|error| error.to_string())?;
    VerifyingKey::from_jwk(&jwk, None).map_err(|invalid| invalid.to_string())
}
