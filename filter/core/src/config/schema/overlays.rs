//! What the raw types do not say: bounds, words, defaults, and which fields belong together.

use sekisho_protocol::keyset::{KEYS_MAX, SOURCE_MAX_BYTES};
use serde_json::{Map, Value, json};

use super::super::limits;
use super::super::provider::{email, keys};
use super::super::routes::{self, Kind};
use super::super::{
    FilterState, HostUse, answers, identity, matching, origins, parse, places, require, sessions, upstream, window,
};
use super::pieces::{
    and, bounds, fields, header, list, number, object, one_of, pairs, text, text_or, texts, token, words,
};
use crate::answer::Shape;
use crate::authorize::facts::encoding::Encoding;
use crate::identity::headers::HeaderValue;
use crate::identity::key::KeyPair;
use crate::path::readings::Kinds;
use crate::route::{OnBan, OnUnavailable, Preflight};
use crate::verify::algorithm::Algorithm;

/// A path or a time of day, roughly: the parser says what exactly is wrong.
const PATH: &str = "^/";
const TIME: &str = "^[0-9]{2}:[0-9]{2}$";
const MOMENT: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}";
const OFFSET: &str = "^(Z|[+-][0-9]{2}:[0-9]{2})$";

/// What is added to which definition; the one without a name is the whole configuration.
pub(super) fn overlays() -> Vec<(&'static str, Value)> {
    let mut overlays = vec![("", policy()), ("Mesh", mesh()), ("Provider", provider()), ("Jwks", jwks())];
    overlays
        .extend([("Identity", identity()), ("Explain", fields(json!({"key_env": text_or(limits::EXPLAIN_KEY_ENV)})))]);
    overlays.extend([("Route", route()), ("Match", matches()), ("HeaderTest", header_test()), ("Also", also())]);
    overlays.extend([("Require", requirement()), ("Names", names()), ("Claim", claim()), ("Addresses", addresses())]);
    overlays.extend([("Window", window()), ("Answers", answers()), ("Custom", custom())]);
    overlays.extend([("IdentityHeader", identity_header()), ("UpstreamCredential", upstream_credential())]);
    let of_sessions = fields(json!({"cookie": and(token(), text_or(limits::SESSION_COOKIE))}));
    overlays.extend([("Tokens", tokens()), ("Place", place())]);
    overlays.extend([("Sessions", of_sessions), ("Oauth2Proxy", oauth2_proxy())]);
    overlays
}

fn oauth2_proxy() -> Value {
    let cookie = and(token(), text_or(limits::OAUTH2_PROXY_COOKIE));
    fields(json!({
        "cookie": and(cookie, json!({"maxLength": sessions::COOKIE_NAME_MAX_BYTES})),
        "cookie_secret_env": text_or(limits::COOKIE_SECRET_ENV),
        "expire_s": number(limits::COOKIE_EXPIRE_S),
        "forward_on": list(0, parse::LIST_MAX),
    }))
}

fn policy() -> Value {
    object(
        json!({
            "providers": list(1, parse::LIST_MAX),
            "identities": list(0, parse::LIST_MAX),
            "routes": list(1, parse::LIST_MAX),
            "identity_headers": list(0, upstream::HEADERS_MAX),
            "unmatched": words(Kind::UNMATCHED, Some(&Kind::Deny)),
            "client_address": words(parse::ADDRESS_SOURCES, None),
            "trusted_hops": number(limits::TRUSTED_HOPS),
            "shadow": {"default": false},
            "filter_state": words(FilterState::WORDS, Some(&FilterState::Refusals)),
            "verify_budget_ms": number(limits::VERIFY_BUDGET_MS),
            "host_crypto": words(HostUse::WORDS, Some(&HostUse::Auto)),
        }),
        json!({
            "required": ["mesh", "providers", "routes"]}),
    )
}

fn mesh() -> Value {
    fields(json!({
    "feed_cluster": text_or(limits::FEED_CLUSTER),
        "check_cluster": text_or(limits::CHECK_CLUSTER),
        "secret_env": text_or(limits::MESH_SECRET_ENV),
        "staleness_ms": number(limits::STALENESS_MS),
        "check_timeout_ms": number(limits::CHECK_TIMEOUT_MS),
        "max_checks": number(limits::MAX_CHECKS),
        }))
}

fn provider() -> Value {
    // A second name of EdDSA (RFC 9864).
    let algorithms: Vec<_> = Algorithm::ALL.iter().map(|known| known.as_str()).chain(["Ed25519"]).collect();
    let value = json!({"type": ["string", "integer", "boolean"]});
    let key_fields = ["hs256_secret_env", "hs384_secret_env", "hs512_secret_env", "jwks", "key_source"];
    object(
        json!({
        "name": text(),
        "issuers": texts(),
        "audiences": texts(),
        "hs256_secret_env": text(),
        "hs384_secret_env": text(),
        "hs512_secret_env": text(),
        "key_source": {"pattern": "^[A-Za-z0-9._-]+$", "maxLength": SOURCE_MAX_BYTES},
        "algorithms": {"minItems": 1, "items": {"enum": algorithms}},
        "leeway_s": number(limits::LEEWAY_S),
        "max_age_s": bounds(limits::TOKEN_SECONDS),
        "max_lifetime_s": bounds(limits::TOKEN_SECONDS),
        "required_claims": texts(),
        "claim_values": {"additionalProperties": {"anyOf": [value, {"type": "array", "minItems": 1, "items": value}]}},
        "types": texts(),
        "subject_claim": text_or(limits::SUBJECT_CLAIM),
        "email_claim": text(),
        "email_domains": {"minItems": 1, "items": {"pattern": r"^(\*|[A-Za-z0-9.-]+)$"}},
        "email_verified": words(email::VERIFIED, Some(&true)),
        "email_required": {"default": false},
        "recent_sign_in": {"default": false},
        "roles_claim": text_or(limits::ROLES_CLAIM),
        "groups_claim": text_or(limits::GROUPS_CLAIM),
        }),
        json!({
            "required": ["name", "issuers", "audiences"],
            "anyOf": one_of(&key_fields),
            "dependentRequired": {
                "email_claim": ["email_domains"],
                "email_domains": ["email_claim"],
                "email_verified": ["email_claim"],
                "email_required": ["email_claim"],
            },
        }),
    )
}

fn jwks() -> Value {
    let key = json!({"type": "object", "propertyNames": {"not": {"enum": keys::PRIVATE}}});
    fields(json!({"keys": {"minItems": 1, "maxItems": KEYS_MAX, "items": key}}))
}

fn identity() -> Value {
    object(
        json!({
            "name": text(),
            "audience": text(),
            "algorithm": {"enum": KeyPair::ALL.map(KeyPair::as_str)},
            "key": words(identity::DERIVED, None),
            "hs256_secret_env": text(),
        }),
        json!({
            "required": ["name", "audience"],
            "oneOf": one_of(&["algorithm", "hs256_secret_env", "key"]),
        }),
    )
}

fn route() -> Value {
    let nothing_of_credentials: Map<_, _> =
        routes::OF_CREDENTIALS.iter().map(|name| ((*name).to_owned(), json!(false))).collect();
    object(
        json!({
            "name": text(),
            "access": words(Kind::WORDS, None),
            "unusual_paths": {"minItems": 1, "items": words(Kinds::WORDS, None)},
            "providers": texts(),
            "sessions": words(routes::SESSIONS, Some(&false)),
            "trusted_origins": and(
                list(1, origins::ORIGINS_MAX),
                json!({"items": {"minLength": 1, "pattern": origins::PATTERN}}),
            ),
            "also": list(0, routes::ALSO_MAX),
            "cors_preflight": words(routes::PREFLIGHT, Some(&Preflight::Check)),
            "identity": text(),
            "identity_headers": list(0, upstream::HEADERS_MAX),
            "upstream_credential": list(1, upstream::CREDENTIALS_MAX),
            "on_unavailable": words(routes::ON_UNAVAILABLE, Some(&OnUnavailable::Deny)),
            "on_ban": words(routes::ON_BAN, Some(&OnBan::Cut)),
            "shadow": {"default": false},
        }),
        json!({
            "required": ["name", "access"],
            "allOf": [
                when_access(&["public", "deny"], &Value::Object(nothing_of_credentials)),
                when_access(&["deny"], &json!({"require": false})),
                {
                    "if": {"required": ["trusted_origins"]},
                    "then": {"properties": {"sessions": {"const": "accept"}}, "required": ["sessions"]},
                },
            ],
        }),
    )
}

fn when_access(access: &[&str], properties: &Value) -> Value {
    json!({
        "if": {"properties": {"access": {"enum": access}}, "required": ["access"]},
        "then": {"properties": properties},
    })
}

fn matches() -> Value {
    let path = json!({"pattern": PATH, "maxLength": matching::PATTERN_MAX_BYTES});
    object(
        json!({
            "host": {"minLength": 1, "pattern": "^[^A-Z]*$"},
            "path": path,
            "prefix": path,
            "template": path,
            "regex": {"maxLength": matching::PATTERN_MAX_BYTES},
            "ignore_case": {"default": false},
            "methods": {"minItems": 1, "maxItems": matching::TESTS_MAX, "items": {"pattern": "^[A-Z0-9_-]+$", "not": {"const": "CONNECT"}}},
            "headers": list(1, matching::TESTS_MAX),
        }),
        json!({"not": {"anyOf": pairs(&["path", "prefix", "template", "regex"])}}),
    )
}

fn header_test() -> Value {
    object(
        json!({"name": header(), "prefix": text(), "suffix": text(), "contains": text()}),
        json!({
            "required": ["name"],
            "oneOf": one_of(&["present", "equals", "prefix", "suffix", "contains"]),
        }),
    )
}

fn also() -> Value {
    object(
        json!({
            "provider": text(),
            "from": list(1, places::PLACES_MAX),
            "forward": {"default": false},
        }),
        json!({"required": ["provider", "from"]}),
    )
}

fn requirement() -> Value {
    let some = list(1, require::LIST_MAX);
    object(
        json!({
            "all": some,
            "any": some,
            // A token has one provider.
            "providers": {"properties": {"all": false}},
            "claims": some,
            "times": some,
            "max_token_age_s": bounds(limits::AGE_S),
            "max_sign_in_age_s": bounds(limits::AGE_S),
        }),
        json!({"minProperties": 1}),
    )
}

fn names() -> Value {
    let some = json!({"minItems": 1, "maxItems": require::LIST_MAX, "items": text()});
    object(json!({"all": some, "any": some}), json!({"oneOf": one_of(&["all", "any"])}))
}

fn claim() -> Value {
    let value = json!({"type": ["string", "integer", "boolean"]});
    object(
        json!({
            "equals": value,
            "any_of": {"minItems": 1, "maxItems": require::LIST_MAX, "items": value},
            "exists": {"const": true},
        }),
        json!({
            "required": ["claim"],
            "oneOf": one_of(&["equals", "any_of", "contains", "exists", "equals_path"]),
        }),
    )
}

fn addresses() -> Value {
    let some = json!({"minItems": 1, "maxItems": require::LIST_MAX, "items": text()});
    object(json!({"allow": some, "block": some}), json!({"minProperties": 1}))
}

fn window() -> Value {
    object(
        json!({
            "days": {"minItems": 1, "items": {"enum": window::DAYS}},
            "from": {"pattern": TIME, "default": "00:00"},
            "to": {"pattern": TIME, "default": "24:00"},
            "utc_offset": {"pattern": OFFSET, "default": "Z"},
            "after": {"pattern": MOMENT},
            "before": {"pattern": MOMENT},
        }),
        json!({"minProperties": 1}),
    )
}

fn answers() -> Value {
    fields(json!({
        "shape": words(Shape::WORDS, Some(&Shape::default())),
        "sign_in": {"pattern": "^(/|https://)", "maxLength": answers::TEXT_MAX_BYTES},
        "custom": {"maxProperties": answers::CUSTOM_MAX, "propertyNames": {"pattern": "^[a-z0-9_]+$"}},
    }))
}

fn custom() -> Value {
    fields(json!({
        "status": bounds(limits::CUSTOM_STATUS),
        "headers": {
            "propertyNames": header(),
            "additionalProperties": {"maxLength": answers::TEXT_MAX_BYTES, "pattern": "^[ -~]*$"},
        },
        "body": {"maxLength": answers::BODY_MAX_BYTES},
    }))
}

fn identity_header() -> Value {
    object(
        json!({
            "header": header(),
            "value": words(HeaderValue::WORDS, None),
            "encoding": words(Encoding::WORDS, Some(&Encoding::default())),
        }),
        json!({
            "required": ["header"],
            "oneOf": one_of(&["value", "claim"]),
            "dependentRequired": {"encoding": ["claim"]},
        }),
    )
}

fn upstream_credential() -> Value {
    let header = and(header(), json!({"default": limits::CREDENTIAL_HEADER}));
    object(json!({"header": header, "scheme": token(), "secret_env": text()}), json!({"required": ["secret_env"]}))
}

fn tokens() -> Value {
    fields(json!({
        "from": list(1, places::PLACES_MAX),
        "forward": {"default": false},
        "payload_header": header(),
    }))
}

fn place() -> Value {
    object(
        json!({
            "header": header(),
            "scheme": token(),
            "prefix": {"maxLength": places::NAME_MAX_BYTES, "pattern": "^[!-+\\--~]*$"},
            "query": token(),
            "cookie": token(),
        }),
        json!({
            "oneOf": one_of(&["header", "query", "cookie"]),
            "dependentRequired": {"scheme": ["header"], "prefix": ["header"]},
            "not": {"required": ["scheme", "prefix"]},
        }),
    )
}
