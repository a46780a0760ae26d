//! How often somebody called: `sekisho:rate:{what}:{caller}`, one number by Redis's own clock.

use std::sync::LazyLock;

use async_trait::async_trait;
use redis::Script;

use crate::domain::rate::{Left, PerMinute};
use crate::service::error::StoreError;
use crate::service::throttle::RateStore;
use crate::store::redis::RedisClient;
use crate::store::redis::keys::RATE;

static COUNT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/count_call.lua")));

/// The counts, in Redis.
#[derive(Clone)]
pub struct RedisRates {
    client: RedisClient,
}

impl RedisRates {
    /// The counts in this Redis.
    #[must_use]
    pub fn new(client: RedisClient) -> Self {
        Self { client }
    }
}

#[async_trait]
impl RateStore for RedisRates {
    async fn count(&self, what: &str, caller: &str, limit: PerMinute) -> Result<Left, StoreError> {
        let mut call = COUNT.key(format!("{RATE}{what}:{caller}"));
        call.arg(limit.calls()).arg(limit.interval_us());
        let (calls, whole_in_us, refused_for_us): (u32, u64, i64) =
            call.invoke_async(&mut self.client.shared()).await?;
        Ok(Left { calls, whole_in_us, refused_for_us: u64::try_from(refused_for_us).ok() })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use redis::AsyncCommands;
    use tokio::task::JoinSet;

    use super::*;
    use crate::testing::RedisServer;

    fn limit(calls: u32) -> PerMinute {
        PerMinute(NonZeroU32::new(calls).unwrap())
    }

    #[tokio::test]
    async fn as_many_pass_at_once_as_the_limit_says_however_many_sidecars_count() {
        let server = RedisServer::start().await;
        let mut counting = JoinSet::new();
        for _ in 0..2 {
            let store = RedisRates::new(server.client());
            for _ in 0..20 {
                let store = store.clone();
                counting.spawn(async move { store.count("tokens", "ann", limit(10)).await.unwrap() });
            }
        }
        let passed: Vec<Left> = counting.join_all().await;
        let passed = passed.iter().filter(|left| left.refused_for_us.is_none()).count();
        assert_eq!(passed, 10);
        let store = RedisRates::new(server.client());
        assert_eq!(store.count("tokens", "eve", limit(10)).await.unwrap().calls, 9, "others have their own");
        assert_eq!(store.count("other", "ann", limit(10)).await.unwrap().calls, 9, "and so has what is something else");
        let left = store.count("tokens", "ann", limit(10)).await.unwrap();
        assert!((1..=6).contains(&left.retry_after_s().unwrap()), "{left:?}");
        assert!((54..=60).contains(&left.whole_in_s()), "{left:?}");
    }

    #[tokio::test]
    async fn time_brings_calls_back_and_nothing_is_left_behind() {
        let server = RedisServer::start().await;
        let (store, mut redis) = (RedisRates::new(server.client()), server.client().shared());
        // One more every 20 ms.
        let fast = limit(3_000);
        while store.count("tokens", "ann", fast).await.unwrap().refused_for_us.is_none() {}
        let refused = store.count("tokens", "ann", fast).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_micros(refused.refused_for_us.unwrap_or(20_000))).await;
        assert_eq!(store.count("tokens", "ann", fast).await.unwrap().refused_for_us, None);
        let ttl_ms: i64 = redis.pttl("sekisho:rate:tokens:ann").await.unwrap();
        assert!((1..=60_000).contains(&ttl_ms), "{ttl_ms}");
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_locks_nobody_out() {
        let server = RedisServer::start().await;
        let (store, mut redis) = (RedisRates::new(server.client()), server.client().shared());
        for value in ["99999999999999999", "nonsense", "-1"] {
            let _: () = redis.set("sekisho:rate:tokens:ann", value).await.unwrap();
            let left = store.count("tokens", "ann", limit(60)).await.unwrap();
            assert!(left.refused_for_us.is_none_or(|us| us <= 1_000_000), "{value}: {left:?}");
        }
    }
}
