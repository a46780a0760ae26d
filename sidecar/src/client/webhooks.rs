//! Sends events to webhooks.
//!
//! The receiver may be anybody's by now: nothing of its answer is believed but the status and how long to wait, no
//! redirect is followed, and nothing that is said about a failure holds the URL.

use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};

use super::reason;
use crate::domain::webhook::{Format, Webhook};
use crate::service::clock::now_ms;
use crate::service::webhooks::courier::{Courier, Message, Undelivered};

/// A receiver that takes no connection for so long is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// An answer that is no longer than this is read to its end, so that the connection can be used again.
const ANSWER_MAX_BYTES: usize = 16 * 1024;

/// Sends over HTTP.
#[derive(Debug, Clone)]
pub struct HttpCourier {
    client: Result<Client, Undelivered>,
}

impl Default for HttpCourier {
    fn default() -> Self {
        let client = Client::builder()
            .user_agent(concat!("sekisho/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::none())
            // A sidecar must not say where it sends to whoever it sends to.
            .referer(false)
            .build();
        // A system without certificate authorities has no client.
        Self { client: client.map_err(|error| Undelivered::later(reason(&error.without_url()))) }
    }
}

#[async_trait]
impl Courier for HttpCourier {
    async fn deliver(&self, webhook: &Webhook, message: Message<'_>) -> Result<(), Undelivered> {
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let mut request = client.post(webhook.target.expose().clone()).timeout(webhook.timeout);
        request = request.header(CONTENT_TYPE, "application/json");
        if let Format::Generic(secret) = &webhook.format {
            let signature = secret.sign(message.id, message.at_s, &message.body);
            let signature = signature.ok_or_else(|| Undelivered::later("the message cannot be signed"))?;
            request = request
                .header("webhook-id", message.id)
                .header("webhook-timestamp", message.at_s)
                .header("webhook-signature", signature);
        }
        let sent = request.body(message.body).send().await;
        judge(sent.map_err(|error| Undelivered::later(reason(&error.without_url())))?).await
    }
}

async fn judge(mut answer: Response) -> Result<(), Undelivered> {
    let status = answer.status();
    let retry_after = retry_after(answer.headers(), now_ms());
    let mut read = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        read += chunk.len();
        if read > ANSWER_MAX_BYTES {
            break;
        }
    }
    if status.is_success() {
        return Ok(());
    }
    // Others send it with answers for which it means something else (RFC 9110 §10.2.3).
    let asks = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    Err(Undelivered {
        why: format!("the answer has the status {}", status.as_u16()),
        is_final: status == StatusCode::GONE,
        retry_after: retry_after.filter(|_| asks),
    })
}

/// For how long an answer asks for patience: a number of seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now_ms: u64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    Some(Duration::from_millis(u64::try_from(at.timestamp_millis()).ok()?.saturating_sub(now_ms)))
}

#[cfg(test)]
mod tests;
