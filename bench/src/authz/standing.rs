//! Whether somebody may pass, by what Redis says now.

use anyhow::Result;
use redis::Client;
use redis::aio::MultiplexedConnection;

/// The records in Redis.
#[derive(Clone)]
pub(crate) struct Standings(MultiplexedConnection);

impl Standings {
    /// Connects.
    ///
    /// # Errors
    /// Redis is away.
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        Ok(Self(Client::open(url)?.get_multiplexed_async_connection().await?))
    }

    /// Whether neither the person is banned nor the token revoked: two look-ups in one round trip.
    ///
    /// # Errors
    /// Redis is away.
    pub(crate) async fn is_good(&self, user: &str, token_id: &str) -> Result<bool> {
        let mut pipe = redis::pipe();
        pipe.exists(format!("active_user_deleted:{user}")).exists(format!("revoked:token:{token_id}"));
        let (banned, revoked): (bool, bool) = pipe.query_async(&mut self.0.clone()).await?;
        Ok(!user.is_empty() && !banned && !revoked)
    }
}
