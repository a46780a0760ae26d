//! `GET /v1/feed`: the long poll. `DELETE /v1/feed`: goodbye.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use sekisho_protocol::feed::{FeedQuery, GoodbyeQuery, LABEL_MAX_BYTES};

use super::Mesh;
use super::refusal::Refusal;
use crate::service::feed::polls::{Reply, Unanswered};

/// The longest staleness bound, in milliseconds.
const STALENESS_MAX_MS: u32 = 60_000;
/// The memory of a wasm VM is addressed by 32 bits.
const MEMORY_MAX_BYTES: u64 = 1 << 32;
/// An entry takes several bytes of that memory.
const ENTRIES_MAX: u64 = MEMORY_MAX_BYTES / 8;
/// Ages above a day are not told apart: a worker that was cut off for longer must still be answered.
const AGE_MAX_MS: u64 = 86_400_000;

pub(super) async fn poll(
    State(mesh): State<Arc<Mesh>>,
    query: Result<Query<FeedQuery>, QueryRejection>,
) -> Result<Json<Reply>, Refusal> {
    let Query(mut query) = query.map_err(|_| Refusal::Malformed("the query is not that of a poll"))?;
    if query.node.len() > LABEL_MAX_BYTES || query.build.len() > LABEL_MAX_BYTES {
        return Err(Refusal::Malformed("node and build have at most 128 bytes"));
    }
    if query.staleness_ms > STALENESS_MAX_MS {
        return Err(Refusal::Malformed("staleness_ms is at most 60000"));
    }
    if query.memory_bytes > MEMORY_MAX_BYTES || query.entries > ENTRIES_MAX {
        return Err(Refusal::Malformed("no replica has so much memory, or so many entries"));
    }
    query.age_ms = query.age_ms.map(|age_ms| age_ms.min(AGE_MAX_MS));
    Ok(Json(mesh.polls.answer(query).await?))
}

pub(super) async fn goodbye(
    State(mesh): State<Arc<Mesh>>,
    query: Result<Query<GoodbyeQuery>, QueryRejection>,
) -> Result<StatusCode, Refusal> {
    let Query(query) = query.map_err(|_| Refusal::Malformed("the query is not that of a goodbye"))?;
    match mesh.polls.goodbye(&query.replica).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => {
            tracing::warn!(replica.id = %query.replica, %error, "a goodbye could not be noted");
            Err(Refusal::CannotTell("the registry cannot be reached"))
        }
    }
}

impl From<Unanswered> for Refusal {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::NotLoaded => Self::CannotTell("the feed is not loaded, or behind"),
            Unanswered::NotRegistered => Self::CannotTell("the replica could not be registered"),
            Unanswered::Full => Self::CannotTell("too many replicas poll"),
        }
    }
}
