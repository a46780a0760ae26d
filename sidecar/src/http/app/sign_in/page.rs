//! The pages: small, the same in every colour scheme and size, with nothing that a browser would have to fetch or run.

use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sekisho_core::answer::language::Language;
use sha2::{Digest as _, Sha256};

use super::texts::{Kind, Texts};
use crate::http::app::docs::html::escape;

const STYLE: &str = include_str!("page.css");

static STYLE_HASH: LazyLock<String> = LazyLock::new(|| STANDARD.encode(Sha256::digest(STYLE)));

/// What the button of a page does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Button {
    /// There is none.
    None,
    /// Goes to this path of the same host.
    Goes(String),
    /// Sends a form to this path of the same host. The answer may lead to these origins besides.
    Sends(&'static str, Option<String>),
}

/// A page.
pub(super) struct Page {
    status: StatusCode,
    kind: Kind,
    language: Language,
    button: Button,
}

impl Page {
    pub(super) fn new(status: StatusCode, kind: Kind, language: Language) -> Self {
        Self { status, kind, language, button: Button::None }
    }

    pub(super) fn with(self, button: Button) -> Self {
        Self { button, ..self }
    }

    /// Nothing but this one style sheet takes effect, and forms go here alone.
    fn policy(&self) -> String {
        let forms = match &self.button {
            // Browsers hold the redirect that answers a form against this, too.
            Button::Sends(_, Some(origin)) => format!("'self' {origin}"),
            Button::Sends(_, None) => "'self'".to_owned(),
            Button::Goes(_) | Button::None => "'none'".to_owned(),
        };
        let style = &*STYLE_HASH;
        format!(
            "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; form-action {forms}; frame-ancestors 'none'"
        )
    }

    fn html(&self) -> String {
        let Texts { title, message, button } = self.kind.texts(self.language);
        let button = match (&self.button, button) {
            (Button::Goes(path), Some(text)) => {
                format!("<p><a class=\"button\" href=\"{}\">{text}</a></p>\n", escape(path))
            }
            (Button::Sends(path, _), Some(text)) => {
                format!(
                    "<form method=\"post\" action=\"{}\"><button class=\"button\">{text}</button></form>\n",
                    escape(path)
                )
            }
            _ => String::new(),
        };
        format!(
            "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
             <body>\n<main>\n<h1>{title}</h1>\n<p>{}</p>\n{button}</main>\n</body>\n</html>\n",
            self.language.tag(),
            escape(&message),
        )
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.html()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(self.language.tag()));
        headers.insert(header::VARY, HeaderValue::from_static("accept-language"));
        if let Ok(policy) = HeaderValue::from_str(&self.policy()) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        if matches!(self.button, Button::Sends(..)) {
            // Without a referrer browsers say that a form's `Origin` is `null`, and older ones say nothing else of it.
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
        }
        response
    }
}
