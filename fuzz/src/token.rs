//! Tokens, as anybody may make them up.
//!
//! An input is a token as it is, or, behind a `!`, the header and the claims of one, a line each, which is then
//! signed with the right secret. Whatever it holds: what is accepted says what the provider demands to a reader
//! that has nothing in common with the filter's.

use std::rc::Rc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as B64;
use hmac::{Hmac, KeyInit, Mac};
use sekisho_core::config::Policy;
use sekisho_core::feed::Announced;
use sekisho_core::sources::Sources;
use sekisho_core::time::Now;
use sekisho_core::verify::budget::Budget;
use sekisho_core::verify::crypto::{Crypto, Verifications};
use sekisho_core::verify::host::{HostAbility, NoHost};
use sekisho_core::verify::{Context, Unverified, verify};
use serde_json::{Value, json};
use sha2::Sha256;

const SECRET: &[u8] = &[b'j'; 32];
const NOW_S: u64 = 1_800_000_000;
const LEEWAY_S: u64 = 30;

pub(crate) fn run(input: &[u8]) {
    thread_local!(static POLICY: Rc<Policy> = Rc::new(policy()));
    let token = match input.strip_prefix(b"!") {
        Some(parts) => signed(parts),
        None => input.to_vec(),
    };
    POLICY.with(|policy| accepted_for_a_reason(policy, &token));
}

fn policy() -> Policy {
    let config = json!({
        "mesh": {"secret_env": "MESH"},
        "providers": [{"name": "p", "issuers": ["sekisho"], "audiences": ["a", "b"], "hs256_secret_env": "JWT",
                       "email_claim": "email", "email_domains": ["*"], "email_verified": "ignored"}],
        "routes": [{"name": "all", "access": "protected"}]
    });
    let environment = |name: &str| match name {
        "MESH" => Some("m".repeat(32)),
        "JWT" => Some("j".repeat(32)),
        _ => None,
    };
    Policy::parse(&config.to_string(), &environment).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn signed(parts: &[u8]) -> Vec<u8> {
    let at = parts.iter().position(|byte| *byte == b'\n').unwrap_or(parts.len());
    let (header, claims) = parts.split_at(at);
    let text = format!("{}.{}", B64.encode(header), B64.encode(claims.strip_prefix(b"\n").unwrap_or(claims)));
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(SECRET) else { panic!("HMAC takes any key") };
    let tag = mac.chain_update(&text).finalize().into_bytes();
    format!("{text}.{}", B64.encode(tag)).into_bytes()
}

fn accepted_for_a_reason(policy: &Policy, token: &[u8]) {
    let (sources, announced) = (Sources::new(policy.mesh.digest_key.clone()), Announced::default());
    let (mut budget, mut count) = (Budget::default(), Verifications::default());
    let crypto = Crypto {
        host: &NoHost,
        ability: HostAbility::NONE,
        budget: &mut budget,
        budget_ms: policy.verify_budget_ms,
        count: &mut count,
    };
    let now = Now { unix_s: NOW_S, mono_ms: 1_000_000 };
    let digest_key = &policy.mesh.digest_key;
    let mut context =
        Context { providers: &policy.providers, sources: &sources, announced: &announced, crypto, digest_key, now };
    match verify(token, &mut context) {
        Err(Unverified::Invalid(invalid)) => assert!(!invalid.code().is_empty() && !invalid.to_string().is_empty()),
        Err(other) => panic!("there is nothing to wait for: {other:?}"),
        Ok(verification) => {
            let identity = verification.identity;
            let Some((header, claims)) = read(token) else { panic!("another reader cannot read it") };
            assert_eq!(header["alg"], "HS256");
            assert!(["crit", "b64", "jwk", "jku", "x5u", "x5c", "zip"].iter().all(|name| header.get(*name).is_none()));
            assert_eq!(claims["iss"], "sekisho");
            let audiences = claims["aud"].as_array().cloned().unwrap_or_else(|| vec![claims["aud"].clone()]);
            assert!(audiences.iter().any(|audience| audience == "a" || audience == "b"), "{claims}");
            assert_eq!(claims["exp"].as_u64(), Some(identity.expires_at));
            assert!(identity.expires_at + LEEWAY_S > NOW_S);
            let later = |name: &str| claims[name].as_u64().is_some_and(|moment| moment > NOW_S + LEEWAY_S);
            assert!(!later("nbf") && !later("iat"), "{claims}");
            assert!(identity.subject.as_str().bytes().all(|byte| byte >= b' '));
        }
    }
}

/// Takes a token apart as others would, and finds its signature right.
fn read(token: &[u8]) -> Option<(Value, Value)> {
    let text = std::str::from_utf8(token).ok()?;
    let (text, tag) = text.rsplit_once('.')?;
    let (header, claims) = text.split_once('.')?;
    let mac = Hmac::<Sha256>::new_from_slice(SECRET).ok()?.chain_update(text);
    mac.verify_slice(&B64.decode(tag).ok()?).ok()?;
    let json = |part: &str| serde_json::from_slice(&B64.decode(part).ok()?).ok();
    Some((json(header)?, json(claims)?))
}
