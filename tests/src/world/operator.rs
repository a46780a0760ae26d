//! What an operator does in a world: bans, and reads who heard of it.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use sekisho_protocol::identity::APP_AUDIENCE;
use sekisho_protocol::keys::app_identity_key;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{ADMIN, World};
use crate::sidecar::Sidecar;
use crate::token::assertion;
use crate::{Answer, User, poll};

const BAN: &str = "/api/admin/sessions/revoke-user";
/// In which registry the sidecars keep who listens to the feed.
const WORKERS: &str = "sekisho:{feed}:workers";

impl World {
    /// Bans somebody through Envoy, as an operator does.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn ban(&self, user: &User) -> Result<Answer> {
        self.app(Method::POST, BAN, &self.admin_token(), Some(&json!({"user_email": user.email}))).await
    }

    /// Bans somebody at `sidecar`, past all Envoys.
    ///
    /// # Errors
    /// The sidecar does not answer.
    pub async fn ban_at(&self, sidecar: &Sidecar, user: &User) -> Result<Answer> {
        self.call_at(sidecar, ADMIN, Method::POST, BAN, Some(&json!({"user_email": user.email}))).await
    }

    /// A call of `email` at `sidecar`, past all Envoys, as from inside the network.
    ///
    /// # Errors
    /// The sidecar does not answer.
    pub async fn call_at(
        &self,
        sidecar: &Sidecar,
        email: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let key = app_identity_key(self.keys.mesh.as_bytes());
        let identity = assertion(&key, APP_AUDIENCE, email, &["api:read", "api:write", "admin"]);
        sidecar.app(method, path, &[("x-sekisho-identity", identity.as_str())], body).await
    }

    /// Bans somebody at `sidecar`, again and again until every worker that counts has acknowledged it or
    /// is fenced; gives that moment and the answer. From then on no request may pass.
    ///
    /// # Errors
    /// It is not acknowledged in time.
    pub async fn ban_until_acknowledged(&self, sidecar: &Sidecar, user: &User) -> Result<(Instant, Value)> {
        poll::until("the ban is acknowledged", poll::START, async || {
            let answer = self.ban_at(sidecar, user).await?.json_with(200)?;
            Ok((Instant::now(), answer))
        })
        .await
    }

    /// The ids of the replicas on record, with their nodes, in the order of the ids.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn replicas(&self) -> Result<Vec<(String, String)>> {
        let mut replicas = Vec::new();
        for (id, row) in self.redis.hash(WORKERS).await? {
            let row: Value = serde_json::from_str(&row)?;
            replicas.push((id, row["node"].as_str().unwrap_or_default().to_owned()));
        }
        replicas.sort();
        Ok(replicas)
    }

    /// How many polls both sidecars have answered since they started.
    ///
    /// # Errors
    /// A sidecar does not answer.
    pub async fn polls(&self) -> Result<u64> {
        Ok(self.a.metric("sekisho_feed_polls_total").await? + self.b.metric("sekisho_feed_polls_total").await?)
    }

    /// How many checks with `labels` both sidecars have answered since they started.
    ///
    /// Envoy's own counter of the cluster is no use for this: questions for keys go there, too.
    ///
    /// # Errors
    /// A sidecar does not answer.
    pub async fn checks(&self, labels: &[(&str, &str)]) -> Result<u64> {
        const CHECKS: &str = "sekisho_checks_total";
        Ok(self.a.metric_of(CHECKS, labels).await? + self.b.metric_of(CHECKS, labels).await?)
    }
}

/// The nodes of those that `answer`, a change that is written but not acknowledged by all, says lag.
///
/// # Errors
/// The answer is another one, or names nobody.
pub fn lagging_nodes(answer: &Answer) -> Result<Vec<String>> {
    let body = answer.json_with(202)?;
    let lagging = body["lagging"].as_array().context("no list of those that lag")?;
    ensure!(!lagging.is_empty(), "nobody lags, and yet the answer is 202: {body}");
    ensure!(lagging.iter().all(|row| row["replica"].is_string()), "a replica without an id: {body}");
    Ok(lagging.iter().map(|row| row["node"].as_str().unwrap_or_default().to_owned()).collect())
}
