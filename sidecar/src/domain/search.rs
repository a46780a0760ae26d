//! What people look for in a list: a part of a text, in whatever case.

use crate::domain::error::Failure;

/// Most characters of what is looked for.
pub const MAX_CHARS: usize = 254;

/// What is looked for, folded; anything, if it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search(String);

impl Search {
    /// What the parameter `q` of a call looks for.
    ///
    /// # Errors
    /// It is too long, or holds control characters.
    pub fn parse(q: Option<&str>) -> Result<Self, Failure> {
        let text = q.unwrap_or_default().trim();
        if text.chars().count() > MAX_CHARS || text.chars().any(char::is_control) {
            let problem = format!("must have at most {MAX_CHARS} characters, none of them a control character");
            return Err(Failure::invalid("q", problem));
        }
        Ok(Self(folded(text)))
    }

    /// Whether anything is looked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a part of `text`.
    #[must_use]
    pub fn finds(&self, text: &str) -> bool {
        folded(text).contains(&self.0)
    }
}

/// A text as it is sorted and looked for.
#[must_use]
pub fn folded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_a_part_of_a_text_in_whatever_case() {
        for (q, expected) in [("", true), ("ÄPTOP", true), ("  of ann ", true), ("anna", false), ("*", false)] {
            assert_eq!(Search::parse(Some(q)).unwrap().finds("Läptop of Ann"), expected, "{q:?}");
        }
        assert!(Search::parse(None).unwrap().is_empty());
        for bad in ["a\u{1}b", &"x".repeat(255)] {
            assert_eq!(Search::parse(Some(bad)).unwrap_err().status(), 400, "{bad:?}");
        }
    }
}
