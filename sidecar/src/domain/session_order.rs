//! In which order sessions are listed, where one stands in it, and what is looked for among them.

use std::str::FromStr;

use sekisho_protocol::Subject;
use serde::Deserialize;

use crate::domain::error::Failure;
use crate::domain::page::Direction;
use crate::domain::search::{Search, folded};
use crate::domain::session::{Session, SessionId};

/// Between the parts of a session's texts. Nothing that is folded holds it, and it sorts before everything that is.
pub const SEPARATOR: char = '\u{1}';

/// What sessions are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SessionSort)]
pub enum Sort {
    /// When they were used last.
    #[default]
    LastAccess,
    /// When their owners signed in.
    CreatedAt,
}

impl Sort {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::LastAccess => "last_access",
            Self::CreatedAt => "created_at",
        }
    }
}

/// Where a session stands: no two are in one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The time that it is sorted by, Unix seconds.
    pub time: u64,
    /// Its id.
    pub id: SessionId,
}

impl Position {
    /// Where `session` stands among all, sorted by `sort`.
    #[must_use]
    pub fn of(session: &Session, sort: Sort) -> Self {
        let time = match sort {
            Sort::LastAccess => session.last_access,
            Sort::CreatedAt => session.signed_in_at,
        };
        Self { time: time.get(), id: session.id.clone() }
    }

    /// The cursor of a list sorted by `sort` that goes on behind it.
    #[must_use]
    pub fn cursor(&self, sort: Sort) -> String {
        format!("{}.{}.{}", sort.word(), self.time, self.id)
    }

    /// The position in a cursor of a list sorted by `sort`.
    ///
    /// # Errors
    /// It is none, or of another list.
    pub fn of_cursor(cursor: &str, sort: Sort) -> Result<Self, Failure> {
        let parts = cursor.strip_prefix(sort.word()).and_then(|rest| rest.strip_prefix('.')?.split_once('.'));
        let position =
            parts.and_then(|(time, id)| Some(Self { time: u64::from_str(time).ok()?, id: SessionId::parse(id).ok()? }));
        position.ok_or_else(|| Failure::invalid("cursor", "must be the `next_cursor` of an answer in the same order"))
    }
}

/// The texts of a session that are looked into, folded, the owner's name first.
#[must_use]
pub fn texts(session: &Session) -> String {
    let subject = session.subject.as_str();
    let email = session.email.as_ref().map_or("", |email| email.as_str());
    let address = session.address.map(|address| address.to_string()).unwrap_or_default();
    let texts = [subject, if email == subject { "" } else { email }, &address, &session.host];
    texts.map(folded).join(&SEPARATOR.to_string())
}

/// Which sessions are wanted, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only those that this finds.
    pub search: Search,
    /// Only this one's.
    pub subject: Option<Subject>,
    /// The order.
    pub sort: Sort,
    /// Its direction.
    pub direction: Direction,
}

impl Wanted {
    /// Whether not everything is.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.subject.is_some() || !self.search.is_empty()
    }

    /// Whether `session` is wanted.
    #[must_use]
    pub fn admits(&self, session: &Session) -> bool {
        let is_theirs = self.subject.as_ref().is_none_or(|subject| *subject == session.subject);
        // Nothing that is looked for holds the separator.
        is_theirs && (self.search.is_empty() || texts(session).contains(self.search.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn session() -> Session {
        let session = json!({"id": "_oauth2_proxy-0a", "subject": "https://idp|Ann", "email": "Ann@X.org",
            "host": "app.x", "method": "session", "signed_in_at": 7, "last_access": 9, "ends_at": 20, "idle_s": 60,
            "address": "2001:db8::7"});
        serde_json::from_value(session).unwrap()
    }

    #[test]
    fn a_cursor_leads_back_to_its_position_in_the_same_order_only() {
        for (sort, other) in [(Sort::LastAccess, Sort::CreatedAt), (Sort::CreatedAt, Sort::LastAccess)] {
            let position = Position::of(&session(), sort);
            assert_eq!(Position::of_cursor(&position.cursor(sort), sort).unwrap(), position);
            assert_eq!(Position::of_cursor(&position.cursor(sort), other).unwrap_err().status(), 400);
        }
        for bad in ["", "7.s1", "last_access", "last_access.x.s1", "last_access.7.", "last_access.7.a:b"] {
            assert_eq!(Position::of_cursor(bad, Sort::LastAccess).unwrap_err().status(), 400, "{bad:?}");
        }
    }

    #[test]
    fn a_session_is_found_by_owner_address_and_host_and_by_nothing_of_its_id() {
        let finds =
            |q: &str| Wanted { search: Search::parse(Some(q)).unwrap(), ..Wanted::default() }.admits(&session());
        for q in ["", "IDP|ann", "ann@x.ORG", "db8::7", "APP.x"] {
            assert!(finds(q), "{q}");
        }
        for q in ["oauth2", "bob", "annann", "*"] {
            assert!(!finds(q), "{q}");
        }
    }

    #[test]
    fn a_session_of_somebody_else_is_not_wanted_however_alike_the_names_are() {
        for (subject, expected) in [("https://idp|Ann", true), ("https://idp|ann", false), ("ann@x.org", false)] {
            let subject = Some(Subject::try_from(subject.to_owned()).unwrap());
            assert_eq!(Wanted { subject, ..Wanted::default() }.admits(&session()), expected);
        }
    }
}
