use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

mod documentation;

#[cfg(feature = "schema")]
pub(crate) use documentation::documented;

/// A configuration that is right, for tests to change.
pub(crate) fn sound() -> Value {
    json!({
        "mesh": {"secret_env": "MESH", "staleness_ms": 3000, "max_checks": 2},
        "providers": [{
            "name": "tokens", "issuers": ["sekisho"], "audiences": ["litellm-api"], "hs256_secret_env": "JWT",
            "email_claim": "user_email", "email_domains": ["*"], "email_verified": "ignored", "email_required": true
        }],
        "identities": [
            {"name": "app", "audience": "sekisho-app", "key": "mesh"},
            {"name": "llm", "audience": "llm", "hs256_secret_env": "LLM"}
        ],
        "routes": [
            {"name": "health", "match": {"host": "app.example", "prefix": "/health"}, "access": "public"},
            {"name": "app", "match": {"host": "app.example"}, "access": "protected", "identity": "app"},
            {"name": "open", "match": {"prefix": "/open"}, "access": "protected", "on_unavailable": "allow"},
            {"name": "llm", "access": "protected", "identity": "llm", "answers": {"shape": "llm"}}
        ]
    })
}

pub(crate) fn environment(name: &str) -> Option<String> {
    match name {
        "MESH" => Some("m".repeat(32)),
        "JWT" => Some("j".repeat(32)),
        "JWT384" => Some("k".repeat(48)),
        "JWT512" => Some("l".repeat(64)),
        "LLM" => Some("l".repeat(32)),
        "SHORT" => Some("short".into()),
        // That of the vectors that `tests/peers/oauth2_proxy.py` made.
        "OAUTH2_PROXY_COOKIE_SECRET" => Some("c2VjcmV0IG9mIHRoaXJ0eS10d28gYnl0ZXMhISEhISE=".into()),
        _ => None,
    }
}

fn problems(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut config = sound();
    change(&mut config);
    let parsed = Policy::parse(&config.to_string(), &environment);
    parsed.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn a_sound_configuration_has_no_problems_and_gets_the_defaults() {
    let policy = Policy::parse(&sound().to_string(), &environment).unwrap();
    assert_eq!(policy.mesh.feed_cluster, "sekisho_feed");
    assert_eq!((policy.mesh.check_timeout_ms, policy.forgeable.trusted_hops), (500, 0));
    assert_eq!((policy.providers[0].leeway_s(), policy.verify_budget_ms, policy.host_crypto), (30, 250, HostUse::Auto));
    assert!(!policy.fences(), "one route lets requests pass unchecked");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn each_wrong_field_is_named_with_its_path() {
    type Change = fn(&mut Value);
    let cases: &[(Change, &str)] = &[
        (|c| c["mesh"] = json!(7), "mesh: is not an object"),
        (|c| c["surprise"] = json!(1), "surprise: is not a known field"),
        (|c| c[""] = json!(1), "\"\": is not a known field"),
        (|c| c["mesh"]["stalenes_ms"] = json!(1), "mesh.stalenes_ms: is not a known field"),
        (|c| c["mesh"]["staleness_ms"] = json!(0), "mesh.staleness_ms: is not a whole number from 1000 to 60000"),
        (|c| c["mesh"]["staleness_ms"] = json!("3 s"), "mesh.staleness_ms: is not a whole number from 1000 to 60000"),
        (|c| c["mesh"]["feed_cluster"] = json!(""), "mesh.feed_cluster: is empty"),
        (
            |c| c["mesh"]["check_cluster"] = json!("sekisho_feed"),
            "mesh.check_cluster: is the feed's cluster: a flood of checks would starve the feed",
        ),
        (|c| c["providers"] = json!([]), "providers: names no provider: without one no token could be accepted"),
        (
            |c| c["providers"][0]["issuers"] = json!([]),
            "providers[0].issuers: is a list of at least one text, none of them empty",
        ),
        (|c| c["providers"][0]["audiences"] = json!("x"), "providers[0].audiences: is not a list"),
        (|c| c["providers"][0]["leeway_s"] = json!(-1), "providers[0].leeway_s: is not a whole number from 0 to 300"),
        (|c| c["providers"][0]["email_claim"] = json!(" "), "providers[0].email_claim: is empty"),
        (|c| c["tokens"] = json!({"form": []}), "tokens.form: is not a known field"),
        (|c| c["tokens"] = json!({"from": []}), "tokens.from: is a list of one to 16 places"),
        (|c| c["tokens"] = json!({"from": [{}]}), "tokens.from[0]: is one of `header`, `query` and `cookie`"),
        (
            |c| c["tokens"] = json!({"from": [{"header": "x", "cookie": "y"}]}),
            "tokens.from[0]: is one of `header`, `query` and `cookie`",
        ),
        (
            |c| c["tokens"] = json!({"from": [{"header": "X-Token"}]}),
            "tokens.from[0].header: is not the name, in lower case, of a header that can hold a token",
        ),
        (
            |c| c["tokens"] = json!({"from": [{"header": "cookie"}]}),
            "tokens.from[0].header: is not the name, in lower case, of a header that can hold a token",
        ),
        (
            |c| c["tokens"] = json!({"from": [{"header": "x", "scheme": "a b"}]}),
            "tokens.from[0].scheme: `a b` is not the name of an authentication scheme",
        ),
        (
            |c| c["tokens"] = json!({"from": [{"header": "x", "scheme": "a", "prefix": "b"}]}),
            "tokens.from[0]: has both `scheme` and `prefix`",
        ),
        (
            |c| c["tokens"] = json!({"from": [{"header": "x", "prefix": "a,"}]}),
            "tokens.from[0].prefix: `a,` holds what no credential begins with",
        ),
        (
            |c| c["tokens"] = json!({"from": [{"query": "a&b"}]}),
            "tokens.from[0].query: `a&b` holds what must be escaped in a request",
        ),
        (|c| c["tokens"] = json!({"from": [{"header": "x"}, {"header": "x"}]}), "tokens.from: names a header twice"),
        (
            |c| c["tokens"] = json!({"payload_header": "x-sekisho-payload"}),
            "tokens.payload_header: is not the name, in lower case, of a header that a configuration may set",
        ),
        (
            |c| c["tokens"] = json!({"from": [{"header": "x"}], "payload_header": "x"}),
            "tokens.payload_header: is a header in which tokens are read",
        ),
        (
            |c| c["routes"][0]["tokens"] = json!({}),
            "routes[0].tokens: says nothing on a rule that reads no credentials",
        ),
        (
            |c| c["identities"][1] = json!({"name": "llm", "audience": "llm"}),
            "identities[1]: has none of `algorithm`, `hs256_secret_env` and `key`",
        ),
        (
            |c| c["identities"][0]["hs256_secret_env"] = json!("LLM"),
            "identities[0]: has more than one of `algorithm`, `hs256_secret_env` and `key`",
        ),
        (
            |c| c["identities"][1]["algorithm"] = json!("EdDSA"),
            "identities[1]: has more than one of `algorithm`, `hs256_secret_env` and `key`",
        ),
        (
            |c| c["identities"][1] = json!({"name": "llm", "audience": "llm", "algorithm": "RS256"}),
            "identities[1].algorithm: `RS256` is not one of `EdDSA`, `ES256`",
        ),
        (
            |c| c["identities"][0] = json!({"name": "app", "audience": "sekisho-app", "algorithm": "EdDSA"}),
            "identities[0].algorithm: the app API believes assertions under `\"key\": \"mesh\"` only",
        ),
        (|c| c["identities"][0]["key"] = json!("own"), "identities[0].key: `own` is not one of `mesh`"),
        (
            |c| c["identities"][0]["audience"] = json!("x"),
            "identities[0].key: `mesh` is for the audience `sekisho-app` alone",
        ),
        (
            |c| c["identities"][0] = json!({"name": "app", "audience": "sekisho-app", "hs256_secret_env": "LLM"}),
            "identities[0].hs256_secret_env: the app API believes assertions under `\"key\": \"mesh\"` only",
        ),
        (
            |c| c["identities"][1]["audience"] = json!("sekisho-app"),
            "identities: the audience `sekisho-app` is used twice",
        ),
        (|c| c["routes"] = json!([]), "routes: names no route: every request would be refused"),
        (
            |c| c["routes"][1]["access"] = json!("open"),
            "routes[1].access: `open` is not one of `public`, `protected`, `optional`, `deny`",
        ),
        (|c| drop(c["routes"][1].as_object_mut().unwrap().remove("access")), "routes[1].access: is missing"),
        (
            |c| c["routes"][1]["identity"] = json!("nobody"),
            "routes[1].identity: `nobody` is not the name of a (valid) identity",
        ),
        (
            |c| c["routes"][0]["identity"] = json!("app"),
            "routes[0].identity: says nothing on a rule that reads no credentials",
        ),
        (
            |c| c["routes"][2]["match"]["headers"] = json!([{"name": "x-real-ip", "present": true}]),
            "routes[2].match.headers: `x-real-ip` is taken away from every client's request: no upstream sees it",
        ),
        (
            |c| c["routes"][2]["unusual_paths"] = json!(["dots"]),
            "routes[2].unusual_paths: `dots` is not one of `encoded_slash`, `empty_segment`, `parameters`, `encoded_delimiter`",
        ),
        (|c| c["routes"][2]["unusual_paths"] = json!([]), "routes[2].unusual_paths: names nothing"),
        (
            |c| c["routes"][2]["on_unavailable"] = json!("maybe"),
            "routes[2].on_unavailable: `maybe` is not one of `deny`, `allow`",
        ),
        (
            |c| c["routes"][2]["answers"] = json!({"shape": "xml"}),
            "routes[2].answers.shape: `xml` is not one of `llm`, `problem`",
        ),
        (
            |c| c["routes"][0]["match"]["headers"] = json!([{"name": "host", "equals": "x"}]),
            "routes[0].match.headers[0].name: is not the name of a header in lower case, or is `host` or `cookie`",
        ),
        (
            |c| {
                c["client_address"] = json!("connection");
                c["routes"][0]["require"] = json!({"addresses": {"block": ["::ffff:10.0.0.0/104"]}});
            },
            "routes[0].require.addresses.block: `::ffff:10.0.0.0/104` is of IPv4: write it so, as clients are compared",
        ),
        (
            |c| c["routes"][0] = json!({"name": "d", "access": "deny", "cors_preflight": "pass"}),
            "routes[0].cors_preflight: lets requests into a rule that lets nobody in",
        ),
        (
            |c| {
                let rule = |n: usize| json!({"name": n.to_string(), "match": {"regex": "/a.*"}, "access": "public"});
                c["routes"] = (0..33).map(rule).collect();
            },
            "routes: have more than 32 regular expressions",
        ),
        (
            |c| c["answers"] = json!({"custom": {"user_baned": {"body": "x"}}}),
            "answers.custom.user_baned: is neither a status of a refusal (401) nor the code of one, as the table of \
             docs/filter.md has them (`user_banned`)",
        ),
        (|c| c["routes"][2]["name"] = json!("llm"), "routes: the name `llm` is used twice"),
        (
            |c| c["sessions"] = json!({"cookie": "sso", "oauth2_proxy": {"cookie": "sso"}}),
            "sessions.oauth2_proxy.cookie: is the cookie of our own sessions, too",
        ),
        (
            |c| c["sessions"] = json!({"oauth2_proxy": {"cookie": "a".repeat(65)}}),
            "sessions.oauth2_proxy.cookie: has more than 64 bytes",
        ),
        (
            |c| c["sessions"] = json!({"oauth2_proxy": {"cookie": "a b"}}),
            "sessions.oauth2_proxy.cookie: is not the name of a cookie that needs no escape",
        ),
        (
            |c| {
                c["tokens"] = json!({"from": [{"cookie": "_oauth2_proxy"}]});
                c["sessions"] = json!({"oauth2_proxy": {}});
            },
            "sessions.oauth2_proxy.cookie: is a cookie in which tokens are read",
        ),
        (
            |c| c["sessions"] = json!({"oauth2_proxy": {"cookie_secret_env": "SHORT"}}),
            "sessions.oauth2_proxy.cookie_secret_env: `SHORT` has 5 bytes, fewer than 16: make one with `openssl rand \
             -base64 48`",
        ),
        (
            |c| c["sessions"] = json!({"oauth2_proxy": {"expire_s": 0}}),
            "sessions.oauth2_proxy.expire_s: is not a whole number from 60 to 315360000",
        ),
        (
            |c| c["sessions"] = json!({"oauth2_proxy": {"forward_on": ["nowhere"]}}),
            "sessions.oauth2_proxy.forward_on: there is no rule `nowhere`",
        ),
        (|c| c["sessions"] = json!({"oauth2_proxy": {"x": 1}}), "sessions.oauth2_proxy.x: is not a known field"),
        (|c| c["trusted_hops"] = json!(99), "trusted_hops: is not a whole number from 0 to 16"),
        (
            |c| c["mesh"]["secret_env"] = json!("SHORT"),
            "mesh.secret_env: `SHORT` has 5 bytes, fewer than 32: make one with `openssl rand -base64 48`",
        ),
        (
            |c| c["providers"][0]["hs256_secret_env"] = json!("NOWHERE"),
            "providers[0].hs256_secret_env: the environment variable `NOWHERE` is not visible to the VM: set it for \
             Envoy and name it in `vm_config.environment_variables.host_env_keys`",
        ),
    ];
    for (change, expected) in cases {
        let problems = problems(change);
        assert!(problems.iter().any(|problem| problem == expected), "wanted: {expected}\nlisted: {problems:#?}");
    }
}

#[test]
fn all_problems_are_listed_at_once() {
    let problems = problems(|c| {
        c["mesh"]["staleness_ms"] = json!(0);
        c["providers"][0]["leeway_s"] = json!(9_999);
        c["routes"][1]["match"]["prefix"] = json!("x");
        c["routes"][1]["extra"] = json!(true);
    });
    assert_eq!(problems.len(), 4, "{problems:#?}");
}

#[test]
fn one_wrong_field_hides_no_other_and_is_not_taken_for_an_empty_list() {
    let problems = problems(|c| {
        c["providers"][0]["issuers"] = json!("sekisho");
        c["providers"][0]["audiences"] = json!([]);
        c["routes"] = json!([{"name": "", "access": "protected"}]);
    });
    let paths: Vec<_> = problems.iter().filter_map(|problem| problem.split(':').next()).collect();
    assert_eq!(paths, ["providers[0].issuers", "providers[0].audiences", "routes[0].name"], "{problems:#?}");
}

#[test]
fn text_that_is_no_object_is_one_problem() {
    for text in ["", "{", "[]", "null", "\"x\""] {
        assert_eq!(check(text).len(), 1, "{text:?}");
    }
}

#[test]
fn an_offline_check_needs_no_secrets() {
    assert_eq!(check(&sound().to_string()), []);
}

#[test]
fn e8_the_key_set_changes_with_what_decides_about_tokens_and_with_nothing_else() {
    let key_set = |change: &dyn Fn(&mut Value)| {
        let mut config = sound();
        change(&mut config);
        Policy::parse(&config.to_string(), &environment).unwrap().key_set
    };
    let before = key_set(&|_| {});
    assert_eq!(key_set(&|c| c["routes"][2]["on_unavailable"] = json!("deny")), before);
    assert_ne!(key_set(&|c| c["providers"][0]["hs256_secret_env"] = json!("LLM")), before);
    assert_ne!(key_set(&|c| c["providers"][0]["audiences"] = json!(["x"])), before);
}
