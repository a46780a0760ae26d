//! `trusted_origins` of a rule: whose pages may send what changes something with a session.

use super::field::Field;
use super::parse::Parser;
use crate::cross_site::TrustedOrigins;
use crate::path::normal_host;

/// Most origins of a rule.
pub(super) const ORIGINS_MAX: usize = 16;
/// As the schema has them; the parser says what exactly is wrong.
#[cfg(feature = "schema")]
pub(super) const PATTERN: &str = r"^(\*|https?://[a-z0-9._:\[\]-]+)$";

impl Parser<'_> {
    pub(super) fn trusted_origins(
        &mut self,
        path: &str,
        field: Field<Vec<String>>,
        accepts_sessions: bool,
    ) -> TrustedOrigins {
        let at = format!("{path}.trusted_origins");
        if !accepts_sessions && !matches!(field, Field::Absent) {
            self.problems.push(&at, "says nothing on a rule that accepts no sessions");
        }
        let Some(origins) = self.optional_texts(at.clone(), field) else { return TrustedOrigins::default() };
        if origins == ["*"] {
            return TrustedOrigins::All;
        }
        if origins.len() > ORIGINS_MAX {
            self.problems.push(&at, format_args!("has more than {ORIGINS_MAX} elements"));
        }
        for origin in origins.iter().filter(|origin| !is_origin(origin)) {
            let wanted = "`https://` and a host as browsers write it, in lower case and without a usual port or a path";
            self.problems.push(&at, format_args!("`{origin}` is no origin: {wanted}; `*` stands alone"));
        }
        TrustedOrigins::Only(origins)
    }
}

/// As browsers serialise it (HTML §7.1.1): any other spelling would never be met.
fn is_origin(text: &str) -> bool {
    let page = text.strip_prefix("https://").map(|page| (page, ":443"));
    let page = page.or_else(|| text.strip_prefix("http://").map(|page| (page, ":80")));
    let Some((page, usual)) = page else { return false };
    let is_plain = !page.bytes().any(|byte| byte.is_ascii_uppercase()) && !page.ends_with(usual);
    is_plain && normal_host(page.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use crate::config::check;
    use crate::config::tests::sound;

    /// What is wrong with a rule that trusts these.
    fn problems(origins: Value, sessions: &str) -> Vec<String> {
        let mut config = sound();
        config["sessions"] = json!({});
        config["routes"][3]["sessions"] = json!(sessions);
        config["routes"][3]["trusted_origins"] = origins;
        check(&config.to_string()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_origin_is_written_as_browsers_do_or_it_would_never_be_met() {
        for good in ["https://a.example", "https://a.example:8443", "http://localhost:3000", "https://[::1]:1", "*"] {
            assert_eq!(problems(json!([good]), "accept"), [""; 0], "{good}");
        }
        for bad in [
            "a.example",
            "https://",
            "https://a.example/",
            "https://A.example",
            "HTTPS://a.example",
            "https://a.example:443",
            "http://a.example:80",
            "https://u@a.example",
            "https://*.example",
            "ftp://a.example",
            "null",
            "https://a.example,https://b.example",
        ] {
            let found = problems(json!([bad]), "accept");
            assert_eq!(found.len(), 1, "{bad}: {found:?}");
            assert!(found[0].starts_with(&format!("routes[3].trusted_origins: `{bad}` is no origin")), "{found:?}");
        }
        assert_eq!(problems(json!(["*", "https://a.example"]), "accept").len(), 1, "`*` stands alone");
        let many: Vec<_> = (0..17).map(|n| format!("https://a{n}.example")).collect();
        assert_eq!(problems(json!(many), "accept"), ["routes[3].trusted_origins: has more than 16 elements"]);
    }

    #[test]
    fn they_say_something_about_sessions_only() {
        let wanted = "routes[3].trusted_origins: says nothing on a rule that accepts no sessions";
        assert_eq!(problems(json!(["https://a.example"]), "ignore"), [wanted]);
    }
}
