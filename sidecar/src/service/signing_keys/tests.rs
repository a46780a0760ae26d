//! Signing keys of two sidecars on one Redis.

use jwt_simple::prelude::{Ed25519PublicKey, EdDSAPublicKeyLike};
use redis::AsyncCommands;
use sekisho_protocol::feed::Kind;
use sekisho_protocol::{Email, ReplicaId};
use serde_json::Value;
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::app::App;
use crate::domain::audit::By;
use crate::domain::signing::State;
use crate::service::Services;
use crate::service::feed::registry::{Presence, Start};
use crate::service::keysets::KeysetStore;
use crate::service::tokens::{Issued, Wish};
use crate::store::redis::keysets::RedisKeysets;
use crate::store::redis::signing_keys::RedisSigningKeys;
use crate::testing::{ENCRYPTION_KEY, RedisServer};

struct World {
    redis: RedisServer,
    one: Services,
    other: Services,
}

impl World {
    async fn start() -> Self {
        let redis = RedisServer::start().await;
        let (one, other) = (sidecar(&redis, &[]), sidecar(&redis, &[]));
        Self { redis, one, other }
    }

    fn store(&self) -> RedisSigningKeys {
        RedisSigningKeys::new(self.redis.client())
    }

    /// What the filters are told of.
    async fn published(&self) -> (Vec<String>, u64) {
        let store = RedisKeysets::new(self.redis.client());
        let record = store.look(&SourceName::own()).await.unwrap().record.unwrap_or_default();
        let entry = self.one.feed.entry(Kind::Keyset, SourceName::OWN).await.unwrap();
        assert_eq!(entry.map_or(0, |entry| entry.floor), record.revision, "what is on record is announced");
        (record.keys.into_iter().filter_map(|key| key.kid).collect(), record.revision)
    }

    async fn states(&self) -> Vec<(String, &'static str)> {
        let ring = self.one.signing_keys.ring().await.unwrap();
        ring.keys().iter().map(|key| (key.kid.to_string(), key.state.word())).collect()
    }

    /// Lets a new key sign.
    async fn rotate(&self, algorithm: Algorithm) -> Kid {
        let rotated = rotate(&self.one, Successor::With(algorithm)).await.unwrap();
        assert!(rotated.signs);
        rotated.key.unwrap().kid
    }
}

fn me() -> By {
    By::operator("test")
}

/// A sidecar without its jobs.
fn sidecar(redis: &RedisServer, more: &[(&str, &str)]) -> Services {
    let mut all = vec![("SEKISHO_ACK_TIMEOUT_MS", "50"), ("REDIS_ENCRYPTION_KEY", ENCRYPTION_KEY)];
    all.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    all.extend(more);
    App::new(&redis.settings(&all), CancellationToken::new()).unwrap().services
}

async fn rotate(sidecar: &Services, successor: Successor) -> Result<Rotated, Failure> {
    sidecar.signing_keys.rotate(successor, Patience::UntilKnown, me(), UnixSeconds::now()).await
}

async fn issue(sidecar: &Services, expires_in: u64) -> Result<Issued, Failure> {
    let wish = Wish { name: "n".into(), expires_in: Some(expires_in), scopes: None };
    sidecar.tokens.issue_to(Email::parse("ann@x.org").unwrap(), &wish, me(), UnixSeconds::now()).await
}

fn kid_of(issued: &Issued) -> Option<String> {
    jwt_simple::token::Token::decode_metadata(&issued.token).unwrap().key_id().map(str::to_owned)
}

/// Puts a filter on record that has heard nothing.
async fn deaf_filter(world: &World) {
    let presence = Presence {
        replica: ReplicaId::from_bytes([7; 16]),
        node: "envoy-1".into(),
        worker: 2,
        build: "0.1.0".into(),
        fences: true,
        staleness_ms: 3_000,
        sidecar: "test".into(),
        holds: None,
        memory_bytes: 0,
        entries: 0,
        age_ms: None,
    };
    world.one.registry.record(&presence, Start::Held).await.unwrap();
}

#[tokio::test]
async fn every_sidecar_signs_with_the_new_key_as_soon_as_it_is_rotated() {
    let world = World::start().await;
    assert_eq!(kid_of(&issue(&world.other, 60).await.unwrap()), None, "JWT_SECRET");
    let mut before = Vec::new();
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::EdDsa] {
        let kid = world.rotate(algorithm).await;
        for sidecar in [&world.one, &world.other] {
            assert_eq!(kid_of(&issue(sidecar, 60).await.unwrap()).as_deref(), Some(kid.as_str()));
        }
        before.push(kid.to_string());
        assert_eq!(world.published().await.0, before, "the old ones stay published");
    }
    rotate(&world.other, Successor::Secret).await.unwrap();
    assert_eq!(kid_of(&issue(&world.one, 60).await.unwrap()), None);
    assert!(world.states().await.iter().all(|(_, state)| *state == "verifying"));
    assert!(matches!(rotate(&world.one, Successor::Secret).await, Err(Failure::SecretSigns)));
}

#[tokio::test]
async fn a_key_is_published_when_it_is_made_and_signs_only_when_it_is_rotated_to() {
    let world = World::start().await;
    let added = world.one.signing_keys.add(Algorithm::Es256, me(), UnixSeconds::now()).await.unwrap();
    assert!(added.change.is_complete());
    let kid = added.key.kid.to_string();
    assert_eq!(world.published().await.0, std::slice::from_ref(&kid));
    assert_eq!(kid_of(&issue(&world.one, 60).await.unwrap()), None);
    let rotated = rotate(&world.other, Successor::Next).await.unwrap();
    assert_eq!(rotated.key.map(|key| (key.kid.to_string(), key.state.word())), Some((kid.clone(), "signing")));
    let like = rotate(&world.other, Successor::Next).await.unwrap().key.unwrap();
    assert_eq!((like.algorithm, like.kid.as_str() == kid), (Algorithm::Es256, false), "a new one like it");
}

#[tokio::test]
async fn nothing_signs_that_a_filter_does_not_know_unless_that_is_wanted() {
    let world = World::start().await;
    let missing = rotate(&world.one, Successor::Next).await;
    assert!(matches!(missing, Err(Failure::Invalid { field: "algorithm", .. })), "{missing:?}");
    deaf_filter(&world).await;
    let first = rotate(&world.one, Successor::With(Algorithm::EdDsa)).await.unwrap();
    assert!(!first.signs && !first.change.is_complete());
    let kid = first.key.unwrap().kid.to_string();
    assert_eq!(world.states().await, [(kid.clone(), "next")]);
    let again = rotate(&world.other, Successor::Next).await.unwrap();
    assert_eq!((again.signs, world.states().await), (false, vec![(kid.clone(), "next")]), "the same key is taken");
    let at_once =
        world.one.signing_keys.rotate(Successor::Next, Patience::None, me(), UnixSeconds::now()).await.unwrap();
    assert!(at_once.signs && !at_once.change.is_complete());
    assert_eq!(world.states().await, [(kid, "signing")]);
    let back = rotate(&world.one, Successor::Secret).await.unwrap();
    assert!(back.signs, "JWT_SECRET is known to whoever verifies with it");
}

/// A store in which those who look first see the same ring.
struct Together {
    inner: RedisSigningKeys,
    barrier: Barrier,
    looks: std::sync::atomic::AtomicUsize,
}

#[async_trait]
impl SigningKeyStore for Together {
    async fn ring(&self) -> Result<Ring, StoreError> {
        let ring = self.inner.ring().await;
        if self.looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2 {
            self.barrier.wait().await;
        }
        ring
    }

    async fn step(&self, update: &Update) -> Result<Stepped, StoreError> {
        self.inner.step(update).await
    }

    async fn note_token(&self, kid: &Kid, ends: UnixSeconds) -> Result<bool, StoreError> {
        self.inner.note_token(kid, ends).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sidecars_that_rotate_at_once_exactly_one_does() {
    for round in 0..10 {
        let world = World::start().await;
        world.rotate(Algorithm::EdDsa).await;
        issue(&world.one, 60).await.unwrap();
        let store = Arc::new(Together { inner: world.store(), barrier: Barrier::new(2), looks: 0.into() });
        let together = |services: &Services| SigningKeys { store: store.clone(), ..services.signing_keys.clone() };
        let (a, b) = (together(&world.one), together(&world.other));
        let now = UnixSeconds::now();
        let (a, b) = tokio::join!(
            a.rotate(Successor::Next, Patience::UntilKnown, me(), now),
            b.rotate(Successor::Next, Patience::UntilKnown, me(), now)
        );
        let both = [a, b];
        assert_eq!(both.iter().filter(|rotated| rotated.is_ok()).count(), 1, "round {round}: {both:?}");
        assert!(both.contains(&Err(Failure::KeysOvertaken)), "{both:?}");
        let states = world.states().await;
        let words: Vec<&str> = states.iter().map(|(_, state)| *state).collect();
        assert_eq!(words, ["verifying", "signing"], "no key is left over");
    }
}

#[tokio::test]
async fn a_key_whose_tokens_live_goes_only_if_it_is_retired_now() {
    let world = World::start().await;
    let old = world.rotate(Algorithm::EdDsa).await;
    let token = issue(&world.other, 600).await.unwrap();
    let retire = async |when| world.one.signing_keys.retire(old.clone(), when, me(), UnixSeconds::now()).await;
    assert_eq!(retire(When::Now).await, Err(Failure::KeySigns));
    let new = world.rotate(Algorithm::EdDsa).await;
    let needed = UnixSeconds(token.grant.expires_at.get() + 360);
    assert_eq!(retire(When::Unneeded).await, Err(Failure::KeyNeeded { until: needed }));
    let ahead = needed.plus(86_400);
    let by_a_wrong_clock = world.one.signing_keys.retire(old.clone(), When::Unneeded, me(), ahead).await;
    assert_eq!(by_a_wrong_clock, Err(Failure::KeyNeeded { until: needed }), "Redis's clock has to agree");
    assert_eq!(world.published().await.0.len(), 2);
    let (_, before) = world.published().await;
    assert!(retire(When::Now).await.unwrap().is_complete());
    let (published, revision) = world.published().await;
    assert_eq!((published, revision > before), (vec![new.to_string()], true));
    assert_eq!(retire(When::Now).await, Err(Failure::KeyNotFound));
}

#[tokio::test]
async fn what_is_published_is_verified_by_others() {
    let world = World::start().await;
    world.rotate(Algorithm::EdDsa).await;
    let token = issue(&world.one, 60).await.unwrap().token;
    let document = world.other.jwks.document().await.unwrap();
    let set: Value = serde_json::from_str(&document.body).unwrap();
    let public = Ed25519PublicKey::from_jwk(&set["keys"][0].to_string()).unwrap();
    let claims = public.verify_token::<Value>(&token, None).unwrap();
    assert_eq!(claims.custom["user_email"], "ann@x.org");
    assert!(set["keys"][0].get("d").is_none());
}

#[tokio::test]
async fn keys_go_by_themselves_when_their_last_token_has_ended() {
    let world = World::start().await;
    let old = world.rotate(Algorithm::EdDsa).await;
    issue(&world.one, 60).await.unwrap();
    let new = world.rotate(Algorithm::EdDsa).await;
    let now = UnixSeconds::now().get();
    for (ended_s_ago, clock_ahead_s, expected) in [(350, 0, 2), (350, 86_400, 2), (360, 0, 1), (361, 0, 1)] {
        let field = format!("end|{old}");
        let _: () = redis::cmd("HSET")
            .arg(&["sekisho:signing_keys", field.as_str(), (now - ended_s_ago).to_string().as_str()])
            .query_async(&mut world.redis.client().shared())
            .await
            .unwrap();
        let ring = world.other.signing_keys.tend(UnixSeconds(now + clock_ahead_s)).await.unwrap();
        let counts = (ring.keys().len(), world.published().await.0.len());
        assert_eq!(counts, (expected, expected), "ended {ended_s_ago} s ago, clock {clock_ahead_s} s ahead");
    }
    assert_eq!(world.published().await.0, [new.to_string()]);
    assert!(world.store().ring().await.unwrap().find(&old).is_none());
}

#[tokio::test]
async fn what_was_cut_off_between_ring_and_feed_is_brought_to_its_end() {
    let world = World::start().await;
    let (old, new) = (world.rotate(Algorithm::EdDsa).await, world.rotate(Algorithm::EdDsa).await);
    let store = world.store();
    let gone = store.ring().await.unwrap().retire(&old, When::Now, UnixSeconds::now()).unwrap();
    assert_eq!(store.step(&gone).await.unwrap(), Stepped::Done);
    assert_eq!(world.published().await.0.len(), 2, "somebody was cut off here");
    let repeated = world.other.signing_keys.retire(old.clone(), When::Now, me(), UnixSeconds::now()).await;
    assert!(repeated.unwrap().is_complete(), "who repeats it gets an acknowledgement");
    assert_eq!(world.published().await.0, [new.to_string()]);

    let made = world.one.signing_keys.vault.make(Algorithm::Es256, UnixSeconds::now()).unwrap();
    let update = store.ring().await.unwrap().add(made).unwrap();
    assert_eq!(store.step(&update).await.unwrap(), Stepped::Done);
    let ring = world.other.signing_keys.tend(UnixSeconds::now()).await.unwrap();
    assert_eq!((ring.keys().len(), world.published().await.0.len()), (2, 2), "or a job finds it");
    let (_, revision) = world.published().await;
    world.one.signing_keys.tend(UnixSeconds::now()).await.unwrap();
    assert_eq!(world.published().await.1, revision, "nothing is published twice");
}

#[tokio::test]
async fn a_record_that_was_lost_is_published_again_with_a_higher_revision() {
    let world = World::start().await;
    let kid = world.rotate(Algorithm::EdDsa).await;
    let (_, revision) = world.published().await;
    let _: () = world.redis.client().shared().del("sekisho:keyset:{sekisho}").await.unwrap();
    world.one.signing_keys.tend(UnixSeconds::now()).await.unwrap();
    let (published, again) = world.published().await;
    assert_eq!((published, again > revision), (vec![kid.to_string()], true));
    let _: () = redis::cmd("FLUSHALL").query_async(&mut world.redis.client().shared()).await.unwrap();
    world.one.signing_keys.tend(UnixSeconds::now()).await.unwrap();
    assert_eq!(world.published().await, (Vec::new(), 0), "what was never there is not published");
}

#[tokio::test]
async fn p2_a_key_that_was_retired_does_not_come_back_with_an_older_copy_of_the_store() {
    let world = World::start().await;
    let settings = world.redis.settings(&[("SEKISHO_ACK_TIMEOUT_MS", "50"), ("REDIS_ENCRYPTION_KEY", ENCRYPTION_KEY)]);
    let (closing, mut jobs) = (CancellationToken::new(), tokio::task::JoinSet::new());
    let app = App::new(&settings, closing.clone()).unwrap();
    let leaked = world.rotate(Algorithm::EdDsa).await;
    issue(&world.one, 600).await.unwrap();
    let new = world.rotate(Algorithm::EdDsa).await;
    issue(&world.one, 600).await.unwrap();
    let mut redis = world.redis.client().shared();
    let copy: Vec<u8> = redis::cmd("DUMP").arg("sekisho:signing_keys").query_async(&mut redis).await.unwrap();
    app.start_jobs(&settings, &mut jobs);
    let retired = world.other.signing_keys.retire(leaked.clone(), When::Now, me(), UnixSeconds::now()).await.unwrap();
    while app.services.mirror.stamp().is_none_or(|stamp| stamp.version < retired.acknowledgement.version) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let restore = redis::cmd("RESTORE").arg("sekisho:signing_keys").arg(0).arg(copy).arg("REPLACE").to_owned();
    restore.exec_async(&mut redis).await.unwrap();
    assert!(world.store().ring().await.unwrap().find(&leaked).is_some());
    let ring = app.services.signing_keys.tend(UnixSeconds::now()).await.unwrap();
    assert_eq!(ring.keys().iter().map(|key| &key.kid).collect::<Vec<_>>(), [&new]);
    assert_eq!(world.published().await.0, [new.to_string()]);
    closing.cancel();
    while jobs.join_next().await.is_some() {}
}

#[tokio::test]
async fn p2_tokens_of_keys_that_redis_lost_go_on_except_those_of_retired_ones() {
    let world = World::start().await;
    let settings = world.redis.settings(&[("SEKISHO_ACK_TIMEOUT_MS", "50"), ("REDIS_ENCRYPTION_KEY", ENCRYPTION_KEY)]);
    let (closing, mut jobs) = (CancellationToken::new(), tokio::task::JoinSet::new());
    let app = App::new(&settings, closing.clone()).unwrap();
    let (stolen, kept) = (world.rotate(Algorithm::EdDsa).await, world.rotate(Algorithm::Es256).await);
    issue(&world.one, 600).await.unwrap();
    app.start_jobs(&settings, &mut jobs);
    let retired = world.one.signing_keys.retire(stolen, When::Now, me(), UnixSeconds::now()).await.unwrap();
    while app.services.mirror.stamp().is_none_or(|stamp| stamp.version < retired.acknowledgement.version) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    app.services.keysets.tend(&SourceName::own()).await.unwrap();
    let (_, revision) = world.published().await;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut world.redis.client().shared()).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while world.states().await != [(kept.to_string(), "verifying")] {
        assert!(tokio::time::Instant::now() < deadline, "the key is not taken up again: {:?}", world.states().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let key = world.store().ring().await.unwrap().keys()[0].clone();
    assert!(key.tokens_end.unwrap() > UnixSeconds::now().plus(7_776_000 - 60), "nobody knows when its last token ends");
    let (published, again) = world.published().await;
    assert_eq!((published, again >= revision), (vec![kept.to_string()], true));
    assert_eq!(kid_of(&issue(&world.other, 60).await.unwrap()), None, "JWT_SECRET signs");
    closing.cancel();
    while jobs.join_next().await.is_some() {}
}

#[tokio::test]
async fn without_the_encryption_key_nothing_new_is_signed_and_everything_old_goes_on() {
    let world = World::start().await;
    let without = sidecar(&world.redis, &[("REDIS_ENCRYPTION_KEY", "")]);
    let other_key = ENCRYPTION_KEY.chars().rev().collect::<String>();
    let other = sidecar(&world.redis, &[("REDIS_ENCRYPTION_KEY", &other_key)]);
    assert_eq!(kid_of(&issue(&without, 60).await.unwrap()), None, "nobody needs it before there is a key");
    let refused = without.signing_keys.add(Algorithm::EdDsa, me(), UnixSeconds::now()).await;
    assert_eq!(refused, Err(Failure::NoEncryptionKey));
    assert!(refused.unwrap_err().to_string().contains("openssl rand -hex 32"));

    let kid = world.rotate(Algorithm::EdDsa).await;
    for (sidecar, why) in [(&without, "is not set"), (&other, "another encryption key")] {
        let Err(Failure::KeyClosed { cause }) = issue(sidecar, 60).await else { panic!("a token was signed") };
        assert!(cause.contains(kid.as_str()) && cause.contains(why), "{cause}");
        let ring = sidecar.signing_keys.ring().await.unwrap();
        let closed = sidecar.signing_keys.closed(&ring);
        assert_eq!(closed.iter().map(|closed| &closed.kid).collect::<Vec<_>>(), [&kid]);
        assert_eq!(sidecar.jwks.document().await.unwrap().etag, world.one.jwks.document().await.unwrap().etag);
    }
    // The encryption key was lost: the next key is sealed under the new one.
    let rotated = rotate(&other, Successor::Next).await.unwrap();
    assert!(rotated.signs && issue(&other, 60).await.is_ok());
    assert_eq!(world.published().await.0.len(), 2);
}

#[tokio::test]
async fn a_key_that_could_not_sign_here_is_never_rotated_to() {
    let world = World::start().await;
    world.one.signing_keys.add(Algorithm::EdDsa, me(), UnixSeconds::now()).await.unwrap();
    let without = sidecar(&world.redis, &[("REDIS_ENCRYPTION_KEY", "")]);
    assert!(matches!(rotate(&without, Successor::Next).await, Err(Failure::KeyClosed { .. })));
    assert_eq!(world.states().await[0].1, "next");
}

#[tokio::test]
async fn a_swapped_private_part_signs_nothing() {
    let world = World::start().await;
    let kid = world.rotate(Algorithm::EdDsa).await;
    let other = world.one.signing_keys.add(Algorithm::EdDsa, me(), UnixSeconds::now()).await.unwrap().key;
    let store = world.store();
    let ring = store.ring().await.unwrap();
    let signing = ring.find(&kid).unwrap();
    let sealed = other.state.sealed().unwrap().clone();
    let forged = SigningKey { state: State::Signing { sealed, since: signing.created_at }, ..signing.clone() };
    let update = ring.add(forged).unwrap();
    assert_eq!(store.step(&update).await.unwrap(), Stepped::Done);
    assert!(matches!(issue(&world.one, 60).await, Err(Failure::KeyClosed { .. })));
}
