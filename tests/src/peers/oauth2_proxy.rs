//! Sessions and cookies as oauth2-proxy makes them, made by `tests/peers/oauth2_proxy.py`.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Maker;

/// Somebody's session.
#[derive(Debug, Clone, Serialize)]
pub struct Order {
    /// What is in it, by oauth2-proxy's short names (`e`, `ca`, `eo`, `g`, …).
    pub fields: Value,
    /// The moment in its cookie, Unix seconds.
    pub signed_at: u64,
    /// Of an earlier session whose ticket is used again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket_of: Option<String>,
    /// The name in its cookie's signature.
    pub cookie_name: &'static str,
    /// Whether its cookie holds another secret than what it is sealed with.
    pub wrong_secret: bool,
}

/// What comes of it.
#[derive(Debug, Clone, Deserialize)]
pub struct Kept {
    /// Its key in Redis.
    pub key: String,
    /// What is under that key, in hexadecimal.
    pub value: String,
    /// The value of the cookie.
    pub cookie: String,
    /// The ticket.
    pub ticket: String,
}

impl Kept {
    /// What is under its key.
    ///
    /// # Errors
    /// It is not hexadecimal.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let digits = self.value.as_bytes().chunks(2).map(std::str::from_utf8);
        digits.map(|pair| u8::from_str_radix(pair?, 16).context("not hexadecimal")).collect()
    }
}

/// Makes these sessions, with cookies under `secret`, in this thread.
///
/// # Errors
/// Python or its packages are not installed.
pub fn make(secret: &str, orders: &[Order]) -> Result<Vec<Kept>> {
    let order = serde_json::json!({"secret": secret, "sessions": orders});
    let answer = Maker::PyJwt.run("oauth2_proxy", &serde_json::to_vec(&order)?)?;
    serde_json::from_slice(&answer).context("oauth2_proxy.py gave no answer")
}
