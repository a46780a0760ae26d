//! `POST /v1/check`: one decision. An inability is a 503, never a decision.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use sekisho_protocol::PROTOCOL;
use sekisho_protocol::check::{CheckReply, CheckRequest};

use super::Mesh;
use super::refusal::Refusal;

/// Most bytes of a token's id. Nothing that we mint is longer than 36.
pub(super) const TOKEN_ID_MAX_BYTES: usize = 1_024;

pub(super) async fn check(State(mesh): State<Arc<Mesh>>, body: Bytes) -> Result<Json<CheckReply>, Refusal> {
    let request: CheckRequest =
        serde_json::from_slice(&body).map_err(|_| Refusal::Malformed("the body is not that of a check"))?;
    if request.protocol != PROTOCOL {
        return Err(Refusal::Malformed("the filter speaks another version of the protocol"));
    }
    if request.token_id.as_ref().is_some_and(|id| id.len() > TOKEN_ID_MAX_BYTES) {
        return Err(Refusal::Malformed("the token's id is too long"));
    }
    mesh.checks.decide(&request).await.map(Json).map_err(|error| {
        // One line a request would flood the log; the jobs say once that Redis is away.
        tracing::debug!(%error, "a check could not be decided");
        Refusal::CannotTell("the records cannot be read")
    })
}
