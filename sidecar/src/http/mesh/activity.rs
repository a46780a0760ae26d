//! `POST /v1/activity`: what a filter saw. Applied once, however often it is sent.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use sekisho_protocol::PROTOCOL;
use sekisho_protocol::activity::{ActivityReport, REPORT_MAX_ROWS};

use super::Mesh;
use super::check::TOKEN_ID_MAX_BYTES;
use super::refusal::Refusal;

pub(super) async fn report(State(mesh): State<Arc<Mesh>>, body: Bytes) -> Result<StatusCode, Refusal> {
    let report: ActivityReport =
        serde_json::from_slice(&body).map_err(|_| Refusal::Malformed("the body is not that of a report"))?;
    if report.protocol != PROTOCOL {
        return Err(Refusal::Malformed("the filter speaks another version of the protocol"));
    }
    if [report.subjects.len(), report.outcomes.len(), report.verifications.len()]
        .into_iter()
        .any(|n| n > REPORT_MAX_ROWS)
    {
        return Err(Refusal::Malformed("the report has too many rows"));
    }
    if report.subjects.iter().filter_map(|row| row.token_id.as_ref()).any(|id| id.len() > TOKEN_ID_MAX_BYTES) {
        return Err(Refusal::Malformed("a token's id is too long"));
    }
    match mesh.activities.take(&report).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(error) => {
            tracing::warn!(%error, "an activity report could not be taken");
            Err(Refusal::CannotTell("the report cannot be kept"))
        }
    }
}
