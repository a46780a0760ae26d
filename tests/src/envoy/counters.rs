//! What an Envoy counts of itself.

use anyhow::{Context, Result, ensure};

use super::{EDGE, Envoy};
use crate::exposition::Exposition;
use crate::process::Process;

impl Envoy {
    /// The counters and gauges whose name matches the regular expression `filter`.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn stats(&self, filter: &str) -> Result<Vec<(String, u64)>> {
        self.process.with(Process::still_runs).await?;
        let answer = self.admin(&format!("/stats?format=json&filter={filter}")).await?.json_with(200)?;
        let stats = answer["stats"].as_array().cloned().unwrap_or_default();
        let pair = |stat: serde_json::Value| Some((stat["name"].as_str()?.to_owned(), stat["value"].as_u64()?));
        Ok(stats.into_iter().filter_map(pair).collect())
    }

    /// One counter or gauge; 0 if it was never touched.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn stat(&self, name: &str) -> Result<u64> {
        let stats = self.stats(&format!("^{}$", name.replace('.', "\\."))).await?;
        Ok(stats.first().map_or(0, |(_, value)| *value))
    }

    /// All that it counts and whose name matches the regular expression `filter`, the filter's statistics among it, as
    /// Prometheus reads it.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn exposition(&self, filter: &str) -> Result<Exposition> {
        let answer = self.admin(&format!("/stats/prometheus?filter={filter}")).await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(Exposition::of(answer.body))
    }

    /// How many connections each worker has accepted on the listener of users.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn connections(&self) -> Result<Vec<u64>> {
        let mut counts = Vec::new();
        for worker in 0..self.workers {
            counts.push(self.stat(&format!("listener.{EDGE}.worker_{worker}.downstream_cx_total")).await?);
        }
        Ok(counts)
    }

    /// How many requests the cluster `cluster` has sent to the endpoint on `port` of this machine.
    ///
    /// # Errors
    /// Envoy does not answer, or knows no such endpoint.
    pub async fn requests_to(&self, cluster: &str, port: u16) -> Result<u64> {
        let (page, row) = (self.admin("/clusters").await?.body, format!("{cluster}::127.0.0.1:{port}::rq_total::"));
        let found = page.lines().find_map(|line| line.strip_prefix(&row));
        Ok(found.with_context(|| format!("no {row} in {page}"))?.parse()?)
    }

    /// Reloads of the filter's VM, in whatever way they ended: above 0 means that it trapped.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn vm_reloads(&self) -> Result<u64> {
        let counters = self.stats("^wasm.*vm_reload").await?;
        ensure!(!counters.is_empty(), "Envoy has no counters of reloads: have they been renamed?");
        Ok(counters.iter().map(|(_, value)| value).sum())
    }
}
