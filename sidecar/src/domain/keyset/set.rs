//! What a source publishes (RFC 7517 §5) → the keys of it that can be used here.

use std::fmt;

use sekisho_core::verify::key::VerifyingKey;
use sekisho_protocol::keyset::{Jwk, KEYS_MAX};
use serde::Deserialize;
use serde_json::Value;

/// Members that only private and secret keys have (RFC 7518 §6.2.2, §6.3.2, §6.4.1). Whoever publishes one has given
/// the key away.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Most keys of no use that are told one by one. A set of half a megabyte has room for many thousands.
const TOLD_MAX: usize = 64;
/// Most characters that are shown of a `kid`.
const KID_SHOWN_MAX: usize = 200;

/// The keys of a set, sorted out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Those that can be used, in their order, each once; at most [`KEYS_MAX`].
    pub keys: Vec<Jwk>,
    /// The others, the first ones of them.
    pub left_out: Vec<LeftOut>,
    /// How many others there are.
    pub left_out_count: usize,
}

impl Selection {
    /// A line for each of the others, for people; those that are only counted share one.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let more = self.left_out_count.saturating_sub(self.left_out.len());
        let more = (more > 0).then(|| format!("and {more} more"));
        self.left_out.iter().map(ToString::to_string).chain(more).collect()
    }

    fn leave_out(&mut self, index: usize, kid: Option<String>, why: String) {
        self.left_out_count += 1;
        if self.left_out.len() < TOLD_MAX {
            self.left_out.push(LeftOut { index, kid, why });
        }
    }
}

/// A key that is of no use here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Where it stands in the set, from 0.
    pub index: usize,
    /// The beginning of its name, if it says one.
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

/// Why a set is of no use at all. The last good keys stay, but for those that it gives away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableSet {
    /// It is not what RFC 7517 §5 describes.
    #[error("it is no set of keys: a JSON object with a list `keys`")]
    Form,
    /// There is nothing in it that could verify a token.
    #[error("none of its {count} keys can be used{first}", first = .first.as_ref().map_or_else(String::new, |first| format!("; {first}")))]
    Empty {
        /// How many keys it has.
        count: usize,
        /// What is wrong with the first of them.
        first: Option<LeftOut>,
        /// Public parts of those that are given away.
        given_away: Vec<Jwk>,
    },
}

impl UnusableSet {
    /// Those of the last good `keys` that stay: the set gives the others away.
    #[must_use]
    pub fn spared(&self, mut keys: Vec<Jwk>) -> Vec<Jwk> {
        if let Self::Empty { given_away, .. } = self {
            keys.retain(is_secret_after(given_away));
        }
        keys
    }
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

/// The usable keys of the set in `body`. What they say of their use is heeded, and not kept.
///
/// # Errors
/// [`UnusableSet`]: it is no set, or there is none.
pub fn select(body: &[u8]) -> Result<Selection, UnusableSet> {
    let set: RawSet = serde_json::from_slice(body).map_err(|_| UnusableSet::Form)?;
    let (mut selection, count) = (Selection::default(), set.keys.len());
    let given_away: Vec<Jwk> = set.keys.iter().filter(|key| private_member(key).is_some()).map(public_part).collect();
    let is_secret = is_secret_after(&given_away);
    for (index, key) in set.keys.into_iter().enumerate() {
        let kid = key.get("kid").and_then(Value::as_str).map(|kid| kid.chars().take(KID_SHOWN_MAX).collect());
        match usable(key) {
            Ok(key) if selection.keys.contains(&key) => {}
            Ok(key) if !is_secret(&key) => {
                let why = "its private part is in another one; whoever published it must replace it".to_owned();
                selection.leave_out(index, kid, why);
            }
            Ok(key) if selection.keys.len() < KEYS_MAX => selection.keys.push(key),
            Ok(_) => selection.leave_out(index, kid, format!("there are more than {KEYS_MAX}")),
            Err(why) => selection.leave_out(index, kid, why),
        }
    }
    if selection.keys.is_empty() {
        return Err(UnusableSet::Empty { count, first: selection.left_out.into_iter().next(), given_away });
    }
    Ok(selection)
}

fn usable(key: Value) -> Result<Jwk, String> {
    if !key.is_object() {
        return Err("it is no JSON object".to_owned());
    }
    if let Some(private) = private_member(&key) {
        return Err(format!(
            "it has the member `{private}` of a private or secret key; whoever published it must replace it"
        ));
    }
    let key: Jwk = serde_json::from_value(key).map_err(|_| "one of its members is no text".to_owned())?;
    VerifyingKey::from_jwk(&key, None).map_err(|error| error.to_string())?;
    Ok(essence(key))
}

/// A key that can be used, without what its kind does not need: nothing else is bounded, and nothing else is kept.
fn essence(key: Jwk) -> Jwk {
    let Jwk { kty, kid, alg, n, e, crv, x, y, .. } = key;
    match kty.as_str() {
        "RSA" => Jwk { kty, kid, alg, n, e, ..Jwk::default() },
        "EC" => Jwk { kty, kid, alg, crv, x, y, ..Jwk::default() },
        _ => Jwk { kty, kid, alg, crv, x, ..Jwk::default() },
    }
}

fn private_member(key: &Value) -> Option<&'static str> {
    PRIVATE.into_iter().find(|name| key.get(name).is_some())
}

/// What makes it this key and no other, whatever else is right or wrong with it.
fn public_part(key: &Value) -> Jwk {
    let text = |name| key.get(name).and_then(Value::as_str).map(str::to_owned);
    let kty = text("kty").unwrap_or_default();
    Jwk { kty, crv: text("crv"), n: text("n"), e: text("e"), x: text("x"), y: text("y"), ..Jwk::default() }
}

/// Tells of a key whether it is none of those `given_away`, whatever name and purpose it has there.
fn is_secret_after(given_away: &[Jwk]) -> impl Fn(&Jwk) -> bool + use<> {
    // Compared as numbers: one number can be written in several ways.
    let material = |key: &Jwk| VerifyingKey::from_jwk(key, None).ok();
    let given_away: Vec<VerifyingKey> = given_away.iter().filter_map(material).collect();
    move |key| {
        let bare = Jwk { kid: None, alg: None, ..key.clone() };
        given_away.is_empty() || material(&bare).is_none_or(|key| !given_away.contains(&key))
    }
}

#[cfg(test)]
mod tests;
