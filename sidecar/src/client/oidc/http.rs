//! Requests to a provider: bounded in time and size, never redirected.

use std::time::Duration;

use openidconnect::{HttpRequest, HttpResponse};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Map, Value};
use url::Url;

use crate::client::reason;
use crate::service::sign_in::provider::ProviderError;

/// Most bytes of an answer. Large sets of keys have some ten thousand.
const BODY_MAX_BYTES: usize = 512 * 1024;
/// A provider that takes no connection for so long is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Somebody waits for the answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks a provider.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: Result<Client, Unanswered>,
    allow_http: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unanswered(String);

impl From<Unanswered> for ProviderError {
    fn from(Unanswered(cause): Unanswered) -> Self {
        Self::Unavailable(cause)
    }
}

impl Http {
    pub(super) fn new(allow_http: bool) -> Self {
        let client = Client::builder()
            .user_agent(concat!("sekisho/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            // Codes and tokens go to the endpoint that was published, and nowhere else.
            .redirect(Policy::none())
            .referer(false)
            .build();
        // A system without certificate authorities has no client.
        Self { client: client.map_err(|error| Unanswered(reason(&error.without_url()))), allow_http }
    }

    /// As the library calls it.
    pub(super) fn caller(&self) -> impl Fn(HttpRequest) -> HttpAnswer + use<> {
        let http = self.clone();
        move |request| {
            let http = http.clone();
            Box::pin(async move { http.send(request).await })
        }
    }

    /// What userinfo says to whoever has this access token (Core §5.3).
    pub(super) async fn userinfo(
        &self,
        endpoint: &Url,
        access_token: &str,
    ) -> Result<Map<String, Value>, ProviderError> {
        self.check(endpoint.scheme())?;
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let request = client.get(endpoint.clone()).bearer_auth(access_token).header(ACCEPT, "application/json");
        let answer = request.send().await.map_err(|error| Unanswered(reason(&error.without_url())))?;
        let (status, body) = (answer.status(), whole(answer).await?);
        if !status.is_success() {
            let told = format!("userinfo answered {}", status.as_u16());
            // A grant that was withdrawn is no outage (RFC 6750 §3.1).
            let is_refusal = matches!(status.as_u16(), 401 | 403);
            return Err(if is_refusal { ProviderError::Refused(told) } else { ProviderError::Unavailable(told) });
        }
        serde_json::from_slice(&body).map_err(|_| ProviderError::Unavailable("userinfo answered no JSON object".into()))
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Unanswered> {
        self.check(request.uri().scheme_str().unwrap_or_default())?;
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let request = request.try_into().map_err(|error: reqwest::Error| Unanswered(reason(&error.without_url())))?;
        let answer = client.execute(request).await.map_err(|error| Unanswered(reason(&error.without_url())))?;
        let (status, kind) = (answer.status(), answer.headers().get(CONTENT_TYPE).cloned());
        let mut response = HttpResponse::new(whole(answer).await?);
        *response.status_mut() = status;
        response.headers_mut().extend(kind.map(|kind| (CONTENT_TYPE, kind)));
        Ok(response)
    }

    fn check(&self, scheme: &str) -> Result<(), Unanswered> {
        let is_good = scheme == "https" || (self.allow_http && scheme == "http");
        if is_good { Ok(()) } else { Err(Unanswered("an address of it is not https".into())) }
    }
}

/// What [`Http::caller`]'s calls come to.
type HttpAnswer = std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, Unanswered>> + Send>>;

/// The whole body, unless it is too long.
async fn whole(mut answer: Response) -> Result<Vec<u8>, Unanswered> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| Unanswered(reason(&error.without_url())))? {
        body.extend_from_slice(&piece);
        if body.len() > BODY_MAX_BYTES {
            return Err(Unanswered("an answer of it is too long".into()));
        }
    }
    Ok(body)
}
