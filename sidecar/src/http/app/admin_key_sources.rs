//! `/api/admin/key-sources`: the identity providers whose keys verify tokens, for administrators.

use axum::Json as JsonBody;
use axum::extract::State;
use sekisho_protocol::keyset::Jwk;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::error::Failure;
use crate::http::app::Api;
use crate::http::app::answer::{AdminRefusals, Answer};
use crate::http::app::caller::Admin;
use crate::service::keysets::overview::Overview;

/// Lists the sources of keys, by name: identity providers, and `sekisho` itself.
#[utoipa::path(get, path = "/api/admin/key-sources", tag = "keys",
    responses((status = 200, description = "The sources", body = SourceList), AdminRefusals))]
pub(super) async fn list(State(api): State<Api>, _: Admin) -> Answer<JsonBody<SourceList>> {
    let all = api.keysets.overview().await.map_err(Failure::from)?;
    let sources: Vec<SourceInfo> = all.into_iter().map(SourceInfo::from).collect();
    Ok(JsonBody(SourceList { count: sources.len(), sources }))
}

/// The sources of keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct SourceList {
    sources: Vec<SourceInfo>,
    /// How many there are.
    count: usize,
}

/// A source of keys.
#[derive(Serialize, ToSchema)]
struct SourceInfo {
    /// What filters call it.
    source: String,
    /// Where its keys come from; `null` of `sekisho` itself.
    place: Option<String>,
    /// `current`, `unreachable` (the last attempt to fetch them failed; those of the one before are in force), or
    /// `unknown` (nobody tried, or there never were any).
    standing: &'static str,
    /// Grows with every change of the keys; 0 if there never were any.
    revision: u64,
    /// How long ago they were fetched, or found unchanged, in seconds; `null` if never.
    age_s: Option<u64>,
    /// Why the last attempt failed, if it did.
    failure: Option<String>,
    keys: Vec<KeyInfo>,
    /// How many more keys it publishes that are of no use here.
    left_out: usize,
}

/// A key.
#[derive(Serialize, ToSchema)]
struct KeyInfo {
    /// Its name.
    kid: Option<String>,
    /// `RSA`, `EC` or `OKP`.
    kty: String,
    /// Its curve.
    crv: Option<String>,
    /// The one algorithm that it is for, if it is for one.
    alg: Option<String>,
}

impl From<Overview> for SourceInfo {
    fn from(overview: Overview) -> Self {
        let (standing, record) = (overview.standing_word(), overview.record);
        Self {
            source: overview.source.into(),
            place: overview.place,
            standing,
            revision: record.revision,
            age_s: overview.age.map(|age| age.as_secs()),
            failure: record.origin.failure,
            keys: record.keys.into_iter().map(KeyInfo::from).collect(),
            left_out: record.origin.left_out,
        }
    }
}

impl From<Jwk> for KeyInfo {
    fn from(key: Jwk) -> Self {
        Self { kid: key.kid, kty: key.kty, crv: key.crv, alg: key.alg }
    }
}
