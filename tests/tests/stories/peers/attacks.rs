//! The attacks of RFC 8725, and what else a header or claims may hold that must decide nothing. The signatures are
//! right: each token is refused for the one thing that is wrong with it, and is told so.

use anyhow::{Context, Result};
use e2e::peers::mint::{KeyOrder, Order, Origin, TokenOrder};
use e2e::peers::minted::{AUDIENCE, claims, header};
use e2e::peers::{Maker, Minted};
use e2e::token::compact;
use e2e::{World, story};
use serde_json::json;

use super::table::{Batch, Case, expect_refusals};
use super::{BY_HOST, ask};

/// A header that nothing is wrong with.
const HEADER: &str = r#"{"typ":"JWT","alg":"HS256"}"#;

#[test]
fn what_the_tables_start_from_passes() {
    story(&BY_HOST, async |world| {
        let mut connection = e2e::wire::Connection::open(world.envoy.edge()).await?;
        for token in [signed(HEADER, &plain()), signed(HEADER, &with("nested", r#"{"a":[{"b":1},{"b":2}]}"#))] {
            ask(&mut connection, &token).await?.received().context(token)?;
        }
        Ok(())
    });
}

#[test]
fn rfc8725_no_header_talks_the_filter_into_anything() {
    story(&BY_HOST, async |world| {
        let cases = HEADERS.iter().map(|(header, codes)| Case::new(*header, signed(header, &plain()), codes));
        expect_refusals(world, &cases.collect::<Vec<_>>()).await
    });
}

/// Headers of tokens that are signed with the right secret and HS256.
const HEADERS: &[(&str, &[&str])] = &[
    (r#"{"alg":"none"}"#, &["token_unsigned"]),
    (r#"{"alg":"None"}"#, &["token_unsigned", "token_algorithm"]),
    (r#"{"alg":"NONE"}"#, &["token_unsigned", "token_algorithm"]),
    (r#"{"alg":"nOnE"}"#, &["token_unsigned", "token_algorithm"]),
    (r#"{"alg":""}"#, &["token_algorithm"]),
    (r#"{"alg":"hs256"}"#, &["token_algorithm"]),
    (r#"{"alg":"HS256 "}"#, &["token_algorithm"]),
    (r#"{"alg":"HS1"}"#, &["token_algorithm"]),
    (r#"{"alg":null}"#, &["token_malformed", "token_algorithm"]),
    (r#"{"alg":["HS256"]}"#, &["token_malformed", "token_algorithm"]),
    (r#"{"typ":"JWT"}"#, &["token_malformed", "token_algorithm"]),
    (r#"{"alg":"HS256","crit":["exp"],"exp":1}"#, &["token_critical"]),
    (r#"{"alg":"HS256","crit":[]}"#, &["token_critical"]),
    (r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, &["token_critical", "token_unencoded"]),
    (r#"{"alg":"HS256","b64":false}"#, &["token_unencoded"]),
    (r#"{"alg":"HS256","b64":true}"#, &["token_unencoded"]),
    (r#"{"alg":"HS256","zip":"DEF"}"#, &["token_compressed"]),
    (r#"{"alg":"HS256","cty":"JWT"}"#, &["token_nested"]),
    (r#"{"alg":"HS256","jku":"http://localhost/keys"}"#, &["token_embedded_key"]),
    (r#"{"alg":"HS256","x5u":"http://localhost/cert"}"#, &["token_embedded_key"]),
    (r#"{"alg":"HS256","x5c":["MIIB"]}"#, &["token_embedded_key"]),
    (r#"{"alg":"HS256","jwk":{"kty":"oct","k":"YQ"}}"#, &["token_embedded_key"]),
    (r#"{"alg":"HS256","typ":"dpop+jwt"}"#, &["token_type"]),
    (r#"{"alg":"HS256","typ":"logout+jwt"}"#, &["token_type"]),
    (r#"{"alg":"HS256","alg":"HS256"}"#, &["token_repeated_member"]),
    (r#"{"alg":"HS256","alg":"none"}"#, &["token_repeated_member"]),
    (r#"{"alg":"none","alg":"HS256"}"#, &["token_repeated_member"]),
    (r#"{"alg":"HS256","\u0061lg":"none"}"#, &["token_repeated_member"]),
    (r#"{"alg":"HS256","x":{"y":1,"y":2}}"#, &["token_repeated_member"]),
    (r#"["HS256"]"#, &["token_malformed"]),
    (r#"{"alg":"HS256"}{}"#, &["token_malformed"]),
    ("", &["token_malformed"]),
];

#[test]
fn rfc8725_no_claims_talk_the_filter_into_anything() {
    story(&BY_HOST, async |world| {
        let mut cases: Vec<Case> = times();
        for (what, claims, codes) in [
            ("iss twice", with("iss", r#""https://pyjwt.example""#), &["token_repeated_member"] as &[&str]),
            ("exp twice", with("exp", "9999999999"), &["token_repeated_member"]),
            ("email twice", with("email", r#""root@example.com""#), &["token_repeated_member"]),
            ("email twice, once escaped", with(r"\u0065mail", r#""root@example.com""#), &["token_repeated_member"]),
            ("a repeated member in a claim", with("x", r#"{"y":1,"y":1}"#), &["token_repeated_member"]),
            ("a repeated member deep in a list", with("x", r#"[[{"y":{"z":0,"z":0}}]]"#), &["token_repeated_member"]),
            ("lists in lists", with("x", &nested('[', ']', 200)), &["token_nesting"]),
            ("objects in objects", with("x", &nested_objects(200)), &["token_nesting"]),
            ("lists in lists without an end", with("x", &"[".repeat(4_000)), &["token_nesting", "token_malformed"]),
            ("a list for claims", format!("[{}]", plain()), &["token_malformed"]),
            ("no JSON", "iss=https://pyjwt.example".to_owned(), &["token_malformed"]),
            ("two documents", format!("{0}{0}", plain()), &["token_malformed"]),
            ("a trailing comma", plain().replace('}', ",}"), &["token_malformed"]),
            ("a comment", format!("/**/{}", plain()), &["token_malformed"]),
            ("an issuer that nobody knows", plain().replace("pyjwt", "nobody"), &["token_issuer"]),
            (
                "a list of issuers",
                plain().replace(r#""https://pyjwt.example""#, r#"["https://pyjwt.example"]"#),
                &["token_malformed"],
            ),
            ("another audience", plain().replace(AUDIENCE, "others"), &["token_audience"]),
            ("an audience in upper case", plain().replace(AUDIENCE, &AUDIENCE.to_uppercase()), &["token_audience"]),
        ] {
            cases.push(Case::new(what, signed(HEADER, &claims), codes));
        }
        expect_refusals(world, &cases).await
    });
}

/// Each time claim with values that are no sane whole numbers.
fn times() -> Vec<Case> {
    const NUMBERS: &[(&str, &[&str])] = &[
        ("1.5", &["token_time"]),
        ("4102444800.0", &["token_time"]),
        ("4.1024448e9", &["token_time"]),
        ("-1", &["token_time"]),
        ("-0", &["token_time"]),
        ("1e400", &["token_time", "token_malformed"]),
        ("-1e400", &["token_time", "token_malformed"]),
        ("18446744073709551615", &["token_time"]),
        ("18446744073709551616", &["token_time"]),
        ("99999999999999999999999999999999", &["token_time"]),
        ("253402300800", &["token_time"]),
        (r#""4102444800""#, &["token_time"]),
        (r#""tomorrow""#, &["token_time"]),
        ("true", &["token_time"]),
        ("null", &["token_time"]),
        ("[4102444800]", &["token_time"]),
        ("{}", &["token_time"]),
        ("NaN", &["token_malformed"]),
        ("Infinity", &["token_malformed"]),
        ("0x7fffffff", &["token_malformed"]),
        ("04102444800", &["token_malformed"]),
    ];
    let mut cases = Vec::new();
    for claim in ["exp", "nbf", "iat"] {
        for (number, codes) in NUMBERS {
            let claims = without(claim).replacen('{', &format!(r#"{{"{claim}":{number},"#), 1);
            cases.push(Case::new(format!("{claim}: {number}"), signed(HEADER, &claims), codes));
        }
    }
    cases.push(Case::new("no exp", signed(HEADER, &without("exp")), &["token_expired"]));
    cases
}

#[test]
fn a_token_has_one_spelling() {
    story(&BY_HOST, async |world| {
        let token = signed(HEADER, &plain());
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts[..] else { anyhow::bail!("not three parts") };
        const ENCODING: &[&str] = &["token_encoding"];
        const MALFORMED: &[&str] = &["token_malformed", "token_encoding"];
        let cases = vec![
            Case::new("padding", format!("{token}="), ENCODING),
            Case::new("padding within", format!("{header}=.{claims}.{signature}"), ENCODING),
            Case::new("stray bits", format!("{header}.{claims}.{}", with_stray_bits(signature)?), ENCODING),
            Case::new("the other alphabet", format!("{header}.{claims}.{}", in_other_alphabet(signature)), ENCODING),
            // RFC 6750 §2.1: no token at all has such characters.
            Case::new("a character that is none", format!("{header}.{claims}.{signature}!"), &["credential_format"]),
            Case::new("a percent sign", format!("{header}.{claims}.{signature}%3D"), &["credential_format"]),
            Case::new("two parts", format!("{header}.{claims}"), MALFORMED),
            Case::new("one part", header, MALFORMED),
            Case::new("four parts", format!("{token}.{signature}"), MALFORMED),
            Case::new("six parts", format!("{token}.{token}"), MALFORMED),
            Case::new("no header", format!(".{claims}.{signature}"), MALFORMED),
            Case::new("no claims", format!("{header}..{signature}"), MALFORMED),
            Case::new("dots", "..", MALFORMED),
            Case::new("five empty parts", "....", &["token_encrypted", "token_malformed"]),
        ];
        expect_refusals(world, &cases).await
    });
}

#[test]
fn rfc8725_a_token_does_not_bring_its_own_key() {
    story(&BY_HOST, async |world| {
        let claims = claims(Maker::Jose.issuer(), "ann@example.com");
        let mut batch = Batch::of(Maker::Jose);
        for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
            let key = Minted::by(Maker::Jose).stranger(algorithm)?;
            let jwk = key.public.clone().context("no public key")?;
            for (member, value) in [
                ("jwk", jwk),
                ("jku", json!("http://localhost/keys")),
                ("x5u", json!("http://localhost/certificate")),
                ("x5c", json!([key.pem.clone().context("no PEM")?.lines().skip(1).take(3).collect::<String>()])),
            ] {
                for mut header in [json!({}), header(algorithm)] {
                    header[member] = value.clone();
                    let what = format!("{algorithm} with {member}: {header}");
                    batch.add(what, key, (algorithm, header), &claims, &["token_embedded_key"]);
                }
            }
        }
        expect_refusals(world, &batch.cases()?).await
    });
}

#[test]
fn an_encrypted_token_is_refused_as_such() {
    story(&BY_HOST, async |world| {
        let mut order = Order::default();
        for (name, algorithm) in [("RS256", "RSA-OAEP-256"), ("RS256", "RSA-OAEP-512"), ("ES256", "ECDH-ES+A256KW")] {
            let jwk = Minted::by(Maker::Jose).key(name)?.private.clone();
            order.keys.push(KeyOrder { name: name.to_owned(), origin: Origin::Known { jwk } });
            order.tokens.push(TokenOrder {
                key: name.to_owned(),
                algorithm: algorithm.to_owned(),
                header: header(name),
                claims: claims(Maker::Jose.issuer(), "ann@example.com"),
                encrypt: true,
            });
        }
        let tokens = Maker::Jose.make(&order)?.tokens;
        let cases = tokens.into_iter().map(|token| Case::new("a JWE", token, &["token_encrypted"]));
        expect_refusals(world, &cases.collect::<Vec<_>>()).await
    });
}

#[test]
fn no_attack_costs_a_worker_its_vm() {
    story(&BY_HOST, async |world: &World| {
        assert_eq!(world.envoy.vm_reloads().await?, 0);
        Ok(())
    });
}

fn signed(header: &str, claims: &str) -> String {
    compact(Minted::by(Maker::PyJwt).secret(), header, claims)
}

fn plain() -> String {
    claims(Maker::PyJwt.issuer(), "ann@example.com").to_string()
}

fn without(claim: &str) -> String {
    let mut claims = claims(Maker::PyJwt.issuer(), "ann@example.com");
    if let Some(claims) = claims.as_object_mut() {
        claims.remove(claim);
    }
    claims.to_string()
}

/// With one member more, at the end, even if there is one of that name already.
fn with(name: &str, value: &str) -> String {
    let claims = plain();
    format!(r#"{},"{name}":{value}}}"#, claims.trim_end_matches('}'))
}

fn nested(open: char, close: char, depth: usize) -> String {
    format!("{}{}", open.to_string().repeat(depth), close.to_string().repeat(depth))
}

fn nested_objects(depth: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth))
}

/// The same bytes under another spelling: the last character's unused bits are set.
fn with_stray_bits(part: &str) -> Result<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (head, last) = part.split_at(part.len() - 1);
    let value = ALPHABET.find(last).context("not base64url")?;
    Ok(format!("{head}{}", ALPHABET.get(value + 1..value + 2).context("no other spelling")?))
}

/// Base64 instead of base64url, with at least one character that tells them apart.
fn in_other_alphabet(part: &str) -> String {
    let other = part.replace('-', "+").replace('_', "/");
    if other == part { format!("+{}", part.get(1..).unwrap_or_default()) } else { other }
}
