//! Which keys of a set are used.

use serde_json::json;

use super::*;

/// A good key of each kind, from RFC 7517 appendix A.1 and RFC 8037 appendix A.2.
fn rsa(kid: &str) -> Value {
    json!({"kty": "RSA", "kid": kid, "e": "AQAB", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"})
}

fn ec(kid: &str) -> Value {
    json!({"kty": "EC", "kid": kid, "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"})
}

fn ed25519(kid: &str) -> Value {
    json!({"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

fn with(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key
}

fn selected(keys: &[Value]) -> Result<Selection, UnusableSet> {
    select(json!({ "keys": keys }).to_string().as_bytes())
}

#[test]
fn keys_of_every_kind_are_taken_in_their_order() {
    let taken = selected(&[rsa("r"), ec("e"), ed25519("o")]).unwrap();
    assert_eq!(taken.keys.iter().map(|key| key.kid.as_deref().unwrap()).collect::<Vec<_>>(), ["r", "e", "o"]);
    assert!(taken.left_out.is_empty());
}

#[test]
fn what_is_of_no_use_is_left_out_and_told() {
    for (key, expected) in [
        (json!({"kty": "oct", "kid": "x"}), "`kty`"),
        (with(rsa("x"), "kty", json!("DSA")), "`kty`"),
        (with(rsa("x"), "use", json!("enc")), "verifies nothing"),
        (with(rsa("x"), "d", json!("AQAB")), "`d` of a private"),
        (with(ed25519("x"), "d", json!(null)), "`d` of a private"),
        (json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T"}), "`k` of a private or secret"),
        (with(ec("x"), "x", json!(7)), "no text"),
        (with(ec("x"), "x", json!("AAAA")), ""),
        (with(rsa("x"), "n", json!("AQAB")), ""),
        (with(ed25519("x"), "crv", json!("X25519")), "`crv`"),
        (with(rsa("x"), "alg", json!("RSA-OAEP")), "`alg`"),
        (json!("x"), "no JSON object"),
    ] {
        let taken = selected(&[ec("a"), key.clone(), ec("b")]).unwrap();
        assert_eq!(taken.keys.len(), 2, "{key}");
        let told: Vec<String> = taken.left_out.iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].starts_with("keys[1]") && told[0].contains(expected), "{key}: {told:?}");
    }
}

#[test]
fn a_key_that_is_given_away_is_used_under_no_name_and_no_last_good_one_stays() {
    let good = selected(&[rsa("r"), ec("e"), ed25519("o")]).unwrap().keys;
    let left = |keys: Vec<Jwk>| keys.into_iter().filter_map(|key| key.kid).collect::<Vec<_>>();
    for (given_away, stay) in [
        (with(rsa("r"), "d", json!("AQAB")), vec!["e", "o"]),
        (with(ec("another name"), "d", json!(null)), vec!["r", "o"]),
        (with(with(ed25519("o"), "d", json!("AQAB")), "use", json!("enc")), vec!["r", "e"]),
        (with(with(ed25519("o"), "d", json!("AQAB")), "kid", json!(7)), vec!["r", "e"]),
        (with(with(ec("e"), "d", json!("AQAB")), "x", json!("AAAA")), vec!["r", "e", "o"]),
        (json!({"kty": "EC", "kid": "e", "d": "AQAB"}), vec!["r", "e", "o"]),
        (rsa("r"), vec!["r", "e", "o"]),
    ] {
        let nothing = select(json!({"keys": [given_away.clone(), {"kty": "oct"}]}).to_string().as_bytes());
        assert_eq!(nothing.map_or_else(|error| left(error.spared(good.clone())), |_| left(good.clone())), stay);
        let taken = selected(&[rsa("r"), ec("e"), ed25519("o"), given_away.clone()]).unwrap();
        assert_eq!(left(taken.keys), stay, "{given_away}");
        assert_eq!(taken.left_out.is_empty(), given_away == rsa("r"), "{given_away}");
    }
}

#[test]
fn a_key_that_is_there_twice_counts_once_and_too_many_are_left_out() {
    assert_eq!(selected(&[ec("a"), ec("a")]).unwrap().keys.len(), 1);
    let many: Vec<Value> = (0..70).map(|n| ec(&n.to_string())).collect();
    let taken = selected(&many).unwrap();
    assert_eq!((taken.keys.len(), taken.left_out.len()), (KEYS_MAX, 6));
}

#[test]
fn of_the_keys_of_no_use_the_first_ones_are_told_and_the_others_counted() {
    let bad = |n: usize| json!({"kty": "oct", "kid": format!("{n}-{}", "ü".repeat(1_000))});
    for (count, told, more) in [(64, 64, None), (65, 65, Some("and 1 more")), (2_000, 65, Some("and 1936 more"))] {
        let taken = selected(&(0..count).map(bad).chain([ec("a")]).collect::<Vec<_>>()).unwrap();
        let lines = taken.told();
        assert_eq!((taken.left_out_count, lines.len()), (count, told));
        assert!(lines.iter().all(|line| line.chars().count() < 300), "{:?}", lines[0]);
        assert_eq!(lines.last().map(String::as_str).filter(|last| last.starts_with("and")), more);
    }
    let error = selected(&[bad(0)]).unwrap_err().to_string();
    assert!(error.chars().count() < 400, "{error}");
}

#[test]
fn of_a_key_only_what_it_needs_is_kept() {
    let long = "verify ".repeat(1_000);
    for (key, kept) in [
        (rsa("r"), vec!["alg", "e", "kid", "kty", "n"]),
        (ec("e"), vec!["alg", "crv", "kid", "kty", "x", "y"]),
        (ed25519("o"), vec!["alg", "crv", "kid", "kty", "x"]),
    ] {
        let alg = [("RSA", "PS256"), ("EC", "ES256"), ("OKP", "EdDSA")];
        let alg = alg.into_iter().find(|(kty, _)| key["kty"] == *kty).unwrap().1;
        let mut full = with(with(key, "use", json!("sig")), "alg", json!(alg));
        full["key_ops"] = json!(["verify", long]);
        for name in ["n", "e", "crv", "x", "y"] {
            if full.get(name).is_none() {
                full[name] = json!(long);
            }
        }
        let taken = selected(&[full]).unwrap();
        let stored = serde_json::to_value(&taken.keys[0]).unwrap();
        assert_eq!(stored.as_object().unwrap().keys().collect::<Vec<_>>(), kept);
        assert_eq!(stored["alg"], alg);
    }
}

#[test]
fn what_is_no_set_is_of_no_use() {
    for (body, expected) in [
        ("<html>".to_owned(), "a JSON object with a list `keys`"),
        ("[]".to_owned(), "it is no set of keys"),
        (r#"{"keys":{}}"#.to_owned(), "it is no set of keys"),
        (format!(r#"{{"keys":{}}}"#, "[".repeat(100_000)), "it is no set of keys"),
        (r#"{"keys":[]}"#.to_owned(), "none of its 0 keys can be used"),
        (
            json!({"keys": [{"kty": "x", "kid": "a\nb"}]}).to_string(),
            r"none of its 1 keys can be used; keys[0] (`a\nb`): `kty`",
        ),
    ] {
        let error = select(body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
