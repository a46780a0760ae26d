//! What a source publishes (RFC 7517 §5) → the keys of it that can be used here.

use std::fmt;

use sekisho_core::verify::key::VerifyingKey;
use sekisho_protocol::keyset::{Jwk, KEYS_MAX};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Members that only private and secret keys have (RFC 7518 §6.2.2, §6.3.2, §6.4.1). Whoever publishes one has given
/// the key away.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The keys of a set, sorted out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Those that can be used, in their order, each once; at most [`KEYS_MAX`].
    pub keys: Vec<Jwk>,
    /// The others.
    pub left_out: Vec<LeftOut>,
}

/// A key that is of no use here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Where it stands in the set, from 0.
    pub index: usize,
    /// Its name, if it says one.
    pub kid: Option<String>,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "keys[{}] (`{}`): {}", self.index, kid.escape_debug(), self.why),
            None => write!(f, "keys[{}]: {}", self.index, self.why),
        }
    }
}

/// Why a set is of no use at all. The last good one stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableSet {
    /// It is not what RFC 7517 §5 describes.
    #[error("it is no set of keys: a JSON object with a list `keys`")]
    Form,
    /// There is nothing in it that could verify a token.
    #[error("none of its {0} keys can be used{first}", first = .1.as_ref().map_or_else(String::new, |first| format!("; {first}")))]
    Empty(usize, Option<LeftOut>),
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

/// The usable keys of the set in `body`.
///
/// # Errors
/// [`UnusableSet`]: it is no set, or there is none.
pub fn select(body: &[u8]) -> Result<Selection, UnusableSet> {
    let set: RawSet = serde_json::from_slice(body).map_err(|_| UnusableSet::Form)?;
    let (mut selection, count) = (Selection::default(), set.keys.len());
    for (index, key) in set.keys.into_iter().enumerate() {
        let kid = key.get("kid").and_then(Value::as_str).map(str::to_owned);
        match usable(key) {
            Ok(key) if selection.keys.contains(&key) => {}
            Ok(key) if selection.keys.len() < KEYS_MAX => selection.keys.push(key),
            Ok(_) => selection.left_out.push(LeftOut { index, kid, why: format!("there are more than {KEYS_MAX}") }),
            Err(why) => selection.left_out.push(LeftOut { index, kid, why }),
        }
    }
    if selection.keys.is_empty() {
        return Err(UnusableSet::Empty(count, selection.left_out.into_iter().next()));
    }
    Ok(selection)
}

fn usable(key: Value) -> Result<Jwk, String> {
    let has = |members: &Map<String, Value>, name: &&str| members.contains_key(*name);
    let Some(members) = key.as_object() else { return Err("it is no JSON object".to_owned()) };
    if let Some(private) = PRIVATE.iter().find(|name| has(members, name)) {
        return Err(format!(
            "it has the member `{private}` of a private or secret key; whoever published it must replace it"
        ));
    }
    let key: Jwk = serde_json::from_value(key).map_err(|_| "one of its members is no text".to_owned())?;
    VerifyingKey::from_jwk(&key, None).map_err(|error| error.to_string())?;
    Ok(key)
}

#[cfg(test)]
mod tests;
