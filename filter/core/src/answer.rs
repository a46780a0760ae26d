//! What a client that may not pass is answered.

use serde_json::json;

use crate::denial::{Denial, Inability, Malformed};

/// The shape of a rule's refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// `{"error":{"message":…,"type":…}}`, as LLM clients expect it.
    Llm,
    /// Problem details (RFC 9457).
    #[default]
    Problem,
}

impl Shape {
    /// How a configuration names them.
    pub const WORDS: &[(&str, Self)] = &[("llm", Self::Llm), ("problem", Self::Problem)];
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
    /// Why, for the access log.
    pub code: &'static str,
}

impl Answer {
    /// The answer to a refused request: 401 with a challenge (RFC 6750 §3).
    #[must_use]
    pub fn denied(denial: &Denial, shape: Shape, now_s: u64) -> Self {
        // RFC 6750 §3.1: a request without any credential gets no error code.
        let challenge = match denial {
            Denial::Missing => r#"Bearer realm="sekisho""#.to_owned(),
            Denial::NotBearer => r#"Bearer realm="sekisho", error="invalid_request""#.to_owned(),
            _ => format!(
                r#"Bearer realm="sekisho", error="invalid_token", error_description="{}""#,
                denial.reason(now_s)
            ),
        };
        let mut answer =
            Self::new(401, "Unauthorized", "authentication_error", denial.code(), &denial.message(now_s), shape);
        answer.headers.push(("www-authenticate", challenge));
        answer
    }

    /// The answer to a request that nobody can decide on: 503.
    #[must_use]
    pub fn unable(inability: Inability, shape: Shape) -> Self {
        let (code, message) = (inability.code(), inability.message());
        let mut answer = Self::new(503, "Service Unavailable", "service_unavailable", code, message, shape);
        answer.headers.push(("retry-after", "1".into()));
        answer
    }

    /// The answer to a request that is not well-formed: 400.
    #[must_use]
    pub fn malformed(malformed: Malformed, shape: Shape) -> Self {
        let (code, message) = (malformed.code(), malformed.message());
        Self::new(400, "Bad Request", "invalid_request_error", code, &message, shape)
    }

    fn new(status: u16, title: &str, kind: &str, code: &'static str, message: &str, shape: Shape) -> Self {
        let (content_type, body) = match shape {
            Shape::Llm => ("application/json", json!({"error": {"message": message, "type": kind}})),
            Shape::Problem => (
                "application/problem+json",
                json!({"type": "about:blank", "title": title, "status": status, "detail": message, "code": code}),
            ),
        };
        // A refusal is about this moment: no cache may repeat it.
        let headers = vec![("content-type", content_type.into()), ("cache-control", "no-store".into())];
        Self { status, headers, body: body.to_string(), code }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Invalid;
    use sekisho_protocol::feed::FOREVER;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
        answer.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn refusals_of_the_llm_path_keep_the_old_words() {
        for (denial, message) in [
            (Denial::Missing, "Authorization header required"),
            (Denial::NotBearer, "Invalid Authorization header format"),
            (Denial::Revoked, "Invalid or expired token: Token has been revoked"),
            (Denial::Banned { until: 604_800 }, "Invalid or expired token: User is banned for 6 days 23 hours"),
            (Denial::Banned { until: FOREVER }, "Invalid or expired token: User is banned permanently"),
            (Denial::Invalid(Invalid::Expired), "Invalid or expired token: token has expired"),
        ] {
            let answer = Answer::denied(&denial, Shape::Llm, 1);
            assert_eq!(answer.status, 401);
            let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(body, json!({"error": {"message": message, "type": "authentication_error"}}));
        }
    }

    #[test]
    fn a_refusal_carries_the_challenge_of_rfc_6750() {
        let challenge =
            |denial: &Denial| header(&Answer::denied(denial, Shape::Llm, 0), "www-authenticate").map(str::to_owned);
        assert_eq!(challenge(&Denial::Missing).as_deref(), Some(r#"Bearer realm="sekisho""#));
        assert_eq!(
            challenge(&Denial::Revoked).as_deref(),
            Some(r#"Bearer realm="sekisho", error="invalid_token", error_description="Token has been revoked""#)
        );
    }

    #[test]
    fn an_inability_is_no_refusal() {
        let answer = Answer::unable(Inability::Unavailable, Shape::Problem);
        assert_eq!(answer.status, 503);
        assert_eq!(header(&answer, "retry-after"), Some("1"));
        assert_eq!(header(&answer, "www-authenticate"), None);
        assert_eq!(header(&answer, "content-type"), Some("application/problem+json"));
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((&body["status"], &body["code"]), (&json!(503), &json!("check_unavailable")));
    }
}
