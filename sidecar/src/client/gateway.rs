//! Calls of the API through the gateway.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Response, redirect};

use super::reason;
use crate::service::gateway::{Gateway, Incoming, Outgoing};

/// Longest silence: longer than the API lets a call take. What goes on sending may take as long as it likes.
const TIMEOUT: Duration = Duration::from_secs(150);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Calls over HTTP.
#[derive(Debug, Clone)]
pub struct HttpGateway {
    client: Result<Client, String>,
}

impl Default for HttpGateway {
    fn default() -> Self {
        let client = Client::builder().read_timeout(TIMEOUT).connect_timeout(CONNECTION_TIMEOUT);
        // A redirect could lead the credential to somebody else.
        let client = client.redirect(redirect::Policy::none()).build();
        // A system without certificate authorities has no client.
        Self { client: client.map_err(|error| reason(&error)) }
    }
}

impl HttpGateway {
    async fn answer(&self, call: &Outgoing) -> Result<Response, String> {
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let method = Method::from_bytes(call.method.as_bytes()).map_err(|error| error.to_string())?;
        let mut request = client.request(method, &call.url);
        for (name, value) in &call.headers {
            let mut value = HeaderValue::from_str(value).map_err(|_| format!("the header {name} can't be sent"))?;
            value.set_sensitive(*name == "authorization");
            request = request.header(*name, value);
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        request.send().await.map_err(|error| reason(&error))
    }
}

/// An answer, without its body.
fn head(answer: &Response) -> Incoming {
    let seconds = |value: &HeaderValue| value.to_str().ok()?.parse().ok();
    let retry_after_s = answer.headers().get(RETRY_AFTER).and_then(seconds);
    Incoming { status: answer.status().as_u16(), retry_after_s, body: String::new() }
}

async fn whole(answer: Response) -> Result<Incoming, String> {
    let head = head(&answer);
    Ok(Incoming { body: answer.text().await.map_err(|error| reason(&error))?, ..head })
}

#[async_trait]
impl Gateway for HttpGateway {
    async fn send(&self, call: &Outgoing) -> Result<Incoming, String> {
        whole(self.answer(call).await?).await
    }

    async fn stream(
        &self,
        call: &Outgoing,
        into: &mut (dyn for<'p> FnMut(&'p [u8]) + Send),
    ) -> Result<Incoming, String> {
        let mut answer = self.answer(call).await?;
        if !answer.status().is_success() {
            return whole(answer).await;
        }
        while let Some(piece) = answer.chunk().await.map_err(|error| reason(&error))? {
            into(&piece);
        }
        Ok(head(&answer))
    }
}
