//! Plain HTTP questions, of the doctor's.

use std::time::Duration;

use async_trait::async_trait;

use super::reason;
use crate::service::doctor::Web;

/// A healthy neighbour answers much sooner.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks over HTTP.
#[derive(Debug, Clone)]
pub struct HttpWeb {
    client: Result<reqwest::Client, String>,
}

impl Default for HttpWeb {
    fn default() -> Self {
        // A system without certificate authorities has no client.
        Self { client: reqwest::Client::builder().build().map_err(|error| reason(&error)) }
    }
}

#[async_trait]
impl Web for HttpWeb {
    async fn get(&self, url: &str) -> Result<(u16, String), String> {
        let client = self.client.as_ref().map_err(Clone::clone)?;
        let answer = client.get(url).timeout(TIMEOUT).send().await.map_err(|error| reason(&error))?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.map_err(|error| reason(&error))?))
    }
}
