//! The configuration as it is written.

use serde_json::Value;

use super::field::{Field, FromValue, Members, raw};

raw! {
    pub(super) struct RawPolicy {
        pub(super) mesh: Field<RawMesh>,
        pub(super) providers: Field<Vec<Field<RawProvider>>>,
        pub(super) identities: Field<Vec<Field<RawIdentity>>>,
        pub(super) routes: Field<Vec<Field<RawRoute>>>,
        pub(super) tokens: Field<RawTokens>,
        pub(super) answers: Field<RawAnswers>,
        pub(super) identity_headers: Field<Vec<Field<RawIdentityHeader>>>,
        pub(super) unmatched: Field<String>,
        pub(super) client_address: Field<String>,
        pub(super) trusted_hops: Field<u64>,
        pub(super) shadow: Field<bool>,
        pub(super) filter_state: Field<String>,
        pub(super) explain: Field<RawExplain>,
        pub(super) verify_budget_ms: Field<u64>,
        pub(super) host_crypto: Field<String>,
    }
}

raw! {
    pub(super) struct RawMesh {
        pub(super) feed_cluster: Field<String>,
        pub(super) check_cluster: Field<String>,
        pub(super) secret_env: Field<String>,
        pub(super) staleness_ms: Field<u64>,
        pub(super) check_timeout_ms: Field<u64>,
        pub(super) max_checks: Field<u64>,
    }
}

raw! {
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
        pub(super) claim_values: Field<Members<Value>>,
        pub(super) types: Field<Vec<String>>,
        pub(super) subject_claim: Field<String>,
        pub(super) email_claim: Field<String>,
        pub(super) email_domains: Field<Vec<String>>,
        pub(super) email_verified: Field<String>,
        pub(super) email_required: Field<bool>,
        pub(super) roles_claim: Field<String>,
        pub(super) groups_claim: Field<String>,
    }
}

/// A key set as its issuer publishes it: members that nobody knows are ignored (RFC 7517 §5).
#[derive(Debug)]
pub(super) struct RawJwks {
    pub(super) keys: Vec<Value>,
}

impl FromValue for RawJwks {
    fn from_value(mut value: Value) -> Result<Self, String> {
        let keys = value.get_mut("keys").map(Value::take).ok_or("is no set of keys: it has no member `keys`")?;
        Ok(Self { keys: Vec::from_value(keys).map_err(|message| format!("its member `keys` {message}"))? })
    }
}

raw! {
    pub(super) struct RawIdentity {
        pub(super) name: Field<String>,
        pub(super) audience: Field<String>,
        pub(super) key: Field<String>,
        pub(super) hs256_secret_env: Field<String>,
        pub(super) algorithm: Field<String>,
    }
}

raw! {
    pub(super) struct RawExplain {
        pub(super) key_env: Field<String>,
    }
}

raw! {
    pub(super) struct RawRoute {
        pub(super) name: Field<String>,
        pub(super) r#match: Field<RawMatch>,
        pub(super) access: Field<String>,
        pub(super) providers: Field<Vec<String>>,
        pub(super) also: Field<Vec<Field<RawAlso>>>,
        pub(super) require: Field<RawRequire>,
        pub(super) tokens: Field<RawTokens>,
        pub(super) answers: Field<RawAnswers>,
        pub(super) cors_preflight: Field<String>,
        pub(super) identity: Field<String>,
        pub(super) identity_headers: Field<Vec<Field<RawIdentityHeader>>>,
        pub(super) upstream_credential: Field<Vec<Field<RawUpstreamCredential>>>,
        pub(super) on_unavailable: Field<String>,
        pub(super) on_ban: Field<String>,
        pub(super) shadow: Field<bool>,
    }
}

raw! {
    pub(super) struct RawMatch {
        pub(super) host: Field<String>,
        pub(super) path: Field<String>,
        pub(super) prefix: Field<String>,
        pub(super) template: Field<String>,
        pub(super) regex: Field<String>,
        pub(super) ignore_case: Field<bool>,
        pub(super) methods: Field<Vec<String>>,
        pub(super) headers: Field<Vec<Field<RawHeaderTest>>>,
    }
}

raw! {
    pub(super) struct RawHeaderTest {
        pub(super) name: Field<String>,
        pub(super) present: Field<bool>,
        pub(super) equals: Field<String>,
        pub(super) prefix: Field<String>,
        pub(super) suffix: Field<String>,
        pub(super) contains: Field<String>,
    }
}

raw! {
    pub(super) struct RawAlso {
        pub(super) provider: Field<String>,
        pub(super) from: Field<Vec<Field<RawPlace>>>,
        pub(super) forward: Field<bool>,
    }
}

raw! {
    pub(super) struct RawRequire {
        pub(super) all: Field<Vec<Field<RawRequire>>>,
        pub(super) any: Field<Vec<Field<RawRequire>>>,
        pub(super) not: Field<Box<RawRequire>>,
        pub(super) scopes: Field<RawNames>,
        pub(super) roles: Field<RawNames>,
        pub(super) groups: Field<RawNames>,
        pub(super) providers: Field<RawNames>,
        pub(super) claims: Field<Vec<Field<RawClaim>>>,
        pub(super) addresses: Field<RawAddresses>,
        pub(super) times: Field<Vec<Field<RawWindow>>>,
        pub(super) max_token_age_s: Field<u64>,
        pub(super) max_sign_in_age_s: Field<u64>,
    }
}

raw! {
    pub(super) struct RawNames {
        pub(super) all: Field<Vec<String>>,
        pub(super) any: Field<Vec<String>>,
    }
}

raw! {
    pub(super) struct RawClaim {
        pub(super) claim: Field<String>,
        pub(super) equals: Field<Value>,
        pub(super) any_of: Field<Vec<Value>>,
        pub(super) contains: Field<Value>,
        pub(super) exists: Field<bool>,
        pub(super) equals_path: Field<String>,
    }
}

raw! {
    pub(super) struct RawAddresses {
        pub(super) allow: Field<Vec<String>>,
        pub(super) block: Field<Vec<String>>,
    }
}

raw! {
    pub(super) struct RawWindow {
        pub(super) days: Field<Vec<String>>,
        pub(super) from: Field<String>,
        pub(super) to: Field<String>,
        pub(super) utc_offset: Field<String>,
        pub(super) after: Field<String>,
        pub(super) before: Field<String>,
    }
}

raw! {
    pub(super) struct RawAnswers {
        pub(super) shape: Field<String>,
        pub(super) sign_in: Field<String>,
        pub(super) custom: Field<Members<Field<RawCustom>>>,
    }
}

raw! {
    pub(super) struct RawCustom {
        pub(super) status: Field<u64>,
        pub(super) headers: Field<Members<String>>,
        pub(super) body: Field<String>,
    }
}

raw! {
    pub(super) struct RawIdentityHeader {
        pub(super) header: Field<String>,
        pub(super) value: Field<String>,
        pub(super) claim: Field<String>,
        pub(super) encoding: Field<String>,
    }
}

raw! {
    pub(super) struct RawUpstreamCredential {
        pub(super) when: Field<RawRequire>,
        pub(super) header: Field<String>,
        pub(super) scheme: Field<String>,
        pub(super) secret_env: Field<String>,
    }
}

raw! {
    pub(super) struct RawTokens {
        pub(super) from: Field<Vec<Field<RawPlace>>>,
        pub(super) forward: Field<bool>,
        pub(super) payload_header: Field<String>,
    }
}

raw! {
    pub(super) struct RawPlace {
        pub(super) header: Field<String>,
        pub(super) scheme: Field<String>,
        pub(super) prefix: Field<String>,
        pub(super) query: Field<String>,
        pub(super) cookie: Field<String>,
    }
}
