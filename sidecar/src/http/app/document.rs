//! The API's description (OpenAPI 3.1), made from the handlers. `docs/openapi.json` is a copy of it,
//! and a test keeps it current.

use axum::Json;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Document, PathItem, Ref, RefOr};
use utoipa::{Modify, OpenApi};

use crate::domain::audit::Action;
use crate::domain::page::Direction;
use crate::domain::session_order;
use crate::domain::token::order::Sort;
use crate::http::app::answer::{AdminOnly, Problem};

/// Where the listener serves it.
pub const PATH: &str = "/api/openapi.json";

/// What the handlers don't say by themselves.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sekisho",
        description = "Tokens, sessions and bans. Callers reach it through Envoy, where the Sekisho filter authenticates them; \
                       it believes nobody else. Admin calls need a token with the scope `admin`, and a role: auditors may make those that read, \
                       administrators all but a few, which are for super administrators. \
                       Times are Unix seconds. Errors are problem documents (RFC 9457) with a stable `code`, except where a shape is given.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")
    ),
    modifiers(&Bearer),
    // What refusals consist of, and words of queries, are not collected from the handlers.
    components(schemas(Action, AdminOnly, Problem, Sort, session_order::Sort, Direction)),
    security(("bearer" = [])),
    tags(
        (name = "tokens", description = "A caller's own tokens"),
        (name = "sessions", description = "A caller's own sessions"),
        (name = "admin", description = "For administrators"),
        (name = "keys", description = "The keys with which tokens are signed; only super administrators change them"),
        (name = "webhooks", description = "Who is told of events"),
        (name = "health", description = "For health checks")
    )
)]
pub struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("A token of this API or of a provider that the gateway accepts. Envoy checks it."))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The whole description.
#[must_use]
pub fn describe() -> Document {
    let (_, mut document) = super::routes().split_for_parts();
    document.paths.paths.values_mut().for_each(tell_of_both_shapes);
    super::manners::described::describe(&mut document);
    document
}

/// A refused admin call has the old shape, unless it is refused to an administrator: then it is a problem document. The
/// derive macro knows one shape for each status.
fn tell_of_both_shapes(path: &mut PathItem) {
    let operations = [&mut path.get, &mut path.put, &mut path.post, &mut path.delete, &mut path.patch];
    for operation in operations.into_iter().flatten() {
        let Some(RefOr::T(forbidden)) = operation.responses.responses.get_mut("403") else { continue };
        if forbidden.content.contains_key("application/json") {
            let problem = Content::new(Some(Ref::from_schema_name("Problem")));
            forbidden.content.insert("application/problem+json".to_owned(), problem.into());
        }
    }
}

/// The description as it stands in `docs/openapi.json`.
///
/// # Errors
/// It can't be written as JSON.
pub fn text() -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&describe())?;
    text.push('\n');
    Ok(text)
}

pub(super) async fn openapi() -> Json<Document> {
    Json(describe())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_that_is_named_is_described() {
        let document = serde_json::to_value(describe()).unwrap();
        let text = document.to_string();
        for reference in text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document["components"]["schemas"][reference].is_object(), "{reference}");
        }
    }

    #[test]
    fn the_description_in_the_docs_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let expected = text().unwrap();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(found == expected, "docs/openapi.json is out of date: `sekisho openapi > docs/openapi.json` renews it");
    }
}
