//! The page, as a browser gets it.

use serde_json::json;

use super::*;

fn real() -> (Value, String) {
    let document = serde_json::to_value(document::describe()).unwrap();
    let page = page(&document);
    (document, page)
}

/// What stands in the attribute `name` of every element.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    page.split(start.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_operation_and_every_schema_is_on_the_page() {
    let (document, page) = real();
    let operations = operation::all(&document);
    assert!(operations.len() > 15, "{}", operations.len());
    for operation in &operations {
        let heading = format!("{}</span> <code>{}</code></h3>", operation.method, escape(operation.path));
        assert_eq!(page.matches(&heading).count(), 1, "{heading}");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("<h3 id=\"{}\">{name}</h3>", id(&["schema", name]))), "{name}");
    }
    assert_eq!(page.matches("<h4>Example</h4>").count(), operations.len());
    assert_eq!(page.matches("<h4>Answers</h4>").count(), operations.len());
}

#[test]
fn nothing_is_loaded_from_anywhere_and_every_link_leads_to_the_page_itself() {
    let (_, page) = real();
    for never in ["@import", "url(", "javascript:"] {
        assert!(!page.contains(never), "{never}");
    }
    let (_, elements) = markup(&page);
    for name in elements {
        let known = [
            "aria-label",
            "aria-labelledby",
            "charset",
            "class",
            "content",
            "href",
            "id",
            "lang",
            "name",
            "scope",
            "tabindex",
        ];
        assert!(known.contains(&name), "{name}: an attribute that may load or run something");
    }
    let anchors = attributes(&page, "id");
    let mut unique = anchors.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), anchors.len(), "no anchor twice");
    for link in attributes(&page, "href") {
        let is_known = link.strip_prefix('#').is_some_and(|anchor| anchors.contains(&anchor));
        assert!(is_known || link == document::PATH, "{link}");
    }
    for anchor in attributes(&page, "aria-labelledby") {
        assert!(anchors.contains(&anchor), "{anchor}");
    }
}

#[test]
fn the_policy_lets_this_style_sheet_take_effect_and_nothing_else() {
    let (_, page) = real();
    let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let digest = STANDARD.encode(Sha256::digest(style));
    assert!(POLICY.starts_with(&format!("default-src 'none'; style-src 'sha256-{digest}'; ")), "{}", *POLICY);
    assert_eq!(page.matches("<style").count(), 1);
}

#[test]
fn nothing_in_a_document_becomes_markup() {
    let evil = "\"'><script>x</script><img src=x onerror=x>";
    let document = json!({
        "info": {"title": evil, "version": evil, "description": evil},
        "tags": [{"name": evil, "description": evil}],
        "paths": {evil: {"post": {
            "tags": [evil], "summary": evil, "description": evil,
            "parameters": [{"name": evil, "in": evil, "description": evil, "schema": {"enum": [evil], "default": evil}}],
            "requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": {evil: {"type": evil, "description": evil}}}}}},
            "responses": {evil: {"description": evil, "content": {evil: {"schema": {"$ref": format!("#/components/schemas/{evil}")}}}}}
        }}},
        "components": {"schemas": {evil: {"type": evil, "description": evil}}}
    });
    let page = page(&document);
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    let (elements, _) = markup(&page);
    for element in elements {
        assert!(ELEMENTS.contains(&element), "{element}");
    }
}

const ELEMENTS: [&str; 30] = [
    "!doctype", "a", "article", "body", "br", "code", "div", "h1", "h2", "h3", "h4", "head", "html", "li", "main",
    "meta", "nav", "p", "pre", "section", "span", "style", "table", "tbody", "td", "th", "thead", "title", "tr", "ul",
];

/// The names of all elements, and of all attributes in them.
fn markup(page: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut elements, mut attributes) = (Vec::new(), Vec::new());
    for tag in page.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
        let (name, rest) = tag.split_once(' ').unwrap_or((tag, ""));
        elements.push(name.trim_start_matches('/'));
        // Every other part stands between quotes.
        let outside = rest.split('"').step_by(2).filter_map(|part| part.trim().strip_suffix('='));
        attributes.extend(outside);
    }
    (elements, attributes)
}
