//! What is set side by side.

use crate::tokens::Algorithm;

/// What stands in front of the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Nothing.
    Nobody,
    /// A wasm filter that does nothing, or nothing but calls to Envoy.
    EmptyWasm(Calls),
    /// Envoy's own filter for JWTs.
    JwtAuthn(Algorithm, TokenCache),
    /// The same without its cache, and behind it a server that is asked about each request.
    ExtAuthz(Algorithm, Transport),
    /// Sekisho.
    Sekisho(Machine),
}

/// What the filter that does nothing calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Calls {
    Nothing,
    /// What Sekisho calls for a request whose token it remembers.
    Cached,
}

/// Whether Envoy's own filter keeps tokens that it verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenCache {
    On,
    Off,
}

/// How the server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Http,
    Grpc,
}

/// The VM in which Sekisho's filter runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    /// One that sees the same tokens again and again.
    Warm,
    /// One that sees more tokens than its cache holds.
    Cold,
    /// The same, but its routes want no assertion. It has a cache of its own: those who come to [`Self::Cold`] would
    /// be remembered here.
    ColdPlain,
    /// One that says of each request, in Envoy's filter state, how it was decided.
    Told,
    /// One with so many rules, of which only the last fits.
    Rules(usize),
    /// One with a rule that takes sessions.
    People,
    /// One whose replica holds a million entries.
    Million,
}

impl Machine {
    /// All that share a sidecar.
    pub(crate) const OF_THE_MESH: usize = 7;
}

/// Who comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Travellers {
    /// The same one again and again.
    One,
    /// So many that none is remembered when he comes again.
    Many,
    /// The same one, with the cookie of a session.
    SignedIn,
}

/// One of those that are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) guard: Guard,
    pub(crate) algorithm: Algorithm,
    pub(crate) travellers: Travellers,
}

impl Variant {
    const fn new(name: &'static str, guard: Guard, algorithm: Algorithm, travellers: Travellers) -> Self {
        Self { name, guard, algorithm, travellers }
    }

    /// Whether somebody without a valid token is refused.
    pub(crate) fn verifies(&self) -> bool {
        !matches!(self.guard, Guard::Nobody | Guard::EmptyWasm(_))
    }

    /// Whether somebody who is banned is refused.
    pub(crate) fn knows_bans(&self) -> bool {
        matches!(self.guard, Guard::ExtAuthz(..) | Guard::Sekisho(_))
    }

    /// Whether the upstream is told by a signed assertion who asks.
    pub(crate) fn vouches(&self) -> bool {
        matches!(self.guard, Guard::Sekisho(machine) if machine != Machine::ColdPlain)
    }

    /// Its number in [`ALL`], by its name.
    pub(crate) fn number_of(name: &str) -> Option<usize> {
        ALL.iter().position(|variant| variant.name == name)
    }
}

/// What the others are compared with.
pub(crate) const BARE: &str = "bare";
pub(crate) const EMPTY_WASM: &str = "empty_wasm";
pub(crate) const SAME_CALLS: &str = "same_calls";
pub(crate) const JWT_AUTHN: &str = "jwt_authn_hs256";
pub(crate) const JWT_AUTHN_RS256: &str = "jwt_authn_rs256";
pub(crate) const JWT_AUTHN_ES256: &str = "jwt_authn_es256";
pub(crate) const EXT_AUTHZ: &str = "jwt_authn_ext_authz_http";
pub(crate) const CACHED: &str = "sekisho_cached";
pub(crate) const TOLD: &str = "sekisho_cached_told";
pub(crate) const RULES_1: &str = "sekisho_rules_1";
pub(crate) const RULES_100: &str = "sekisho_rules_100";
pub(crate) const MILLION: &str = "sekisho_million";
pub(crate) const COLD_HS256: &str = "sekisho_cold_hs256";
pub(crate) const COLD_RS256: &str = "sekisho_cold_rs256";
pub(crate) const COLD_ES256: &str = "sekisho_cold_es256";
pub(crate) const PLAIN_HS256: &str = "sekisho_cold_hs256_plain";
pub(crate) const PLAIN_RS256: &str = "sekisho_cold_rs256_plain";
pub(crate) const PLAIN_ES256: &str = "sekisho_cold_es256_plain";

pub(crate) const BESIDE_SESSION: &str = "sekisho_cached_beside_sessions";
pub(crate) const SESSION: &str = "sekisho_cached_session";

/// All of them.
pub(crate) const ALL: &[Variant] = {
    use Algorithm::{Es256, Hs256, Rs256};
    use Calls::{Cached, Nothing};
    use Guard::{EmptyWasm, ExtAuthz, JwtAuthn, Nobody, Sekisho};
    use Machine::{Cold, ColdPlain, Million, People, Rules, Told, Warm};
    use TokenCache::{Off, On};
    use Transport::{Grpc, Http};
    use Travellers::{Many, One, SignedIn};
    &[
        Variant::new(BARE, Nobody, Hs256, One),
        Variant::new(EMPTY_WASM, EmptyWasm(Nothing), Hs256, One),
        Variant::new(SAME_CALLS, EmptyWasm(Cached), Hs256, One),
        Variant::new("jwt_authn_hs256_cached", JwtAuthn(Hs256, On), Hs256, One),
        Variant::new("jwt_authn_rs256_cached", JwtAuthn(Rs256, On), Rs256, One),
        Variant::new("jwt_authn_es256_cached", JwtAuthn(Es256, On), Es256, One),
        Variant::new(JWT_AUTHN, JwtAuthn(Hs256, Off), Hs256, Many),
        Variant::new(JWT_AUTHN_RS256, JwtAuthn(Rs256, Off), Rs256, Many),
        Variant::new(JWT_AUTHN_ES256, JwtAuthn(Es256, Off), Es256, Many),
        Variant::new(EXT_AUTHZ, ExtAuthz(Hs256, Http), Hs256, Many),
        Variant::new("jwt_authn_ext_authz_grpc", ExtAuthz(Hs256, Grpc), Hs256, Many),
        Variant::new(CACHED, Sekisho(Warm), Hs256, One),
        Variant::new(TOLD, Sekisho(Told), Hs256, One),
        Variant::new(RULES_1, Sekisho(Rules(1)), Hs256, One),
        Variant::new(RULES_100, Sekisho(Rules(100)), Hs256, One),
        Variant::new(MILLION, Sekisho(Million), Hs256, One),
        Variant::new(BESIDE_SESSION, Sekisho(People), Hs256, One),
        Variant::new(SESSION, Sekisho(People), Hs256, SignedIn),
        Variant::new(COLD_HS256, Sekisho(Cold), Hs256, Many),
        Variant::new(COLD_RS256, Sekisho(Cold), Rs256, Many),
        Variant::new(COLD_ES256, Sekisho(Cold), Es256, Many),
        Variant::new(PLAIN_HS256, Sekisho(ColdPlain), Hs256, Many),
        Variant::new(PLAIN_RS256, Sekisho(ColdPlain), Rs256, Many),
        Variant::new(PLAIN_ES256, Sekisho(ColdPlain), Es256, Many),
    ]
};
