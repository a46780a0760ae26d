//! What is made of the vectors, whoever reads them: other tests take what a vector holds by its name.

use super::*;
use serde::Deserialize;

/// Made by `tests/peers/oauth2_proxy.py`, with other people's MessagePack and cryptography.
const VECTORS: &str = include_str!("../../../../tests/peers/vectors/oauth2_proxy_sessions.json");

#[derive(Deserialize)]
struct Vector {
    name: String,
    ticket: String,
    key: String,
    value: String,
    expected: Option<serde_json::Value>,
}

impl Vector {
    fn ticket(&self) -> Ticket {
        let cookie_name = self.key.rsplit_once('-').unwrap().0;
        Ticket::parse(&self.ticket, cookie_name).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    fn bytes(&self) -> Vec<u8> {
        let digits = &self.value;
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    }
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(VECTORS).unwrap()
}

fn vector(name: &str) -> Vector {
    vectors().into_iter().find(|vector| vector.name == name).unwrap_or_else(|| panic!("no vector is called {name}"))
}

/// What the vector of this name holds.
pub(super) fn held(name: &str) -> Held {
    let vector = vector(name);
    vector.ticket().open(&vector.bytes()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn shown(held: &Held) -> serde_json::Value {
    let secret = |text: &Option<Zeroizing<String>>| text.as_ref().map(|text| text.to_string());
    let nonce = held.nonce.as_ref().map(|nonce| nonce.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    serde_json::json!({
        "created_at": held.created_at, "expires_at": held.expires_at, "email": held.email, "user": held.user,
        "groups": held.groups, "preferred_username": held.preferred_username, "access_token": secret(&held.access_token),
        "id_token": secret(&held.id_token), "refresh_token": secret(&held.refresh_token), "nonce": nonce,
        "claims": held.claims,
    })
}

#[test]
fn what_others_sealed_is_read_and_what_is_damaged_is_not() {
    let vectors = vectors();
    assert!(vectors.len() > 40 && vectors.iter().filter(|vector| vector.expected.is_none()).count() > 10);
    for vector in vectors {
        let ticket = vector.ticket();
        assert_eq!(ticket.id(), vector.key, "{}", vector.name);
        let held = ticket.open(&vector.bytes()).ok();
        assert_eq!(held.as_ref().map(shown), vector.expected, "{}", vector.name);
    }
}

#[test]
fn the_ticket_of_one_user_opens_nothing_of_another() {
    let (anns, bobs) = (vector("everything, in a ticket of today"), vector("everything of somebody else"));
    assert_ne!(held(&anns.name).email, held(&bobs.name).email);
    assert_eq!(anns.ticket().open(&bobs.bytes()), Err(Unreadable::Sealed));
    assert_eq!(bobs.ticket().open(&anns.bytes()), Err(Unreadable::Sealed));
}

#[test]
fn only_a_ticket_of_this_cookie_is_one() {
    let (hex, secret) = ("0123456789abcdef0123456789abcdef", "AAAAAAAAAAAAAAAAAAAAAA");
    let of = |id: &str| format!("v2.{}.{secret}", URL_SAFE_NO_PAD.encode(id));
    assert!(Ticket::parse(&of(&format!("sso-{hex}")), "sso").is_ok());
    assert!(Ticket::parse(&format!("sso-{hex}.{secret}"), "sso").is_ok());
    for bad in [
        of(&format!("other-{hex}")),
        of(&format!("sso-{hex}0")),
        of(&format!("sso-{}", hex.to_uppercase())),
        of(&format!("sso-{hex}.lock")),
        of("token:info:1"),
        format!("v2.sso-{hex}.{secret}"),
        format!("v3.{}.{secret}", URL_SAFE_NO_PAD.encode(format!("sso-{hex}"))),
        format!("sso-{hex}.{secret}A"),
        format!("sso-{hex}.{}", &secret[2..]),
        format!("sso-{hex}."),
        format!("sso-{hex}"),
        "v2..".to_owned(),
        "v2.".to_owned(),
        String::new(),
    ] {
        assert_eq!(Ticket::parse(&bad, "sso"), Err(Unreadable::Ticket), "{bad}");
    }
}

#[test]
fn a_ticket_does_not_show_its_secret_in_logs() {
    let ticket = Ticket::parse("sso-0123456789abcdef0123456789abcdef.c2VjcmV0c2VjcmV0c2Vjcg", "sso").unwrap();
    assert_eq!(format!("{ticket:?}"), r#"Ticket { id: "sso-0123456789abcdef0123456789abcdef", .. }"#);
}
