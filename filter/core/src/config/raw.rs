//! The configuration as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::field::{Field, Unknown};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawPolicy {
    pub(super) mesh: Field<RawMesh>,
    pub(super) providers: Field<Vec<Field<RawProvider>>>,
    pub(super) identities: Field<Vec<Field<RawIdentity>>>,
    pub(super) routes: Field<Vec<Field<RawRoute>>>,
    pub(super) tokens: Field<RawTokens>,
    pub(super) trusted_hops: Field<u64>,
    pub(super) verify_budget_ms: Field<u64>,
    pub(super) host_crypto: Field<String>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawMesh {
    pub(super) feed_cluster: Field<String>,
    pub(super) check_cluster: Field<String>,
    pub(super) secret_env: Field<String>,
    pub(super) staleness_ms: Field<u64>,
    pub(super) check_timeout_ms: Field<u64>,
    pub(super) max_checks: Field<u64>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawProvider {
    pub(super) name: Field<String>,
    pub(super) issuers: Field<Vec<String>>,
    pub(super) audiences: Field<Vec<String>>,
    pub(super) hs256_secret_env: Field<String>,
    pub(super) hs384_secret_env: Field<String>,
    pub(super) hs512_secret_env: Field<String>,
    pub(super) jwks: Field<RawJwks>,
    pub(super) key_source: Field<String>,
    pub(super) algorithms: Field<Vec<String>>,
    pub(super) leeway_s: Field<u64>,
    pub(super) max_age_s: Field<u64>,
    pub(super) max_lifetime_s: Field<u64>,
    pub(super) required_claims: Field<Vec<String>>,
    pub(super) claim_values: Field<BTreeMap<String, Value>>,
    pub(super) types: Field<Vec<String>>,
    pub(super) subject_claim: Field<String>,
    pub(super) email_claim: Field<String>,
    pub(super) email_domains: Field<Vec<String>>,
    pub(super) email_verified: Field<String>,
    pub(super) email_required: Field<bool>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

/// A key set as its issuer publishes it: members that nobody knows are ignored (RFC 7517 §5).
#[derive(Debug, Deserialize)]
pub(super) struct RawJwks {
    pub(super) keys: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawIdentity {
    pub(super) name: Field<String>,
    pub(super) audience: Field<String>,
    pub(super) key: Field<String>,
    pub(super) hs256_secret_env: Field<String>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawRoute {
    pub(super) name: Field<String>,
    pub(super) host: Field<String>,
    pub(super) prefix: Field<String>,
    pub(super) access: Field<String>,
    pub(super) tokens: Field<RawTokens>,
    pub(super) identity: Field<String>,
    pub(super) on_unavailable: Field<String>,
    pub(super) on_ban: Field<String>,
    pub(super) answers: Field<String>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawTokens {
    pub(super) from: Field<Vec<Field<RawPlace>>>,
    pub(super) forward: Field<bool>,
    pub(super) payload_header: Field<String>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawPlace {
    pub(super) header: Field<String>,
    pub(super) scheme: Field<String>,
    pub(super) prefix: Field<String>,
    pub(super) query: Field<String>,
    pub(super) cookie: Field<String>,
    #[serde(flatten)]
    pub(super) unknown: Unknown,
}
