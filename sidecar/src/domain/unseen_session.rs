//! A session of oauth2-proxy of which nothing but its key is known, and where one stands among those.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::error::Failure;
use crate::domain::time::UnixSeconds;

/// With this a cursor begins that goes on among them.
const CURSOR: &str = "unseen.";

/// A session of which only its key is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// Its key.
    pub key: String,
    /// When it ends; none if Redis never forgets it.
    pub ends_at: Option<UnixSeconds>,
}

impl Unseen {
    /// The one with this key, which ends after so many milliseconds, if ever.
    #[must_use]
    pub fn new(key: String, left_ms: Option<u64>, now: UnixSeconds) -> Self {
        Self { key, ends_at: left_ms.map(|left| now.plus(left / 1_000)) }
    }
}

/// A place among them, where a walk goes on. They have no order but that in which Redis finds them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Which of the prefixes.
    pub prefix: usize,
    /// Which step of the scan over the keys that begin so.
    pub step: u64,
    /// Behind which key of those that this step finds, sorted.
    pub after: String,
}

impl Place {
    /// The next step: `step`, or with the next prefix after the last one.
    #[must_use]
    pub fn next(self, step: u64) -> Self {
        let prefix = if step == 0 { self.prefix + 1 } else { self.prefix };
        Self { prefix, step, after: String::new() }
    }

    /// The cursor of a list that goes on here. A key may be any text, so it is encoded.
    #[must_use]
    pub fn cursor(&self) -> String {
        format!("{CURSOR}{}.{}.{}", self.prefix, self.step, URL_SAFE_NO_PAD.encode(&self.after))
    }

    /// The place in a cursor; none if it is a cursor of something else.
    ///
    /// # Errors
    /// It looks like one of these, but it is none.
    pub fn of_cursor(cursor: &str) -> Result<Option<Self>, Failure> {
        let Some(place) = cursor.strip_prefix(CURSOR) else { return Ok(None) };
        let parse = || {
            let (prefix, rest) = place.split_once('.')?;
            let (step, after) = rest.split_once('.')?;
            let after = String::from_utf8(URL_SAFE_NO_PAD.decode(after).ok()?).ok()?;
            Some(Self { prefix: prefix.parse().ok()?, step: step.parse().ok()?, after })
        };
        match parse() {
            Some(place) => Ok(Some(place)),
            None => Err(Failure::invalid("cursor", "must be the `next_cursor` of an answer to the same question")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place_whatever_the_key_is() {
        for after in ["", "_oauth2_proxy-1", "session:a.b&c=%+ d"] {
            let place = Place { prefix: 2, step: u64::MAX, after: after.to_owned() };
            assert_eq!(Place::of_cursor(&place.cursor()).unwrap(), Some(place));
        }
        assert_eq!(Place::of_cursor("last_access.5.id").unwrap(), None);
        for bad in [
            "unseen.",
            "unseen.1.2",
            "unseen.x.2.",
            "unseen.1.-2.",
            "unseen.1.2.%",
            "unseen.1.2._w",
            "unseen.1.18446744073709551616.",
        ] {
            assert!(Place::of_cursor(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_step_of_a_prefix_leads_to_the_next_prefix() {
        let place = Place { prefix: 0, step: 7, after: "k".to_owned() };
        assert_eq!(place.clone().next(9), Place { prefix: 0, step: 9, after: String::new() });
        assert_eq!(place.next(0), Place { prefix: 1, step: 0, after: String::new() });
    }
}
