//! What people see instead of JSON: small pages, which load nothing and do nothing, for a browser that goes somewhere with a
//! session that lets nobody in and where signing in would not help, or nobody said where to.

use sekisho_protocol::Email;
use sekisho_protocol::feed::FOREVER;

use super::language::Language;
use crate::denial::Denial;

/// The only style; [`POLICY`] names its hash.
const STYLE: &str =
    "body{font:1rem/1.6 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1.5rem;overflow-wrap:anywhere}";
/// No script, no image, no request to anywhere, no frame around it.
const POLICY: &str = "default-src 'none'; style-src 'sha256-mWjJlwZKtilrxOslIcd6Q/hSa3BVPUK2UaZpxm3pkjs='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// By what a page differs from what others get.
const VARY: &str = "accept, accept-language, cookie, sec-fetch-dest, sec-fetch-mode";

/// What pages say in a language.
struct Words {
    /// About a ban: the title, whose account it is if no address is known, and what is behind either.
    denied: &'static str,
    account: &'static str,
    is_banned: &'static str,
    /// What stands around the time that is left, its units for one and for more, and what joins them.
    ends: [&'static str; 2],
    days: [&'static str; 2],
    hours: [&'static str; 2],
    and: &'static str,
    /// In place of that, if hardly any time is left, or for ever.
    ends_soon: &'static str,
    ends_never: &'static str,
    useless: &'static str,
    /// About a session that was ended.
    ended: &'static str,
    sign_in: &'static str,
}

const ENGLISH: Words = Words {
    denied: "Access denied",
    account: "Your account",
    is_banned: " is banned.",
    ends: ["The ban ends in ", "."],
    days: [" day", " days"],
    hours: [" hour", " hours"],
    and: " and ",
    ends_soon: "The ban ends in less than an hour.",
    ends_never: "The ban has no end.",
    useless: "Signing in again does not help.",
    ended: "Session ended",
    sign_in: "Your session has ended. Sign in again to go on.",
};

const JAPANESE: Words = Words {
    denied: "アクセスできません",
    account: "このアカウント",
    is_banned: " は利用を停止されています。",
    ends: ["利用停止はあと", "で解除されます。"],
    days: ["日", "日"],
    hours: ["時間", "時間"],
    and: "",
    ends_soon: "利用停止は1時間以内に解除されます。",
    ends_never: "利用停止に期限はありません。",
    useless: "サインインし直しても利用できません。",
    ended: "セッションが終了しました",
    sign_in: "続けるには、もう一度サインインしてください。",
};

/// The page about a refusal; none if there is none about it.
pub(super) fn about(denial: &Denial, language: Language, now_s: u64) -> Option<String> {
    let words = match language {
        Language::English => &ENGLISH,
        Language::Japanese => &JAPANESE,
    };
    let mut body = String::new();
    let title = match denial {
        Denial::SessionBanned { until, email } => {
            push_escaped(&mut body, email.as_ref().map_or(words.account, Email::as_str));
            push_all(&mut body, &[words.is_banned, "</p><p>"]);
            push_end(&mut body, words, *until, now_s);
            push_all(&mut body, &["</p><p>", words.useless]);
            words.denied
        }
        Denial::SessionEnded => {
            body.push_str(words.sign_in);
            words.ended
        }
        _ => return None,
    };
    let mut page = String::from("<!doctype html><html lang=\"");
    let viewport =
        "\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">";
    let colors = "<meta name=\"color-scheme\" content=\"light dark\"><title>";
    push_all(&mut page, &[language.tag(), viewport, colors, title, "</title><style>", STYLE, "</style></head>"]);
    push_all(&mut page, &["<body><main><h1>", title, "</h1><p>", &body, "</p></main></body></html>"]);
    Some(page)
}

/// When a ban ends.
fn push_end(body: &mut String, words: &Words, until: u64, now_s: u64) {
    let left = until.saturating_sub(now_s);
    let (days, hours) = (left / 86_400, left % 86_400 / 3_600);
    if until >= FOREVER || days + hours == 0 {
        body.push_str(if until >= FOREVER { words.ends_never } else { words.ends_soon });
        return;
    }
    let ([before, after], [day, more_days], [hour, more_hours]) = (words.ends, words.days, words.hours);
    body.push_str(before);
    if days > 0 {
        push_all(body, &[&days.to_string(), if days == 1 { day } else { more_days }]);
    }
    if hours > 0 {
        push_all(body, &[if days > 0 { words.and } else { "" }, &hours.to_string()]);
        body.push_str(if hours == 1 { hour } else { more_hours });
    }
    body.push_str(after);
}

fn push_all(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
}

/// Its headers.
pub(super) fn headers(language: Language) -> [(&'static str, &'static str); 7] {
    [
        ("content-type", "text/html; charset=utf-8"),
        ("content-language", language.tag()),
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("vary", VARY),
    ]
}

/// As text in HTML: an address may hold anything that somebody could choose.
fn push_escaped(text: &mut String, raw: &str) {
    for c in raw.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use sha2::{Digest as _, Sha256};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn of(until: u64, email: Option<&str>, language: Language) -> String {
        let email = email.map(|email| Email::parse(email).unwrap());
        about(&Denial::SessionBanned { until, email }, language, 1_000).unwrap()
    }

    #[test]
    fn the_policy_lets_a_browser_use_the_style_and_nothing_else() {
        let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
        assert!(POLICY.contains(&format!("'sha256-{hash}'")), "the hash of the style is {hash}");
        let page = of(FOREVER, None, Language::English);
        assert!(page.contains(&format!("<style>{STYLE}</style>")));
        for forbidden in ["<script", " style=", "http", "src=", "href=", "url("] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn a_banned_browser_is_told_for_how_long_in_its_language() {
        const DAY: u64 = 86_400;
        for (left, english, japanese) in [
            (6 * DAY + 23 * 3_600, "in 6 days and 23 hours", "あと6日23時間で"),
            (DAY + 3_600, "in 1 day and 1 hour.", "あと1日1時間で"),
            (7 * DAY + 59, "in 7 days.", "あと7日で"),
            (2 * 3_600, "in 2 hours.", "あと2時間で"),
            (3_599, "in less than an hour", "1時間以内に"),
            (FOREVER, "has no end", "期限はありません"),
        ] {
            let page = of(1_000 + left, Some("ann@example.com"), Language::English);
            assert!(page.contains("<html lang=\"en\">") && page.contains(english), "{page}");
            assert!(page.contains("<p>ann@example.com is banned.</p>"), "{page}");
            let page = of(1_000 + left, None, Language::Japanese);
            assert!(page.contains("<html lang=\"ja\">") && page.contains(japanese), "{page}");
        }
    }

    #[test]
    fn nothing_in_an_address_becomes_markup() {
        for hostile in ["<img/src=x>@example.com", "a&b'\"@example.com"] {
            let email = Email::parse(hostile).unwrap();
            let page = about(&Denial::SessionBanned { until: 0, email: Some(email) }, Language::English, 0).unwrap();
            assert!(!page.contains(hostile), "{page}");
        }
        let mut text = String::new();
        push_escaped(&mut text, "<a b=\"c\">&'");
        assert_eq!(text, "&lt;a b=&quot;c&quot;&gt;&amp;&#39;");
    }

    #[test]
    fn other_refusals_have_no_page() {
        for denial in [Denial::Missing, Denial::Banned { until: 1 }, Denial::Revoked, Denial::Closed, Denial::CrossSite]
        {
            assert_eq!(about(&denial, Language::English, 0), None, "{denial:?}");
        }
    }
}
