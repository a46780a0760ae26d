//! A call of each operation with curl, with values that stand for real ones.

use serde_json::{Map, Value, json};

use super::operation::Operation;

const COMPONENTS: &str = "#/components/schemas/";
/// Schemas may name each other; an example need not go deeper.
const DEPTH: usize = 4;

/// The command.
pub(super) fn curl(operation: &Operation<'_>, document: &Value) -> String {
    let mut lines = vec!["curl".to_owned()];
    if operation.method != "GET" {
        lines.push(format!("-X {}", operation.method));
    }
    if !operation.is_public() {
        lines.push("-H \"Authorization: Bearer $SEKISHO_TOKEN\"".to_owned());
    }
    if let Some(body) = operation.body() {
        lines.push("-H 'Content-Type: application/json'".to_owned());
        lines.push(format!("-d {}", quoted(&value(document, body, "", DEPTH).to_string())));
    }
    // The variable stands in double quotes, what follows in single ones: nothing in it means anything to a shell.
    lines.push(format!("\"$SEKISHO_URL\"{}", quoted(&target(operation, document))));
    lines.join(" \\\n  ")
}

/// Path and query, with what the call can't do without.
fn target(operation: &Operation<'_>, document: &Value) -> String {
    let (mut path, mut query) = (operation.path.to_owned(), Vec::new());
    for (name, place, whole) in operation.parameters() {
        let schema = whole.get("schema").unwrap_or(&Value::Null);
        let text = match value(document, schema, name, DEPTH) {
            Value::String(text) => text,
            other => other.to_string(),
        };
        match place {
            "path" => path = path.replace(&format!("{{{name}}}"), &text),
            "query" if whole.get("required").and_then(Value::as_bool).unwrap_or_default() => {
                query.push(format!("{name}={text}"));
            }
            _ => {}
        }
    }
    if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The schema behind a reference.
pub(super) fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix(COMPONENTS));
    let schemas = document.pointer("/components/schemas");
    name.and_then(|name| schemas?.get(name)).unwrap_or(schema)
}

/// A value of this schema, for what is called `name`.
fn value(document: &Value, schema: &Value, name: &str, depth: usize) -> Value {
    let schema = resolved(document, schema);
    if let Some(example) =
        schema.get("example").or_else(|| schema.pointer("/examples/0")).or_else(|| schema.get("default"))
    {
        return example.clone();
    }
    if let Some(first) = schema.pointer("/enum/0") {
        return first.clone();
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        let mut choices = schema.get(choice).and_then(Value::as_array).into_iter().flatten();
        if let Some(one) = choices.find(|one| one.get("type").is_none_or(|kind| kind != "null")) {
            return if depth == 0 { Value::Null } else { value(document, one, name, depth - 1) };
        }
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null")
        }
        _ => "object",
    };
    match kind {
        "string" if name.contains("email") => json!("ann@example.com"),
        "string" => json!(name.to_uppercase()),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(60)),
        "boolean" => json!(true),
        "array" if depth > 0 => json!([value(document, schema.get("items").unwrap_or(&Value::Null), name, depth - 1)]),
        "array" => json!([]),
        "object" if depth > 0 => object(document, schema, depth - 1),
        _ => Value::Null,
    }
}

/// What must be there; or, if nothing must, everything.
fn object(document: &Value, schema: &Value, depth: usize) -> Value {
    let members = schema.get("properties").and_then(Value::as_object);
    let required = schema.get("required").and_then(Value::as_array).filter(|names| !names.is_empty());
    let is_wanted = |name: &str| required.is_none_or(|required| required.iter().any(|one| one == name));
    let wanted = members.into_iter().flatten().filter(|(name, _)| is_wanted(name));
    Value::Object(
        wanted.map(|(name, member)| (name.clone(), value(document, member, name, depth))).collect::<Map<_, _>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::operation;
    use super::*;

    #[test]
    fn an_example_is_a_command_that_a_shell_takes_as_it_is() {
        let document = json!({
            "paths": {
                "/a/{email}": {"delete": {"parameters": [
                    {"name": "email", "in": "path", "required": true, "schema": {"type": "string"}},
                    {"name": "now", "in": "query", "required": true, "schema": {"type": "boolean"}},
                    {"name": "limit", "in": "query", "schema": {"type": "integer"}}]}},
                "/b": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/B"}}}}}},
                "/c": {"get": {"security": [{}]}}
            },
            "components": {"schemas": {"B": {"type": "object", "required": ["name", "tags", "loop"], "properties": {
                "name": {"type": "string", "example": "it's $HOME"}, "tags": {"type": ["array", "null"], "items": {"type": "string"}},
                "loop": {"$ref": "#/components/schemas/B"}, "more": {"type": "object"}}}}}
        });
        let commands: Vec<String> = operation::all(&document).iter().map(|one| curl(one, &document)).collect();
        assert_eq!(
            commands[0],
            "curl \\\n  -X DELETE \\\n  -H \"Authorization: Bearer $SEKISHO_TOKEN\" \\\n  \"$SEKISHO_URL\"'/a/ann@example.com?now=true'"
        );
        assert!(commands[1].contains("\"name\":\"it'\\''s $HOME\""), "{}", commands[1]);
        assert!(commands[1].contains("\"tags\":[\"TAGS\"]") && !commands[1].contains("more"), "{}", commands[1]);
        assert_eq!(commands[2], "curl \\\n  \"$SEKISHO_URL\"'/c'");
    }
}
