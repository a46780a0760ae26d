//! Redis's notices of what is done to the records (rule P9). They say that something happened, never
//! what is true: whoever gets one reads the record.

use async_trait::async_trait;
use futures_util::StreamExt;
use redis::aio::PubSubStream;
use sekisho_protocol::feed::Kind;

use super::RedisClient;
use super::keys::record_prefix;
use super::vitals::{is_refusal, setting};
use crate::service::error::StoreError;
use crate::service::feed::source::{Deed, Notice, Notices};

const SETTING: &str = "notify-keyspace-events";
/// Keyspace channels; generic commands, strings, expired and evicted keys.
const NEEDED: [char; 5] = ['K', 'g', '$', 'x', 'e'];

/// Listens to Redis.
pub struct RedisNotices {
    redis: RedisClient,
    stream: Option<PubSubStream>,
}

impl RedisNotices {
    /// Listens to this Redis.
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        Self { redis, stream: None }
    }
}

#[async_trait]
impl Notices for RedisNotices {
    async fn subscribe(&mut self) -> Result<bool, StoreError> {
        self.stream = None;
        let mut subscriber = self.redis.subscriber().await?;
        for kind in [Kind::Ban, Kind::Token] {
            if let Some(prefix) = record_prefix(kind) {
                subscriber.psubscribe(format!("__keyspace@*__:{prefix}*")).await?;
            }
        }
        // After subscribing: from here on nothing is missed, and a walk finds what came before.
        let enabled = enable(&self.redis).await?;
        self.stream = Some(subscriber.into_on_message());
        Ok(enabled)
    }

    async fn next(&mut self) -> Result<Notice, StoreError> {
        let stream = self.stream.as_mut().ok_or_else(|| StoreError::unavailable("not subscribed"))?;
        loop {
            let message = stream.next().await.ok_or_else(|| StoreError::unavailable("the subscription broke"))?;
            let deed = message.get_payload::<String>().unwrap_or_default();
            if let Some(notice) = notice(message.get_channel_name(), &deed) {
                return Ok(notice);
            }
        }
    }
}

/// Sees to it that Redis sends notices; whether it does.
pub(super) async fn enable(redis: &RedisClient) -> Result<bool, StoreError> {
    let mut redis = redis.shared();
    let Some(present) = setting(&mut redis, SETTING).await? else {
        return Ok(false);
    };
    let has = |flag: char| present.contains(flag) || (present.contains('A') && flag != 'K');
    if NEEDED.into_iter().all(has) {
        return Ok(true);
    }
    // What others need stays.
    let wanted: String = present.chars().chain(NEEDED.into_iter().filter(|flag| !has(*flag))).collect();
    let set: Result<String, _> =
        redis::cmd("CONFIG").arg("SET").arg(SETTING).arg(&wanted).query_async(&mut redis).await;
    match set {
        Ok(_) => Ok(true),
        Err(error) if is_refusal(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What a message on a keyspace channel (`__keyspace@0__:key`) says, if it concerns a record.
fn notice(channel: &str, deed: &str) -> Option<Notice> {
    let deed = match deed {
        "set" | "setrange" | "append" | "expire" | "persist" | "rename_to" | "restore" | "copy_to" | "incrby" => {
            Deed::Written
        }
        "del" | "rename_from" => Deed::Deleted,
        // `expired` says nothing: Redis tells of it late or never, and what we hold ends by itself.
        _ => return None,
    };
    let (_, key) = channel.split_once("__:")?;
    [Kind::Ban, Kind::Token].into_iter().find_map(|kind| {
        let name = key.strip_prefix(record_prefix(kind)?)?.to_owned();
        Some(Notice { kind, name, deed })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p9_only_deeds_are_noticed_and_never_an_expiry() {
        for (channel, deed, expected) in [
            ("__keyspace@0__:active_user_deleted:Ann@x", "set", Some((Kind::Ban, "Ann@x", Deed::Written))),
            ("__keyspace@0__:active_user_deleted:ann@x", "expire", Some((Kind::Ban, "ann@x", Deed::Written))),
            ("__keyspace@3__:revoked:token:a__:b", "del", Some((Kind::Token, "a__:b", Deed::Deleted))),
            ("__keyspace@0__:active_user_deleted:ann@x", "expired", None),
            ("__keyspace@0__:active_user_deleted:ann@x", "evicted", None),
            ("__keyspace@0__:active_user:ann@x", "del", None),
        ] {
            let expected = expected.map(|(kind, name, deed)| Notice { kind, name: name.to_owned(), deed });
            assert_eq!(notice(channel, deed), expected, "{channel} {deed}");
        }
    }
}
