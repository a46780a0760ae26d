//! `tokens`: where tokens are read, for all rules or for one.

use super::field::{Field, Problems};
use super::raw::{RawPlace, RawTokens};
use crate::credential::places::{Place, Places};

/// Most places of a rule.
pub(super) const PLACES_MAX: usize = 16;
/// Most bytes of a name or a prefix.
pub(super) const NAME_MAX_BYTES: usize = 128;
/// Headers without which no request is understood, or which say something else to every proxy.
const NOT_OURS: &[&str] = &[
    "host",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-request-id",
];

/// Reads `tokens`.
pub(super) fn places(problems: &mut Problems, path: &str, raw: RawTokens) -> Places {
    problems.unknown(path, &raw.unknown);
    let mut places = Places::default();
    let at = format!("{path}.from");
    if let Some(from) = problems.optional(&at, raw.from) {
        if from.is_empty() || from.len() > PLACES_MAX {
            problems.push(&at, format_args!("is a list of one to {PLACES_MAX} places"));
        }
        places.from.clear();
        for (index, element) in from.into_iter().take(PLACES_MAX).enumerate() {
            let at = format!("{at}[{index}]");
            let element = problems.required(&at, element);
            places.from.extend(element.and_then(|element| place(problems, &at, element)));
        }
        let headers: Vec<_> = places.headers().collect();
        if headers.iter().enumerate().any(|(index, header)| headers.iter().skip(index + 1).any(|other| other == header))
        {
            problems.push(&at, "names a header twice");
        }
    }
    places.forward = problems.optional(format_args!("{path}.forward"), raw.forward).unwrap_or_default();
    let at = format!("{path}.payload_header");
    if let Some(name) = problems.optional(&at, raw.payload_header) {
        if !is_header(&name) || name == "authorization" || name.starts_with("x-sekisho-") {
            problems.push(&at, "is not the name, in lower case, of a header that a configuration may set");
        }
        if places.headers().any(|header| header == name.as_bytes()) {
            problems.push(&at, "is a header in which tokens are read");
        }
        places.payload_header = Some(name.into());
    }
    places
}

/// Where a second token is read, of which `first` reads nothing.
pub(super) fn besides(
    problems: &mut Problems,
    path: &str,
    from: Field<Vec<Field<RawPlace>>>,
    forward: Field<bool>,
    first: &Places,
) -> Places {
    if matches!(from, Field::Absent) {
        problems.push(format_args!("{path}.from"), "is missing: name another place than that of the first token");
    }
    let raw = RawTokens { from, forward, ..RawTokens::default() };
    let places = places(problems, path, raw);
    if places.from.iter().any(|place| first.from.iter().any(|known| known.is_where(place))) {
        problems.push(format_args!("{path}.from"), "is a place in which the first token is read");
    }
    places
}

fn place(problems: &mut Problems, path: &str, raw: RawPlace) -> Option<Place> {
    problems.unknown(path, &raw.unknown);
    let RawPlace { header, scheme, prefix, query, cookie, unknown: _ } = raw;
    let header = problems.optional(format_args!("{path}.header"), header);
    let scheme = problems.optional(format_args!("{path}.scheme"), scheme);
    let prefix = problems.optional(format_args!("{path}.prefix"), prefix);
    let query = problems.optional(format_args!("{path}.query"), query);
    let cookie = problems.optional(format_args!("{path}.cookie"), cookie);
    if header.is_none() && (scheme.is_some() || prefix.is_some()) {
        problems.push(path, "`scheme` and `prefix` belong to a `header`");
    }
    match (header, query, cookie) {
        (Some(header), None, None) => header_place(problems, path, &header, scheme, prefix),
        (None, Some(query), None) => name(problems, path, "query", query).map(Place::Query),
        (None, None, Some(cookie)) => name(problems, path, "cookie", cookie).map(Place::Cookie),
        _ => {
            problems.push(path, "is one of `header`, `query` and `cookie`");
            None
        }
    }
}

fn header_place(
    problems: &mut Problems,
    path: &str,
    header: &str,
    scheme: Option<String>,
    prefix: Option<String>,
) -> Option<Place> {
    if !is_header(header) {
        problems
            .push(format_args!("{path}.header"), "is not the name, in lower case, of a header that can hold a token");
        return None;
    }
    let is_visible = |text: &String| text.len() <= NAME_MAX_BYTES && text.bytes().all(|b| b.is_ascii_graphic());
    if let Some(prefix) = prefix.as_ref().filter(|prefix| !is_visible(prefix) || prefix.contains(',')) {
        problems.push(format_args!("{path}.prefix"), format_args!("`{prefix}` holds what no credential begins with"));
    }
    if let Some(scheme) = scheme.as_ref().filter(|scheme| !is_token(scheme)) {
        problems.push(
            format_args!("{path}.scheme"),
            format_args!("`{scheme}` is not the name of an authentication scheme"),
        );
    }
    let header: Box<[u8]> = header.as_bytes().into();
    match (scheme, prefix) {
        (Some(_), Some(_)) => {
            problems.push(path, "has both `scheme` and `prefix`");
            None
        }
        (Some(scheme), None) => Some(Place::Scheme { header, scheme }),
        (None, None) if *header == *b"authorization" => Some(Place::Scheme { header, scheme: "Bearer".into() }),
        (None, prefix) => Some(Place::Header { header, prefix: prefix.unwrap_or_default() }),
    }
}

/// The name of a parameter or a cookie (RFC 6265 §4.1.1), which needs no escape in either.
fn name(problems: &mut Problems, path: &str, field: &str, name: String) -> Option<String> {
    let found = problems.text(format_args!("{path}.{field}"), Field::Present(name))?;
    if is_token(&found) {
        return Some(found);
    }
    problems.push(format_args!("{path}.{field}"), format_args!("`{found}` holds what must be escaped in a request"));
    None
}

/// Whether a configuration may name this header as one to read or set.
pub(super) fn is_header(name: &str) -> bool {
    is_header_name(name) && !NOT_OURS.contains(&name)
}

/// Whether a header can be called so: in lower case, as the host gives names.
pub(super) fn is_header_name(name: &str) -> bool {
    is_token(name) && !name.bytes().any(|b| b.is_ascii_uppercase())
}

/// `token` of RFC 9110 §5.6.2, without what has a meaning in a query.
pub(super) fn is_token(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'*' | b'^');
    !text.is_empty() && text.len() <= NAME_MAX_BYTES && text.bytes().all(plain)
}
