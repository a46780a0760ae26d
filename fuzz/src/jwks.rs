//! Sets of keys, as an identity provider may publish them.
//!
//! Whatever a set holds: a key that is taken is a public one, verifies nothing that it did not sign, and a set
//! that came from sidecars never goes back.

use sekisho_core::feed::Announced;
use sekisho_core::sources::Sources;
use sekisho_core::time::Now;
use sekisho_core::verify::algorithm::Algorithm;
use sekisho_core::verify::key::VerifyingKey;
use sekisho_protocol::keys::digest_key;
use sekisho_protocol::keyset::{Jwk, KeysReply, Standing};
use serde_json::Value;

pub(crate) fn run(input: &[u8]) {
    let Ok(set) = serde_json::from_slice::<Value>(input) else { return };
    let listed = set.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
    let keys: Vec<Jwk> = listed.into_iter().take(8).filter_map(|key| serde_json::from_value(key).ok()).collect();
    for jwk in &keys {
        let Ok(key) = VerifyingKey::from_jwk(jwk, None) else { continue };
        assert_eq!(key.id(), jwk.kid.as_deref());
        let algorithms = Algorithm::ALL.into_iter().filter(|algorithm| key.is_for(*algorithm, None));
        for algorithm in algorithms {
            assert!(!algorithm.as_str().starts_with("HS"), "a public key became a secret");
            assert!(jwk.alg.as_deref().is_none_or(|alg| Algorithm::from_name(alg) == Some(algorithm)));
        }
    }
    taken_in(keys);
}

fn taken_in(keys: Vec<Jwk>) {
    let mut sources = Sources::new(digest_key(&[b'm'; 32]));
    let (announced, now) = (Announced::default(), Now { unix_s: 1_800_000_000, mono_ms: 1_000_000 });
    let mut reply = KeysReply { protocol: 1, standing: Standing::Current, revision: 5, keys, ask_again_ms: 0 };
    let taken = sources.take("idp", &reply, &announced, now);
    assert!(taken.replaced && taken.unusable <= reply.keys.len());
    reply.revision = 4;
    assert!(!sources.take("idp", &reply, &announced, now).replaced, "an older set replaced a newer one");
}
