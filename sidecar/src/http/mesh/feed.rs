//! `GET /v1/feed`: the long poll. `DELETE /v1/feed`: goodbye.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use sekisho_protocol::feed::{FeedQuery, FeedReply, GoodbyeQuery};

use super::Mesh;
use super::refusal::Refusal;
use crate::service::feed::polls::Unanswered;

/// Most bytes of what a replica says of itself for people.
const LABEL_MAX_BYTES: usize = 128;
/// The longest staleness bound, in milliseconds.
const STALENESS_MAX_MS: u32 = 60_000;

pub(super) async fn poll(
    State(mesh): State<Mesh>,
    query: Result<Query<FeedQuery>, QueryRejection>,
) -> Result<Json<FeedReply>, Refusal> {
    let Query(query) = query.map_err(|_| Refusal::Malformed("the query is not that of a poll"))?;
    if query.node.len() > LABEL_MAX_BYTES || query.build.len() > LABEL_MAX_BYTES {
        return Err(Refusal::Malformed("node and build have at most 128 bytes"));
    }
    if query.staleness_ms > STALENESS_MAX_MS {
        return Err(Refusal::Malformed("staleness_ms is at most 60000"));
    }
    Ok(Json(mesh.polls.answer(query).await?))
}

pub(super) async fn goodbye(
    State(mesh): State<Mesh>,
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
