//! How a claim becomes a header.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

/// How a claim becomes a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encoding {
    /// A text, number or truth value as it is; of a list of such, joined with commas. Only printable ASCII without
    /// spaces around it, and in a list without commas; anything else gives no header.
    #[default]
    Plain,
    /// The same of any text: every byte of its UTF-8 that RFC 3986 §2.3 does not leave free is percent-encoded.
    Percent,
    /// JSON, with everything beyond ASCII escaped.
    Json,
    /// A text, number or truth value as it is, and nothing else: for comparisons.
    Scalar,
    /// JSON in base64url without padding (RFC 4648 §5).
    Base64Url,
}

/// Longest header that a claim becomes, in bytes. A longer one is none.
const HEADER_MAX_BYTES: usize = 4 * 1024;

impl Encoding {
    /// How a configuration names them.
    pub const WORDS: &[(&str, Self)] =
        &[("plain", Self::Plain), ("percent", Self::Percent), ("json", Self::Json), ("base64url", Self::Base64Url)];

    /// The header's value; none if the claim cannot be written so.
    #[must_use]
    pub fn encode(self, value: &Value) -> Option<Box<str>> {
        let text = match self {
            Self::Plain => listed(value, plain)?,
            Self::Scalar => scalar(value)?,
            Self::Percent => listed(value, |text, _| Some(percent(text)))?,
            Self::Json => ascii_json(value),
            Self::Base64Url => BASE64_URL_SAFE_NO_PAD.encode(value.to_string()),
        };
        (!text.is_empty() && text.len() <= HEADER_MAX_BYTES).then(|| text.into())
    }
}

/// One value, or those of a list, joined with commas.
fn listed(value: &Value, encode: impl Fn(&str, bool) -> Option<String>) -> Option<String> {
    match value {
        Value::Array(values) => {
            let parts = values.iter().map(|value| encode(&scalar(value)?, true)).collect::<Option<Vec<_>>>()?;
            Some(parts.join(","))
        }
        value => encode(&scalar(value)?, false),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn plain(text: &str, in_list: bool) -> Option<String> {
    let is_plain = text.bytes().all(|b| (b.is_ascii_graphic() || b == b' ') && !(in_list && b == b','));
    let is_trimmed = text.trim_matches(' ').len() == text.len();
    (is_plain && is_trimmed && !text.is_empty()).then(|| text.to_owned())
}

fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _infallible = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn ascii_json(value: &Value) -> String {
    let json = value.to_string();
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && !c.is_ascii_control() {
            ascii.push(c);
            continue;
        }
        // RFC 8259 §7: beyond the basic plane, two escapes.
        let mut units = [0; 2];
        for unit in c.encode_utf16(&mut units) {
            let _infallible = write!(ascii, "\\u{unit:04x}");
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_claim_becomes_a_header_or_none_but_never_two() {
        use Encoding::{Base64Url, Json, Percent, Plain};
        for (encoding, value, expected) in [
            (Plain, json!("Ann Smith"), Some("Ann Smith")),
            (Plain, json!(7), Some("7")),
            (Plain, json!(true), Some("true")),
            (Plain, json!(["a", "b", 3]), Some("a,b,3")),
            (Plain, json!(["a,b", "c"]), None),
            (Plain, json!("a,b"), Some("a,b")),
            (Plain, json!("a\r\nx-admin: 1"), None),
            (Plain, json!("Zoë"), None),
            (Plain, json!(" a"), None),
            (Plain, json!(""), None),
            (Plain, json!([]), None),
            (Plain, json!(["a", {}]), None),
            (Plain, json!({"a": 1}), None),
            (Percent, json!("Zoë, 50%"), Some("Zo%C3%AB%2C%2050%25")),
            (Percent, json!(["a,b", "c d"]), Some("a%2Cb,c%20d")),
            (Percent, json!("\r\n"), Some("%0D%0A")),
            (Percent, json!({}), None),
            (Json, json!({"a": "ë😀\u{7f}"}), Some(r#"{"a":"\u00eb\ud83d\ude00\u007f"}"#)),
            (Json, json!(["x"]), Some(r#"["x"]"#)),
            (Base64Url, json!({"a": 1}), Some("eyJhIjoxfQ")),
        ] {
            assert_eq!(encoding.encode(&value).as_deref(), expected, "{encoding:?} {value}");
        }
        let long = json!("x".repeat(HEADER_MAX_BYTES + 1));
        assert_eq!(Plain.encode(&long), None);
    }
}
