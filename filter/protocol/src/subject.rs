//! Who a request belongs to: the key under which bans, tokens and activity are filed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An e-mail address as identity: trimmed, ASCII case folded, at most 254 bytes (RFC 5321
/// §4.5.3.1.3 less the angle brackets), no control characters, no inner white space.
///
/// The old gateway compared byte by byte, so that a ban of `Ann@x` did not stop `ann@x`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

/// Why a text is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    /// Longer than 254 bytes.
    #[error("an e-mail address has at most {} bytes", Email::MAX_BYTES)]
    TooLong,
    /// Holds a control character, white space or `|`.
    #[error("an e-mail address holds no white space, no control characters and no `|`")]
    Character,
    /// Not `local@domain`.
    #[error("an e-mail address has the form name@domain")]
    Form,
}

impl Email {
    /// Most bytes of an address.
    pub const MAX_BYTES: usize = 254;

    /// The address in `text`, folded.
    ///
    /// # Errors
    /// [`InvalidEmail`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim();
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidEmail::TooLong);
        }
        // `|` separates issuer and `sub` in a [`Subject`]: an address with it would be read as one.
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '|') {
            return Err(InvalidEmail::Character);
        }
        match text.rsplit_once('@') {
            Some((local, domain)) if !local.is_empty() && !domain.is_empty() => Ok(Self(text.to_ascii_lowercase())),
            _ => Err(InvalidEmail::Form),
        }
    }

    /// The folded address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part behind the last `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Email {
    type Error = InvalidEmail;
    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        Self::parse(&text)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

/// The key of a person or program: its e-mail address, or `issuer|sub` where a provider has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject(String);

/// Why a text is no subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a subject has 1 to {} bytes and no control characters", Subject::MAX_BYTES)]
pub struct InvalidSubject;

impl Subject {
    /// Most bytes of a subject.
    pub const MAX_BYTES: usize = 512;

    /// The subject of somebody whose provider vouches for no e-mail address.
    ///
    /// # Errors
    /// [`InvalidSubject`] if both together are too long or hold control characters.
    pub fn external(issuer: &str, sub: &str) -> Result<Self, InvalidSubject> {
        Self::try_from(format!("{issuer}|{sub}"))
    }

    /// The subject as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Email> for Subject {
    fn from(email: Email) -> Self {
        Self(email.0)
    }
}

impl TryFrom<String> for Subject {
    type Error = InvalidSubject;
    fn try_from(text: String) -> Result<Self, InvalidSubject> {
        if text.is_empty() || text.len() > Self::MAX_BYTES || text.chars().any(char::is_control) {
            return Err(InvalidSubject);
        }
        // `issuer|sub` is case-sensitive (OpenID Connect Core §2); an address is folded.
        Ok(if text.contains('|') { Self(text) } else { Email::parse(&text).map_or(Self(text), Self::from) })
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_trimmed_and_folded() {
        for (text, expected) in [
            ("ann@example.com", Ok("ann@example.com")),
            ("  Ann@Example.COM ", Ok("ann@example.com")),
            ("ann", Err(InvalidEmail::Form)),
            ("@example.com", Err(InvalidEmail::Form)),
            ("ann@", Err(InvalidEmail::Form)),
            ("an n@example.com", Err(InvalidEmail::Character)),
            ("ann@exa\nmple.com", Err(InvalidEmail::Character)),
            ("Eve|1@example.com", Err(InvalidEmail::Character)),
            ("ann@exa\u{85}mple.com", Err(InvalidEmail::Character)),
        ] {
            assert_eq!(Email::parse(text).as_ref().map(Email::as_str).map_err(|e| *e), expected, "{text:?}");
        }
        assert_eq!(Email::parse(&format!("{}@x", "a".repeat(253))), Err(InvalidEmail::TooLong));
    }

    #[test]
    fn a_subject_with_an_issuer_keeps_its_case() {
        assert_eq!(Subject::external("https://Idp", "AbC").map(String::from), Ok("https://Idp|AbC".into()));
        assert_eq!(Subject::try_from("Ann@X".to_owned()).map(String::from), Ok("ann@x".into()));
        assert_eq!(Subject::try_from(String::new()), Err(InvalidSubject));
        assert_eq!(Subject::try_from("a\0b".to_owned()), Err(InvalidSubject));
    }
}
