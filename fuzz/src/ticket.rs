//! Tickets of oauth2-proxy, and what is sealed with them, as somebody who can sign cookies or write to Redis might make them
//! up.
//!
//! An input is a ticket; or, behind a `!`, the plain MessagePack of a session, which is then sealed with the ticket's secret; or,
//! behind a `?`, what stands in Redis. Whatever it holds: a ticket names a session of its own cookie and nothing else; what
//! nobody sealed is not read; and a session that is read lets somebody in who has an address, until it ends.

use aes_gcm::aead::Aead as _;
use aes_gcm::{Aes128Gcm, KeyInit as _, Nonce};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as B64;

use crate::domain::oauth2_proxy::Ticket;
use crate::domain::oauth2_proxy::rules::{Rules, key_of};
use crate::domain::time::UnixSeconds;

const COOKIE: &str = "sso.x";
const KEY: &str = "sso.x-0123456789abcdef0123456789abcdef";
const SECRET: [u8; 16] = *b"sixteen bytes...";
const NONCE: [u8; 12] = [7; 12];
const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const LEFT_S: u64 = 86_400;

pub(crate) fn run(input: &[u8]) {
    match input.split_first() {
        Some((b'!', plain)) => sealed(plain),
        Some((b'?', value)) => assert!(ours().open(value).is_err(), "nobody sealed that"),
        _ => {
            if let Ok(text) = std::str::from_utf8(input) {
                ticket(text);
            }
        }
    }
}

fn ours() -> Ticket {
    let text = format!("v2.{}.{}", B64.encode(KEY), B64.encode(SECRET));
    Ticket::parse(&text, COOKIE).unwrap_or_else(|error| panic!("{error}"))
}

fn ticket(text: &str) {
    let Ok(ticket) = Ticket::parse(text, COOKIE) else { return };
    let number = ticket.id().strip_prefix("sso.x-").unwrap_or_default();
    assert!(number.len() == 32 && u128::from_str_radix(number, 16).is_ok() && !number.contains(char::is_uppercase));
    let (named, secret) = text.rsplit_once('.').unwrap_or_default();
    let named = named.strip_prefix("v2.").map_or(named.into(), |id| B64.decode(id).unwrap_or_default());
    assert_eq!(named, ticket.id().as_bytes(), "another way to write it");
    assert_eq!(B64.decode(secret).map(|secret| secret.len()), Ok(16));
    assert!(!format!("{ticket:?}").contains(secret), "a secret is shown");
}

fn sealed(plain: &[u8]) {
    let Ok(sealed) = Aes128Gcm::new(&SECRET.into()).encrypt(&Nonce::from(NONCE), plain) else { return };
    let value = [&NONCE[..], &sealed].concat();
    let Ok(held) = ours().open(&value) else { return };
    for (ends_with_tokens, domains) in [(true, &[][..]), (false, &["x.org".to_owned()][..])] {
        let rules = Rules {
            cookie: COOKIE.to_owned(),
            expire_s: 604_800,
            email_domains: domains.to_vec(),
            ends_with_tokens,
            prefixes: Vec::new(),
        };
        let Ok(session) = rules.session(KEY, &held, "app.x", Some(LEFT_S), NOW) else { continue };
        let Some(email) = &session.email else { panic!("a session of nobody") };
        assert_eq!(session.subject.as_str(), email.as_str());
        assert!(domains.is_empty() || email.as_str().ends_with("@x.org"), "{email}");
        assert!(session.ends_at > NOW && session.ends_at <= NOW.plus(LEFT_S), "it outlives its record");
        assert!(session.signed_in_at <= NOW.plus(300), "it began in the future");
        assert_eq!(key_of(&session.id), Some(KEY));
        assert!(!session.claims.contains_key("auth_time") && !session.claims.contains_key("email"));
        let json = serde_json::to_string(&session.claims).unwrap_or_default();
        assert!(B64.encode(json).len() <= sekisho_core::session::CLAIMS_MAX_BYTES, "more than a filter takes");
    }
}
