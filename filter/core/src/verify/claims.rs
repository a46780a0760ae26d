//! The claims of a token (RFC 7519 §4), read strictly: a claim of the wrong type makes the token malformed.

use super::Invalid;
use super::json::{Object, Value};

/// Most bytes of a token's id, name and of each scope: they become headers and keys.
const TEXT_MAX_BYTES: usize = 256;
/// Most scopes of a token.
const SCOPES_MAX: usize = 64;
/// The last second of the year 9999. What lies beyond is a mistake, of milliseconds for seconds for instance.
const MOMENT_MAX: u64 = 253_402_300_799;

/// What a token says about itself.
#[derive(Debug)]
pub(super) struct Claims<'a>(Object<'a>);

impl<'a> Claims<'a> {
    pub(super) fn parse(payload: &'a [u8]) -> Result<Self, Invalid> {
        Object::parse(payload).map(Self)
    }

    /// A claim, if it is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0.get(name).filter(|value| **value != Value::Null)
    }

    /// A claim that is a text, or nothing, and will be a header or part of a key.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Invalid> {
        let plain = |text: &&str| !text.chars().any(char::is_control);
        self.get(name).map(|value| value.as_text().filter(plain).ok_or(Invalid::Malformed)).transpose()
    }

    /// The same of at most 256 bytes.
    pub(super) fn short_text(&self, name: &str) -> Result<Option<String>, Invalid> {
        match self.text(name)? {
            Some(text) if text.len() > TEXT_MAX_BYTES => Err(Invalid::Malformed),
            text => Ok(text.map(str::to_owned)),
        }
    }

    /// Whether one of the audiences is among `accepted`. RFC 7519 §4.1.3: one text or a list of texts.
    pub(super) fn is_for(&self, accepted: &[String]) -> Result<bool, Invalid> {
        let one = |value: &Value<'_>| {
            let audience = value.as_text().ok_or(Invalid::Malformed)?;
            Ok(accepted.iter().any(|known| known == audience))
        };
        match self.get("aud") {
            None => Ok(false),
            // Each is looked at: a list with something else in it is malformed.
            Some(Value::List(values)) => values.iter().try_fold(false, |found, value| Ok(one(value)? || found)),
            Some(value) => one(value),
        }
    }

    /// A moment in whole Unix seconds. RFC 7519 §2 allows fractions; nobody needs them, and floating
    /// numbers beyond 2⁵³ compare in surprising ways.
    pub(super) fn moment(&self, name: &str) -> Result<Option<u64>, Invalid> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Whole(moment)) if *moment <= MOMENT_MAX => Ok(Some(*moment)),
            Some(_) => Err(Invalid::Time),
        }
    }

    /// `scopes`, a list (our token API), or `scope`, a text with spaces (RFC 8693 §4.2).
    pub(super) fn scopes(&self) -> Result<Vec<String>, Invalid> {
        let scopes: Vec<String> = match (self.0.get("scopes"), self.0.get("scope")) {
            (Some(Value::List(values)), _) => {
                let one = |value: &Value<'_>| value.as_text().map(str::to_owned).ok_or(Invalid::Malformed);
                values.iter().map(one).collect::<Result<_, _>>()?
            }
            (Some(Value::Text(text)), _) => vec![text.to_string()],
            (None, Some(Value::Text(text))) => {
                text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
            }
            (None, None) => Vec::new(),
            _ => return Err(Invalid::Malformed),
        };
        // RFC 6749 §3.3: visible ASCII without quotes and backslashes.
        let plain = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        let fits = |scope: &String| !scope.is_empty() && scope.len() <= TEXT_MAX_BYTES && scope.bytes().all(plain);
        if scopes.len() <= SCOPES_MAX && scopes.iter().all(fits) { Ok(scopes) } else { Err(Invalid::Malformed) }
    }
}
