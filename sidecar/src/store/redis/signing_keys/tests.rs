//! The signing keys, on a real Redis.

use tokio::task::JoinSet;

use super::*;
use crate::domain::error::Failure;
use crate::domain::seal::{KEY_BYTES, SealingKey};
use crate::domain::signing::ring::When;
use crate::service::signing_keys::vault::Vault;
use crate::testing::RedisServer;

const NOW: UnixSeconds = UnixSeconds(1_000_000);

fn make(algorithm: Algorithm) -> SigningKey {
    Vault::new(SealingKey::new(&[1; KEY_BYTES]).map(Into::into)).make(algorithm, NOW).unwrap()
}

/// A store in which this key signs.
async fn signing(server: &RedisServer, key: &SigningKey) -> RedisSigningKeys {
    let store = RedisSigningKeys::new(server.client());
    done(&store, |ring| ring.add(key.clone())).await;
    done(&store, |ring| ring.promote(&key.kid, None, NOW)).await;
    store
}

async fn done(store: &RedisSigningKeys, decide: impl Fn(&Ring) -> Result<Update, Failure>) {
    let update = decide(&store.ring().await.unwrap()).unwrap();
    assert_eq!(store.step(&update).await.unwrap(), Stepped::Done, "{update:?}");
}

#[tokio::test]
async fn a_key_is_read_as_it_was_written_through_all_its_states() {
    let server = RedisServer::start().await;
    let store = RedisSigningKeys::new(server.client());
    assert_eq!(store.ring().await.unwrap(), Ring::default());
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let key = make(algorithm);
        let found = async || store.ring().await.unwrap().find(&key.kid).cloned();
        done(&store, |ring| ring.add(key.clone())).await;
        assert_eq!(found().await, Some(key.clone()));
        done(&store, |ring| ring.promote(&key.kid, None, NOW)).await;
        assert_eq!(found().await.map(|key| key.state.word()), Some("signing"));
        done(&store, |ring| ring.step_down(&key.kid, NOW.plus(9))).await;
        let state = State::Verifying { since: NOW, until: NOW.plus(9) };
        assert_eq!(found().await, Some(SigningKey { state, ..key.clone() }));
        done(&store, |ring| ring.retire(&key.kid, When::Unneeded, NOW)).await;
        assert_eq!(found().await, None);
    }
}

#[tokio::test]
async fn the_private_part_leaves_the_store_when_its_key_signs_no_more() {
    let server = RedisServer::start().await;
    let key = make(Algorithm::EdDsa);
    let store = signing(&server, &key).await;
    let text = async || -> String {
        server.client().shared().hget(SIGNING_KEYS, format!("{KEY_FIELD}{}", key.kid)).await.unwrap()
    };
    assert!(text().await.contains("sealed"));
    done(&store, |ring| ring.step_down(&key.kid, NOW)).await;
    assert!(!text().await.contains("sealed"));
}

#[tokio::test]
async fn of_two_steps_that_were_decided_on_the_same_ring_exactly_one_is_taken() {
    let server = RedisServer::start().await;
    let (old, new) = (make(Algorithm::EdDsa), make(Algorithm::Es256));
    let store = signing(&server, &old).await;
    done(&store, |ring| ring.add(new.clone())).await;
    for round in 0..20 {
        let ring = store.ring().await.unwrap();
        let mut racing = JoinSet::new();
        for n in 0..8_u64 {
            let store = RedisSigningKeys::new(server.client());
            let update = match n % 2 {
                0 => ring.add(make(Algorithm::EdDsa)).unwrap(),
                _ if round == 0 => ring.promote(&new.kid, Some(&old.kid), NOW).unwrap(),
                _ => ring.retire(&ring.next(None).unwrap().kid.clone(), When::Now, NOW).unwrap(),
            };
            racing.spawn(async move { store.step(&update).await.unwrap() });
        }
        let taken = racing.join_all().await.into_iter().filter(|stepped| *stepped == Stepped::Done).count();
        assert_eq!(taken, 1, "round {round}");
        if store.ring().await.unwrap().next(None).is_none() {
            done(&store, |ring| ring.add(make(Algorithm::EdDsa))).await;
        }
    }
}

#[tokio::test]
async fn the_end_of_the_last_token_is_noted_and_never_lowered() {
    let server = RedisServer::start().await;
    let key = make(Algorithm::EdDsa);
    let store = signing(&server, &key).await;
    for (ends, expected) in [(50, 50), (90, 90), (70, 90), (4_294_967_295, 4_294_967_295)] {
        assert!(store.note_token(&key.kid, UnixSeconds(ends)).await.unwrap());
        let found = store.ring().await.unwrap().find(&key.kid).and_then(|key| key.tokens_end);
        assert_eq!(found, Some(UnixSeconds(expected)), "after {ends}");
    }
    let decided = store.ring().await.unwrap().step_down(&key.kid, NOW).unwrap();
    assert!(store.note_token(&key.kid, UnixSeconds(5_000_000_000)).await.unwrap());
    assert_eq!(store.step(&decided).await.unwrap(), Stepped::Done);
    let kept = store.ring().await.unwrap().keys()[0].tokens_end;
    assert_eq!(kept, Some(UnixSeconds(5_000_000_000)), "no step forgets it");
    let lost = SigningKey { tokens_end: Some(NOW), ..make(Algorithm::Es256) };
    done(&store, |ring| ring.add(lost.clone())).await;
    assert_eq!(store.ring().await.unwrap().find(&lost.kid), Some(&lost));
}

#[tokio::test]
async fn a_key_does_not_go_if_a_later_token_was_signed_since_that_was_decided() {
    let server = RedisServer::start().await;
    let key = make(Algorithm::EdDsa);
    let store = signing(&server, &key).await;
    done(&store, |ring| ring.step_down(&key.kid, NOW)).await;
    let decided = store.ring().await.unwrap().retire_unneeded(NOW).unwrap();
    // Somebody read the ring before the rotation, and signs only now.
    assert!(store.note_token(&key.kid, NOW.plus(60)).await.unwrap());
    assert_eq!(store.step(&decided).await.unwrap(), Stepped::Overtaken);
    assert!(store.ring().await.unwrap().retire_unneeded(NOW).is_none());
    done(&store, |ring| ring.retire(&key.kid, When::Now, NOW)).await;
    assert!(!store.note_token(&key.kid, NOW.plus(90)).await.unwrap(), "nothing is signed with a key that is gone");
    let fields: Vec<String> = server.client().shared().hkeys(SIGNING_KEYS).await.unwrap();
    assert_eq!(fields, [VERSION_FIELD]);
}

#[tokio::test]
async fn a_step_from_before_the_store_lost_everything_is_not_taken() {
    let server = RedisServer::start().await;
    let key = make(Algorithm::EdDsa);
    let store = signing(&server, &key).await;
    let update = store.ring().await.unwrap().step_down(&key.kid, NOW).unwrap();
    let _: () = redis::cmd("FLUSHALL").query_async(&mut server.client().shared()).await.unwrap();
    assert_eq!(store.step(&update).await.unwrap(), Stepped::Overtaken);
    assert_eq!(store.ring().await.unwrap(), Ring::default());
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_that_names_it() {
    let server = RedisServer::start().await;
    let (store, mut redis) = (RedisSigningKeys::new(server.client()), server.client().shared());
    let key = make(Algorithm::EdDsa);
    let good = text(&key).unwrap();
    let other = text(&make(Algorithm::EdDsa)).unwrap();
    let field = format!("{KEY_FIELD}{}", key.kid);
    for (what, field, value) in [
        ("no JSON", field.as_str(), "{".to_owned()),
        ("an unknown algorithm", &field, good.replace(r#""algorithm":"EdDSA""#, r#""algorithm":"ML-DSA""#)),
        ("an unknown state", &field, good.replace(r#""next""#, r#""resting""#)),
        ("another key's record", &field, other),
        ("another algorithm", &field, good.replace(r#""algorithm":"EdDSA""#, r#""algorithm":"ES256""#)),
        ("no id", "key|a b", good.clone()),
    ] {
        let _: () = redis.del(SIGNING_KEYS).await.unwrap();
        let _: () = redis.hset(SIGNING_KEYS, field, value).await.unwrap();
        let error = store.ring().await.unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { key, .. } if key.starts_with(SIGNING_KEYS)), "{what}: {error}");
    }
}
