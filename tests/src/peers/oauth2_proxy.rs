//! Sessions and cookies as oauth2-proxy makes them, made by `tests/peers/oauth2_proxy.py`.

use anyhow::{Context, Result};
use redis::cmd;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Maker;
use crate::redis_server::RedisServer;
use crate::token::now;

/// The name of its cookie unless somebody gives it another one.
pub const COOKIE: &str = "_oauth2_proxy";
/// How long it keeps a session in Redis unless somebody says otherwise.
const WEEK_S: u64 = 604_800;

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
    /// The name of its cookie, with which its key begins and which is in the cookie's signature.
    pub cookie_name: &'static str,
    /// Whether its ticket is written as oauth2-proxy wrote them before.
    pub older: bool,
    /// Whether its cookie holds another secret than what it is sealed with.
    pub wrong_secret: bool,
}

impl Order {
    /// A session of this address that began just now, for an hour.
    #[must_use]
    pub fn of(email: &str) -> Self {
        let fields = json!({"ca": now(), "eo": now() + 3_600, "e": email, "u": "0001", "g": ["staff"], "at": "a token", "n": email});
        Self { fields, signed_at: now(), ticket_of: None, cookie_name: COOKIE, older: false, wrong_secret: false }
    }

    /// The same with another value of a field.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields[name] = value.into();
        self
    }
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

/// Makes these sessions, and puts them into `redis` as oauth2-proxy keeps them.
///
/// # Errors
/// Python or its packages are not installed, or Redis is away.
pub async fn keep(redis: &RedisServer, secret: &str, orders: Vec<Order>) -> Result<Vec<Kept>> {
    let secret = secret.to_owned();
    let kept = tokio::task::spawn_blocking(move || make(&secret, &orders)).await??;
    for session in &kept {
        let mut set = cmd("SET");
        set.arg(&session.key).arg(session.bytes()?).arg("EX").arg(WEEK_S);
        redis.command::<()>(&set).await?;
    }
    Ok(kept)
}
