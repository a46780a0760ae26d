//! `POST /v1/session`: what is behind a session's cookie. An inability is a 503, never an answer.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use sekisho_protocol::PROTOCOL;
use sekisho_protocol::session::{ID_MAX_BYTES, SessionQuestion, SessionReply};

use super::Mesh;
use super::refusal::Refusal;
use crate::domain::time::UnixSeconds;

/// Most bytes of a host (RFC 1035 §2.3.4).
const HOST_MAX_BYTES: usize = 253;

pub(super) async fn session(State(mesh): State<Arc<Mesh>>, body: Bytes) -> Result<Json<SessionReply>, Refusal> {
    let question: SessionQuestion =
        serde_json::from_slice(&body).map_err(|_| Refusal::Malformed("the body is not a question about a session"))?;
    if question.protocol != PROTOCOL {
        return Err(Refusal::Malformed("the filter speaks another version of the protocol"));
    }
    if question.id.len() > ID_MAX_BYTES || question.host.len() > HOST_MAX_BYTES {
        return Err(Refusal::Malformed("the session's id or host is too long"));
    }
    let now = UnixSeconds::now();
    let resolved = match (&question.ticket, &mesh.oauth2_proxy) {
        (Some(ticket), Some(oauth2_proxy)) => oauth2_proxy.resolve(&question, ticket, now).await,
        // Nobody here opens tickets, so nobody has a session of that name.
        _ => mesh.sessions.resolve(&question, now).await,
    };
    mesh.metrics.session_question(resolved.as_ref().ok().map(|reply| &reply.standing));
    resolved.map(Json).map_err(|error| {
        // One line a request would flood the log; the jobs say once that Redis is away.
        tracing::debug!(%error, "nothing could be said of a session");
        Refusal::CannotTell("the records cannot be read")
    })
}
