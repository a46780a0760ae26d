//! Sessions of our own: what is known of a browser that somebody signed in with, and for how long it holds.
//!
//! A session ends by itself in two ways: nobody used it for its idle time, or its lifetime is over. Nothing of it is a
//! secret: its id is the digest of what the cookie holds.

use std::fmt;
use std::net::IpAddr;

use sekisho_protocol::activity::Method;
use sekisho_protocol::session::{CACHE_MAX_S, ID_MAX_BYTES};
use sekisho_protocol::{Email, Subject};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::time::UnixSeconds;

/// No session lives longer, whoever keeps it, in seconds: no browser keeps a cookie for longer than 400 days (RFC 6265bis §5.5).
pub const LIFE_MAX_S: u64 = 400 * 86_400;
/// How much longer than its idle time a record is kept at most, in seconds: filters ask again only once a minute.
const IDLE_MARGIN_S: u64 = 60;
/// So long it may take to ask an identity provider about somebody, in seconds.
const REFRESH_TAKES_S: u64 = 5;
/// Most often a session's last use is written down, in seconds.
const NOTED_EVERY_S: u64 = 60;

/// A session's id: 1 to 128 characters of base64url (RFC 4648 §5) and dots. One of our own has no dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(String);

/// A text that is no session's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a session")]
pub struct InvalidSessionId;

impl SessionId {
    /// The id in `text`.
    ///
    /// # Errors
    /// It can't be one.
    pub fn parse(text: &str) -> Result<Self, InvalidSessionId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if text.is_empty() || text.len() > ID_MAX_BYTES || !text.bytes().all(allowed) {
            return Err(InvalidSessionId);
        }
        Ok(Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for SessionId {
    type Error = InvalidSessionId;
    fn try_from(text: String) -> Result<Self, InvalidSessionId> {
        Self::parse(&text)
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.0
    }
}

/// What a browser says that it is, for people to tell sessions apart: at most 256 characters, none of them a control
/// character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Agent(String);

impl Agent {
    /// Most characters that are kept.
    pub const MAX_CHARS: usize = 256;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Agent {
    fn from(text: String) -> Self {
        Self(text.chars().filter(|char| !char.is_control()).take(Self::MAX_CHARS).collect())
    }
}

impl From<Agent> for String {
    fn from(agent: Agent) -> Self {
        agent.0
    }
}

/// A session, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub subject: Subject,
    /// The e-mail address, if the provider vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// The host that it belongs to, in lower case and without a port.
    pub host: String,
    /// How its owner signed in.
    pub method: Method,
    /// What is known of its owner, as the members of an ID token.
    #[serde(default)]
    pub claims: Map<String, Value>,
    /// When its owner signed in.
    pub signed_in_at: UnixSeconds,
    /// When it was used last, as far as it is written down.
    pub last_access: UnixSeconds,
    /// When it ends in any case.
    pub ends_at: UnixSeconds,
    /// After so many seconds without use it ends, too.
    pub idle_s: u64,
    /// When the identity provider is to be asked about its owner again, if it ever is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_at: Option<UnixSeconds>,
    /// Where its owner signed in from, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Agent>,
}

impl Session {
    /// Whether its lifetime is over at `now`.
    #[must_use]
    pub fn is_over(&self, now: UnixSeconds) -> bool {
        self.ends_at <= now
    }

    /// When it ends if nobody uses it any more.
    #[must_use]
    pub fn expires_at(&self) -> UnixSeconds {
        self.last_access.plus(self.idle_s).min(self.ends_at)
    }

    /// For how many seconds from `now` its record is kept if nobody uses it: as long as it holds, and a little longer.
    #[must_use]
    pub fn kept_s(&self, now: UnixSeconds) -> u64 {
        self.idle_s.saturating_add(IDLE_MARGIN_S.min(self.idle_s / 2)).min(self.ends_at.since(now))
    }

    /// For how many seconds from `now` filters may keep what they were told of it. Shorter than its idle time, so that
    /// whoever goes on using it is heard of before that is over; and shortly while the provider is being asked, so that
    /// what comes of that is heard of, too.
    #[must_use]
    pub fn cache_s(&self, now: UnixSeconds) -> u64 {
        let until_refresh = self.refresh_at.map_or(u64::MAX, |at| at.since(now).max(REFRESH_TAKES_S));
        CACHE_MAX_S.min(self.idle_s / 2).min(self.ends_at.since(now)).min(until_refresh)
    }

    /// Whether the provider is to be asked about its owner at `now`.
    #[must_use]
    pub fn is_refresh_due(&self, now: UnixSeconds) -> bool {
        self.refresh_at.is_some_and(|at| at <= now)
    }

    /// Until when it could hold, once it is ended at `now`. oauth2-proxy may be writing its session anew at this very
    /// moment, for a whole lifetime.
    #[must_use]
    pub fn could_hold_until(&self, now: UnixSeconds) -> UnixSeconds {
        let anew = if self.method == Method::Oauth2Proxy { now.plus(self.idle_s) } else { now };
        self.ends_at.max(anew)
    }

    /// The same session, used at `now`; none if it is too early to write that down.
    #[must_use]
    pub fn used(&self, now: UnixSeconds) -> Option<Self> {
        let is_due = now.since(self.last_access) >= NOTED_EVERY_S.min(self.idle_s / 2);
        is_due.then(|| Self { last_access: now, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn session(idle_s: u64) -> Session {
        let session = json!({"id": "s1", "subject": "Ann@x", "host": "h", "method": "session", "signed_in_at": 1_000,
            "last_access": 1_000, "ends_at": 10_000, "idle_s": idle_s});
        serde_json::from_value(session).unwrap()
    }

    #[test]
    fn an_id_is_base64url_and_dots_of_at_most_128_bytes() {
        assert_eq!(SessionId::parse("aZ0-_.b").unwrap().as_str(), "aZ0-_.b");
        assert!(SessionId::parse(&"a".repeat(128)).is_ok());
        for bad in ["", "a b", "a:b", "a*", "a/b", "é", &"a".repeat(129)] {
            assert_eq!(SessionId::parse(bad), Err(InvalidSessionId), "{bad:?}");
        }
    }

    #[test]
    fn the_name_of_a_browser_is_bounded_and_holds_no_control_characters() {
        assert_eq!(Agent::from("Fox\r\n\u{1b}[1m 1".to_owned()).as_str(), "Fox[1m 1");
        assert_eq!(Agent::from("é".repeat(300)).as_str().chars().count(), 256);
        assert_eq!(serde_json::from_str::<Agent>("\"a\\u0000b\"").unwrap().as_str(), "ab", "of a record, too");
    }

    #[test]
    fn a_session_is_kept_for_its_idle_time_and_never_beyond_its_end() {
        let session = session(600);
        for (now, kept, cached, is_over) in
            [(1_000, 660, 60, false), (9_500, 500, 60, false), (9_990, 10, 10, false), (10_000, 0, 0, true)]
        {
            let now = UnixSeconds(now);
            assert_eq!((session.kept_s(now), session.cache_s(now), session.is_over(now)), (kept, cached, is_over));
        }
    }

    #[test]
    fn whoever_uses_a_session_all_the_time_never_loses_it() {
        for idle_s in [60, 90, 3_600] {
            let session = session(idle_s);
            let noted_s = (0..).find(|late| session.used(UnixSeconds(1_000 + late)).is_some()).unwrap();
            assert!(noted_s <= 60);
            // A question just too early to be written down, and the next one as late as the filter may ask.
            let gap_s = noted_s + session.cache_s(UnixSeconds(1_000));
            assert!(gap_s < session.kept_s(UnixSeconds(1_000)), "{idle_s}");
        }
    }
}
