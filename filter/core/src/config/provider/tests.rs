use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::config::tests::{environment, sound};
use crate::config::{Policy, check};
use crate::verify::algorithm::Algorithm;

/// A key of RFC 8037 appendix A.
fn key() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

/// What is wrong with a provider of these fields, besides what every provider has.
fn problems(fields: &Value) -> Vec<String> {
    let mut config = sound();
    let mut provider = json!({"name": "idp", "issuers": ["https://issuer.example"], "audiences": ["api"]});
    provider.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    config["providers"] = json!([provider]);
    let parsed = Policy::parse(&config.to_string(), &environment);
    parsed.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn every_kind_of_key_is_enough() {
    for fields in [
        json!({"hs256_secret_env": "JWT"}),
        json!({"hs384_secret_env": "JWT384"}),
        json!({"hs512_secret_env": "JWT512"}),
        json!({"jwks": {"keys": [key()]}}),
        json!({"key_source": "idp.example-1_A"}),
        json!({"hs256_secret_env": "JWT", "jwks": {"keys": [key(), key()], "more": 1}, "key_source": "k"}),
    ] {
        assert_eq!(problems(&fields), Vec::<String>::new(), "{fields}");
    }
}

#[test]
fn every_field_at_once_is_right() {
    let fields = json!({
        "hs256_secret_env": "JWT", "jwks": {"keys": [key()]}, "key_source": "idp",
        "algorithms": ["HS256", "Ed25519", "PS256"], "leeway_s": 0, "max_age_s": 86400, "max_lifetime_s": 1,
        "required_claims": ["sub"], "claim_values": {"hd": "example.com", "level": [1, -2], "b": true},
        "types": ["application/at+jwt"], "subject_claim": "oid", "email_claim": "email",
        "email_domains": ["Example.com"], "email_verified": "required", "email_required": false
    });
    assert_eq!(problems(&fields), Vec::<String>::new());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn each_wrong_field_of_a_provider_is_named_with_its_path() {
    let secret = |more: Value| {
        let mut fields = json!({"hs256_secret_env": "JWT"});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    let with_key = |change: fn(&mut Value)| {
        let mut key = key();
        change(&mut key);
        json!({"jwks": {"keys": [self::key(), key]}})
    };
    let name = "x".repeat(129);
    for (fields, expected) in [
        (json!({}), ": has no key: name `hs256_secret_env` (or 384, 512), `jwks` or `key_source`"),
        (json!({"hs512_secret_env": "JWT"}), ".hs512_secret_env: `JWT` has 32 bytes, fewer than 64: make one with"),
        (json!({"hs384_secret_env": "JWT"}), ".hs384_secret_env: `JWT` has 32 bytes, fewer than 48: make one with"),
        (json!({"hs256_secret_env": ""}), ".hs256_secret_env: is empty"),
        (
            secret(json!({"algorithms": ["RS256"]})),
            ".hs256_secret_env: verifies nothing, since `algorithms` leaves out HS256",
        ),
        (
            secret(json!({"algorithms": ["HS256", "HS384"]})),
            ".hs384_secret_env: is missing, though `algorithms` lists HS384",
        ),
        (
            secret(json!({"algorithms": ["HS256", "none"]})),
            ".algorithms: `none` is not one of `HS256`, `HS384`, `HS512`, `RS256`",
        ),
        (secret(json!({"algorithms": []})), ".algorithms: is a list of at least one text, none of them empty"),
        (json!({"key_source": "a/b"}), ".key_source: is not a name of at most 128 letters, digits, `.`, `_` and `-`"),
        (json!({"key_source": ""}), ".key_source: is empty"),
        (json!({"key_source": name}), ".key_source: is not a name of at most 128"),
        (json!({"jwks": {"keys": []}}), ".jwks.keys: is a list of 1 to 64 keys"),
        (json!({"jwks": {"keys": vec![key(); 65]}}), ".jwks.keys: is a list of 1 to 64 keys"),
        (json!({"jwks": {}}), ".jwks: is no set of keys: it has no member `keys`"),
        (json!({"jwks": "https://idp.example/jwks"}), ".jwks: is no set of keys"),
        (with_key(|k| *k = json!("x")), ".jwks.keys[1]: invalid type: string"),
        (with_key(|k| k["x"] = json!(7)), ".jwks.keys[1]: invalid type: integer `7`, expected a string"),
        (with_key(|k| k["kty"] = json!("oct")), ".jwks.keys[1]: `kty` is not one of `RSA`, `EC`, `OKP`"),
        (with_key(|k| k["crv"] = json!("X25519")), ".jwks.keys[1]: `crv` is not one of `P-256`, `P-384`, `P-521`"),
        (with_key(|k| k["d"] = json!("AA")), ".jwks.keys[1]: has the private member `d`: only public keys stand in"),
        (with_key(|k| k["k"] = json!("AA")), ".jwks.keys[1]: has the private member `k`"),
        (with_key(|k| k["use"] = json!("enc")), ".jwks.keys[1]: `use` or `key_ops` say that it verifies nothing"),
        (
            with_key(|k| k["key_ops"] = json!(["sign"])),
            ".jwks.keys[1]: `use` or `key_ops` say that it verifies nothing",
        ),
        (with_key(|k| k["alg"] = json!("ES256")), ".jwks.keys[1]: `alg` is no signature algorithm of such a key"),
        (with_key(|k| k["kid"] = json!("k".repeat(257))), ".jwks.keys[1]: `kid` has more than 256 bytes"),
        (with_key(|k| k["x"] = json!("AA")), ".jwks.keys[1]: `x` is no Ed25519 public key"),
        (with_key(|k| k["x"] = json!("AA==")), ".jwks.keys[1]: `x` is not base64url without padding, or too long"),
        (with_key(|k| drop(k.as_object_mut().unwrap().remove("x"))), ".jwks.keys[1]: `x` is missing"),
        (with_key(|k| drop(k.as_object_mut().unwrap().remove("crv"))), ".jwks.keys[1]: `crv` is missing"),
        (secret(json!({"leeway_s": 301})), ".leeway_s: is not a whole number from 0 to 300"),
        (secret(json!({"max_age_s": 0})), ".max_age_s: is not a whole number from 1 to 315360000"),
        (secret(json!({"max_lifetime_s": "1h"})), ".max_lifetime_s: is not a whole number from 1 to 315360000"),
        (secret(json!({"required_claims": [""]})), ".required_claims: is a list of at least one text"),
        (secret(json!({"claim_values": {"hd": []}})), ".claim_values.hd: is not a text, a whole number, a truth value"),
        (secret(json!({"claim_values": {"hd": [1.5]}})), ".claim_values.hd: is not a text, a whole number"),
        (secret(json!({"claim_values": {"hd": [["a"]]}})), ".claim_values.hd: is not a text, a whole number"),
        (secret(json!({"claim_values": {"hd": null}})), ".claim_values.hd: is not a text, a whole number"),
        (secret(json!({"types": []})), ".types: is a list of at least one text"),
        (secret(json!({"subject_claim": " "})), ".subject_claim: is empty"),
        (secret(json!({"issuers": ["https://a|b"]})), ".issuers: \"https://a|b\" holds `|` or a control character"),
        (secret(json!({"issuers": ["a\n"]})), ".issuers: \"a\\n\" holds `|` or a control character"),
        (secret(json!({"email_claim": "email"})), ".email_domains: is missing: name the domains"),
        (secret(json!({"email_claim": " ", "email_domains": ["*"]})), ".email_claim: is empty"),
        (secret(json!({"email_domains": ["*"]})), ".email_domains: says nothing without `email_claim`"),
        (secret(json!({"email_required": true})), ".email_required: says nothing without `email_claim`"),
        (secret(json!({"email_verified": "ignored"})), ".email_verified: says nothing without `email_claim`"),
        (
            secret(json!({"email_claim": "e", "email_domains": ["*"], "email_verified": "yes"})),
            ".email_verified: `yes` is not one of `required`, `ignored`",
        ),
        (
            secret(json!({"email_claim": "e", "email_domains": ["a.example", "*"]})),
            ".email_domains: `*` is no domain; `*` stands alone",
        ),
        (secret(json!({"email_claim": "e", "email_domains": ["@a"]})), ".email_domains: `@a` is no domain"),
        (secret(json!({"hs128_secret_env": "JWT"})), ".hs128_secret_env: is not a known field"),
    ] {
        let (problems, expected) = (problems(&fields), format!("providers[0]{expected}"));
        assert!(
            problems.iter().any(|problem| problem.starts_with(&expected)),
            "wanted: {expected}\nlisted: {problems:#?}"
        );
    }
}

#[test]
fn numbers_that_are_no_key_are_refused() {
    let rsa = |modulus: &str, exponent: &str| json!({"jwks": {"keys": [{"kty": "RSA", "n": modulus, "e": exponent}]}});
    let with_alg = |modulus: &str, alg: &str| {
        let mut fields = rsa(modulus, "AQAB");
        fields["jwks"]["keys"][0]["alg"] = json!(alg);
        fields
    };
    // In base64url, 342 characters are 256 bytes: `_` at the front and `8` at the end make an odd number of 2048 bits.
    let modulus = |characters: usize, last: &str| format!("_{}{last}", "A".repeat(characters - 2));
    let good = modulus(342, "w");
    for (fields, expected) in [
        (rsa(&good, "AQAB"), None),
        (rsa(&good, "Aw"), None),
        (rsa(&good, "AAEAAQ"), None), // needless zeros are harmless
        (with_alg(&good, "PS256"), None),
        (with_alg(&modulus(684, "B"), "RS256"), None),
        (with_alg(&modulus(684, "B"), "PS256"), Some("`alg` wants a modulus of at most 4096 bits")),
        (rsa(&modulus(342, "g"), "AQAB"), Some("the modulus is not an odd number")),
        (
            rsa(&modulus(341, "E").replacen('_', "", 1), "AQAB"),
            Some("the modulus is not an odd number of 2048 to 8192 bits"),
        ),
        (rsa("AQAB", "AQAB"), Some("the modulus is not an odd number of 2048 to 8192 bits")),
        (rsa(&modulus(1_368, "B"), "AQAB"), Some("the modulus is not an odd number of 2048 to 8192 bits")),
        (rsa(&good, "AQ"), Some("the exponent is not an odd number from 3")),
        (rsa(&good, "Ag"), Some("the exponent is not an odd number from 3")),
        (rsa(&good, "AQAAAAE"), Some("the exponent is not an odd number from 3")),
        (rsa(&good, ""), Some("the exponent is not an odd number from 3")),
        (rsa("", "AQAB"), Some("the modulus is not an odd number")),
    ] {
        let problems = problems(&fields);
        assert_eq!(problems.is_empty(), expected.is_none(), "{fields}: {problems:?}");
        assert!(expected.is_none_or(|expected| problems[0].contains(expected)), "{fields}: {problems:?}");
    }
}

#[test]
fn points_that_are_on_no_curve_and_keys_under_which_anybody_could_sign_are_refused() {
    let zeros = |bytes: usize| "A".repeat((bytes * 4).div_ceil(3));
    for (crv, bytes) in [("P-256", 32), ("P-384", 48), ("P-521", 66)] {
        for length in [bytes, bytes - 1, bytes + 1, 0] {
            let key = json!({"kty": "EC", "crv": crv, "x": zeros(length), "y": zeros(length)});
            let problems = problems(&json!({"jwks": {"keys": [key]}}));
            assert!(problems[0].ends_with("`x` and `y` are no point of the curve"), "{crv} {length}: {problems:?}");
        }
    }
    // Points of small order (RFC 8032 §5.1.7, §8.4), and y of 2²⁵⁵ − 18, which is 1 in another spelling.
    for x in [
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA",
        "7P_______________________________________38",
        "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
        "7v_______________________________________38",
    ] {
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
        let problems = problems(&json!({"jwks": {"keys": [key]}}));
        assert!(problems[0].ends_with("`x` is no Ed25519 public key"), "{x}: {problems:?}");
    }
}

#[test]
fn an_offline_check_needs_no_secrets_of_any_length() {
    let mut config = sound();
    for field in ["hs384_secret_env", "hs512_secret_env"] {
        config["providers"][0][field] = json!("NOWHERE");
    }
    assert_eq!(check(&config.to_string()), []);
}

#[test]
fn a_short_secret_is_taken_only_if_the_operator_says_so() {
    let mut config = sound();
    config["providers"][0]["hs512_secret_env"] = json!("SHORT");
    let environment = |allowed: bool| {
        move |name: &str| match name {
            "SEKISHO_ALLOW_SHORT_JWT_SECRET" => allowed.then(|| "1".to_owned()),
            name => environment(name),
        }
    };
    assert!(Policy::parse(&config.to_string(), &environment(false)).is_err());
    assert!(Policy::parse(&config.to_string(), &environment(true)).is_ok());
}

#[test]
fn e8_the_key_set_changes_with_every_field_that_decides() {
    let key_set = |more: Value| {
        let mut config = sound();
        config["providers"][0].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Policy::parse(&config.to_string(), &environment).unwrap().key_set
    };
    let before = key_set(json!({}));
    assert_eq!(key_set(json!({"roles_claim": "/realm_access/roles"})), before, "that is read anew, not verified anew");
    for more in [
        json!({"name": "renamed"}),
        json!({"issuers": ["sekisho", "other"]}),
        json!({"hs384_secret_env": "JWT384"}),
        json!({"jwks": {"keys": [key()]}}),
        json!({"key_source": "idp"}),
        json!({"algorithms": [Algorithm::Hs256.as_str()]}),
        json!({"leeway_s": 29}),
        json!({"max_age_s": 1}),
        json!({"max_lifetime_s": 1}),
        json!({"required_claims": ["x"]}),
        json!({"claim_values": {"x": 1}}),
        json!({"claim_values": {"x": "1"}}),
        json!({"types": ["jwt"]}),
        json!({"subject_claim": "oid"}),
        json!({"email_claim": "email"}),
        json!({"email_domains": ["example.com"]}),
        json!({"email_verified": "required"}),
        json!({"email_required": false}),
    ] {
        assert_ne!(key_set(more.clone()), before, "{more}");
    }
}
