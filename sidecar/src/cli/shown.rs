//! Texts from outside, so that nothing in them acts on a terminal: neither control characters, those of C1 among them, nor
//! what turns the order of a text around.

/// Whether a terminal would do something else with it than show it.
fn acts(character: char) -> bool {
    let turns_around = matches!(character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || turns_around || matches!(character, '\u{2028}' | '\u{2029}')
}

/// A value, within a line.
pub(super) fn safe(text: impl AsRef<str>) -> String {
    escaped(text.as_ref(), |character| acts(character).then(|| character.escape_debug().to_string()))
}

/// A text of several lines.
pub(super) fn safe_lines(text: &str) -> String {
    escaped(text, |character| {
        let is_safe = matches!(character, '\n' | '\t') || !acts(character);
        (!is_safe).then(|| character.escape_debug().to_string())
    })
}

/// JSON: the same value, of which nothing acts. Outside of its strings there is nothing to escape but ends of lines, which stay.
pub(super) fn safe_json(json: &str) -> String {
    escaped(json, |character| {
        // All of them are in the first plane.
        (character != '\n' && acts(character)).then(|| format!("\\u{:04x}", u32::from(character)))
    })
}

fn escaped(text: &str, escape: impl Fn(char) -> Option<String>) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match escape(character) {
            Some(escaped) => shown.push_str(&escaped),
            None => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn nothing_of_a_value_acts_and_the_rest_is_as_it_was() {
        for (text, expected) in [
            ("it's \"Zoë\" \\ 名前", "it's \"Zoë\" \\ 名前"),
            ("\u{1b}[2Jgone\u{7}", "\\u{1b}[2Jgone\\u{7}"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("\u{202e}gpj.exe\u{2066}", "\\u{202e}gpj.exe\\u{2066}"),
        ] {
            assert_eq!(safe(text), expected);
        }
        assert_eq!(safe_lines("a\n\tb\u{1b}c"), "a\n\tb\\u{1b}c");
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = json!({"name": "\u{1b}[2J \u{9b}2J \u{7f} \u{202e} é \\ \" \n"});
        for text in [format!("{value}"), format!("{value:#}")] {
            let shown = safe_json(&text);
            assert!(!shown.chars().any(|character| character != '\n' && acts(character)), "{shown}");
            assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
        }
    }
}
