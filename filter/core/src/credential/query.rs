//! Parameters of the query that hold a token (RFC 6750 §2.3): read, and cut out before anybody can log them.

use std::borrow::Cow;

/// The values of the parameter `name`, percent-decoded.
pub fn values<'a>(target: &'a [u8], name: &str) -> impl Iterator<Item = Cow<'a, [u8]>> {
    parameters(target).filter(move |parameter| is(parameter, name)).map(|parameter| decode(value(parameter)))
}

/// The target without the parameters `names`, if it has one of them. What cannot be decoded stays, since no
/// upstream would take it for one of them either.
#[must_use]
pub fn without<'n>(target: &[u8], names: impl Iterator<Item = &'n str> + Clone) -> Option<Vec<u8>> {
    let is_one = |parameter: &[u8]| names.clone().any(|name| is(parameter, name));
    if !parameters(target).any(is_one) {
        return None;
    }
    let path = target.split(|b| *b == b'?').next().unwrap_or_default();
    let mut kept = path.to_vec();
    for (index, parameter) in parameters(target).filter(|parameter| !is_one(parameter)).enumerate() {
        kept.push(if index == 0 { b'?' } else { b'&' });
        kept.extend_from_slice(parameter);
    }
    Some(kept)
}

/// Some servers separate parameters with `;`, too: what could be a token to one of them is cut out as well.
fn parameters(target: &[u8]) -> impl Iterator<Item = &[u8]> {
    let query = target.iter().position(|b| *b == b'?').and_then(|at| target.get(at + 1..));
    query.into_iter().flat_map(|query| query.split(|b| *b == b'&' || *b == b';'))
}

fn is(parameter: &[u8], name: &str) -> bool {
    let given = parameter.split(|b| *b == b'=').next().unwrap_or_default();
    *decode(given) == *name.as_bytes()
}

fn value(parameter: &[u8]) -> &[u8] {
    let at = parameter.iter().position(|b| *b == b'=');
    at.and_then(|at| parameter.get(at + 1..)).unwrap_or_default()
}

/// Percent-decoding (RFC 3986 §2.1). An escape that is none stands for itself.
fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let escaped = (*byte == b'%').then(|| after.split_first_chunk::<2>()).flatten();
        let value = escaped.and_then(|([high, low], _)| Some(digit(*high)? << 4 | digit(*low)?));
        match (value, escaped) {
            (Some(value), Some((_, behind))) => {
                decoded.push(value);
                rest = behind;
            }
            _ => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    Cow::Owned(decoded)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_parameter_is_found_however_it_is_spelt() {
        for (target, expected) in [
            ("/a?t=x.y.z", &["x.y.z"][..]),
            ("/a?b=1&t=x&c", &["x"]),
            ("/a?%74=x", &["x"]),
            ("/a?t=%78%2Ey", &["x.y"]),
            ("/a?t=%7", &["%7"]),
            ("/a?t=%zz", &["%zz"]),
            ("/a?t=1&t=2", &["1", "2"]),
            ("/a?b=1;t=2", &["2"]),
            ("/a?t", &[""]),
            ("/a?t=a=b", &["a=b"]),
            ("/a?tt=1&T=2", &[]),
            ("/t=1", &[]),
            ("/a", &[]),
            ("/a?", &[]),
        ] {
            let found: Vec<_> = values(target.as_bytes(), "t").map(Cow::into_owned).collect();
            let expected: Vec<_> = expected.iter().map(|text| text.as_bytes().to_vec()).collect();
            assert_eq!(found, expected, "{target}");
        }
    }

    #[test]
    fn every_parameter_that_could_hold_a_token_is_cut_out() {
        for (target, expected) in [
            ("/a?t=x", Some("/a")),
            ("/a?t=x&b=1", Some("/a?b=1")),
            ("/a?b=1&t=x", Some("/a?b=1")),
            ("/a?b=1&t=x&c=2&%74=y", Some("/a?b=1&c=2")),
            ("/a?b=1;t=x;c", Some("/a?b=1&c")),
            ("/a?t", Some("/a")),
            ("/a?b=t", None),
            ("/a", None),
        ] {
            let cleaned = without(target.as_bytes(), ["t", "u"].into_iter());
            assert_eq!(cleaned.as_deref(), expected.map(str::as_bytes), "{target}");
        }
    }
}
