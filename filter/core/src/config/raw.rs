//! The configuration as it is written.

use serde_json::Value;

use super::field::{Field, FromValue, Members, raw};

raw! {
    /// What the Sekisho filter does: who may issue tokens, which rule applies to which request, what upstreams are told.
    pub(super) struct RawPolicy {
        /// How the filter reaches the sidecars.
        pub(super) mesh: Field<RawMesh>,
        /// Who may issue tokens; 1 to 1000.
        pub(super) providers: Field<Vec<Field<RawProvider>>>,
        /// The upstreams that are sent a signed assertion of who asks; up to 1000.
        pub(super) identities: Field<Vec<Field<RawIdentity>>>,
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
    /// Who may ask why.
    pub(super) struct RawExplain {
        /// Environment variable with the key that must be shown, of at least 16 bytes.
        pub(super) key_env: Field<String>,
    }
}

raw! {
    /// A rule: which requests it is about, who may pass, and what upstreams are told.
    pub(super) struct RawRoute {
        /// The rule's name, for logs, metrics and checks; no two rules share one.
        pub(super) name: Field<String>,
        /// Which requests it is about; by default every one.
        pub(super) r#match: Field<RawMatch>,
        /// Kinds of paths that upstreams read in several ways and that this rule takes all the same, where each reading
        /// leads to it.
        pub(super) unusual_paths: Field<Vec<String>>,
        /// Who may pass: anybody, whoever shows a valid token, whoever shows a valid token or none, nobody.
        pub(super) access: Field<String>,
        /// Whose tokens count here; by default those of every provider.
        pub(super) providers: Field<Vec<String>>,
        /// Tokens that must be shown besides, each valid and not barred; up to 4.
        pub(super) also: Field<Vec<Field<RawAlso>>>,
        /// What must be true beyond a valid token.
        pub(super) require: Field<RawRequire>,
        /// Where this rule reads tokens, in place of the common `tokens`.
        pub(super) tokens: Field<RawTokens>,
        /// How this rule answers refused requests, in place of the common `answers`.
        pub(super) answers: Field<RawAnswers>,
        /// Whether a browser's question whether it may ask (CORS) is judged like any request, or passes.
        pub(super) cors_preflight: Field<String>,
        /// The identity whose assertion is sent; by default none is.
        pub(super) identity: Field<String>,
        /// The headers that tell the upstream who asks, in place of the common ones; up to 32.
        pub(super) identity_headers: Field<Vec<Field<RawIdentityHeader>>>,
        /// What the upstream is shown in place of the client's token: the first that fits the caller; 1 to 16.
        pub(super) upstream_credential: Field<Vec<Field<RawUpstreamCredential>>>,
        /// What becomes of a request that would have to be checked while no sidecar answers.
        pub(super) on_unavailable: Field<String>,
        /// What becomes of an open request whose credential is barred or ends.
        pub(super) on_ban: Field<String>,
        /// Decide, count and log, but refuse nobody.
        pub(super) shadow: Field<bool>,
    }
}

raw! {
    /// Which requests a rule is about: all of these must fit.
    pub(super) struct RawMatch {
        /// A host in lower case without a port, or `*.` and a domain: any depth below it, not itself.
        pub(super) host: Field<String>,
        /// One path, decoded, of up to 1024 bytes.
        pub(super) path: Field<String>,
        /// A path and all below it, decoded, of up to 1024 bytes.
        pub(super) prefix: Field<String>,
        /// A path in which `{name}` stands for one segment and `{*name}`, at the end, for the rest; up to 1024 bytes.
        pub(super) template: Field<String>,
        /// A regular expression for the whole path; up to 1024 bytes.
        pub(super) regex: Field<String>,
        /// Compare the path without regard to case, for upstreams that do.
        pub(super) ignore_case: Field<bool>,
        /// Methods in capital letters; `GET` is `HEAD`, too; 1 to 32, by default all.
        pub(super) methods: Field<Vec<String>>,
        /// What headers must be; 1 to 32.
        pub(super) headers: Field<Vec<Field<RawHeaderTest>>>,
    }
}

raw! {
    /// What a header must be; just one test.
    pub(super) struct RawHeaderTest {
        /// The header, in lower case.
        pub(super) name: Field<String>,
        /// Whether it is there.
        pub(super) present: Field<bool>,
        /// It is this.
        pub(super) equals: Field<String>,
        /// It starts with this.
        pub(super) prefix: Field<String>,
        /// It ends with this.
        pub(super) suffix: Field<String>,
        /// This is in it.
        pub(super) contains: Field<String>,
    }
}

raw! {
    /// A token that must be shown besides.
    pub(super) struct RawAlso {
        /// Whose it must be.
        pub(super) provider: Field<String>,
        /// Where it may stand, none of which is a place of the first token; 1 to 16.
        pub(super) from: Field<Vec<Field<RawPlace>>>,
        /// Whether headers and cookies with it go on to the upstream.
        pub(super) forward: Field<bool>,
    }
}

raw! {
    /// What must be true of a request; all of these hold.
    pub(super) struct RawRequire {
        /// All of these hold; 1 to 256.
        pub(super) all: Field<Vec<Field<RawRequire>>>,
        /// One of these holds; 1 to 256.
        pub(super) any: Field<Vec<Field<RawRequire>>>,
        /// This does not hold.
        pub(super) not: Field<Box<RawRequire>>,
        /// Scopes of the token.
        pub(super) scopes: Field<RawNames>,
        /// Roles of its owner.
        pub(super) roles: Field<RawNames>,
        /// Groups of its owner.
        pub(super) groups: Field<RawNames>,
        /// Who issued it: one of these.
        pub(super) providers: Field<RawNames>,
        /// Claims of the token, each of which must fit; 1 to 256.
        pub(super) claims: Field<Vec<Field<RawClaim>>>,
        /// Where the client is.
        pub(super) addresses: Field<RawAddresses>,
        /// The present moment lies in one of these; 1 to 256.
        pub(super) times: Field<Vec<Field<RawWindow>>>,
        /// Most seconds since the token was issued (`iat`).
        pub(super) max_token_age_s: Field<u64>,
        /// Most seconds since its owner signed in (`auth_time`).
        pub(super) max_sign_in_age_s: Field<u64>,
    }
}

raw! {
    /// Names of which a token must have all, or one.
    pub(super) struct RawNames {
        /// All of these; 1 to 256.
        pub(super) all: Field<Vec<String>>,
        /// One of these; 1 to 256.
        pub(super) any: Field<Vec<String>>,
    }
}

raw! {
    /// What a claim must be; just one test.
    pub(super) struct RawClaim {
        /// The claim, by its name or a JSON pointer.
        pub(super) claim: Field<String>,
        /// It is this text, whole number or truth value.
        pub(super) equals: Field<Value>,
        /// It is one of these texts, whole numbers or truth values; 1 to 256.
        pub(super) any_of: Field<Vec<Value>>,
        /// It is a list with this value in it.
        pub(super) contains: Field<Value>,
        /// It is there, and not null.
        pub(super) exists: Field<bool>,
        /// It is the text that this name in `match.template` stands for.
        pub(super) equals_path: Field<String>,
    }
}

raw! {
    /// Where a client may be: addresses or ranges like `10.0.0.0/8`.
    pub(super) struct RawAddresses {
        /// Only these may; 1 to 256, by default all.
        pub(super) allow: Field<Vec<String>>,
        /// These may not, even if they are allowed; 1 to 256.
        pub(super) block: Field<Vec<String>>,
    }
}

raw! {
    /// A window of time; all of these hold.
    pub(super) struct RawWindow {
        /// The days on which it begins; by default all.
        pub(super) days: Field<Vec<String>>,
        /// The time at which it begins; by default 00:00.
        pub(super) from: Field<String>,
        /// The time before which it ends, on the next day if it is not after `from`; by default 24:00.
        pub(super) to: Field<String>,
        /// By how much clocks there are ahead of UTC, up to 14 hours either way.
        pub(super) utc_offset: Field<String>,
        /// The moment (RFC 3339) from which on it counts.
        pub(super) after: Field<String>,
        /// The moment (RFC 3339) before which it counts.
        pub(super) before: Field<String>,
    }
}

raw! {
    /// What those get that may not pass.
    pub(super) struct RawAnswers {
        /// The shape of the body: problem details (RFC 9457), or what clients of LLMs expect.
        pub(super) shape: Field<String>,
        /// A path on this host, or an https URL, to which browsers are sent that have to sign in; up to 2048 bytes.
        pub(super) sign_in: Field<String>,
        /// Other answers, by the status or the code of a refusal; up to 64.
        pub(super) custom: Field<Members<Field<RawCustom>>>,
    }
}

raw! {
    /// An answer in place of the usual one.
    pub(super) struct RawCustom {
        /// Another status.
        pub(super) status: Field<u64>,
        /// Headers that are set besides, or instead, in lower case; values of up to 2048 bytes.
        pub(super) headers: Field<Members<String>>,
        /// Another body, in which `{status}`, `{code}` and `{message}` are filled in; up to 65536 bytes.
        pub(super) body: Field<String>,
    }
}

raw! {
    /// A header that tells an upstream something about who asks.
    pub(super) struct RawIdentityHeader {
        /// The header, in lower case.
        pub(super) header: Field<String>,
        /// What it says.
        pub(super) value: Field<String>,
        /// In place of `value`, the claim that it says, by its name or a JSON pointer.
        pub(super) claim: Field<String>,
        /// How the claim is written.
        pub(super) encoding: Field<String>,
    }
}

raw! {
    /// What an upstream is shown in place of the client's token.
    pub(super) struct RawUpstreamCredential {
        /// For whom it is; by default for everybody whom the rule admits.
        pub(super) when: Field<RawRequire>,
        /// The header that carries it, in lower case.
        pub(super) header: Field<String>,
        /// The authentication scheme before it; `Bearer` by default in `authorization`, none elsewhere.
        pub(super) scheme: Field<String>,
        /// Environment variable with the credential.
        pub(super) secret_env: Field<String>,
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
