//! What this installation makes of oauth2-proxy's sessions: whose they are, when they end, what they are called, and which
//! keys are theirs.
//!
//! oauth2-proxy uses a ticket again when somebody signs in whose browser still shows an old cookie. A ticket is thus no
//! name for a session: whoever's session was ended would stay locked out after signing in again. What is new with
//! each sign-in, and stays when tokens are refreshed, is the nonce; so a session is called by its key and the nonce's digest.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sekisho_core::session::CLAIMS_MAX_BYTES;
use sekisho_protocol::Email;
use sekisho_protocol::activity::Method;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Held, is_key, is_key_of};
use crate::domain::session::{Session, SessionId};
use crate::domain::time::UnixSeconds;

/// By so much the clock of whoever signed somebody in may be ahead, in seconds: as much as in a cookie.
const AHEAD_S: u64 = 300;
/// Bytes of a digest that tell sign-ins of one ticket apart.
const DIGEST_BYTES: usize = 16;
/// What is said of somebody by this sidecar and the filter alone.
const OURS: [&str; 9] = ["iss", "aud", "exp", "nbf", "iat", "auth_time", "jti", "email", "email_verified"];

/// How an oauth2-proxy was told to keep its sessions, and which of them count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Its `cookie_name`, with which the keys of its sessions begin.
    pub cookie: String,
    /// Its `cookie_expire`, in seconds.
    pub expire_s: u64,
    /// The domains, in lower case, of the addresses that count; none: of all whom it let in (rule E5).
    pub email_domains: Vec<String>,
    /// Whether a session ends with its tokens, unless they are refreshed.
    pub ends_with_tokens: bool,
    /// What the keys of sessions begin with that are listed before anybody showed them.
    pub prefixes: Vec<String>,
}

/// Why a session that could be read lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has no address, or none that counts.
    #[error("it has no e-mail address that counts")]
    Email,
    /// Nobody could say when it ends, or it began in the future.
    #[error("its times make no sense")]
    Times,
    /// It is over.
    #[error("it is over")]
    Over,
    /// More is in it than a filter takes.
    #[error("more is known of its owner than a filter takes")]
    TooMuch,
}

impl Rules {
    /// Whether a session of this oauth2-proxy may have this key.
    #[must_use]
    pub fn is_key(&self, key: &str) -> bool {
        is_key_of(key, &self.cookie)
    }

    /// Whether what is under this key is listed as a session: no lock is one.
    #[must_use]
    pub fn is_listed(&self, key: &str) -> bool {
        !key.ends_with(".lock") && self.prefixes.iter().any(|prefix| key.starts_with(prefix))
    }

    /// The session that `held`, found under `key`, stands for when it is shown on `host` and Redis would forget it
    /// after `left_s`, if ever.
    ///
    /// # Errors
    /// It lets nobody in.
    pub fn session(
        &self,
        key: &str,
        held: &Held,
        host: &str,
        left_s: Option<u64>,
        now: UnixSeconds,
    ) -> Result<Session, Refused> {
        let email = held.email.as_deref().and_then(|text| Email::parse(text).ok()).ok_or(Refused::Email)?;
        if !self.email_domains.is_empty() && !self.email_domains.iter().any(|domain| domain == email.domain()) {
            return Err(Refused::Email);
        }
        let (signed_in_at, ends_at) = self.times(held, left_s, now)?;
        let claims = claims(held);
        let bytes = serde_json::to_string(&claims).map_or(usize::MAX, |json| json.len().saturating_mul(4).div_ceil(3));
        if bytes > CLAIMS_MAX_BYTES {
            return Err(Refused::TooMuch);
        }
        Ok(Session {
            id: id_of(key, held).ok_or(Refused::TooMuch)?,
            subject: email.clone().into(),
            email: Some(email),
            host: host.to_owned(),
            method: Method::Oauth2Proxy,
            claims,
            signed_in_at,
            last_access: now,
            ends_at,
            // It does not end for want of use.
            idle_s: self.expire_s,
            refresh_at: None,
            address: None,
            agent: None,
        })
    }

    /// When its owner signed in, and when it ends: as it says, and never after Redis has forgotten it (rule P9).
    fn times(&self, held: &Held, left_s: Option<u64>, now: UnixSeconds) -> Result<(UnixSeconds, UnixSeconds), Refused> {
        let forgotten_at = left_s.map(|left| now.plus(left));
        let signed_in_at = match (held.created_at, forgotten_at) {
            (Some(at), _) => UnixSeconds(at),
            // It was written with its whole life before it, as long ago as is gone of that.
            (None, Some(at)) => UnixSeconds(at.get().saturating_sub(self.expire_s)).min(now),
            (None, None) => return Err(Refused::Times),
        };
        if signed_in_at > now.plus(AHEAD_S) {
            return Err(Refused::Times);
        }
        let tokens_end = held.expires_at.filter(|_| self.ends_with_tokens).map(UnixSeconds);
        let last = signed_in_at.plus(self.expire_s);
        let ends_at = tokens_end.into_iter().chain(forgotten_at).fold(last, UnixSeconds::min);
        if ends_at <= now { Err(Refused::Over) } else { Ok((signed_in_at, ends_at)) }
    }
}

/// The key in Redis of a session with this name; none if it is not one of oauth2-proxy's.
#[must_use]
pub fn key_of(id: &SessionId) -> Option<&str> {
    let (key, digest) = id.as_str().rsplit_once('.')?;
    (digest.len() == URL_SAFE_NO_PAD.encode([0; DIGEST_BYTES]).len() && is_key(key)).then_some(key)
}

/// What a session is called.
fn id_of(key: &str, held: &Held) -> Option<SessionId> {
    let mut digest = Sha256::new_with_prefix(key);
    match (&held.nonce, held.created_at) {
        (Some(nonce), _) => digest.update([b"\0n".as_slice(), nonce].concat()),
        // An oauth2-proxy that keeps no nonce: then each refresh is a session of its own.
        (None, Some(at)) => digest.update([b"\0c".as_slice(), &at.to_be_bytes()].concat()),
        (None, None) => {}
    }
    let digest = digest.finalize();
    let digest = URL_SAFE_NO_PAD.encode(digest.get(..DIGEST_BYTES)?);
    SessionId::parse(&format!("{key}.{digest}")).ok()
}

/// What is known of its owner, as the members of an ID token.
fn claims(held: &Held) -> Map<String, Value> {
    let mut claims = held.claims.clone();
    claims.retain(|name, _| !OURS.contains(&name.as_str()));
    let texts = [("sub", &held.user), ("preferred_username", &held.preferred_username)];
    for (name, text) in texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
        claims.insert(name.to_owned(), text.as_str().into());
    }
    if !held.groups.is_empty() {
        claims.insert("groups".to_owned(), held.groups.clone().into());
    }
    claims
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::held as sealed;
    use super::*;

    const KEY: &str = "_oauth2_proxy-0123456789abcdef0123456789abcdef";
    const NOW: UnixSeconds = UnixSeconds(1_760_000_100);

    fn rules() -> Rules {
        Rules {
            cookie: "_oauth2_proxy".to_owned(),
            expire_s: 604_800,
            email_domains: Vec::new(),
            ends_with_tokens: true,
            prefixes: vec!["_oauth2_proxy-".to_owned(), "session:".to_owned()],
        }
    }

    fn held() -> Held {
        Held {
            created_at: Some(1_760_000_000),
            expires_at: Some(1_760_003_600),
            email: Some("Ann@Example.com".to_owned()),
            user: Some("0001".to_owned()),
            groups: vec!["admins".to_owned()],
            nonce: Some(b"a nonce".to_vec()),
            ..Held::default()
        }
    }

    fn session(rules: &Rules, held: &Held, left_s: Option<u64>) -> Result<Session, Refused> {
        rules.session(KEY, held, "app.x", left_s, NOW)
    }

    #[test]
    fn what_is_in_it_becomes_a_session_of_its_owners() {
        let mut held = held();
        held.preferred_username = Some("ann".to_owned());
        held.claims = json!({"department": "sales", "sub": "x", "email": "eve@x", "auth_time": 1, "groups": ["root"]})
            .as_object()
            .unwrap()
            .clone();
        let session = session(&rules(), &held, Some(9_999_999)).unwrap();
        assert_eq!((session.subject.as_str(), session.method), ("ann@example.com", Method::Oauth2Proxy));
        assert_eq!((session.host.as_str(), session.signed_in_at.get()), ("app.x", 1_760_000_000));
        let claims = json!({"department": "sales", "sub": "0001", "preferred_username": "ann", "groups": ["admins"]});
        assert_eq!(Value::Object(session.claims), claims);
    }

    #[test]
    fn it_ends_when_the_first_of_what_it_needs_ends() {
        let long = Held { expires_at: None, ..held() };
        let with = |ends_with_tokens| Rules { ends_with_tokens, ..rules() };
        for (rules, held, left_s, ends_at) in [
            (with(true), held(), Some(604_700), 1_760_003_600),
            (with(false), held(), Some(604_700), 1_760_604_800),
            (with(true), long.clone(), Some(604_700), 1_760_604_800),
            (with(true), long.clone(), None, 1_760_604_800),
            (with(true), long.clone(), Some(60), 1_760_000_160),
            (with(true), Held { created_at: None, ..held() }, Some(60), 1_760_000_160),
        ] {
            assert_eq!(session(&rules, &held, left_s).unwrap().ends_at.get(), ends_at, "{held:?}");
        }
        let unknown = Held { created_at: None, ..long.clone() };
        assert_eq!(session(&rules(), &unknown, Some(604_700)).unwrap().signed_in_at.get(), 1_760_000_000);
        for (held, left_s, refused) in [
            (long.clone(), Some(0), Refused::Over),
            (Held { created_at: Some(1_700_000_000), ..long.clone() }, None, Refused::Over),
            (Held { expires_at: Some(NOW.get()), ..held() }, Some(60), Refused::Over),
            (Held { created_at: None, ..long.clone() }, None, Refused::Times),
            (Held { created_at: Some(NOW.get() + 301), ..long }, Some(60), Refused::Times),
        ] {
            assert_eq!(session(&rules(), &held, left_s), Err(refused), "{held:?}");
        }
    }

    #[test]
    fn e5_only_an_address_that_counts_is_an_identity() {
        for (domains, email, counts) in [
            (&[][..], Some("ann@anywhere"), true),
            (&["example.com"], Some("Ann@EXAMPLE.com"), true),
            (&["example.com"], Some("ann@evil-example.com"), false),
            (&["example.com"], Some("ann@sub.example.com"), false),
            (&[], Some("ann"), false),
            (&[], Some("a|b@x"), false),
            (&[], None, false),
        ] {
            let rules = Rules { email_domains: domains.iter().map(ToString::to_string).collect(), ..rules() };
            let held = Held { email: email.map(str::to_owned), ..held() };
            assert_eq!(session(&rules, &held, None).is_ok(), counts, "{email:?}");
        }
    }

    #[test]
    fn a_refresh_is_the_same_session_and_a_new_sign_in_is_another() {
        let id = |held: &Held| session(&rules(), held, None).unwrap().id;
        let refreshed = Held { created_at: Some(1_760_000_050), expires_at: Some(1_760_009_000), ..held() };
        assert_eq!(id(&refreshed), id(&held()));
        assert_ne!(id(&Held { nonce: Some(b"another".to_vec()), ..held() }), id(&held()));
        let without = |at| Held { nonce: None, created_at: Some(at), ..held() };
        assert_ne!(id(&without(1_760_000_000)), id(&without(1_760_000_001)));
        assert_eq!(key_of(&id(&held())), Some(KEY));
        for other in ["abc", KEY, &format!("{KEY}.x"), &format!("x.{}", "A".repeat(22))] {
            assert_eq!(key_of(&SessionId::parse(other).unwrap()), None, "{other}");
        }
    }

    #[test]
    fn a_session_is_named_by_the_nonce_that_others_sealed_in_it() {
        let id = |name: &str| session(&rules(), &sealed(name), None).unwrap().id;
        let anns = id("everything, in a ticket of today");
        // Tokens were refreshed: what remains is the nonce.
        for name in
            ["without at", "without rt", "times of eight and twelve bytes", "begun as far ahead as a clock may be"]
        {
            assert_eq!(id(name), anns, "{name}");
        }
        for name in ["everything of somebody else", "without n"] {
            assert_ne!(id(name), anns, "{name}");
        }
    }

    #[test]
    fn a_session_that_others_sealed_counts_unless_it_begins_further_ahead_than_clocks_may_be() {
        let begun = |name| rules().session(KEY, &sealed(name), "app.x", None, UnixSeconds(1_760_000_000));
        assert_eq!(
            begun("begun as far ahead as a clock may be").map(|session| session.signed_in_at.get()),
            Ok(1_760_000_300)
        );
        assert_eq!(begun("begun further ahead"), Err(Refused::Times));
    }

    #[test]
    fn four_kibibytes_of_groups_are_taken_and_what_no_filter_would_take_is_not() {
        let groups = |count| Held { groups: (0..count).map(|n| format!("group-{n:034}")).collect(), ..held() };
        assert!(session(&rules(), &groups(100), None).is_ok());
        assert_eq!(session(&rules(), &groups(200), None), Err(Refused::TooMuch));
    }

    #[test]
    fn no_lock_and_nothing_of_ours_is_a_session_that_is_listed() {
        for (key, is_listed) in
            [(KEY, true), ("session:1", true), (&format!("{KEY}.lock"), false), ("sekisho:session:1", false)]
        {
            assert_eq!(rules().is_listed(key), is_listed, "{key}");
        }
    }
}
