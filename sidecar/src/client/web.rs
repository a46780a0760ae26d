//! Plain HTTP questions, of the doctor's.

use std::time::Duration;

use async_trait::async_trait;

use crate::service::doctor::Web;

/// A healthy neighbour answers much sooner.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks over HTTP.
#[derive(Debug, Clone, Default)]
pub struct HttpWeb {
    client: reqwest::Client,
}

#[async_trait]
impl Web for HttpWeb {
    async fn get(&self, url: &str) -> Result<(u16, String), String> {
        let answer = self.client.get(url).timeout(TIMEOUT).send().await.map_err(|error| reason(&error))?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.map_err(|error| reason(&error))?))
    }
}

/// The innermost cause: the outer ones only say that there was a request.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() }
}
