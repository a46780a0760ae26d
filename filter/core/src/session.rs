//! What a browser's cookie stands for, as far as a worker knows. Only sidecars know sessions: what they say is kept for
//! a while, and is worth no more than the denylist lets it be.

use std::rc::Rc;

use sekisho_protocol::digest::DigestKey;
use sekisho_protocol::feed::Kind;
use sekisho_protocol::session::cookie::CookieKey;
use sekisho_protocol::session::{CACHE_MAX_S, LiveSession, SessionStanding};
use sekisho_protocol::{Digest, Email, Subject};

use crate::config::Policy;
use crate::credential::{self, NoCredential};
use crate::flow::Cache;
use crate::head::Head;
use crate::identity::{Identity, Verified};
use crate::route::Protected;
use crate::shared::Shared;
use crate::time::Now;
use crate::verify::cache::KeySet;
use crate::verify::key::VerifyingKey;

/// The provider of every session, for headers, metrics and requirements.
pub const PROVIDER: &str = "session";
/// Most bytes of what is known of a session's owner.
pub const CLAIMS_MAX_BYTES: usize = 8 * 1024;

/// How sessions are shown.
#[derive(Debug)]
pub struct Sessions {
    /// The cookie's name.
    pub cookie: String,
    /// What made its value.
    pub key: CookieKey,
}

/// A session whose cookie a request shows.
#[derive(Debug)]
pub struct Session {
    /// Under which it is kept: host and cookie, the latter last, since that is what the cache hashes.
    key: Box<[u8]>,
    /// What it is worth.
    pub standing: Standing,
    /// Whether that was known.
    pub cache: Cache,
}

/// What a session is worth.
#[derive(Debug, Clone)]
pub enum Standing {
    /// Sidecars must be asked.
    Open {
        /// The host that it was shown to.
        host: String,
        /// Its id.
        id: String,
    },
    /// It holds.
    Live(Rc<Verified>),
    /// Nobody knows it.
    Unknown,
    /// It was ended.
    Ended,
    /// Its owner is banned.
    Banned {
        /// Unix seconds.
        until: u64,
        /// The owner's address.
        email: Option<Email>,
    },
}

impl Session {
    /// The session that a request shows to a rule that accepts sessions. A cookie that nobody of this mesh made for
    /// this host is none, and nobody is asked about it.
    ///
    /// # Errors
    /// The request shows two.
    pub fn of(
        policy: &Policy,
        protected: &Protected,
        head: &Head<'_>,
        host: &str,
        shared: &mut Shared,
        now: Now,
    ) -> Result<Option<Self>, NoCredential> {
        let Some(sessions) = policy.sessions.as_ref().filter(|_| protected.accepts_sessions) else { return Ok(None) };
        let Some(cookie) = credential::session(&sessions.cookie, head)? else { return Ok(None) };
        let key = [host.as_bytes(), &[0], &cookie].concat().into_boxed_slice();
        let announced = shared.replica.keysets();
        if let Some(known) = shared.tokens.get(&key, KeySet::OF_SESSIONS, announced, now.unix_s) {
            return Ok(Some(Self { key, standing: Standing::Live(known), cache: Cache::Hit }));
        }
        let id = sessions.key.read(host, &cookie);
        let open = |id| Self { key, standing: Standing::Open { host: host.to_owned(), id }, cache: Cache::Miss };
        Ok(id.map(open))
    }

    /// A sidecar said what it is worth; `keeps` if that is as new as what this worker knows itself.
    pub fn resolve(&mut self, standing: Standing, keeps: bool, shared: &mut Shared, now: Now) {
        if let (Standing::Live(verified), true) = (&standing, keeps) {
            shared.tokens.insert(&self.key, verified, KeySet::OF_SESSIONS, now.unix_s);
        }
        self.standing = standing;
    }
}

impl Standing {
    /// What a sidecar says of the session `id` that it was asked about at `asked_at_s`; none if that cannot be read.
    #[must_use]
    pub fn of(said: SessionStanding, id: &str, digest_key: &DigestKey, asked_at_s: u64, now: Now) -> Option<Self> {
        Some(match said {
            SessionStanding::Live(live) if live.ends_at <= now.unix_s => Self::Unknown,
            SessionStanding::Live(live) => Self::Live(verified(*live, id, digest_key, asked_at_s)?),
            SessionStanding::Unknown => Self::Unknown,
            SessionStanding::Ended => Self::Ended,
            SessionStanding::Banned { until, email } => Self::Banned { until, email },
        })
    }
}

/// The session's id takes the place of a token's, and when it began that of when a token was issued: a logout
/// everywhere bars both.
fn verified(live: LiveSession, id: &str, digest_key: &DigestKey, asked_at_s: u64) -> Option<Rc<Verified>> {
    // They may become a header.
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if live.claims.len() > CLAIMS_MAX_BYTES || !live.claims.bytes().all(plain) {
        return None;
    }
    let digest = |kind, name: &str| Digest::of(digest_key, kind, name);
    let subject: &Subject = &live.subject;
    let identity = Identity {
        subject_digest: digest(Kind::Ban, subject.as_str()),
        not_before_digest: digest(Kind::NotBefore, subject.as_str()),
        token_digest: Some(digest(Kind::Session, id)),
        subject: live.subject,
        email: live.email,
        method: live.method,
        token_id: Some(id.to_owned()),
        token_name: None,
        scopes: Vec::new(),
        provider: PROVIDER.into(),
        issued_at: Some(live.signed_in_at),
        signed_in_at: Some(live.signed_in_at),
        // Counted from the question: nobody knows how long the answer was under way.
        expires_at: asked_at_s.saturating_add(live.cache_s.min(CACHE_MAX_S)).min(live.ends_at),
        refused_from: live.ends_at,
    };
    let claims = format!(".{}", live.claims).into_boxed_str();
    Some(Verified::with_claims(identity, Rc::new(VerifyingKey::word()), Some(claims)))
}
