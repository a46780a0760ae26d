//! The configuration as it is written.

use serde_json::Value;

use super::field::{Field, FromValue, Members, raw};
use super::raw_route::{RawAnswers, RawIdentityHeader, RawRoute};

raw! {
    /// What the Sekisho filter does: who may issue tokens, which rule applies to which request, what upstreams are told.
    pub(super) struct RawPolicy {
        /// How the filter reaches the sidecars.
        pub(super) mesh: Field<RawMesh>,
        /// Who may issue tokens; 1 to 1000.
        pub(super) providers: Field<Vec<Field<RawProvider>>>,
        /// The upstreams that are sent a signed assertion of who asks; up to 1000.
        pub(super) identities: Field<Vec<Field<RawIdentity>>>,
        /// Lets people in who signed in at a sidecar, on the rules that accept sessions.
        pub(super) sessions: Field<RawSessions>,
        /// The rules, the first of which that matches applies; 1 to 1000.
        pub(super) routes: Field<Vec<Field<RawRoute>>>,
        /// Where rules read tokens that do not say so themselves.
        pub(super) tokens: Field<RawTokens>,
        /// How rules answer refused requests that do not say so themselves.
        pub(super) answers: Field<RawAnswers>,
        /// The headers that tell upstreams who asks, on rules that do not say so themselves; up to 32, by default the
        /// usual six.
        pub(super) identity_headers: Field<Vec<Field<RawIdentityHeader>>>,
        /// What becomes of a request that no rule names.
        pub(super) unmatched: Field<String>,
        /// Whose word is taken for a client's address: the proxy's, or that of `x-forwarded-for` as far as trusted proxies
        /// wrote it; without it, rules on addresses are refused.
        pub(super) client_address: Field<String>,
        /// How many proxies in front of this one are trusted.
        pub(super) trusted_hops: Field<u64>,
        /// Decide, count and log, but refuse nobody.
        pub(super) shadow: Field<bool>,
        /// For which requests the proxy is told decision and reason: those that do not pass, or all.
        pub(super) filter_state: Field<String>,
        /// Who may ask why a request is decided as it is; without it, nobody may.
        pub(super) explain: Field<RawExplain>,
        /// Milliseconds of each second that a worker may spend on slow cryptography.
        pub(super) verify_budget_ms: Field<u64>,
        /// Whether Envoy verifies RSA and EC signatures where it proved that it can, or never.
        pub(super) host_crypto: Field<String>,
    }
}

raw! {
    /// How the filter reaches the sidecars.
    pub(super) struct RawMesh {
        /// Envoy cluster of the feed and of activity reports.
        pub(super) feed_cluster: Field<String>,
        /// Envoy cluster of checks, another one than the feed's.
        pub(super) check_cluster: Field<String>,
        /// Environment variable with the mesh secret, of at least 32 bytes.
        pub(super) secret_env: Field<String>,
        /// Age of the replica in milliseconds above which every request is checked.
        pub(super) staleness_ms: Field<u64>,
        /// Milliseconds that a check may take.
        pub(super) check_timeout_ms: Field<u64>,
        /// Requests of one worker that may wait for a check at once.
        pub(super) max_checks: Field<u64>,
    }
}

raw! {
    /// Somebody whose tokens are accepted.
    pub(super) struct RawProvider {
        /// The name by which rules and logs call it; no two providers share one.
        pub(super) name: Field<String>,
        /// The `iss` that its tokens may have; no two providers share one.
        pub(super) issuers: Field<Vec<String>>,
        /// One of these must be in a token's `aud`.
        pub(super) audiences: Field<Vec<String>>,
        /// Environment variable with the secret of HS256, of at least 32 bytes.
        pub(super) hs256_secret_env: Field<String>,
        /// Environment variable with the secret of HS384, of at least 48 bytes.
        pub(super) hs384_secret_env: Field<String>,
        /// Environment variable with the secret of HS512, of at least 64 bytes.
        pub(super) hs512_secret_env: Field<String>,
        /// Its public keys.
        pub(super) jwks: Field<RawJwks>,
        /// Name of a source whose keys the sidecars fetch: letters, digits, `.`, `_` and `-`, up to 128.
        pub(super) key_source: Field<String>,
        /// The only algorithms that its tokens may use; by default those of its keys.
        pub(super) algorithms: Field<Vec<String>>,
        /// By how many seconds clocks may differ.
        pub(super) leeway_s: Field<u64>,
        /// Most seconds since `iat`, which must then be there; by default any number.
        pub(super) max_age_s: Field<u64>,
        /// Most seconds from `iat`, which must then be there, to `exp`; by default any number.
        pub(super) max_lifetime_s: Field<u64>,
        /// Claims that must be there and not null.
        pub(super) required_claims: Field<Vec<String>>,
        /// Claims that must have one of these values, or be a list that holds one.
        pub(super) claim_values: Field<Members<Value>>,
        /// The `typ` that its tokens may have, with or without `application/`; by default `JWT`, `at+jwt` or none.
        pub(super) types: Field<Vec<String>>,
        /// The claim that names the subject at this issuer.
        pub(super) subject_claim: Field<String>,
        /// The claim with an e-mail address that may be the subject; by default none is.
        pub(super) email_claim: Field<String>,
        /// The domains for whose addresses the provider is authoritative, or `*` alone.
        pub(super) email_domains: Field<Vec<String>>,
        /// Whether the claim `email_verified` must be true, or the provider is believed without it.
        pub(super) email_verified: Field<String>,
        /// Refuse tokens without an address that counts.
        pub(super) email_required: Field<bool>,
        /// Accept its tokens only while their owner has signed in recently, as the sidecars' settings say.
        pub(super) recent_sign_in: Field<bool>,
        /// The claim with the roles of a token's owner, by its name or a JSON pointer.
        pub(super) roles_claim: Field<String>,
        /// The claim with the groups of a token's owner, by its name or a JSON pointer.
        pub(super) groups_claim: Field<String>,
    }
}

/// A key set as its issuer publishes it: members that nobody knows are ignored (RFC 7517 §5).
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct RawJwks {
    /// Public keys (JWK); 1 to 64.
    pub(super) keys: Vec<Value>,
}

impl FromValue for RawJwks {
    fn from_value(mut value: Value) -> Result<Self, String> {
        let keys = value.get_mut("keys").map(Value::take).ok_or("is no set of keys: it has no member `keys`")?;
        Ok(Self { keys: Vec::from_value(keys).map_err(|message| format!("its member `keys` {message}"))? })
    }
}

raw! {
    /// An upstream that is sent a signed assertion of who asks.
    pub(super) struct RawIdentity {
        /// The name by which rules call it.
        pub(super) name: Field<String>,
        /// The assertion's `aud`; no two identities share one.
        pub(super) audience: Field<String>,
        /// In place of `algorithm`, `mesh`: a key derived from the mesh secret, for the audience `sekisho-app` alone.
        pub(super) key: Field<String>,
        /// In place of `algorithm`, an environment variable with the target's own key, of at least 32 bytes.
        pub(super) hs256_secret_env: Field<String>,
        /// Signs the assertions with a key of the mesh of this algorithm, whose public part is in `/.well-known/jwks.json`.
        pub(super) algorithm: Field<String>,
    }
}

raw! {
    /// How sessions are shown.
    pub(super) struct RawSessions {
        /// The cookie that holds them; with the prefix `__Host-` browsers send it to this host alone, and over TLS.
        pub(super) cookie: Field<String>,
        /// Lets people in who signed in at an oauth2-proxy that keeps its sessions in the sidecars' Redis.
        pub(super) oauth2_proxy: Field<RawOauth2Proxy>,
    }
}

raw! {
    /// How an oauth2-proxy makes its cookies.
    pub(super) struct RawOauth2Proxy {
        /// Its `cookie_name`.
        pub(super) cookie: Field<String>,
        /// Environment variable with its `cookie_secret`, of at least 16 bytes, as it is written there.
        pub(super) cookie_secret_env: Field<String>,
        /// Its `cookie_expire`, in seconds.
        pub(super) expire_s: Field<u64>,
        /// Names of the rules that lead to oauth2-proxy itself, which is to get its cookie; up to 1000.
        pub(super) forward_on: Field<Vec<String>>,
    }
}

raw! {
    /// Who may ask why.
    pub(super) struct RawExplain {
        /// Environment variable with the key that must be shown, of at least 16 bytes.
        pub(super) key_env: Field<String>,
    }
}

raw! {
    /// Where tokens are read.
    pub(super) struct RawTokens {
        /// Where a token may stand; 1 to 16, by default `authorization` with the scheme `Bearer`.
        pub(super) from: Field<Vec<Field<RawPlace>>>,
        /// Whether headers and cookies with the token go on to the upstream.
        pub(super) forward: Field<bool>,
        /// A header that carries the token's payload to the upstream; by default none does.
        pub(super) payload_header: Field<String>,
    }
}

raw! {
    /// A place in which a token may stand: a header, a parameter of the query or a cookie.
    pub(super) struct RawPlace {
        /// The header, in lower case.
        pub(super) header: Field<String>,
        /// The authentication scheme before the token; `Bearer` by default in `authorization`, none elsewhere.
        pub(super) scheme: Field<String>,
        /// The text with which the header's value begins; it is no part of the token.
        pub(super) prefix: Field<String>,
        /// The parameter of the query, which is cut out before anybody else sees it.
        pub(super) query: Field<String>,
        /// The cookie.
        pub(super) cookie: Field<String>,
    }
}
