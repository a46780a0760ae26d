//! Connections to Redis. Commands fail fast while it is away: a filter waits for the answer.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection, PubSub};
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, ErrorKind, IntoConnectionInfo, RedisError};

use crate::service::error::StoreError;

/// No command on the shared connection may take longer.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(1_000);
/// No connection may take longer to be made.
const CONNECTION_TIMEOUT: Duration = Duration::from_millis(500);

/// A peer that acknowledges nothing for so long is gone.
#[cfg(target_os = "linux")]
const SILENT_PEER_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes connections.
#[derive(Clone)]
pub struct RedisClient {
    client: redis::Client,
    shared: ConnectionManager,
}

impl RedisClient {
    /// A client of the Redis at `url`, which may be away: connections are made when they are needed.
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// The URL is none. The error never holds the URL, which may hold a password.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let wrong = |_| StoreError::unavailable("REDIS_URL is not a Redis URL such as redis://127.0.0.1:6379");
        let address = url.into_connection_info().map_err(wrong)?.set_tcp_settings(tcp());
        let client = redis::Client::open(address).map_err(wrong)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECTION_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            // Each command tries to connect once by itself: better a quick 503 than a queue.
            .set_number_of_retries(0);
        let shared = ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(wrong)?;
        Ok(Self { client, shared })
    }

    /// The connection for short commands, shared by everybody.
    #[must_use]
    pub fn shared(&self) -> ConnectionManager {
        self.shared.clone()
    }

    /// A connection of one's own, for commands that block. It doesn't reconnect.
    ///
    /// # Errors
    /// Redis can't be reached.
    pub async fn dedicated(&self) -> Result<MultiplexedConnection, StoreError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTION_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        Ok(self.client.get_multiplexed_async_connection_with_config(&config).await?)
    }

    /// A connection that listens.
    ///
    /// # Errors
    /// Redis can't be reached.
    pub async fn subscriber(&self) -> Result<PubSub, StoreError> {
        let connected = tokio::time::timeout(CONNECTION_TIMEOUT, self.client.get_async_pubsub()).await;
        connected.map_err(StoreError::unavailable)?.map_err(StoreError::from)
    }
}

/// Commands leave at once; and a connection whose peer went without a word (a network that broke, a
/// machine that stopped) is given up in seconds, not in the quarter of an hour that TCP takes.
fn tcp() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(SILENT_PEER_TIMEOUT);
    settings
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedReturnType | ErrorKind::Parse => Self::corrupt("(answer)", error),
            // Whoever reads this must learn which part is away.
            _ => Self::unavailable(format_args!("Redis does not serve: {error}")),
        }
    }
}
