//! Cookies of oauth2-proxy (v7): `value|timestamp|signature`. What bears no valid signature is nobody's, and no sidecar is asked
//! about it; what does holds a ticket, which only sidecars can redeem.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sekisho_protocol::session::Ticket;
use sha2::Sha256;

use crate::secret::Secret;

/// Most bytes of a cookie: a browser keeps no longer one.
const COOKIE_MAX_BYTES: usize = 4_096;
/// By so much the clock of whoever signed may be ahead, in seconds.
const AHEAD_S: u64 = 300;

/// How an oauth2-proxy makes its cookies.
#[derive(Clone)]
pub struct CookieRule {
    name: String,
    expire_s: u64,
    signature: Hmac<Sha256>,
}

impl CookieRule {
    /// By its settings `cookie_name`, `cookie_secret` (its bytes as they are written there, not decoded) and `cookie_expire`, in
    /// seconds. None if the secret cannot be a key.
    #[must_use]
    pub fn new(name: String, secret: &Secret, expire_s: u64) -> Option<Self> {
        let signature = Hmac::new_from_slice(secret.expose()).ok()?;
        Some(Self { name, expire_s, signature })
    }

    /// The cookie's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is in a cookie that was signed and is not too old; nothing in any other.
    #[must_use]
    pub fn read(&self, cookie: &[u8], now_s: u64) -> Option<Signed> {
        let cookie = std::str::from_utf8(cookie).ok().filter(|cookie| cookie.len() <= COOKIE_MAX_BYTES)?;
        let (rest, signature) = cookie.rsplit_once('|')?;
        let (value, moment) = rest.split_once('|')?;
        let mut expected = self.signature.clone();
        for part in [&self.name, value, moment] {
            expected.update(part.as_bytes());
        }
        let signature = URL_SAFE.decode(signature).ok()?;
        expected.verify_slice(&signature).ok()?;
        let signed_at: u64 = moment.parse().ok()?;
        let is_young = now_s.saturating_sub(self.expire_s) < signed_at && signed_at < now_s.saturating_add(AHEAD_S);
        if !is_young {
            return None;
        }
        let ticket = String::from_utf8(URL_SAFE.decode(value).ok()?).ok()?;
        Some(Signed { ticket: Ticket::new(ticket), signature })
    }
}

/// What a cookie holds that oauth2-proxy signed.
#[derive(Debug)]
pub struct Signed {
    /// The ticket.
    pub ticket: Ticket,
    /// Of name, ticket and moment: it tells the cookie from every other one, and gives nothing of the ticket away.
    pub signature: Vec<u8>,
}

impl fmt::Debug for CookieRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieRule").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Made by `tests/peers/oauth2_proxy.py`, with other people's cryptography.
    const VECTORS: &str = include_str!("../../../../tests/peers/vectors/oauth2_proxy_cookies.json");

    #[derive(Deserialize)]
    struct Vectors {
        secret: String,
        now: u64,
        expire_s: u64,
        cookies: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        cookie: String,
        ticket: Option<String>,
    }

    fn vectors() -> Vectors {
        serde_json::from_str(VECTORS).unwrap()
    }

    fn rule(vectors: &Vectors) -> CookieRule {
        let secret = Secret::new(vectors.secret.clone().into_bytes());
        CookieRule::new("_oauth2_proxy".to_owned(), &secret, vectors.expire_s).unwrap()
    }

    fn ticket_in(rule: &CookieRule, cookie: &[u8], now_s: u64) -> Option<String> {
        rule.read(cookie, now_s).map(|signed| signed.ticket.expose().to_owned())
    }

    #[test]
    fn a_ticket_is_taken_from_a_cookie_that_oauth2_proxy_signed_and_from_no_other() {
        let vectors = vectors();
        assert!(vectors.cookies.iter().filter(|vector| vector.ticket.is_some()).count() >= 6);
        assert!(vectors.cookies.iter().filter(|vector| vector.ticket.is_none()).count() >= 16);
        for Vector { name, cookie, ticket } in &vectors.cookies {
            assert_eq!(ticket_in(&rule(&vectors), cookie.as_bytes(), vectors.now), *ticket, "{name}");
        }
    }

    #[test]
    fn no_byte_of_a_cookie_can_be_changed() {
        let vectors = vectors();
        let cookie = vectors.cookies[0].cookie.as_bytes();
        for at in 0..cookie.len() {
            for by in [1, 32, 128] {
                let mut changed = cookie.to_vec();
                changed[at] ^= by;
                assert_eq!(ticket_in(&rule(&vectors), &changed, vectors.now), None, "byte {at}");
            }
            assert_eq!(ticket_in(&rule(&vectors), &cookie[..at], vectors.now), None, "{at} bytes");
        }
    }

    #[test]
    fn a_cookie_that_no_browser_would_keep_is_not_looked_at() {
        let vectors = vectors();
        let rule = rule(&vectors);
        let (value, moment) = (URL_SAFE.encode("t".repeat(3_100)), vectors.now.to_string());
        let mut signature = rule.signature.clone();
        [rule.name(), &value, &moment].iter().for_each(|part| signature.update(part.as_bytes()));
        let signature = URL_SAFE.encode(signature.finalize().into_bytes());
        assert_eq!(ticket_in(&rule, format!("{value}|{moment}|{signature}").as_bytes(), vectors.now), None);
    }
}
