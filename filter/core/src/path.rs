//! Paths and hosts in the one form in which they are matched (rule E2).
//!
//! What could be read in two ways is refused rather than normalised: whatever the upstream makes of
//! a path, it must be the path that the rule was chosen for.

pub mod readings;

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// Why a path is refused. One word for the log; a client learns only that its path is unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusual {
    /// Does not start with `/`: no origin form (RFC 9112 §3.2.1).
    #[error("the path does not start with a slash")]
    Form,
    /// A control character, white space, a fragment or a byte beyond ASCII.
    #[error("the path holds a byte that does not belong there")]
    Byte,
    /// `//`, which some servers take for `/`.
    #[error("the path holds an empty segment")]
    EmptySegment,
    /// `.` or `..` (RFC 3986 §5.2.4).
    #[error("the path holds a dot segment")]
    DotSegment,
    /// `;`, behind which some servers see parameters, or `\`, which some take for `/`.
    #[error("the path holds a separator that servers read differently")]
    Separator,
    /// `%` without two hex digits, or hiding what must not or need not be hidden.
    #[error("the path holds an escape that is invalid, needless or hides a separator")]
    Escape,
    /// Longer than a regular expression is tried on ([`crate::route::matcher::REGEX_PATH_MAX_BYTES`]).
    #[error("the path is longer than it may be here")]
    TooLong,
    /// A letter beyond ASCII where a rule ignores case, which some servers take for another one (`ſ` for `s`).
    #[error("the path has a letter whose case servers read differently")]
    Case,
}

/// The path of `:path` without its query, if it has just one reading: the one in which an upstream decodes its
/// escapes, none of which can hide a separator.
///
/// # Errors
/// [`Unusual`] names what could be read in two ways.
pub fn normal_path(target: &[u8]) -> Result<Cow<'_, str>, Unusual> {
    if let Some(query) = target.iter().position(|b| *b == b'?')
        && !target.iter().skip(query).all(u8::is_ascii_graphic)
    {
        return Err(Unusual::Byte);
    }
    let path = target.split(|b| *b == b'?').next().unwrap_or_default();
    if path.first() != Some(&b'/') {
        return Err(Unusual::Form);
    }
    let mut is_escaped = false;
    for byte in path {
        match byte {
            b';' | b'\\' => return Err(Unusual::Separator),
            b'%' => is_escaped = true,
            b'#' => return Err(Unusual::Byte),
            byte if !byte.is_ascii_graphic() => return Err(Unusual::Byte),
            _ => {}
        }
    }
    // The last segment may be empty: `/a/` is a path of its own.
    let inner = path.strip_suffix(b"/").unwrap_or(path);
    for segment in inner.split(|b| *b == b'/').skip(1) {
        match segment {
            b"" => return Err(Unusual::EmptySegment),
            b"." | b".." => return Err(Unusual::DotSegment),
            _ => {}
        }
    }
    if is_escaped {
        return decode(path).map(Cow::Owned);
    }
    std::str::from_utf8(path).map(Cow::Borrowed).map_err(|_| Unusual::Byte)
}

fn decode(path: &[u8]) -> Result<String, Unusual> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.iter().copied();
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' { escaped(bytes.next(), bytes.next())? } else { byte });
    }
    // What is no UTF-8 is read in as many ways as there are encodings (RFC 3987 §3.1).
    String::from_utf8(decoded).map_err(|_| Unusual::Escape)
}

fn escaped(high: Option<u8>, low: Option<u8>) -> Result<u8, Unusual> {
    // A server that decodes before it takes a target apart would end the path at `?` or `#`.
    hidden(high, low).filter(|byte| !matches!(byte, b'/' | b'?' | b'#')).ok_or(Unusual::Escape)
}

/// What two hex digits stand for, unless it is what nothing may hide.
fn hidden(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
    let hidden = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    // RFC 3986 §2.3: an escaped unreserved character is the same as the character itself.
    let needless = hidden.is_ascii_alphanumeric() || matches!(hidden, b'-' | b'.' | b'_' | b'~');
    let separator = matches!(hidden, b'\\' | b';' | b'%') || hidden.is_ascii_control();
    (!needless && !separator).then_some(hidden)
}

/// The host of `:authority`, in lower case and without its port (RFC 3986 §3.2.2); an IPv6 address in its one
/// canonical spelling (RFC 5952). None if it is no host, or has a second spelling: a trailing dot, an empty label.
#[must_use]
pub fn normal_host(authority: &[u8]) -> Option<Cow<'_, str>> {
    let authority = std::str::from_utf8(authority).ok()?;
    let length = if authority.starts_with('[') {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, port) = authority.split_at_checked(length)?;
    // Envoy takes only a number away, so the router would see another host than the rules.
    let is_number = |p: &str| p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u16>().is_ok();
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_number) {
        return None;
    }
    if let Some(bracketed) = host.strip_prefix('[') {
        let address: Ipv6Addr = bracketed.strip_suffix(']')?.parse().ok()?;
        // Another spelling is another host to the router, and the same one to the rules.
        let canonical = format!("[{address}]");
        return host.eq_ignore_ascii_case(&canonical).then_some(Cow::Owned(canonical));
    }
    let (mut before, mut has_capitals) = (b'.', false);
    for byte in host.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && before != b'.');
        if !is_plain {
            return None;
        }
        has_capitals |= byte.is_ascii_uppercase();
        before = byte;
    }
    if before == b'.' {
        return None;
    }
    if has_capitals {
        return Some(Cow::Owned(host.to_ascii_lowercase()));
    }
    Some(Cow::Borrowed(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn e2_a_path_with_two_readings_is_refused() {
        for (target, expected) in [
            ("/", Ok("/")),
            ("/v1/chat/completions", Ok("/v1/chat/completions")),
            ("/a/", Ok("/a/")),
            ("/a?q=//..;%2f", Ok("/a")),
            ("/caf%C3%A9/%20x", Ok("/café/ x")),
            ("/caf%c3%a9/%40", Ok("/café/@")),
            ("/a..b/...", Ok("/a..b/...")),
            ("", Err(Unusual::Form)),
            ("*", Err(Unusual::Form)),
            ("http://x/a", Err(Unusual::Form)),
            ("//", Err(Unusual::EmptySegment)),
            ("//a", Err(Unusual::EmptySegment)),
            ("/a//b", Err(Unusual::EmptySegment)),
            ("/a//", Err(Unusual::EmptySegment)),
            ("/./a", Err(Unusual::DotSegment)),
            ("/a/..", Err(Unusual::DotSegment)),
            ("/a/../b", Err(Unusual::DotSegment)),
            ("/a\\b", Err(Unusual::Separator)),
            ("/a;x=1", Err(Unusual::Separator)),
            ("/a#b", Err(Unusual::Byte)),
            ("/a b", Err(Unusual::Byte)),
            ("/a\u{7f}", Err(Unusual::Byte)),
            ("/é", Err(Unusual::Byte)),
            ("/a?é", Err(Unusual::Byte)),
            ("/a%2Fb", Err(Unusual::Escape)),
            ("/a%5cb", Err(Unusual::Escape)),
            ("/%2e%2e/a", Err(Unusual::Escape)),
            ("/a%3bx", Err(Unusual::Escape)),
            ("/a%00", Err(Unusual::Escape)),
            ("/a%0d%0ab", Err(Unusual::Escape)),
            ("/%61", Err(Unusual::Escape)),
            ("/a%252f", Err(Unusual::Escape)),
            ("/a%2", Err(Unusual::Escape)),
            ("/a%zz", Err(Unusual::Escape)),
            ("/a%3Fb", Err(Unusual::Escape)),
            ("/a%23b", Err(Unusual::Escape)),
            ("/a%C3", Err(Unusual::Escape)),
            ("/a%C0%AF", Err(Unusual::Escape)),
        ] {
            assert_eq!(normal_path(target.as_bytes()).as_deref(), expected.as_deref(), "{target:?}");
        }
    }

    #[test]
    fn e2_a_host_is_lower_case_without_its_port() {
        for (authority, expected) in [
            ("example.com", Some("example.com")),
            ("Example.COM:8080", Some("example.com")),
            ("[::1]:8080", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("[0:0:0:0:0:0:0:1]:80", None),
            ("[2001:DB8::a]", Some("[2001:db8::a]")),
            ("[::ffff:127.0.0.1]", Some("[::ffff:127.0.0.1]")),
            ("[::ffff:7f00:1]", None),
            ("", None),
            ("example.com.", None),
            ("example.com, other", None),
            (":80", None),
            ("example.com:", None),
            ("example.com:65536", None),
            ("example.com:99999999999", None),
            ("example.com:+1", None),
            ("[::1]:", None),
            ("user@example.com", None),
            ("example.com:80@evil", None),
            ("exa mple", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[]", None),
            ("[a.example.com]", None),
            ("[::1%25eth0]", None),
            ("a[::1]", None),
            ("a]", None),
            (".example.com", None),
            ("..example.com", None),
            ("a..example.com", None),
            (".", None),
            ("example.com:80:80", None),
        ] {
            assert_eq!(normal_host(authority.as_bytes()).as_deref(), expected, "{authority:?}");
        }
    }
}
