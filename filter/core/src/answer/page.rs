//! What people see instead of JSON: small pages, which load nothing and do nothing, for a browser that goes somewhere with a
//! session that lets nobody in and where signing in would not help, or nobody said where to.

use std::borrow::Cow;

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

/// The page about a refusal; none if there is none about it.
pub(super) fn about(denial: &Denial, language: Language, now_s: u64) -> Option<String> {
    let (title, lines) = match denial {
        Denial::SessionBanned { until, email } => banned(*until, email.as_ref(), language, now_s),
        Denial::SessionEnded => ended(language),
        _ => return None,
    };
    let lines: String = lines.iter().map(|line| format!("<p>{}</p>", escaped(line))).collect();
    Some(format!(
        "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{lines}</main></body></html>",
        language.tag()
    ))
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

fn banned(until: u64, email: Option<&Email>, language: Language, now_s: u64) -> (&'static str, Vec<Cow<'static, str>>) {
    let left = until.saturating_sub(now_s);
    let (days, hours, is_forever) = (left / 86_400, left % 86_400 / 3_600, until >= FOREVER);
    let part = |count: u64, one: &str, more: &str| {
        let unit = if count == 1 { one } else { more };
        (count > 0).then(|| format!("{count}{unit}"))
    };
    match language {
        Language::English => {
            let who =
                email.map_or("Your account is banned.".into(), |email| format!("{} is banned.", email.as_str()).into());
            let until = match (days, hours) {
                _ if is_forever => "The ban has no end.".into(),
                (0, 0) => "The ban ends in less than an hour.".into(),
                _ => {
                    let parts = [part(days, " day", " days"), part(hours, " hour", " hours")];
                    format!("The ban ends in {}.", parts.into_iter().flatten().collect::<Vec<_>>().join(" and ")).into()
                }
            };
            ("Access denied", vec![who, until, "Signing in again does not help.".into()])
        }
        Language::Japanese => {
            let who = email.map_or("このアカウントは利用を停止されています。".into(), |email| {
                format!("{} は利用を停止されています。", email.as_str()).into()
            });
            let until = match (days, hours) {
                _ if is_forever => "利用停止に期限はありません。".into(),
                (0, 0) => "利用停止は1時間以内に解除されます。".into(),
                _ => {
                    let parts = [part(days, "日", "日"), part(hours, "時間", "時間")];
                    format!("利用停止はあと{}で解除されます。", parts.into_iter().flatten().collect::<String>()).into()
                }
            };
            ("アクセスできません", vec![who, until, "サインインし直しても利用できません。".into()])
        }
    }
}

fn ended(language: Language) -> (&'static str, Vec<Cow<'static, str>>) {
    match language {
        Language::English => ("Session ended", vec!["Your session has ended. Sign in again to go on.".into()]),
        Language::Japanese => ("セッションが終了しました", vec!["続けるには、もう一度サインインしてください。".into()]),
    }
}

/// As text in HTML: an address may hold anything that somebody could choose.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
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
        assert_eq!(escaped("<a b=\"c\">&'"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;");
    }

    #[test]
    fn other_refusals_have_no_page() {
        for denial in [Denial::Missing, Denial::Banned { until: 1 }, Denial::Revoked, Denial::Closed, Denial::CrossSite]
        {
            assert_eq!(about(&denial, Language::English, 0), None, "{denial:?}");
        }
    }
}
