//! Tokens: what may be asked for, what a token claims, and what is kept about it.

use std::fmt;

use sekisho_protocol::Email;
use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::audit::Event;
use crate::domain::error::Failure;
use crate::domain::time::UnixSeconds;

pub mod order;
pub mod scope;

pub use scope::Scopes;

/// A token's id, its `jti`: 1 to 128 letters, digits, `-`, `_`, `.`. Ours are UUIDs (version 4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TokenId(String);

impl TokenId {
    /// Most bytes of an id.
    pub const MAX_BYTES: usize = 128;

    /// The id in `text`. What can't be an id names no token.
    ///
    /// # Errors
    /// [`Failure::TokenNotFound`].
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if text.is_empty() || text.len() > Self::MAX_BYTES || !text.bytes().all(allowed) {
            return Err(Failure::TokenNotFound);
        }
        Ok(Self(text.to_owned()))
    }

    /// A new id, which nobody can guess.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "every one is another")]
    pub fn new() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name that its owner gives a token: 1 to 100 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TokenName(String);

impl TokenName {
    /// Most characters of a name.
    pub const MAX_CHARS: usize = 100;

    /// The name in `text`, trimmed.
    ///
    /// # Errors
    /// It is empty, too long or holds control characters.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > Self::MAX_CHARS {
            return Err(Failure::invalid("token_name", format!("must have 1 to {} characters", Self::MAX_CHARS)));
        }
        if text.chars().any(char::is_control) {
            return Err(Failure::invalid("token_name", "holds control characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The longest window that can be configured in which somebody must have signed in to use their tokens: 45 days.
pub const SIGN_IN_WINDOW_MAX_S: u64 = 3_888_000;
/// The longest life of a token that can be configured: 10 years.
pub const LIFE_MAX_S: u64 = 315_360_000;

/// How long tokens may live, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// If nothing is asked for.
    pub default_s: u64,
    /// At most; more is cut to it.
    pub max_s: u64,
}

impl Lifetimes {
    /// The life of a token for which `wanted_s` seconds were asked.
    ///
    /// # Errors
    /// 0 seconds.
    pub fn choose(self, wanted_s: Option<u64>) -> Result<u64, Failure> {
        match wanted_s {
            Some(0) => Err(Failure::invalid("expires_in", "must be at least 1 second")),
            wanted => Ok(wanted.unwrap_or(self.default_s).min(self.max_s)),
        }
    }
}

/// What a token claims, besides what every JWT does (issuer, audience).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The id, `jti`.
    pub id: TokenId,
    /// Whom it belongs to.
    pub email: Email,
    /// Its name.
    pub name: TokenName,
    /// What it may be used for.
    pub scopes: Scopes,
    /// `iat` and `nbf`.
    pub issued_at: UnixSeconds,
    /// `exp`.
    pub expires_at: UnixSeconds,
    /// From which token it descends, if it was got by exchanging one.
    pub family: Option<Family>,
    /// See [`TokenRecord::minted_by`].
    pub minted_by: Vec<String>,
}

/// What tokens have in common that descend from one by exchanges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Family {
    /// The id of the first.
    #[serde(rename = "family")]
    pub id: String,
    /// When that one was issued, Unix seconds.
    #[serde(rename = "family_since")]
    pub since: u64,
}

/// Most families by which a token counts as minted. What is generated with one that has so many is of its family.
pub const MINTED_BY_MAX: usize = 8;

/// What bounds tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long they live.
    pub lifetimes: Lifetimes,
    /// How many that can be used somebody may have.
    pub places: usize,
    /// How long one is good for after it was exchanged, in seconds.
    pub grace_s: u64,
    /// How long after the first of a family the last one ends at the latest, in seconds.
    pub family_max_s: u64,
}

impl Grant {
    /// What is kept about it: everything but the token itself.
    #[must_use]
    pub fn record(&self) -> TokenRecord {
        TokenRecord {
            token_id: self.id.to_string(),
            user_email: self.email.to_string(),
            token_name: self.name.as_str().to_owned(),
            scopes: self.scopes.to_strings(),
            created_at: self.issued_at.get(),
            expires_at: self.expires_at.get(),
            last_used: None,
            family: self.family.clone(),
            minted_by: self.minted_by.clone(),
        }
    }

    /// Adds to an audit event what the token is.
    pub fn tell(&self, event: &mut Event) {
        event.tell("token_id", self.id.as_str());
        event.tell("token_name", self.name.as_str());
        event.tell("scopes", self.scopes.to_strings());
        event.tell("expires_at", self.expires_at.get());
    }
}

/// What is kept about a token under `token:info:{jti}`, as the old gateway wrote it. It is read
/// leniently, since that gateway's records are still alive: an empty list of scopes is `{}` there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// The token's id.
    pub token_id: String,
    /// Its owner's address; an old record may not be case-folded.
    pub user_email: String,
    /// Its name.
    #[serde(default)]
    pub token_name: String,
    /// Its scopes.
    #[serde(default, deserialize_with = "strings_or_nothing")]
    pub scopes: Vec<String>,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds.
    pub expires_at: u64,
    /// Unix seconds of its last use, as far as it is known.
    #[serde(default)]
    pub last_used: Option<u64>,
    /// From which token it descends, if it was got by exchanging one.
    #[serde(flatten)]
    pub family: Option<Family>,
    /// If it was generated with a token: that one's family, behind those by which that one was minted.
    #[serde(default, deserialize_with = "strings_or_nothing", skip_serializing_if = "Vec::is_empty")]
    pub minted_by: Vec<String>,
}

fn strings_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Scopes {
        List(Vec<String>),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Scopes::deserialize(deserializer)? {
        Scopes::List(list) => list,
        Scopes::Other(_) => Vec::new(),
    })
}

impl TokenRecord {
    /// What it and all have in common that descend from the same token.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family.clone().unwrap_or_else(|| Family { id: self.token_id.clone(), since: self.created_at })
    }

    /// What a token that is generated with this one at `issued_at` is part of: its family, and by which ones it was minted.
    #[must_use]
    pub fn descent(&self, issued_at: UnixSeconds) -> (Option<Family>, Vec<String>) {
        let Family { id, .. } = self.family();
        if self.minted_by.len() >= MINTED_BY_MAX {
            // None of those may be forgotten, or a thief would only have to go on for long enough.
            return (Some(Family { id, since: issued_at.get() }), self.minted_by.clone());
        }
        let mut minted_by = self.minted_by.clone();
        minted_by.push(id);
        (None, minted_by)
    }

    /// Whether the token belongs to `email`, whatever the case in which it was once recorded.
    #[must_use]
    pub fn belongs_to(&self, email: &Email) -> bool {
        self.owner().is_some_and(|owner| owner == *email)
    }

    /// Its owner, folded; none if the record holds no address.
    #[must_use]
    pub fn owner(&self) -> Option<Email> {
        Email::parse(&self.user_email).ok()
    }

    /// Whether it has expired at `now`.
    #[must_use]
    pub fn is_expired(&self, now: UnixSeconds) -> bool {
        self.expires_at <= now.get()
    }
}

/// A token as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    /// What is kept about it.
    pub record: TokenRecord,
    /// Whether it was revoked, alone or with everything that its owner had.
    pub is_revoked: bool,
}

/// How many tokens there are, and what has become of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Summary {
    /// All that are on record.
    pub total: usize,
    /// Those that can be used.
    pub active: usize,
    /// Those whose time is over.
    pub expired: usize,
    /// Those that were revoked.
    pub revoked: usize,
}

/// What has become of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It can be used.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl StoredToken {
    /// What has become of it at `now`. That it was revoked tells more than that it expired since.
    #[must_use]
    pub fn status(&self, now: UnixSeconds) -> Status {
        if self.is_revoked {
            Status::Revoked
        } else if self.record.is_expired(now) {
            Status::Expired
        } else {
            Status::Active
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_100_characters() {
        assert_eq!(TokenName::parse("  ci ").unwrap().as_str(), "ci");
        assert!(TokenName::parse(&"é".repeat(100)).is_ok());
        for bad in [String::new(), "   ".into(), "é".repeat(101), "a\u{0}b".into(), "a\nb".into()] {
            assert_eq!(TokenName::parse(&bad).unwrap_err().status(), 400, "{bad:?}");
        }
    }

    #[test]
    fn what_cannot_be_an_id_names_no_token() {
        assert!(TokenId::parse("6e3b2f0a-8a43-4b2e-9d59-2f6f4a1c0001").is_ok());
        for bad in [String::new(), "a b".into(), "a*".into(), "é".into(), "x".repeat(129)] {
            assert_eq!(TokenId::parse(&bad), Err(Failure::TokenNotFound), "{bad:?}");
        }
    }

    #[test]
    fn a_life_longer_than_the_maximum_is_cut_to_it() {
        let lifetimes = Lifetimes { default_s: 30, max_s: 90 };
        assert_eq!(lifetimes.choose(None), Ok(30));
        assert_eq!(lifetimes.choose(Some(60)), Ok(60));
        assert_eq!(lifetimes.choose(Some(u64::MAX)), Ok(90));
        assert!(lifetimes.choose(Some(0)).is_err());
        assert_eq!(Lifetimes { default_s: 100, max_s: 90 }.choose(None), Ok(90), "the default too");
    }

    #[test]
    fn a_record_of_the_old_gateway_is_understood() {
        let text = r#"{"token_id":"t","user_email":"Ann@X.org","token_name":"n","scopes":{},
            "created_at":1,"expires_at":2,"last_used":null,"something_else":true}"#;
        let record: TokenRecord = serde_json::from_str(text).unwrap();
        assert!(record.scopes.is_empty());
        assert!(record.belongs_to(&Email::parse("ann@x.org").unwrap()));
        assert_eq!(record.last_used, None);
    }

    #[test]
    fn a_revoked_token_stays_revoked_after_it_expired() {
        let record: TokenRecord =
            serde_json::from_str(r#"{"token_id":"t","user_email":"a@x","created_at":1,"expires_at":10}"#).unwrap();
        for (is_revoked, now, expected) in [
            (false, 9, Status::Active),
            (false, 10, Status::Expired),
            (true, 9, Status::Revoked),
            (true, 10, Status::Revoked),
        ] {
            let token = StoredToken { record: record.clone(), is_revoked };
            assert_eq!(token.status(UnixSeconds(now)), expected, "revoked: {is_revoked}, now: {now}");
        }
    }
}
