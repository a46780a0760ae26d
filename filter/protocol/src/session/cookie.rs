//! The cookie of a session of our own: 32 random bytes, and a tag that binds them to one host.
//!
//! Whoever invents a cookie has no tag for it, and is refused without a question to anybody. A cookie that is carried to
//! another host has none there.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// Bytes of a secret.
pub const SECRET_BYTES: usize = 32;
/// Bytes of a tag. Nobody can try one out without a request.
const TAG_BYTES: usize = 16;
/// Characters of both in base64url, and the dot in between.
const COOKIE_BYTES: usize = 43 + 1 + 22;

/// The key of the tags ([`crate::keys::session_cookie_key`]).
#[derive(Clone)]
pub struct CookieKey(Hmac<Sha256>);

impl fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieKey(…)")
    }
}

impl CookieKey {
    /// A key of this mesh.
    #[must_use]
    pub fn of_mesh(secret: &[u8]) -> Self {
        // A shorter key is filled up with zeros (RFC 2104 §2).
        let mut block = [0; 64];
        for (byte, of_key) in block.iter_mut().zip(crate::keys::session_cookie_key(secret)) {
            *byte = of_key;
        }
        Self(Hmac::new(&block.into()))
    }

    /// The cookie's value for this secret on `host`, which is in lower case and without a port.
    #[must_use]
    pub fn cookie(&self, host: &str, secret: &[u8; SECRET_BYTES]) -> String {
        let tag = self.tag(host, secret).finalize().into_bytes();
        let tag = tag.get(..TAG_BYTES).unwrap_or_default();
        format!("{}.{}", URL_SAFE_NO_PAD.encode(secret), URL_SAFE_NO_PAD.encode(tag))
    }

    /// The id of the session whose cookie this is on `host`; none if it is none of ours.
    #[must_use]
    pub fn read(&self, host: &str, cookie: &[u8]) -> Option<String> {
        if cookie.len() != COOKIE_BYTES {
            return None;
        }
        let (secret, tag) = cookie.split_at_checked(43)?;
        let secret: [u8; SECRET_BYTES] = URL_SAFE_NO_PAD.decode(secret).ok()?.try_into().ok()?;
        let tag = URL_SAFE_NO_PAD.decode(tag.strip_prefix(b".")?).ok()?;
        // In a time that tells nothing.
        self.tag(host, &secret).verify_truncated_left(&tag).ok()?;
        Some(id(&secret))
    }

    fn tag(&self, host: &str, secret: &[u8; SECRET_BYTES]) -> Hmac<Sha256> {
        let mut tag = self.0.clone();
        tag.update(host.as_bytes());
        tag.update(&[0]);
        tag.update(secret);
        tag
    }
}

/// The id under which the session of this secret is known: nobody gets a cookie out of what is stored.
#[must_use]
pub fn id(secret: &[u8; SECRET_BYTES]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn key() -> CookieKey {
        CookieKey::of_mesh(b"a mesh secret of at least thirty-two bytes")
    }

    #[test]
    fn a_cookie_names_its_session_on_its_own_host_alone() {
        let cookie = key().cookie("app.example.com", &SECRET);
        assert_eq!(key().read("app.example.com", cookie.as_bytes()), Some(id(&SECRET)));
        assert_eq!(key().read("other.example.com", cookie.as_bytes()), None);
        assert!(!cookie.contains(&id(&SECRET)));
        let other = CookieKey::of_mesh(b"another mesh secret of thirty-two bytes!");
        assert_eq!(other.read("app.example.com", cookie.as_bytes()), None);
    }

    #[test]
    fn what_was_changed_anywhere_is_no_cookie() {
        let cookie = key().cookie("h", &SECRET).into_bytes();
        for at in 0..cookie.len() {
            let mut changed = cookie.clone();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(key().read("h", &changed), None, "byte {at}");
        }
        for bad in [&cookie[..cookie.len() - 1], &[&cookie[..], b"A"].concat(), b"", b".", &[0xff; COOKIE_BYTES]] {
            assert_eq!(key().read("h", bad), None, "{bad:?}");
        }
    }
}
