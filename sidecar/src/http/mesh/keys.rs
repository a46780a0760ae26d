//! `GET /v1/keys`: the keys of a source. The answer may wait until they were fetched anew.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use sekisho_protocol::keyset::{KID_MAX_BYTES, KeysQuery, KeysReply};

use super::Mesh;
use super::refusal::Refusal;
use crate::domain::keyset::SourceName;
use crate::service::keysets::answer::Unanswered;

pub(super) async fn keys(
    State(mesh): State<Arc<Mesh>>,
    query: Result<Query<KeysQuery>, QueryRejection>,
) -> Result<Json<KeysReply>, Refusal> {
    let Query(query) = query.map_err(|_| Refusal::Malformed("the query is not that of a question for keys"))?;
    let source = SourceName::parse(&query.source).map_err(|_| Refusal::Malformed("no source has such a name"))?;
    if query.kid.as_ref().is_some_and(|kid| kid.len() > KID_MAX_BYTES) {
        return Err(Refusal::Malformed("no key has such a long name"));
    }
    mesh.keysets.answer(&source, query.kid.as_deref()).await.map(Json).map_err(|error| {
        // One line a question would flood the log; the jobs say once what is away.
        tracing::debug!(%source, %error, "a question for keys could not be answered");
        error.into()
    })
}

impl From<Unanswered> for Refusal {
    fn from(unanswered: Unanswered) -> Self {
        Self::CannotTell(match unanswered {
            Unanswered::Busy => "too many questions for keys wait",
            Unanswered::Outdated => "the keys on record are older than those announced",
            Unanswered::Late => "the keys could not be fetched in time",
            Unanswered::Store(_) => "the keys on record cannot be read",
        })
    }
}
