//! What a browser's cookie stands for, as far as a worker knows. Only sidecars know sessions: what they say is kept for
//! a while, and is worth no more than the denylist lets it be.

use std::rc::Rc;

use sekisho_protocol::digest::DigestKey;
use sekisho_protocol::feed::Kind;
use sekisho_protocol::session::cookie::CookieKey;
use sekisho_protocol::session::{CACHE_MAX_S, ID_MAX_BYTES, LiveSession, SessionStanding, Ticket};
use sekisho_protocol::{Digest, Email, Subject};

use crate::credential::oauth2_proxy::{CookieRule, Signed};
use crate::credential::{self, NoCredential};
use crate::flow::Cache;
use crate::head::Head;
use crate::identity::{Identity, Verified};
use crate::route::RouteId;
use crate::shared::Shared;
use crate::time::Now;
use crate::verify::cache::KeySet;
use crate::verify::key::VerifyingKey;

pub mod refused;
mod shown;

pub use shown::{Shown, Worth};

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
    /// How oauth2-proxy makes its cookies, if its sessions count, too.
    pub oauth2_proxy: Option<CookieRule>,
    /// The positions of the rules behind which oauth2-proxy is itself, which gets its own cookie.
    pub forwarding: Vec<usize>,
}

impl Sessions {
    /// Whether oauth2-proxy is itself behind a rule.
    #[must_use]
    pub fn leads_to_oauth2_proxy(&self, route: RouteId) -> bool {
        self.forwarding.iter().any(|position| route.is_at(*position))
    }
}

/// A session whose cookie a request shows.
#[derive(Debug)]
pub struct Session {
    /// Under which it is kept: host and cookie, the latter last, since that is what the cache hashes. Of oauth2-proxy's
    /// cookie the signature only: the rest would open the session.
    key: Box<[u8]>,
    /// Whose it is to end.
    kind: KeySet,
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
        /// Its id, or what tells it from others.
        id: String,
        /// What opens it, if oauth2-proxy sealed it.
        ticket: Option<Ticket>,
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
    /// The session of our own that a request shows. A cookie that nobody of this mesh made for this host is none, and
    /// nobody is asked about it.
    fn own(
        sessions: &Sessions,
        head: &Head<'_>,
        host: &str,
        shared: &mut Shared,
        now: Now,
    ) -> Result<Option<Self>, NoCredential> {
        let Some(cookie) = credential::session(&sessions.cookie, head)? else { return Ok(None) };
        let kind = KeySet::OF_SESSIONS;
        let key = [host.as_bytes(), &[0], &cookie].concat().into_boxed_slice();
        if let Some(known) = shared.tokens.get(&key, kind, shared.replica.keysets(), now.unix_s) {
            return Ok(Some(Self { key, kind, standing: Standing::Live(known), cache: Cache::Hit }));
        }
        let Some(id) = sessions.key.read(host, &cookie) else { return Ok(None) };
        let open = || Standing::Open { host: host.to_owned(), id, ticket: None };
        let standing = shared.refused.get(&key, now.unix_s).unwrap_or_else(open);
        Ok(Some(Self { key, kind, standing, cache: Cache::Miss }))
    }

    /// The session of oauth2-proxy that a request shows. A cookie that it did not sign, or too long ago, is none.
    fn of_oauth2_proxy(
        rule: &CookieRule,
        head: &Head<'_>,
        host: &str,
        shared: &mut Shared,
        now: Now,
    ) -> Result<Option<Self>, NoCredential> {
        let Some(cookie) = credential::session(rule.name(), head)? else { return Ok(None) };
        // Each time: a cookie ends by itself, whatever is known of its session.
        let Some(Signed { ticket, signature }) = rule.read(&cookie, now.unix_s) else { return Ok(None) };
        let kind = KeySet::OF_OAUTH2_PROXY;
        let key = [host.as_bytes(), &[0], &signature].concat().into_boxed_slice();
        if let Some(known) = shared.tokens.get(&key, kind, shared.replica.keysets(), now.unix_s) {
            return Ok(Some(Self { key, kind, standing: Standing::Live(known), cache: Cache::Hit }));
        }
        let standing = shared.refused.get(&key, now.unix_s).unwrap_or_else(|| Standing::Open {
            host: host.to_owned(),
            id: ticket.digest(),
            ticket: Some(ticket),
        });
        Ok(Some(Self { key, kind, standing, cache: Cache::Miss }))
    }

    /// Whom it lets in, if it holds, and whether that was known.
    fn live(&self) -> Option<(&Rc<Verified>, Cache)> {
        match &self.standing {
            Standing::Live(verified) => Some((verified, self.cache)),
            _ => None,
        }
    }

    /// A sidecar said what it is worth; `keeps` if that is as new as what this worker knows itself.
    fn resolve(&mut self, standing: Standing, keeps: bool, shared: &mut Shared, now: Now) {
        if keeps {
            if let Standing::Live(verified) = &standing {
                shared.tokens.insert(&self.key, verified, self.kind, now.unix_s);
            }
            shared.refused.insert(&self.key, &standing, now.unix_s);
        }
        self.standing = standing;
    }
}

impl Standing {
    /// What a sidecar says of the session `id` that it was asked about at `asked_at_s`; none if that cannot be read. The
    /// sidecar may say that it is called otherwise.
    #[must_use]
    pub fn of(said: SessionStanding, id: &str, digest_key: &DigestKey, asked_at_s: u64, now: Now) -> Option<Self> {
        Some(match said {
            SessionStanding::Live(live) if live.ends_at <= now.unix_s => Self::Unknown,
            SessionStanding::Live(mut live) => {
                let called = live.id.take();
                Self::Live(verified(*live, called.as_deref().unwrap_or(id), digest_key, asked_at_s)?)
            }
            SessionStanding::Unknown => Self::Unknown,
            SessionStanding::Ended => Self::Ended,
            SessionStanding::Banned { until, email } => Self::Banned { until, email },
        })
    }
}

/// The session's id takes the place of a token's, and when it began that of when a token was issued: a logout
/// everywhere bars both.
fn verified(live: LiveSession, id: &str, digest_key: &DigestKey, asked_at_s: u64) -> Option<Rc<Verified>> {
    // Both may become a header.
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if live.claims.len() > CLAIMS_MAX_BYTES || !live.claims.bytes().all(plain) {
        return None;
    }
    if id.is_empty() || id.len() > ID_MAX_BYTES || !id.bytes().all(|b| plain(b) || b == b'.') {
        return None;
    }
    let digest = |kind, name: &str| Digest::of(digest_key, kind, name);
    let subject: &Subject = &live.subject;
    let identity = Identity {
        subject_digest: digest(Kind::Ban, subject.as_str()),
        not_before_digest: digest(Kind::NotBefore, subject.as_str()),
        token_digest: Some(digest(Kind::Session, id)),
        sign_in_digest: None,
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
