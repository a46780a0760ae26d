//! What Redis says of itself.

use super::*;
use crate::service::change::Durability;
use crate::service::readiness::VitalsProbe;
use crate::store::redis::vitals::RedisVitals;

#[tokio::test]
async fn durability_is_what_redis_is_set_to() {
    for (settings, expected) in [
        (&["--save", "", "--appendonly", "no"][..], Durability::Memory),
        (&["--save", "3600 1", "--appendonly", "no"], Durability::Snapshots),
        (&["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"], Durability::EverySecond),
        (&["--save", "", "--appendonly", "yes", "--appendfsync", "always"], Durability::Always),
        (&["--save", "", "--appendonly", "yes", "--appendfsync", "no"], Durability::AppendOnly),
    ] {
        let server = RedisServer::start_with(settings).await;
        let vitals = RedisVitals::new(server.client()).vitals().await.unwrap();
        assert_eq!(vitals.durability, expected, "{settings:?}");
    }
}

#[tokio::test]
async fn a_redis_that_evicts_says_so() {
    let server = RedisServer::start_with(&["--save", "", "--maxmemory-policy", "allkeys-lru"]).await;
    let probe = RedisVitals::new(server.client());
    assert!(probe.vitals().await.unwrap().evicts());
    let _: String = raw(&server, &["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    let vitals = probe.vitals().await.unwrap();
    assert!(!vitals.evicts());
    assert!(vitals.clock_ms / 1_000 >= UnixSeconds::now().get() - 2);
}
