//! Cookies, as anybody may make them up.
//!
//! An input is a cookie's value as it is; or, behind a `!`, 32 bytes that become the secret of a session of our own; or, behind
//! a `?`, the value and the timestamp of a cookie of oauth2-proxy, which is then signed with the right secret. Whatever it
//! holds: what is taken for a session's cookie is one to a reader that has nothing in common with the filter's.

use base64::Engine as _;
use base64::prelude::{BASE64_URL_SAFE as PADDED, BASE64_URL_SAFE_NO_PAD as B64};
use hmac::{Hmac, KeyInit, Mac};
use sekisho_core::credential::oauth2_proxy::CookieRule;
use sekisho_core::secret::Secret;
use sekisho_protocol::session::cookie::{CookieKey, SECRET_BYTES, id};
use sha2::Sha256;

const MESH_SECRET: &[u8] = &[b'm'; 32];
const HOST: &str = "app.example.com";
const NAME: &str = "_oauth2_proxy";
const PROXY_SECRET: &[u8] = b"the secret as it is configured";
const NOW_S: u64 = 1_800_000_000;
const EXPIRE_S: u64 = 604_800;

pub(crate) fn run(input: &[u8]) {
    let (ours, theirs) = (CookieKey::of_mesh(MESH_SECRET), rule());
    match input.split_first() {
        Some((b'!', secret)) => {
            let mut whole = [0; SECRET_BYTES];
            secret.iter().zip(&mut whole).for_each(|(byte, place)| *place = *byte);
            let cookie = ours.cookie(HOST, &whole);
            assert_eq!(ours.read(HOST, cookie.as_bytes()), Some(id(&whole)));
            assert_eq!(ours.read("other.example.com", cookie.as_bytes()), None);
        }
        Some((b'?', unsigned)) => {
            let mut cookie = unsigned.to_vec();
            cookie.push(b'|');
            cookie.extend(signature(&unsigned.iter().copied().filter(|b| *b != b'|').collect::<Vec<_>>()).bytes());
            taken_for_a_reason(&theirs, &cookie);
        }
        _ => {
            taken_for_a_reason(&theirs, input);
            if let Some(known) = ours.read(HOST, input) {
                let secret =
                    B64.decode(&input[..43]).ok().and_then(|secret| <[u8; SECRET_BYTES]>::try_from(secret).ok());
                let Some(secret) = secret else { panic!("a cookie without a secret") };
                assert_eq!((known, ours.cookie(HOST, &secret).as_bytes()), (id(&secret), input), "one way to write it");
            }
        }
    }
}

fn rule() -> CookieRule {
    let rule = CookieRule::new(NAME.to_owned(), &Secret::new(PROXY_SECRET.to_vec()), EXPIRE_S);
    rule.unwrap_or_else(|| panic!("HMAC takes any key"))
}

fn signature(parts: &[u8]) -> String {
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(PROXY_SECRET) else { panic!("HMAC takes any key") };
    PADDED.encode(mac.chain_update(NAME).chain_update(parts).finalize().into_bytes())
}

/// What is taken was signed as it is, at a moment that counts, and is what is in it.
fn taken_for_a_reason(rule: &CookieRule, cookie: &[u8]) {
    let Some(signed) = rule.read(cookie, NOW_S) else { return };
    let ticket = signed.ticket.expose();
    let parts: Vec<&[u8]> = cookie.split(|b| *b == b'|').collect();
    let [value, moment, tag] = parts.as_slice() else { panic!("a cookie has three parts") };
    assert_eq!(signature(&[*value, *moment].concat()).as_bytes(), *tag);
    assert_eq!(PADDED.encode(&signed.signature).as_bytes(), *tag);
    assert_eq!(PADDED.encode(ticket).as_bytes(), *value);
    let moment: u64 = std::str::from_utf8(moment).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
    assert!(moment > NOW_S - EXPIRE_S && moment < NOW_S + 300);
}
