//! An answer of Envoy or of a sidecar, whichever client asked for it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::upstream::Received;

/// Status, headers and body of one answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names (lower case) and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The value of the header `name` (lower case), if it came exactly once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str());
        values.next().filter(|_| values.next().is_none())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("no JSON: {self:?}"))
    }

    /// The body as JSON, if the status is `status`.
    ///
    /// # Errors
    /// The status is another one, or the body is no JSON.
    pub fn json_with(&self, status: u16) -> Result<Value> {
        ensure!(self.status == status, "expected {status}: {self:?}");
        self.json()
    }

    /// What the upstream received, if the request passed.
    ///
    /// # Errors
    /// It was refused, or something else than the upstream answered.
    pub fn received(&self) -> Result<Received> {
        ensure!(self.status == 200, "the request did not pass: {self:?}");
        serde_json::from_str(&self.body).with_context(|| format!("not the upstream's answer: {self:?}"))
    }

    pub(crate) async fn of(response: reqwest::Response) -> Result<Self> {
        let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Ok(Self {
            status: response.status().as_u16(),
            headers: response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: response.text().await?,
        })
    }
}
