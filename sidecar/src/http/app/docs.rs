//! `/api/docs`: the API's description as a page for people, made on the first request from the same document that
//! programs get. It is one file: no script, no picture, and nothing that a browser would have to fetch from anywhere.

use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::domain::error::Failure;
use crate::http::app::answer::Refused;
use crate::http::app::document;

mod example;
pub(super) mod html;
mod operation;
mod schema;

use html::{escape, id, prose};
use operation::Operation;

/// Where the listener serves it.
pub const PATH: &str = "/api/docs";

const STYLE: &str = include_str!("docs/style.css");

static PAGE: LazyLock<Result<String, String>> = LazyLock::new(|| {
    let document = serde_json::to_value(document::describe()).map_err(|error| error.to_string())?;
    Ok(page(&document))
});

/// Nothing but this one style sheet may take effect, whatever a description might hold.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

pub(super) async fn show() -> Response {
    let (Ok(page), Ok(policy)) = (&*PAGE, HeaderValue::from_str(&POLICY)) else {
        return Refused(Failure::Internal { cause: "the reference page can't be made".into() }).into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy),
        // Nothing in it is anybody's: a browser may keep it, if it asks each time whether it is still the same.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (StatusCode::OK, headers, page.as_str()).into_response()
}

/// The whole page.
fn page(document: &Value) -> String {
    let text = |place: &str| document.pointer(place).and_then(Value::as_str).unwrap_or_default();
    let (title, version) = (escape(text("/info/title")), escape(text("/info/version")));
    let (contents, sections) = operations(document);
    let schemas = schema::all(document);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} API reference</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#content\">Skip to the reference</a>\n\
         <nav aria-label=\"Calls\">\n{contents}</nav>\n<main id=\"content\">\n<h1>{title} API reference</h1>\n\
         <p class=\"version\">Version {version}</p>\n<p>{}</p>\n\
         <p>The examples expect the address of the API in <code>SEKISHO_URL</code> and a token in <code>SEKISHO_TOKEN</code>. \
         Programs find the same description in <a href=\"{}\"><code>{}</code></a>.</p>\n{sections}{schemas}</main>\n</body>\n</html>\n",
        prose(text("/info/description")),
        document::PATH,
        document::PATH,
    )
}

/// The table of contents, and the operations behind it, by tag.
fn operations(document: &Value) -> (String, String) {
    let all = operation::all(document);
    let (mut contents, mut sections) = (String::new(), String::new());
    for (tag, about) in tags(document, &all) {
        let (name, anchor) = (escape(&tag), id(&["tag", &tag]));
        contents.push_str(&format!("<h2><a href=\"#{anchor}\">{name}</a></h2>\n<ul>\n"));
        sections.push_str(&format!(
            "<section aria-labelledby=\"{anchor}\">\n<h2 id=\"{anchor}\">{name}</h2>\n<p>{about}</p>\n"
        ));
        for operation in all.iter().filter(|operation| operation.tag() == tag) {
            contents.push_str(&operation.entry());
            sections.push_str(&operation.article(document));
        }
        contents.push_str("</ul>\n");
        sections.push_str("</section>\n");
    }
    contents.push_str("<h2><a href=\"#schemas\">schemas</a></h2>\n");
    (contents, sections)
}

/// The tags with what they say, in the order of the document; then those that it does not describe.
fn tags(document: &Value, operations: &[Operation<'_>]) -> Vec<(String, String)> {
    let described = document.get("tags").and_then(Value::as_array).into_iter().flatten();
    let mut tags: Vec<(String, String)> = Vec::new();
    for tag in described {
        let text = |name: &str| tag.get(name).and_then(Value::as_str).unwrap_or_default();
        tags.push((text("name").to_owned(), prose(text("description"))));
    }
    for operation in operations {
        if !tags.iter().any(|(name, _)| name == operation.tag()) {
            tags.push((operation.tag().to_owned(), String::new()));
        }
    }
    tags.retain(|(name, _)| operations.iter().any(|operation| operation.tag() == name));
    tags
}

#[cfg(test)]
mod tests;
