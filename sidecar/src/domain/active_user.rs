//! Active users: who passed lately, with what, and from where. What is known of somebody begins with a request and ends a
//! day later, as in the gateway that Sekisho replaces; the next request begins anew.

use std::net::IpAddr;

use sekisho_protocol::Subject;

use crate::domain::ban::TimeLeft;
use crate::domain::error::Failure;
use crate::domain::time::UnixSeconds;

/// How long somebody counts as active, in seconds, from the first request on.
pub const ACTIVE_S: u64 = 86_400;

/// Somebody who is active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveUser {
    /// Who.
    pub subject: Subject,
    /// How they authenticated last: `jwt`, or what another program wrote.
    pub method: String,
    /// How many tokens and sessions they used.
    pub in_use: usize,
    /// The first request.
    pub first_access: UnixSeconds,
    /// The last one.
    pub last_access: UnixSeconds,
    /// When they count as active no more.
    pub expires_at: UnixSeconds,
    /// How many requests were let in; none of another program's users.
    pub requests: Option<u64>,
    /// Where one of the last requests came from, if that is known.
    pub address: Option<IpAddr>,
    /// The name of a token that they used, if it has one.
    pub token_name: Option<String>,
    /// What is left of their ban, if they are banned.
    pub ban: Option<TimeLeft>,
}

/// Where somebody stands among all: by the last request, and among those of one second by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The last request, Unix seconds.
    pub last_access: u64,
    /// Who.
    pub name: String,
}

impl Place {
    /// The cursor of a list that goes on behind it.
    #[must_use]
    pub fn cursor(&self) -> String {
        format!("{}.{}", self.last_access, self.name)
    }

    /// The place in a cursor.
    ///
    /// # Errors
    /// It is none.
    pub fn of_cursor(cursor: &str) -> Result<Self, Failure> {
        let parts = cursor.split_once('.').and_then(|(at, name)| Some((at.parse().ok()?, name)));
        let (last_access, name) =
            parts.ok_or_else(|| Failure::invalid("cursor", "must be the `next_cursor` of an answer"))?;
        Ok(Self { last_access, name: name.to_owned() })
    }
}

/// How many are active.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// People.
    pub users: usize,
    /// Tokens and sessions that they use.
    pub in_use: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place_whatever_the_name() {
        for name in ["ann@x.org", "https://idp.example/|a.b", ""] {
            let place = Place { last_access: 7, name: name.into() };
            assert_eq!(Place::of_cursor(&place.cursor()).unwrap(), place);
        }
        for bad in ["", "7", "x.ann@x.org", "-1.ann"] {
            assert_eq!(Place::of_cursor(bad).unwrap_err().status(), 400, "{bad:?}");
        }
    }
}
