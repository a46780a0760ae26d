//! Fetches what identity providers publish: over HTTP, or from a file.
//!
//! The provider's machine may be anybody's by now: an answer is bounded in size, is read as data and nothing else,
//! and leads to no other origin except by an issuer's own metadata.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use reqwest::header::{ACCEPT, AGE, CACHE_CONTROL, ETAG, HeaderMap, HeaderName, IF_NONE_MATCH};
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Client, Response, StatusCode};
use tokio::io::AsyncReadExt as _;
use url::Url;

use super::reason;
use crate::domain::keyset::Origin;
use crate::domain::keyset::discovery;
use crate::domain::keyset::source::{Place, without_query};
use crate::service::keysets::origin::{Document, Effort, Fetched, KeyOrigin, Unfetched};

/// Most bytes of a set or of metadata. Large ones have some ten thousand.
const BODY_MAX_BYTES: u64 = 512 * 1024;
/// Most bytes of an `ETag` that is remembered.
const ETAG_MAX_BYTES: usize = 256;
/// A provider that takes no connection for so long is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Most redirects within one origin.
const REDIRECTS_MAX: usize = 3;

/// Fetches sets of keys.
#[derive(Debug, Clone)]
pub struct HttpKeys {
    client: Result<Client, Unfetched>,
}

impl Default for HttpKeys {
    fn default() -> Self {
        let client = Client::builder()
            .user_agent(concat!("sekisho/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::custom(within_origin))
            .build();
        // A system without certificate authorities can still read files.
        Self { client: client.map_err(|error| Unfetched(format!("HTTPS cannot be used: {}", reason(&error)))) }
    }
}

#[async_trait]
impl KeyOrigin for HttpKeys {
    async fn fetch(&self, place: &Place, known: &Origin, effort: Effort) -> Result<Fetched, Unfetched> {
        match place {
            Place::File(path) => read(path).await.map(Fetched::Document),
            Place::Jwks(url) => self.fetch_set(url.clone(), without_query(url), known).await,
            Place::Issuer { issuer, url, allow_http } => {
                let location = known.location.as_deref().filter(|_| effort == Effort::KeysOnly);
                let uri = match location.and_then(|location| discovery::location(location, *allow_http).ok()) {
                    Some(uri) => uri,
                    None => self.discover(issuer, url, *allow_http).await?,
                };
                self.fetch_set(uri.clone(), uri.into(), known).await
            }
        }
    }
}

impl HttpKeys {
    /// Where the keys of an issuer are.
    async fn discover(&self, issuer: &str, url: &Url, allow_http: bool) -> Result<Url, Unfetched> {
        let mut refusals = Vec::new();
        for location in discovery::locations(url) {
            let answer = self.get(&location, None).await?;
            if answer.status() != StatusCode::OK {
                refusals.push(unexpected(&location, answer.status()).0);
                continue;
            }
            let metadata = body(answer, &location).await?;
            return discovery::jwks_uri(&metadata, issuer, allow_http).map_err(|error| at(&location, error));
        }
        Err(Unfetched(refusals.join("; ")))
    }

    /// The set at `uri`, which is on record as `location`.
    async fn fetch_set(&self, uri: Url, location: String, known: &Origin) -> Result<Fetched, Unfetched> {
        // Keys of no use here may be of use to the next version of this program, so such a set is read anew.
        let is_whole = known.left_out == 0 && known.location.as_ref() == Some(&location);
        let answer = self.get(&uri, known.etag.as_deref().filter(|_| is_whole)).await?;
        let max_age = max_age(answer.headers());
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if is_whole && known.etag.is_some() => return Ok(Fetched::Unchanged { max_age }),
            other => return Err(unexpected(&uri, other)),
        }
        let etag = text(answer.headers(), &ETAG).filter(|etag| etag.len() <= ETAG_MAX_BYTES).map(str::to_owned);
        let body = body(answer, &uri).await?;
        Ok(Fetched::Document(Document { body, location: Some(location), etag, max_age, modified_at_ms: None }))
    }

    async fn get(&self, url: &Url, etag: Option<&str>) -> Result<Response, Unfetched> {
        let mut request = self.client.as_ref().map_err(Clone::clone)?.get(url.clone());
        request = request.header(ACCEPT, "application/jwk-set+json, application/json");
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        request.send().await.map_err(|error| at(url, reason(&error)))
    }
}

/// Follows a few redirects to where the request went in the first place, and none to elsewhere.
fn within_origin(attempt: Attempt<'_>) -> Action {
    let is_same = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
    if !is_same {
        let elsewhere = format!("it redirects to another origin, {}", attempt.url().origin().ascii_serialization());
        return attempt.error(elsewhere);
    }
    if attempt.previous().len() > REDIRECTS_MAX {
        return attempt.error(format!("it redirects more than {REDIRECTS_MAX} times"));
    }
    attempt.follow()
}

async fn body(mut answer: Response, url: &Url) -> Result<Vec<u8>, Unfetched> {
    let too_large = || at(url, format_args!("the answer has more than {BODY_MAX_BYTES} bytes"));
    let mut body = Vec::new();
    // What it says of its length spares the reading, and what it does not say is counted.
    if answer.content_length().is_some_and(|length| length > BODY_MAX_BYTES) {
        return Err(too_large());
    }
    while let Some(chunk) = answer.chunk().await.map_err(|error| at(url, reason(&error)))? {
        body.extend_from_slice(&chunk);
        if body.len() as u64 > BODY_MAX_BYTES {
            return Err(too_large());
        }
    }
    Ok(body)
}

/// For how long an answer counts as current (RFC 9111 §4.2.1, §4.2.3), if it says so.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = text(headers, &CACHE_CONTROL)?.split(',').map(str::trim);
    let mut max_age = None;
    for directive in directives {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" => max_age = value.trim().trim_matches('"').parse().ok(),
            _ => {}
        }
    }
    let age: u64 = text(headers, &AGE).and_then(|age| age.trim().parse().ok()).unwrap_or_default();
    max_age.map(|max_age: u64| Duration::from_secs(max_age.saturating_sub(age)))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

async fn read(path: &Path) -> Result<Document, Unfetched> {
    let failed = |error: std::io::Error| Unfetched(format!("{} cannot be read: {error}", path.display()));
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let metadata = file.metadata().await.map_err(failed)?;
    if !metadata.is_file() {
        return Err(Unfetched(format!("{} is no file", path.display())));
    }
    let mut body = Vec::new();
    file.take(BODY_MAX_BYTES + 1).read_to_end(&mut body).await.map_err(failed)?;
    if body.len() as u64 > BODY_MAX_BYTES {
        return Err(Unfetched(format!("{} has more than {BODY_MAX_BYTES} bytes", path.display())));
    }
    let modified = metadata.modified().ok().and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
    let modified_at_ms = modified.and_then(|since| u64::try_from(since.as_millis()).ok());
    Ok(Document { body, modified_at_ms, ..Document::default() })
}

fn unexpected(url: &Url, status: StatusCode) -> Unfetched {
    at(url, format_args!("the answer has the status {}", status.as_u16()))
}

/// What went wrong at a URL, which is shown without its query.
fn at(url: &Url, what: impl std::fmt::Display) -> Unfetched {
    Unfetched(format!("{}: {what}", without_query(url)))
}

#[cfg(test)]
mod tests;
