//! The identity providers whose keys verify tokens, as administrators see them.

use sekisho_protocol::keyset::Jwk;
use serde::Serialize;
use utoipa::ToSchema;

use crate::service::keysets::overview::Overview;

/// A source of keys.
#[derive(Serialize, ToSchema)]
pub(super) struct SourceInfo {
    /// What filters call it.
    source: String,
    /// Where its keys come from.
    place: String,
    /// `current`, `unreachable` (the last attempt to fetch them failed; those of the one before are in force), or
    /// `unknown` (nobody tried, or there never were any).
    standing: &'static str,
    /// Grows with every change of the keys; 0 if there never were any.
    revision: u64,
    /// How long ago they were fetched, or found unchanged, in seconds; `null` if never.
    age_s: Option<u64>,
    /// Why the last attempt failed, if it did.
    failure: Option<String>,
    keys: Vec<SourceKeyInfo>,
    /// How many more keys it publishes that are of no use here.
    left_out: usize,
}

/// A key.
#[derive(Serialize, ToSchema)]
struct SourceKeyInfo {
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
            keys: record.keys.into_iter().map(SourceKeyInfo::from).collect(),
            left_out: record.origin.left_out,
        }
    }
}

impl From<Jwk> for SourceKeyInfo {
    fn from(key: Jwk) -> Self {
        Self { kid: key.kid, kty: key.kty, crv: key.crv, alg: key.alg }
    }
}
