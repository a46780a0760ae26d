//! A rule of the configuration as it is written, and what may stand for all of them.

use serde_json::Value;

use super::field::{Field, Members, raw};
use super::raw::{RawPlace, RawTokens};

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
        /// Whether a session will do in place of a token.
        pub(super) sessions: Field<String>,
        /// Origins whose pages may send what changes something with a session alone, besides the pages of this host; up to
        /// 16, and `*` alone asks for no proof.
        pub(super) trusted_origins: Field<Vec<String>>,
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
