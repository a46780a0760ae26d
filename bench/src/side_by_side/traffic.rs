//! Who comes to one listener, and whether all of them reached the upstream.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use sekisho_sidecar::domain::sign_in::COOKIE;

use crate::scene::Scene;
use crate::upstream::Reached;
use crate::variant::{ALL, Travellers, Variant};

/// The requests to one listener, as bytes, in the order in which they come.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) variant: &'static Variant,
    pub(crate) listener: SocketAddr,
    number: usize,
    requests: Vec<Vec<u8>>,
    /// How many were sent that are to reach the upstream, since [`Self::begin`].
    sent: u64,
    before: Reached,
}

/// The bytes of one request to the listener with this number.
pub(crate) fn request(number: usize, token: Option<&str>) -> Vec<u8> {
    request_for(&format!("/v{number:02}/models"), token)
}

/// The bytes of one request to the listener with this number, with the cookie of a session.
pub(crate) fn request_of_browser(number: usize, cookie: &str) -> Vec<u8> {
    let cookie = format!("cookie: theme=dark; {COOKIE}={cookie}\r\n");
    format!("GET /v{number:02}/models HTTP/1.1\r\nhost: localhost\r\n{cookie}\r\n").into_bytes()
}

/// The bytes of one request.
pub(crate) fn request_for(path: &str, token: Option<&str>) -> Vec<u8> {
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{authorization}\r\n").into_bytes()
}

impl Traffic {
    /// What comes to the listeners with these names; to all, if there is no name.
    ///
    /// # Errors
    /// There is no such listener.
    pub(crate) fn to(scene: &Scene, names: &[String]) -> Result<Vec<Self>> {
        for name in names {
            ensure!(
                Variant::number_of(name).is_some(),
                "there is no variant {name}: see bench/src/side_by_side/variant.rs"
            );
        }
        let is_wanted = |variant: &Variant, number| {
            names.is_empty() || number == 0 || names.iter().any(|name| name == variant.name)
        };
        let chosen = ALL.iter().enumerate().filter(|(number, variant)| is_wanted(variant, *number));
        Ok(chosen.map(|(number, variant)| Self::of(scene, number, variant)).collect())
    }

    fn of(scene: &Scene, number: usize, variant: &'static Variant) -> Self {
        let tokens = scene.tokens.of(variant.algorithm);
        let requests = match variant.travellers {
            Travellers::One => vec![request(number, Some(tokens.first()))],
            Travellers::SignedIn => vec![request_of_browser(number, &scene.session)],
            Travellers::Many => tokens.all().map(|token| request(number, Some(token))).collect(),
        };
        let before = scene.upstream.reached(number);
        Self { variant, listener: scene.listener(number), number, requests, sent: 0, before }
    }

    /// The next request. Whoever takes it sends it.
    pub(crate) fn next(&mut self) -> &[u8] {
        let at = usize::try_from(self.sent).unwrap_or_default() % self.requests.len().max(1);
        self.sent += 1;
        self.requests.get(at).map_or(&[], Vec::as_slice)
    }

    /// Whether all that was sent so far reached the upstream, and with an assertion if there should be one.
    ///
    /// # Errors
    /// It did not.
    pub(crate) fn settle(&self, scene: &Scene) -> Result<()> {
        let reached = scene.upstream.reached(self.number);
        let (all, identified) = (reached.all - self.before.all, reached.identified - self.before.identified);
        let name = self.variant.name;
        ensure!(all == self.sent, "{name}: {all} of {} requests reached the upstream", self.sent);
        let expected = if self.variant.vouches() { all } else { 0 };
        ensure!(
            identified == expected,
            "{name}: the upstream was told by assertion who sent {identified} of {all} requests"
        );
        Ok(())
    }
}
