//! Where the keys of others come from, as the configuration says.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use url::Url;

use super::SourceName;

/// A source of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name: a filter's configuration names it so.
    pub name: SourceName,
    /// Where its keys are.
    pub place: Place,
    /// How long a set counts as current if the answer with it does not say.
    pub refresh: Duration,
    /// At most once in this time a set is fetched because of an unknown `kid`, by all sidecars together.
    pub refetch_interval: Duration,
    /// No attempt to fetch a set may take longer.
    pub timeout: Duration,
}

/// Where keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Where the metadata of an issuer says.
    Issuer {
        /// Its identifier, as its tokens and its metadata must spell it.
        issuer: String,
        /// The same, to be asked.
        url: Url,
        /// Whether the keys may come without TLS.
        allow_http: bool,
    },
    /// At a URL.
    Jwks(Url),
    /// In a file on each sidecar's machine.
    File(PathBuf),
}

impl Place {
    /// What is the same for no other place: as people read it, and a digest of what they may not.
    #[must_use]
    pub fn identity(&self) -> String {
        let whole = match self {
            Self::Issuer { issuer, allow_http, .. } => format!("{issuer} {allow_http}"),
            Self::Jwks(url) => url.to_string(),
            Self::File(path) => path.display().to_string(),
        };
        let digest: String = Sha256::digest(whole.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{self} {digest}")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer { issuer, .. } => write!(f, "issuer {issuer}"),
            // A query may hold a key of another kind.
            Self::Jwks(url) => f.write_str(&without_query(url)),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

/// A URL as it may be shown.
#[must_use]
pub fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_differ_in_anything_are_told_apart_and_no_query_is_shown() {
        let jwks = |text: &str| Place::Jwks(Url::parse(text).unwrap());
        let issuer =
            |text: &str, allow_http| Place::Issuer { issuer: text.into(), url: Url::parse(text).unwrap(), allow_http };
        let places = [
            jwks("https://a.org/"),
            jwks("https://a.org/?key=1"),
            jwks("https://a.org/?key=2"),
            issuer("https://a.org", true),
            issuer("https://a.org", false),
            issuer("https://a.org/", false),
            Place::File("https://a.org/".into()),
        ];
        for (n, place) in places.iter().enumerate() {
            let identity = place.identity();
            assert!(identity.starts_with(&format!("{place} ")) && !identity.contains("key="), "{identity}");
            assert_eq!(identity, place.clone().identity());
            assert!(places.iter().skip(n + 1).all(|other| other.identity() != identity), "{identity}");
        }
    }
}
