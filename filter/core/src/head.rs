//! A request's headers, read once: what the decision needs and what a client could have forged.

use crate::authorize::address::Connection;
use crate::credential::places::Places;

/// Header pairs as the host gave them: names in lower case, values as raw bytes.
pub type Pairs<'a> = [(&'a [u8], &'a [u8])];

/// The header with the key of those who may know why a request is decided as it is.
pub const EXPLAIN: &[u8] = b"x-sekisho-explain";

/// What one pass over the headers found.
#[derive(Debug, Default)]
pub struct Head<'a> {
    /// All headers.
    pub pairs: &'a Pairs<'a>,
    /// `:method`.
    pub method: &'a [u8],
    /// `:path`, with its query.
    pub path: &'a [u8],
    /// `:authority`.
    pub authority: &'a [u8],
    /// Names that must not come from a client (rule E1), each as it was spelt.
    pub forged: Vec<&'a [u8]>,
    /// What was sent as the key of those who may know why ([`EXPLAIN`]).
    pub explain_key: Option<&'a [u8]>,
    /// What the proxy knows about its connection; none where nobody asks.
    pub connection: Option<&'a dyn Connection>,
    /// The request asks for another protocol.
    pub upgrades: bool,
    /// The same, and it has a `Connection` header that could nominate
    /// ours for removal at the next hop (RFC 9110 §7.6.1).
    pub upgrade_nominates: bool,
    /// How the client wants to be answered.
    pub framing: Framing,
}

/// How a client reads answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// A status, headers and a body.
    #[default]
    Http,
    /// gRPC: a status and a message of its own.
    Grpc,
}

impl Framing {
    /// As Envoy tells gRPC apart: `application/grpc-web` is none, to it and to its clients.
    fn of(content_type: &[u8]) -> Self {
        match content_type.strip_prefix(b"application/grpc") {
            Some(b"" | [b'+', ..]) => Self::Grpc,
            _ => Self::Http,
        }
    }
}

/// Whose word about a client is not believed.
#[derive(Debug, Default)]
pub struct Forgeable {
    /// How many proxies in front are trusted. With none, what they would have said about the client goes, too.
    pub trusted_hops: u32,
    /// The headers that the configuration says we set, in lower case.
    pub ours: Vec<Box<[u8]>>,
}

impl<'a> Head<'a> {
    /// Reads the headers.
    #[must_use]
    pub fn read(pairs: &'a Pairs<'a>, forgeable: &Forgeable) -> Self {
        let mut head = Self { pairs, ..Self::default() };
        let mut connection = false;
        for &(name, value) in pairs {
            match name {
                b":method" => head.method = value,
                b":path" => head.path = value,
                b":authority" => head.authority = value,
                b"connection" => connection = true,
                b"upgrade" => head.upgrades = true,
                b"content-type" => head.framing = Framing::of(value),
                // The map may hold a name several times; removing it once removes them all.
                name if forgeable.names(name) => {
                    if name == EXPLAIN {
                        head.explain_key = Some(value);
                    }
                    if !head.forged.contains(&name) {
                        head.forged.push(name);
                    }
                }
                _ => {}
            }
        }
        head.upgrade_nominates = connection && head.upgrades;
        head
    }

    /// The value of a header that is there once.
    #[must_use]
    pub fn one(&self, name: &[u8]) -> Option<&'a [u8]> {
        let mut values = self.pairs.iter().filter(|(known, _)| *known == name).map(|(_, value)| *value);
        values.next().filter(|_| values.next().is_none())
    }

    /// The scheme by which the client reached the first proxy whose word is taken.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        let scheme = self.one(b"x-forwarded-proto").or_else(|| self.one(b":scheme"));
        if scheme == Some(b"http") { "http" } else { "https" }
    }

    /// Whether a browser only asks if it may ask (Fetch §4.8): the request itself will be judged.
    #[must_use]
    pub fn is_preflight(&self) -> bool {
        let has = |name: &[u8]| self.one(name).is_some_and(|value| !value.is_empty());
        self.method == b"OPTIONS" && has(b"origin") && has(b"access-control-request-method")
    }
}

/// The names, among a request's trailers, that must not come from a client.
#[must_use]
pub fn forged_trailers<'a, 'p>(
    pairs: &Pairs<'a>,
    forgeable: &Forgeable,
    places: impl Iterator<Item = &'p Places> + Clone,
) -> Vec<&'a [u8]> {
    // A trailer must not become a credential either (RFC 9110 §6.5.1).
    let is_credential = |name: &[u8]| {
        let credentials = places.clone().flat_map(Places::headers);
        [&b"authorization"[..], b"cookie"].into_iter().chain(credentials).any(|known| folds_to(name, known))
    };
    let names = pairs.iter().map(|(name, _)| *name);
    names.filter(|name| forgeable.names(name) || is_credential(name)).collect()
}

impl Forgeable {
    /// Whether upstreams would believe `name`, however it is spelt: many of them (CGI, WSGI) cannot tell
    /// `X_Sekisho_Identity` from `x-sekisho-identity`.
    pub(crate) fn names(&self, name: &[u8]) -> bool {
        is_forgeable(name, self.trusted_hops) || self.ours.iter().any(|known| folds_to(name, known))
    }
}

/// Families of names that only Sekisho, or a component that it vouches for, may set.
const FAMILIES: &[&[u8]] = &[b"x-sekisho-", b"x-auth-request-", b"x-authenticated-", b"x-litellm-", b"x-original-"];
const NAMES: &[&[u8]] = &[
    b"x-forwarded-email",
    b"x-forwarded-user",
    b"x-forwarded-groups",
    b"x-forwarded-preferred-username",
    b"x-forwarded-access-token",
    b"x-admin-action",
    b"remote-user",
    // Another path or method than the one that was judged, for upstreams that believe it. No proxy in front has a
    // reason to send it, and many pass it through.
    b"x-rewrite-url",
    b"x-http-method",
    b"x-http-method-override",
    b"x-method-override",
];
/// What a proxy in front of this one may say about the client, and a client may not.
const HOP_NAMES: &[&[u8]] =
    &[b"forwarded", b"x-forwarded-host", b"x-forwarded-prefix", b"x-forwarded-uri", b"x-real-ip"];
/// What the proxy itself sets, or takes from clients as it is told, under just this spelling.
const OF_THE_PROXY: &[&[u8]] =
    &[b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-port", b"x-forwarded-client-cert", b"x-request-id"];
/// Envoy's own; those it does not take from clients are not ours to remove.
const ENVOY_FAMILY: &[u8] = b"x-envoy-";
const ENVOY_SETS: &[&[u8]] = &[b"x-envoy-internal", b"x-envoy-external-address"];

fn is_forgeable(name: &[u8], trusted_hops: u32) -> bool {
    // Every name above starts with one of three letters: most headers end here.
    if !matches!(name.first().map(u8::to_ascii_lowercase), Some(b'x' | b'f' | b'r')) {
        return false;
    }
    let starts = |families: &[&[u8]]| families.iter().any(|family| folds_to_start(name, family));
    let is = |names: &[&[u8]]| names.iter().any(|known| folds_to(name, known));
    starts(FAMILIES)
        || is(NAMES)
        || (trusted_hops == 0 && is(HOP_NAMES))
        || OF_THE_PROXY.iter().any(|known| name != *known && folds_to(name, known))
        || (folds_to_start(name, ENVOY_FAMILY) && !ENVOY_SETS.contains(&name))
}

/// Whether `name` is `known` (in lower case) to an upstream that cannot tell them apart (rule E1).
#[must_use]
pub fn folds_to(name: &[u8], known: &[u8]) -> bool {
    name.len() == known.len() && folds_to_start(name, known)
}

fn folds_to_start(name: &[u8], family: &[u8]) -> bool {
    name.len() >= family.len() && name.iter().zip(family).all(|(byte, wanted)| fold(*byte) == *wanted)
}

/// Rule E1: every byte that is neither letter nor digit counts as `-`.
fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::places::Place;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn e1_a_name_that_an_upstream_would_believe_is_stripped_however_it_is_spelt() {
        for (name, forged) in [
            ("x-sekisho-identity", true),
            ("X_Sekisho_Identity", true),
            ("x.sekisho-anything", true),
            ("x-sekisho", false),
            ("x-forwarded-email", true),
            ("x_forwarded~email", true),
            ("x-forwarded-for", false),
            ("x_forwarded_for", true),
            ("x-forwarded.for", true),
            ("x_forwarded_proto", true),
            ("x_forwarded_client_cert", true),
            ("x_request_id", true),
            ("x-forwarded-proto", false),
            ("x-forwarded-host", true),
            ("x-auth-request-user", true),
            ("x-authenticated-user", true),
            ("x-litellm-customer-id", true),
            ("remote_user", true),
            ("forwarded", true),
            ("x-original-url", true),
            ("x-http-method-override", true),
            ("x-envoy-max-retries", true),
            ("x-envoy-internal", false),
            ("x_envoy_internal", true),
            ("x-request-id", false),
            ("accept", false),
        ] {
            assert_eq!(is_forgeable(name.as_bytes(), 0), forged, "{name}");
        }
        assert!(!is_forgeable(b"x-forwarded-host", 1), "a trusted hop may speak about the client");
        for name in ["x-forwarded-email", "x-http-method-override", "x-original-url", "x-rewrite-url"] {
            assert!(is_forgeable(name.as_bytes(), 1), "but not about who it is or what it asks for: {name}");
        }
    }

    #[test]
    fn e1_the_headers_are_read_in_one_pass() {
        let pairs: &Pairs<'_> = &[
            (b":method", b"GET"),
            (b":path", b"/a?b"),
            (b":authority", b"x"),
            (b"x-sekisho-subject", b"eve"),
            (b"x-sekisho-subject", b"mallory"),
            (b"connection", b"upgrade, x-sekisho-identity"),
            (b"upgrade", b"websocket"),
        ];
        let head = Head::read(pairs, &Forgeable::default());
        assert_eq!((head.method, head.path, head.authority), (&b"GET"[..], &b"/a?b"[..], &b"x"[..]));
        assert_eq!(head.forged, [b"x-sekisho-subject"]);
        assert!(head.upgrade_nominates);
    }

    #[test]
    fn a_grpc_client_is_known_by_its_content_type_as_envoy_knows_it() {
        for (content_type, expected) in [
            ("application/grpc", Framing::Grpc),
            ("application/grpc+proto", Framing::Grpc),
            ("application/grpc-web", Framing::Http),
            ("application/grpc-web+proto", Framing::Http),
            ("application/grpc;charset=x", Framing::Http),
            ("Application/gRPC", Framing::Http),
            ("application/json", Framing::Http),
            ("", Framing::Http),
        ] {
            let pairs: &Pairs<'_> = &[(b"content-type", content_type.as_bytes())];
            assert_eq!(Head::read(pairs, &Forgeable::default()).framing, expected, "{content_type}");
        }
    }

    #[test]
    fn e1_trailers_are_stripped_like_headers() {
        let pairs: &Pairs<'_> = &[
            (b"grpc-status", b"0"),
            (b"x_sekisho_subject", b"eve"),
            (b"authorization", b"x"),
            (b"x_token", b"x"),
            (b"x_payload", b"x"),
        ];
        let forgeable = Forgeable { ours: vec![b"x-payload".as_slice().into()], ..Forgeable::default() };
        let token = Place::Header { header: b"x-token".as_slice().into(), prefix: String::new() };
        let places = Places { from: vec![token], ..Places::default() };
        let forged = [&b"x_sekisho_subject"[..], b"authorization", b"x_token", b"x_payload"];
        assert_eq!(forged_trailers(pairs, &forgeable, std::iter::once(&places)), forged);
    }
}
