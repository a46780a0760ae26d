//! Calls of the API through the gateway, for the command line.

use std::fmt;

use async_trait::async_trait;

/// A call.
#[derive(Clone)]
pub struct Outgoing {
    /// In capitals.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Names and values; a credential may be among them.
    pub headers: Vec<(&'static str, String)>,
    /// As JSON.
    pub body: Option<String>,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("method", &self.method).field("url", &self.url).finish_non_exhaustive()
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The status.
    pub status: u16,
    /// What `Retry-After` says, in seconds.
    pub retry_after_s: Option<u64>,
    /// The body.
    pub body: String,
}

/// Carries calls.
#[async_trait]
pub trait Gateway: Send + Sync {
    /// The answer to a call, whatever its status.
    ///
    /// # Errors
    /// None came; says why.
    async fn send(&self, call: &Outgoing) -> Result<Incoming, String>;

    /// The same; but the body of a good answer (2xx) goes to `into`, piece by piece, and is left empty.
    ///
    /// # Errors
    /// None came, or not the whole of it; says why.
    async fn stream(
        &self,
        call: &Outgoing,
        into: &mut (dyn for<'p> FnMut(&'p [u8]) + Send),
    ) -> Result<Incoming, String>;
}
