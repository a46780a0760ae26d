//! Where the keys of others come from, as the configuration says.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

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
