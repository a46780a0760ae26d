//! Rotations of the encryption key, with sidecars that have different rings on one Redis and one database.

use tokio_util::sync::CancellationToken;

use super::*;
use crate::app::App;
use crate::domain::seal::{KEY_BYTES, SealingKey};
use crate::domain::signing::{Algorithm, Successor};
use crate::domain::time::UnixSeconds;
use crate::service::signing_keys::Patience;
use crate::service::{Services, readiness};
use crate::testing::RedisServer;

/// An encryption key for tests, as hex.
fn hex(number: u8) -> String {
    (number..number + 32).map(|byte| format!("{byte:02x}")).collect()
}

fn id(number: u8) -> SealingKeyId {
    let bytes: Vec<u8> = (number..number + 32).collect();
    assert_eq!(bytes.len(), KEY_BYTES);
    SealingKey::new(&bytes).unwrap().id()
}

/// A sidecar with these keys; the first one seals.
fn sidecar(redis: &RedisServer, keys: &[u8]) -> Services {
    let (present, others) = keys.split_first().map_or((String::new(), &[][..]), |(one, rest)| (hex(*one), rest));
    let others = others.iter().map(|number| hex(*number)).collect::<Vec<_>>().join("\n");
    let keys = [("REDIS_ENCRYPTION_KEY", present.as_str()), ("SEKISHO_OTHER_ENCRYPTION_KEYS", others.as_str())];
    let set: Vec<_> = keys.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    App::new(&redis.settings(&set), CancellationToken::new()).unwrap().services
}

async fn rotate(services: &Services) -> Result<Rotation, Failure> {
    services.encryption.rotate(Lost::Refuse, By::operator("cli")).await
}

/// Lets a new signing key sign.
async fn new_signing_key(services: &Services, algorithm: Algorithm) {
    let (successor, now) = (Successor::With(algorithm), UnixSeconds::now());
    let rotated = services.signing_keys.rotate(successor, Patience::None, By::operator("cli"), now).await.unwrap();
    assert!(rotated.signs);
}

/// Whether a sidecar can sign with the key that is to sign.
async fn signs(services: &Services) -> bool {
    let ring = services.signing_keys.ring().await.unwrap();
    let closed = services.signing_keys.closed(&ring);
    ring.signing().is_some_and(|key| closed.iter().all(|closed| closed.kid != key.kid))
}

async fn state(services: &Services) -> canary::State {
    let examined = services.database.examine().await.unwrap();
    services.encryption.canary().judge(examined.look.canary.as_ref())
}

#[tokio::test]
async fn a_key_is_replaced_step_by_step_while_every_sidecar_goes_on_signing() {
    let redis = RedisServer::start().await;
    let old = sidecar(&redis, &[1]);
    old.database.open().await.unwrap();
    new_signing_key(&old, Algorithm::EdDsa).await;
    let waiting = old.signing_keys.add(Algorithm::Es256, By::operator("cli"), UnixSeconds::now()).await.unwrap();
    // Every sidecar gets the new key to open, and then to seal with, one by one.
    let (knows, swapped) = (sidecar(&redis, &[1, 2]), sidecar(&redis, &[2, 1]));
    for services in [&knows, &swapped] {
        services.database.open().await.unwrap();
        assert!(signs(services).await);
    }
    assert_eq!(state(&swapped).await, canary::State::Opens { under: id(1), present: id(2) });

    let rotation = rotate(&swapped).await.unwrap();
    assert_eq!((rotation.present, &rotation.unneeded), (id(2), &vec![id(1)]));
    assert_eq!((rotation.places[0].resealed, rotation.places[0].under[&id(2)]), (2, 2));
    assert!(rotation.closed().is_empty());
    assert_eq!(state(&swapped).await, canary::State::Opens { under: id(2), present: id(2) });
    let new = sidecar(&redis, &[2]);
    new.database.open().await.unwrap();
    for (services, expected) in [(&new, true), (&swapped, true), (&knows, true), (&old, false)] {
        assert_eq!(signs(services).await, expected);
    }
    let ring = new.signing_keys.ring().await.unwrap();
    let key = ring.find(&waiting.key.kid).unwrap();
    assert_eq!(
        (&key.public, key.created_at),
        (&waiting.key.public, waiting.key.created_at),
        "nothing else has changed"
    );
    assert_eq!(new.signing_keys.closed(&ring), []);

    let again = rotate(&swapped).await.unwrap();
    assert_eq!((again.places[0].resealed, again.places[0].total()), (0, 2), "there is nothing left to do");
}

#[tokio::test]
async fn rotations_that_run_at_once_and_rotations_of_keys_lose_nothing() {
    let redis = RedisServer::start().await;
    let old = sidecar(&redis, &[1]);
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::EdDsa] {
        old.signing_keys.add(algorithm, By::operator("cli"), UnixSeconds::now()).await.unwrap();
    }
    let (one, other) = (sidecar(&redis, &[2, 1]), sidecar(&redis, &[2, 1]));
    let (a, b, ()) = tokio::join!(rotate(&one), rotate(&other), new_signing_key(&one, Algorithm::EdDsa));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a.places[0].resealed + b.places[0].resealed, 3, "each is taken over once");
    let inventory = one.encryption.inventory().await.unwrap();
    assert_eq!(inventory[0].under.keys().collect::<Vec<_>>(), [&id(2)]);
    assert!(signs(&sidecar(&redis, &[2])).await);
}

#[tokio::test]
async fn a_sidecar_without_the_right_key_is_told_which_one_it_lacks() {
    let redis = RedisServer::start().await;
    let keyless = sidecar(&redis, &[]);
    keyless.database.open().await.unwrap();
    assert_eq!(state(&keyless).await, canary::State::Missing { present: None });
    sidecar(&redis, &[1]).database.open().await.unwrap();
    sidecar(&redis, &[]).database.open().await.expect("bans work without a key");
    assert_eq!(state(&keyless).await, canary::State::NoKey { theirs: Some(id(1)) });
    for keys in [&[2][..], &[3, 4]] {
        let wrong = sidecar(&redis, keys);
        let refused = wrong.database.open().await.unwrap_err();
        // It may have started while the database was away: it is of no use, and seals nothing.
        let report = wrong.readiness.report().await;
        let database = report.checks.iter().find(|check| check.name == readiness::DATABASE).unwrap();
        assert!(!database.ok && database.required && !report.ready, "{database:?}");
        let (successor, now) = (Successor::With(Algorithm::Es256), UnixSeconds::now());
        let sealed = wrong.signing_keys.rotate(successor, Patience::None, By::operator("cli"), now).await.map(drop);
        assert!(matches!(sealed, Err(Failure::EncryptionKeyUnknown { .. })), "{sealed:?}");
        let sealed = wrong.signing_keys.add(Algorithm::Es256, By::operator("cli"), now).await.map(drop);
        assert!(matches!(sealed, Err(Failure::EncryptionKeyUnknown { .. })), "{sealed:?}");
        let (theirs, ours) = (id(1).to_string(), id(keys[0]).to_string());
        assert!(matches!(refused, StoreError::Unusable { .. }), "{refused:?}");
        for text in [&theirs, &ours, "SEKISHO_OTHER_ENCRYPTION_KEYS", "rotate-encryption --lost"] {
            assert!(refused.to_string().contains(text), "{refused}");
        }
        assert!(matches!(rotate(&wrong).await, Err(Failure::EncryptionKeyUnknown { .. })));
    }
    assert_eq!(rotate(&keyless).await, Err(Failure::NoEncryptionKey));
}

#[tokio::test]
async fn a_key_that_is_lost_for_good_leaves_closed_what_it_sealed_and_the_rest_goes_on() {
    let redis = RedisServer::start().await;
    let old = sidecar(&redis, &[1]);
    old.database.open().await.unwrap();
    new_signing_key(&old, Algorithm::EdDsa).await;
    let new = sidecar(&redis, &[2]);
    let rotation = new.encryption.rotate(Lost::Accept, By::operator("cli")).await.unwrap();
    assert_eq!(rotation.closed(), BTreeMap::from([(id(1), 1)]));
    assert!(rotation.unneeded.is_empty());
    new.database.open().await.unwrap();
    assert!(!signs(&new).await);
    new_signing_key(&new, Algorithm::Es256).await;
    assert!(signs(&new).await);
}

#[tokio::test]
async fn a_damaged_canary_is_told_from_one_of_another_key() {
    let redis = RedisServer::start().await;
    let services = sidecar(&redis, &[1]);
    let keys = |number: u8| {
        let bytes: Vec<u8> = (number..number + 32).collect();
        SealingKeys::from(SealingKey::new(&bytes).unwrap())
    };
    let canary = services.encryption.canary();
    let of_another_record = seal(&keys(1), "another", b"").unwrap();
    for (sealed, expected) in [
        (of_another_record, canary::State::Damaged),
        (Sealed::of_text("?".into()), canary::State::Damaged),
        (seal(&keys(1), "installation:canary", b"").unwrap(), canary::State::Opens { under: id(1), present: id(1) }),
        (
            seal(&keys(2), "installation:canary", b"").unwrap(),
            canary::State::Closed { theirs: id(2), ours: id(1).to_string() },
        ),
    ] {
        assert_eq!(canary.judge(Some(&sealed)), expected);
    }
}
