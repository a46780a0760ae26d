//! Makes a call, and makes it again if no answer comes.

use std::time::Duration;

use serde_json::Value;
use url::{Host, Url};

use super::{Arguments, Ready, wrong};
use crate::cli::Exit;
use crate::cli::output::Output;
use crate::cli::shown::safe;
use crate::service::gateway::{Gateway, Incoming, Outgoing};

/// A call that was cut off may still be under way when it is sent again: it is asked for so many times.
const PATIENCE: u32 = 30;

/// Who calls, and whom.
pub(super) struct Caller<'a> {
    gateway: &'a dyn Gateway,
    output: &'a Output,
    /// Without a slash at its end.
    base: String,
    headers: Vec<(&'static str, String)>,
}

impl<'a> Caller<'a> {
    /// The caller that the arguments and the environment describe.
    pub(super) fn new(
        arguments: &Arguments,
        is_public: bool,
        gateway: &'a dyn Gateway,
        output: &'a Output,
    ) -> Result<Self, Exit> {
        let url = arguments.url.as_deref().ok_or_else(|| {
            wrong("SEKISHO_URL", "is missing: where Envoy answers for the API, such as https://sekisho.example.com")
        })?;
        let base = base(url).map_err(|problem| wrong("SEKISHO_URL", problem))?;
        let mut headers = vec![("accept", "application/json".to_owned())];
        headers.extend(arguments.host.clone().map(|host| ("host", host)));
        if !is_public {
            let token = token(&|name| std::env::var(name).ok())?;
            if is_readable_on_the_way(&base) {
                output.remark("warning: the token goes over http, where others can read it");
            }
            headers.push(("authorization", format!("Bearer {token}")));
        }
        Ok(Self { gateway, output, base: base.as_str().trim_end_matches('/').to_owned(), headers })
    }

    /// What the call is answered with; nothing, if there is no body.
    pub(super) async fn call(&self, ready: &Ready<'_>) -> Result<Option<Value>, Exit> {
        self.at(ready, &ready.target).await
    }

    /// The same, at another target.
    pub(super) async fn at(&self, ready: &Ready<'_>, target: &str) -> Result<Option<Value>, Exit> {
        judged(self.send(&self.outgoing(ready, target)).await?)
    }

    /// Makes the call once, and gives the body of a good answer to `into`, piece by piece.
    pub(super) async fn stream(&self, ready: &Ready<'_>, into: &mut (dyn FnMut(&[u8]) + Send)) -> Result<(), Exit> {
        let answer = self.gateway.stream(&self.outgoing(ready, &ready.target), into).await;
        let answer = answer.map_err(|reason| anyhow::anyhow!("no whole answer from {}: {reason}", self.base))?;
        judged(answer).map(drop)
    }

    fn outgoing(&self, ready: &Ready<'_>, target: &str) -> Outgoing {
        let mut headers = self.headers.clone();
        if ready.operation.method == "POST" {
            // New for each call, the same for each time that it is sent.
            headers.push(("idempotency-key", uuid::Uuid::new_v4().to_string()));
        }
        if ready.body.is_some() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let (method, url) = (ready.operation.method.clone(), format!("{}{target}", self.base));
        Outgoing { method, url, headers, body: ready.body.clone() }
    }

    async fn send(&self, call: &Outgoing) -> Result<Incoming, Exit> {
        let first = match self.gateway.send(call).await {
            Ok(answer) => return Ok(answer),
            Err(reason) => reason,
        };
        // Every call may be sent twice: what is not idempotent by itself carries a key.
        self.output.remark(&format!("note: no answer ({first}); asking once more"));
        for _ in 0..PATIENCE {
            let unanswered = |reason| Exit::from(anyhow::anyhow!("no answer from {}: {reason}", self.base));
            let answer = self.gateway.send(call).await.map_err(unanswered)?;
            if code(&answer.body) != Some("idempotency_in_progress".into()) {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_secs(answer.retry_after_s.unwrap_or(1).min(5))).await;
        }
        Err(anyhow::anyhow!("the call is still under way; look later at what it came to").into())
    }
}

/// The URL without what has no meaning there.
fn base(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => Err("must hold no credential".into()),
        "http" | "https" if url.query().is_none() && url.fragment().is_none() => Ok(url),
        _ => Err("is not an address such as https://sekisho.example.com".into()),
    }
}

/// Whether a network would see what is sent in the clear.
fn is_readable_on_the_way(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !is_here
}

/// The caller's token.
fn token(env: &dyn Fn(&str) -> Option<String>) -> Result<String, Exit> {
    let text = match (env("SEKISHO_TOKEN"), env("SEKISHO_TOKEN_FILE")) {
        (Some(_), Some(_)) => return Err(wrong("SEKISHO_TOKEN", "and SEKISHO_TOKEN_FILE are both set; one is enough")),
        (Some(token), None) => token,
        (None, Some(file)) => {
            let unreadable = |error| wrong("SEKISHO_TOKEN_FILE", format!("cannot be read: {error}"));
            std::fs::read_to_string(file).map_err(unreadable)?
        }
        (None, None) => {
            let message = "is missing: put a token there, or its file's name into SEKISHO_TOKEN_FILE";
            return Err(wrong("SEKISHO_TOKEN", message));
        }
    };
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong("SEKISHO_TOKEN", "is no token"));
    }
    Ok(token.to_owned())
}

/// The body of a good answer, or the error in another one.
fn judged(answer: Incoming) -> Result<Option<Value>, Exit> {
    if (200..300).contains(&answer.status) {
        let text = answer.body.trim();
        return Ok((!text.is_empty()).then(|| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))));
    }
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    // A problem document, the old gateway's shape, that of the LLM paths, or whatever else stood in the way.
    let message = ["/detail", "/error/message", "/error", "/message"]
        .into_iter()
        .find_map(|place| body.pointer(place).and_then(Value::as_str))
        .unwrap_or("the answer says no more");
    let code = code(&answer.body).unwrap_or_else(|| format!("http_{}", answer.status));
    Err(Exit::Refused { status: answer.status, code, message: safe(message) })
}

fn code(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let code = body.get("code").or_else(|| body.pointer("/error/code"))?;
    code.as_str().map(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_an_address_without_a_credential() {
        for (text, expected) in [
            ("https://sekisho.example.com", true),
            ("http://127.0.0.1:8080/", true),
            ("https://gateway.example.com/sekisho", true),
            ("sekisho.example.com", false),
            ("ftp://sekisho.example.com", false),
            ("https://user:secret@sekisho.example.com", false),
            ("https://sekisho.example.com?a=b", false),
            ("", false),
        ] {
            assert_eq!(base(text).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn only_what_leaves_the_machine_in_the_clear_is_warned_of() {
        for (text, expected) in [
            ("http://127.0.0.1:8080", false),
            ("http://[::1]:8080", false),
            ("http://localhost", false),
            ("http://sekisho.localhost", false),
            ("https://sekisho.example.com", false),
            ("http://sekisho.example.com", true),
            ("http://10.0.0.1", true),
        ] {
            assert_eq!(is_readable_on_the_way(&base(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn a_token_comes_from_the_environment_or_a_file_and_from_one_of_them() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "of.the.file\n").unwrap();
        let path = file.path().to_str().unwrap();
        for (token_value, file_value, expected) in [
            (Some("a.b.c"), None, Some("a.b.c")),
            (Some(" a.b.c\n"), None, Some("a.b.c")),
            (None, Some(path), Some("of.the.file")),
            (Some("a.b.c"), Some(path), None),
            (None, None, None),
            (Some(""), None, None),
            (Some("a b"), None, None),
            (None, Some("/nowhere/at/all"), None),
        ] {
            let env = |name: &str| {
                let value = if name == "SEKISHO_TOKEN" { token_value } else { file_value };
                value.map(str::to_owned)
            };
            assert_eq!(token(&env).ok().as_deref(), expected, "{token_value:?} {file_value:?}");
        }
    }

    #[test]
    fn every_shape_of_an_error_becomes_a_code_and_a_sentence() {
        for (status, body, expected) in [
            (404, r#"{"code": "not_banned", "detail": "ann is not banned"}"#, ("not_banned", "ann is not banned")),
            (403, r#"{"error": "Admin access only", "user": "ann"}"#, ("http_403", "Admin access only")),
            (401, r#"{"error": {"code": "expired", "message": "too late"}}"#, ("expired", "too late")),
            (503, "no healthy upstream", ("http_503", "the answer says no more")),
            (302, "", ("http_302", "the answer says no more")),
        ] {
            let answer = Incoming { status, retry_after_s: None, body: body.into() };
            let Err(Exit::Refused { status: told, code, message }) = judged(answer) else { panic!("{body}") };
            assert_eq!((told, code.as_str(), message.as_str()), (status, expected.0, expected.1));
        }
        let good = |body: &str| judged(Incoming { status: 202, retry_after_s: None, body: body.into() }).ok().flatten();
        assert_eq!(good(r#"{"a": 1}"#), Some(serde_json::json!({"a": 1})));
        assert_eq!(good("plain"), Some(Value::from("plain")));
        assert_eq!(good(""), None);
    }
}
