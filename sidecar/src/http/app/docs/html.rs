//! Text in HTML.

/// `text` as text, wherever it stands: in an element or in a quoted attribute.
pub(in crate::http::app) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            one => out.push(one),
        }
    }
    out
}

/// A description: text, in which what stands between backticks is code.
pub(super) fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // A backtick without its partner is one.
    let pairs = (parts.len() - 1) / 2;
    let mut out = String::new();
    for (index, part) in parts.iter().enumerate() {
        match (index % 2, index / 2 < pairs) {
            (1, true) => out.push_str(&format!("<code>{}</code>", escape(part))),
            (1, false) => out.push_str(&format!("`{}", escape(part))),
            _ => out.push_str(&escape(part)),
        }
    }
    out
}

/// An anchor of these words: letters, digits and hyphens alone.
pub(super) fn id(words: &[&str]) -> String {
    let joined = words.join("-").to_lowercase();
    let words = joined.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        for (text, expected) in [
            ("plain", "plain"),
            ("<script>alert('1')</script>", "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"),
            ("\" onload=\"x", "&quot; onload=&quot;x"),
            ("a & b &amp; c", "a &amp; b &amp;amp; c"),
            ("</style>", "&lt;/style&gt;"),
        ] {
            assert_eq!(escape(text), expected);
            assert_eq!(prose(text), expected);
        }
    }

    #[test]
    fn what_stands_between_backticks_is_code() {
        for (text, expected) in [
            ("a `b` c", "a <code>b</code> c"),
            ("`<b>` and `c`", "<code>&lt;b&gt;</code> and <code>c</code>"),
            ("a ` b", "a ` b"),
            ("`a` ` b", "<code>a</code> ` b"),
            ("`", "`"),
            ("", ""),
        ] {
            assert_eq!(prose(text), expected, "{text}");
        }
    }

    #[test]
    fn an_anchor_holds_nothing_that_ends_an_attribute() {
        assert_eq!(id(&["POST", "/api/admin/{email}"]), "post-api-admin-email");
        assert_eq!(id(&["\"><x", "ü"]), "x");
    }
}
