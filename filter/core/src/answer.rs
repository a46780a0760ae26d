//! What a client that may not pass is answered.

pub mod language;
pub mod navigation;
mod page;

use std::borrow::Cow;
use std::rc::Rc;

use sekisho_protocol::Email;
use serde_json::{Value, json};

use crate::authorize::Lack;
use crate::decision::Decision;
use crate::denial::{Denial, Inability, Malformed, Refusal};
use crate::head::Framing;
use language::Language;

/// Most of an operator's own body that gRPC clients are told: to them it is a header.
const GRPC_MESSAGE_MAX_BYTES: usize = 1_024;

/// How a rule answers those that may not pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers {
    /// The shape of the body.
    pub shape: Shape,
    /// The page to which browsers are sent that have to sign in.
    pub sign_in: Option<String>,
    /// What is answered instead; the first that fits.
    pub custom: Vec<Custom>,
}

/// The shape of a rule's refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// `{"error":{"message":…,"type":…}}`, as LLM clients expect it.
    Llm,
    /// Problem details (RFC 9457).
    #[default]
    Problem,
}

/// An answer that an operator wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custom {
    /// Instead of which.
    pub when: When,
    /// Another status.
    pub status: Option<u16>,
    /// Headers that are set besides, or instead.
    pub headers: Vec<(String, String)>,
    /// Another body, in which `{status}`, `{code}` and `{message}` are filled in.
    pub body: Option<String>,
}

/// Which answer a custom one replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// All with this status.
    Status(u16),
    /// The one with this code.
    Code(String),
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
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// JSON, unless an operator wrote something else.
    pub body: String,
    /// The name of the rule that it is an answer of, once that is known.
    pub route: Option<Rc<str>>,
    /// What it tells the client.
    pub decision: Decision,
    /// One sentence for people: what gRPC clients get instead of the body.
    pub message: String,
    /// Why, for the access log.
    pub code: &'static str,
}

impl Answers {
    /// The answer to a request that may not pass. `sign_in` is where a browser goes that could sign in, `page` in which
    /// language somebody reads it who sees it; programs see none.
    #[must_use]
    pub fn to(&self, refusal: &Refusal, sign_in: Option<&str>, page: Option<Language>, now_s: u64) -> Answer {
        let mut answer = match refusal {
            Refusal::Denied(denial) => match sign_in.filter(|_| denial.ends_by_signing_in()) {
                Some(location) => Answer::redirect(location, denial.code()),
                None => Answer::denied(denial, self.shape, now_s),
            },
            Refusal::CannotTell(inability) => Answer::unable(*inability, self.shape),
            Refusal::Malformed(malformed) => Answer::malformed(*malformed, self.shape),
        };
        let is_meant = |custom: &&Custom| match &custom.when {
            When::Status(status) => *status == answer.status,
            When::Code(code) => *code == answer.code,
        };
        if let Some(custom) = self.custom.iter().find(is_meant) {
            return custom.instead_of(answer, &refusal.message(now_s));
        }
        if let (Refusal::Denied(denial), Some(language), false) = (refusal, page, answer.is_redirect()) {
            answer.show(denial, language, now_s);
        }
        answer
    }
}

impl Custom {
    fn instead_of(&self, mut answer: Answer, message: &str) -> Answer {
        answer.status = self.status.unwrap_or(answer.status);
        for (name, value) in &self.headers {
            answer.headers.retain(|(known, _)| known != name);
            answer.headers.push((name.clone().into(), value.clone()));
        }
        if let Some(body) = &self.body {
            // None of the three holds a brace, a quote or a backslash: they fit into JSON and HTML as they are.
            let status = answer.status.to_string();
            answer.body =
                body.replace("{status}", &status).replace("{code}", answer.code).replace("{message}", message);
            // What an operator would rather not say is not said to gRPC clients either.
            let end = answer.body.floor_char_boundary(GRPC_MESSAGE_MAX_BYTES);
            answer.message = answer.body.get(..end).unwrap_or_default().to_owned();
        }
        answer
    }
}

impl Answer {
    /// The answer to a refused request: 401 with a challenge (RFC 6750 §3), or 403.
    #[must_use]
    pub fn denied(denial: &Denial, shape: Shape, now_s: u64) -> Self {
        let message = denial.message(now_s);
        let mut answer = if denial.status() == 401 {
            Self::new(401, "Unauthorized", "authentication_error", denial.code(), &message, shape)
        } else {
            Self::new(403, "Forbidden", "permission_error", denial.code(), &message, shape)
        };
        if let Some(body) = of_session(denial, &message, now_s) {
            answer.tell_sessions(body, denial.code(), shape);
        }
        if let Some(challenge) = challenge(denial, now_s) {
            answer.headers.push(("www-authenticate".into(), challenge));
        }
        answer
    }

    /// What the gateway that Sekisho replaces told browsers' programs; problem details may say more (RFC 9457 §3.2).
    fn tell_sessions(&mut self, mut body: Value, code: &str, shape: Shape) {
        if shape == Shape::Problem
            && let Value::Object(members) = &mut body
        {
            let title = if self.status == 403 { "Forbidden" } else { "Unauthorized" };
            let usual = [
                ("type", "about:blank".into()),
                ("title", title.into()),
                ("status", self.status.into()),
                ("code", code.into()),
            ];
            members.extend(usual.map(|(name, value): (&str, Value)| (name.to_owned(), value)));
            members.insert("detail".into(), self.message.as_str().into());
        }
        self.body = body.to_string();
    }

    /// Says the same as a page, if there is one about it.
    fn show(&mut self, denial: &Denial, language: Language, now_s: u64) {
        if let Some(body) = page::about(denial, language, now_s) {
            self.body = body;
            let headers = page::headers(language);
            self.headers.retain(|(known, _)| !headers.iter().any(|(name, _)| known == name));
            self.headers.extend(headers.map(|(name, value)| (name.into(), value.to_owned())));
        }
    }

    fn is_redirect(&self) -> bool {
        self.status == 302
    }

    /// The answer to a request that nobody can decide on: 503.
    #[must_use]
    pub fn unable(inability: Inability, shape: Shape) -> Self {
        let (code, message) = (inability.code(), inability.message());
        let mut answer = Self::new(503, "Service Unavailable", "service_unavailable", code, message, shape);
        answer.headers.push(("retry-after".into(), "1".into()));
        answer
    }

    /// The answer to a request that is not well-formed: 400.
    #[must_use]
    pub fn malformed(malformed: Malformed, shape: Shape) -> Self {
        let (code, message) = (malformed.code(), malformed.message());
        Self::new(400, "Bad Request", "invalid_request_error", code, &message, shape)
    }

    /// Sends a browser to sign in.
    fn redirect(location: &str, code: &'static str) -> Self {
        let headers = vec![("location".into(), location.to_owned()), ("cache-control".into(), "no-store".into())];
        let decision = Decision::Deny;
        Self { status: 302, headers, body: String::new(), message: String::new(), route: None, decision, code }
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
        let headers = vec![("content-type".into(), content_type.into()), ("cache-control".into(), "no-store".into())];
        let decision = if status == 503 { Decision::Error } else { Decision::Deny };
        Self { status, headers, body: body.to_string(), message: message.into(), route: None, decision, code }
    }

    /// The status for gRPC clients. The host gives it to them alone, with HTTP status 200.
    #[must_use]
    pub fn grpc_status(&self) -> u8 {
        // <https://grpc.io/docs/guides/status-codes/>. Left to itself the host would make INTERNAL of 400 and
        // UNAVAILABLE, which clients may try again at once, of 429.
        match self.status {
            400 => 3,  // INVALID_ARGUMENT
            401 => 16, // UNAUTHENTICATED
            403 => 7,  // PERMISSION_DENIED
            429 => 8,  // RESOURCE_EXHAUSTED
            503 => 14, // UNAVAILABLE
            _ => 2,    // UNKNOWN
        }
    }

    /// The body for a client of this kind. For gRPC the host makes `grpc-message` of it, and escapes it.
    #[must_use]
    pub fn body_for(&self, framing: Framing) -> &str {
        match framing {
            Framing::Http => &self.body,
            Framing::Grpc => &self.message,
        }
    }

    /// The headers for a client of this kind: those of gRPC are told by the host what the body is.
    pub fn headers_for(&self, framing: Framing) -> impl Iterator<Item = (&str, &str)> {
        let describes_the_body = move |name: &str| framing == Framing::Grpc && name == "content-type";
        let headers = self.headers.iter().map(|(name, value)| (name.as_ref(), value.as_str()));
        headers.filter(move |(name, _)| !describes_the_body(name))
    }
}

/// The body about a session; none if the refusal is about something else.
fn of_session(denial: &Denial, message: &str, now_s: u64) -> Option<Value> {
    match denial {
        Denial::SessionBanned { until, email } => Some(json!({
            "error": "Access denied",
            "message": message,
            "banned_until_seconds": until.saturating_sub(now_s),
            "user_email": email.as_ref().map(Email::as_str),
        })),
        Denial::SessionEnded => Some(json!({"error": message, "message": "Sign in again"})),
        _ => None,
    }
}

/// The challenge that goes with a refusal. RFC 6750 §3.1: a request without any credential gets no error code.
fn challenge(denial: &Denial, now_s: u64) -> Option<String> {
    let error = |error: &str, more: &str| {
        format!(r#"Bearer realm="sekisho", error="{error}", error_description="{}"{more}"#, denial.reason(now_s))
    };
    match denial {
        Denial::Missing => Some(r#"Bearer realm="sekisho""#.to_owned()),
        Denial::NotBearer => Some(r#"Bearer realm="sekisho", error="invalid_request""#.to_owned()),
        Denial::Unmet(unmet) => match &unmet.what {
            Lack::Scope(scopes) => Some(error("insufficient_scope", &format!(r#", scope="{scopes}""#))),
            Lack::SignIn(most_s) => {
                Some(error("insufficient_user_authentication", &format!(r#", max_age="{most_s}""#)))
            }
            Lack::TokenAge => Some(error("invalid_token", "")),
            _ => None,
        },
        Denial::SignInNeeded => Some(error("insufficient_user_authentication", "")),
        Denial::Closed | Denial::CrossSite | Denial::SessionBanned { .. } => None,
        _ => Some(error("invalid_token", "")),
    }
}

#[cfg(test)]
mod tests;
