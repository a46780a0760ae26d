//! In which order tokens are listed, where one stands in it, and what is looked for among them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::domain::error::Failure;
use crate::domain::page::Direction;
use crate::domain::search::{Search, folded};
use crate::domain::token::{Status, TokenId, TokenRecord};

/// Between the parts of a text by which tokens are sorted. No address and no name holds it, and it sorts before
/// everything that they hold.
pub const SEPARATOR: char = '\u{1}';

/// What tokens are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// When they were issued.
    #[default]
    CreatedAt,
    /// When they expire.
    ExpiresAt,
    /// When they were last used; those that never were come as if that was long ago.
    LastUsed,
    /// Their owners' addresses, and those of one owner by name.
    UserEmail,
    /// Their names, and those of one name by owner.
    TokenName,
}

impl Sort {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::ExpiresAt => "expires_at",
            Self::LastUsed => "last_used",
            Self::UserEmail => "user_email",
            Self::TokenName => "token_name",
        }
    }
}

/// What a token is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A time, in Unix seconds.
    Time(u64),
    /// Texts, folded, with [`SEPARATOR`] in between.
    Text(String),
}

/// Where a token stands: no two are in one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// What it is sorted by.
    pub key: Key,
    /// Its id.
    pub id: String,
}

impl Position {
    /// Where `record` stands among all, sorted by `sort`.
    #[must_use]
    pub fn of(record: &TokenRecord, sort: Sort) -> Self {
        let texts = |one: String, other: String| Key::Text(format!("{one}{SEPARATOR}{other}"));
        let key = match sort {
            Sort::CreatedAt => Key::Time(record.created_at),
            Sort::ExpiresAt => Key::Time(record.expires_at),
            Sort::LastUsed => Key::Time(record.last_used.unwrap_or(0)),
            Sort::UserEmail => texts(folded(&record.user_email), folded(&record.token_name)),
            Sort::TokenName => texts(folded(&record.token_name), folded(&record.user_email)),
        };
        Self { key, id: record.token_id.clone() }
    }

    /// The cursor of a list sorted by `sort` that goes on behind it.
    #[must_use]
    pub fn cursor(&self, sort: Sort) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}{SEPARATOR}{self}", sort.word()))
    }

    /// The position in a cursor of a list sorted by `sort`.
    ///
    /// # Errors
    /// It is none, or of another list.
    pub fn of_cursor(cursor: &str, sort: Sort) -> Result<Self, Failure> {
        let wrong = || Failure::invalid("cursor", "must be the `next_cursor` of an answer in the same order");
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
        let text = String::from_utf8(bytes).map_err(|_| wrong())?;
        let rest = text.strip_prefix(sort.word()).and_then(|rest| rest.strip_prefix(SEPARATOR)).ok_or_else(wrong)?;
        let (key, id) = rest.rsplit_once(SEPARATOR).ok_or_else(wrong)?;
        let key = match sort {
            Sort::UserEmail | Sort::TokenName => Key::Text(key.to_owned()),
            Sort::CreatedAt | Sort::ExpiresAt | Sort::LastUsed => Key::Time(u64::from_str(key).map_err(|_| wrong())?),
        };
        TokenId::parse(id).map_err(|_| wrong())?;
        Ok(Self { key, id: id.to_owned() })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Key::Time(time) => write!(f, "{time}{SEPARATOR}{}", self.id),
            Key::Text(text) => write!(f, "{text}{SEPARATOR}{}", self.id),
        }
    }
}

/// Which tokens are wanted, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only those that this finds.
    pub search: Search,
    /// Only those of which this has become.
    pub status: Option<Status>,
    /// The order.
    pub sort: Sort,
    /// Its direction.
    pub direction: Direction,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Sort; 5] = [Sort::CreatedAt, Sort::ExpiresAt, Sort::LastUsed, Sort::UserEmail, Sort::TokenName];

    fn record(email: &str, name: &str) -> TokenRecord {
        TokenRecord {
            token_id: "6e3b".into(),
            user_email: email.into(),
            token_name: name.into(),
            created_at: 7,
            ..TokenRecord::default()
        }
    }

    #[test]
    fn a_cursor_leads_back_to_its_position_in_the_same_order_only() {
        for sort in ALL {
            let position = Position::of(&record("Ann@X.org", "Läptop"), sort);
            let cursor = position.cursor(sort);
            assert_eq!(Position::of_cursor(&cursor, sort).unwrap(), position, "{sort:?}");
            for other in ALL.into_iter().filter(|other| *other != sort) {
                assert_eq!(Position::of_cursor(&cursor, other).unwrap_err().status(), 400, "{sort:?} as {other:?}");
            }
        }
        for bad in ["", "!", "Y3JlYXRlZF9hdA", "000000000007:6e3b"] {
            assert_eq!(Position::of_cursor(bad, Sort::CreatedAt).unwrap_err().status(), 400, "{bad:?}");
        }
    }

    #[test]
    fn texts_are_sorted_part_by_part_and_without_regard_to_case() {
        let position = |email, name| Position::of(&record(email, name), Sort::UserEmail);
        assert!(position("ann@x", "z") < position("ann@x.org", "a"), "a shorter address comes first, whatever follows");
        assert!(position("ann@x", "b") < position("Ann@X", "C"));
        assert_eq!(position("ann@x", "b"), position("ANN@x", "B"));
    }
}
