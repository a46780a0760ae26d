//! Redis's notices of deleted sessions (rule P9).

use async_trait::async_trait;
use futures_util::StreamExt;
use redis::aio::PubSubStream;

use super::super::RedisClient;
use super::super::notices::enable;
use super::escaped;
use crate::service::error::StoreError;
use crate::service::oauth2_proxy::deleted::Deletions;

/// Listens to Redis.
pub struct RedisDeletions {
    redis: RedisClient,
    cookie: String,
    stream: Option<PubSubStream>,
}

impl RedisDeletions {
    /// Listens to this Redis for sessions of this cookie.
    #[must_use]
    pub fn new(redis: RedisClient, cookie: String) -> Self {
        Self { redis, cookie, stream: None }
    }
}

#[async_trait]
impl Deletions for RedisDeletions {
    async fn subscribe(&mut self) -> Result<bool, StoreError> {
        self.stream = None;
        let mut subscriber = self.redis.subscriber().await?;
        subscriber.psubscribe(format!("__keyspace@*__:{}-*", escaped(&self.cookie))).await?;
        // After subscribing: from here on nothing is missed, and a walk finds what came before.
        let enabled = enable(&self.redis).await?;
        self.stream = Some(subscriber.into_on_message());
        Ok(enabled)
    }

    async fn next(&mut self) -> Result<String, StoreError> {
        let stream = self.stream.as_mut().ok_or_else(|| StoreError::unavailable("not subscribed"))?;
        loop {
            let message = stream.next().await.ok_or_else(|| StoreError::unavailable("the subscription broke"))?;
            let deed = message.get_payload::<String>().unwrap_or_default();
            if let Some(key) = deleted(message.get_channel_name(), &deed) {
                return Ok(key.to_owned());
            }
        }
    }
}

/// The key that was deleted, if that is what a message on a keyspace channel says. A lock is deleted after each refresh.
fn deleted<'a>(channel: &'a str, deed: &str) -> Option<&'a str> {
    let (_, key) = channel.split_once("__:")?;
    // What expires is over for us by itself; what is evicted was still to live.
    let is_deletion = matches!(deed, "del" | "rename_from" | "evicted");
    (is_deletion && !key.ends_with(".lock")).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p9_only_deletions_of_sessions_are_noticed() {
        for (channel, deed, expected) in [
            ("__keyspace@0__:sso-1", "del", Some("sso-1")),
            ("__keyspace@15__:sso__:-1", "rename_from", Some("sso__:-1")),
            ("__keyspace@0__:sso-1", "evicted", Some("sso-1")),
            ("__keyspace@0__:sso-1", "expired", None),
            ("__keyspace@0__:sso-1", "set", None),
            ("__keyspace@0__:sso-1.lock", "del", None),
            ("sso-1", "del", None),
        ] {
            assert_eq!(deleted(channel, deed), expected, "{channel} {deed}");
        }
    }
}
