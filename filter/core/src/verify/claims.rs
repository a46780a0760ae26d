//! The claims of a token (RFC 7519 §4), read strictly: a claim of the wrong type, or one that is
//! there twice, makes the token malformed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Invalid;
use super::object::Object;

/// Most bytes of a token's id, name and of each scope: they become headers and keys.
const TEXT_MAX_BYTES: usize = 256;
/// Most scopes of a token.
const SCOPES_MAX: usize = 64;

/// What a token says about itself.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) issuer: Option<String>,
    pub(super) audience: Vec<String>,
    pub(super) expires_at: Option<u64>,
    pub(super) not_before: Option<u64>,
    pub(super) issued_at: Option<u64>,
    pub(super) token_id: Option<String>,
    pub(super) token_name: Option<String>,
    pub(super) scopes: Vec<String>,
    all: BTreeMap<String, Value>,
}

impl Claims {
    pub(super) fn parse(payload: &[u8]) -> Result<Self, Invalid> {
        let Object(all) = serde_json::from_slice(payload).map_err(|_| Invalid::Malformed)?;
        let members = Members(&all);
        Ok(Self {
            issuer: members.text("iss", usize::MAX)?,
            audience: members.texts("aud")?,
            expires_at: members.moment("exp")?,
            not_before: members.moment("nbf")?,
            issued_at: members.moment("iat")?,
            token_id: members.text("jti", TEXT_MAX_BYTES)?,
            token_name: members.text("token_name", TEXT_MAX_BYTES)?,
            scopes: members.scopes()?,
            all,
        })
    }

    /// Any claim that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.all.get(name).and_then(Value::as_str)
    }
}

struct Members<'a>(&'a BTreeMap<String, Value>);

impl Members<'_> {
    fn text(&self, name: &str, max_bytes: usize) -> Result<Option<String>, Invalid> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.len() <= max_bytes && !text.chars().any(char::is_control) => {
                Ok(Some(text.clone()))
            }
            Some(_) => Err(Invalid::Malformed),
        }
    }

    /// RFC 7519 §4.1.3: one text or a list of texts.
    fn texts(&self, name: &str) -> Result<Vec<String>, Invalid> {
        let one = |value: &Value| value.as_str().map(str::to_owned).ok_or(Invalid::Malformed);
        match self.0.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values.iter().map(one).collect(),
            Some(value) => Ok(vec![one(value)?]),
        }
    }

    /// A moment in whole Unix seconds. RFC 7519 allows fractions; nobody needs them, and floating
    /// numbers beyond 2⁵³ compare in surprising ways.
    fn moment(&self, name: &str) -> Result<Option<u64>, Invalid> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or(Invalid::Malformed),
        }
    }

    /// `scopes`, a list (our token API), or `scope`, a text with spaces (RFC 8693 §4.2).
    fn scopes(&self) -> Result<Vec<String>, Invalid> {
        let scopes = match (self.0.get("scopes"), self.0.get("scope")) {
            (Some(_), _) => self.texts("scopes")?,
            (None, Some(Value::String(text))) => text.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect(),
            (None, Some(_)) => return Err(Invalid::Malformed),
            (None, None) => Vec::new(),
        };
        // RFC 6749 §3.3: visible ASCII without quotes and backslashes.
        let plain = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        let fits = |scope: &String| !scope.is_empty() && scope.len() <= TEXT_MAX_BYTES && scope.bytes().all(plain);
        if scopes.len() <= SCOPES_MAX && scopes.iter().all(fits) { Ok(scopes) } else { Err(Invalid::Malformed) }
    }
}
