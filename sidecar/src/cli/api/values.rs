//! Makes of `name=value` what a call takes: the description says which type a value has, and where it belongs.

use serde_json::{Map, Value};
use url::form_urlencoded;

use super::operations::Operation;

/// What a call takes, in its places.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filled {
    /// With the names in it filled in, percent-encoded.
    pub(super) path: String,
    /// The query, without `?`.
    pub(super) query: String,
    /// The body, if there are values for one.
    pub(super) body: Option<Value>,
}

/// `path` (the operation's, or one with values in place of its names) with these fields.
pub(super) fn fill(operation: &Operation<'_>, path: &str, fields: &[(String, String)]) -> Result<Filled, String> {
    let mut filled = Filled { path: path.to_owned(), ..Filled::default() };
    let mut query = form_urlencoded::Serializer::new(String::new());
    let mut body = Map::new();
    for (name, text) in fields {
        let parameters = operation.parameters();
        let parameter = parameters.iter().find(|parameter| parameter.name == name && parameter.place != "header");
        let hole = format!("{{{name}}}");
        match (parameter, body_schema(operation, name)) {
            (Some(parameter), _) if parameter.place == "path" && filled.path.contains(&hole) => {
                filled.path = filled.path.replace(&hole, &encoded(text));
            }
            (Some(parameter), _) if parameter.place == "query" => {
                typed(operation, parameter.schema, text).map_err(|problem| format!("{name}: {problem}"))?;
                query.append_pair(name, text);
            }
            (_, Some(schema)) => {
                let value = typed(operation, schema, text).map_err(|problem| format!("{name}: {problem}"))?;
                add(&mut body, name, value);
            }
            _ => return Err(format!("{name}: is no field of this call; it has {}", names(operation))),
        }
    }
    if let Some((_, name)) = filled.path.split_once('{') {
        let name = name.split('}').next().unwrap_or(name);
        return Err(format!("{name}: is missing; give it with `-f {name}=…`, or in the path"));
    }
    filled.query = query.finish();
    filled.body = (!body.is_empty()).then_some(Value::Object(body));
    Ok(filled)
}

/// The schema of a member of the body.
fn body_schema<'a>(operation: &Operation<'a>, name: &str) -> Option<&'a Value> {
    operation.body()?.get("properties")?.get(name)
}

fn names(operation: &Operation<'_>) -> String {
    let parameters = operation.parameters();
    let parameters = parameters.iter().filter(|parameter| parameter.place != "header").map(|one| one.name);
    let members = operation.body().and_then(|body| body.get("properties")).and_then(Value::as_object);
    let members = members.into_iter().flat_map(Map::keys).map(String::as_str);
    let all: Vec<&str> = parameters.chain(members).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

/// Adds a member; more of the same make a list longer.
fn add(body: &mut Map<String, Value>, name: &str, value: Value) {
    match (body.get_mut(name), value) {
        (Some(Value::Array(before)), Value::Array(more)) => before.extend(more),
        (_, value) => {
            body.insert(name.to_owned(), value);
        }
    }
}

/// The value in `text` for a place with this schema.
fn typed(operation: &Operation<'_>, schema: &Value, text: &str) -> Result<Value, String> {
    let schema = operation.resolve(schema);
    // A value or nothing: `null` is nothing, the rest is for the schema of the value.
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(choices) = schema.get(choice).and_then(Value::as_array) {
            let is_null = |schema: &&Value| schema.get("type").is_some_and(|kind| kind == "null");
            if text == "null" && choices.iter().any(|choice| is_null(&choice)) {
                return Ok(Value::Null);
            }
            let tried = choices.iter().filter(|choice| !is_null(choice)).map(|one| typed(operation, one, text));
            let mut results: Vec<_> = tried.collect();
            let good = results.iter().position(Result::is_ok).unwrap_or(0);
            return if results.is_empty() { Ok(Value::String(text.to_owned())) } else { results.swap_remove(good) };
        }
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))),
    };
    if text == "null" && kinds.contains(&"null") {
        return Ok(Value::Null);
    }
    let made = kinds.iter().find_map(|kind| of_kind(operation, schema, kind, text));
    made.ok_or_else(|| format!("`{text}` is no {}", kinds.join(" or ")))
}

fn of_kind(operation: &Operation<'_>, schema: &Value, kind: &str, text: &str) -> Option<Value> {
    let json = || serde_json::from_str::<Value>(text).ok();
    match kind {
        "string" => Some(Value::String(text.to_owned())),
        "integer" => json().filter(|value| value.is_u64() || value.is_i64()),
        "number" => json().filter(Value::is_number),
        "boolean" => json().filter(Value::is_boolean),
        "object" => json().filter(Value::is_object),
        "array" => json().filter(Value::is_array).or_else(|| {
            let items = schema.get("items").unwrap_or(&Value::Null);
            typed(operation, items, text).ok().map(|item| Value::Array(vec![item]))
        }),
        _ => None,
    }
}

/// A value for a path: everything but what stands for itself there (RFC 3986 §3.3, without `;`, which the filter
/// refuses) is percent-encoded.
fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => (byte as char).to_string(),
        b'-' | b'.' | b'_' | b'~' | b'@' | b':' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b','
        | b'=' => (byte as char).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::operations::Description;
    use super::*;

    fn description() -> Description {
        let properties = json!({
            "name": {"type": "string"}, "seconds": {"type": ["integer", "null"]}, "ratio": {"type": "number"},
            "permanent": {"type": "boolean"}, "scopes": {"type": ["array", "null"], "items": {"type": "string"}},
            "numbers": {"type": "array", "items": {"type": "integer"}}, "more": {"type": "object"}, "any": {},
            "kind": {"oneOf": [{"type": "null"}, {"$ref": "#/components/kind"}]}
        });
        let parameters = json!([
            {"name": "id", "in": "path", "schema": {"type": "string"}},
            {"name": "limit", "in": "query", "schema": {"type": "integer"}},
            {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}
        ]);
        let body = json!({"content": {"application/json": {"schema": {"type": "object", "properties": properties}}}});
        let post = json!({"parameters": parameters, "requestBody": body});
        let document = json!({"paths": {"/a/{id}": {"post": post}}, "components": {"kind": {"type": "string"}}});
        Description::parse(&document.to_string()).unwrap()
    }

    fn filled(path: &str, fields: &[(&str, &str)]) -> Result<Filled, String> {
        let description = description();
        let operations = description.at(path);
        let fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        fill(&operations[0], path, &fields)
    }

    #[test]
    fn a_value_has_the_type_that_the_description_says() {
        for (name, text, expected) in [
            ("name", "null", Ok(json!("null"))),
            ("name", "12", Ok(json!("12"))),
            ("seconds", "12", Ok(json!(12))),
            ("seconds", "null", Ok(json!(null))),
            ("seconds", "1.5", Err("`1.5` is no integer or null")),
            ("seconds", "soon", Err("`soon` is no integer or null")),
            ("seconds", "\"12\"", Err("`\"12\"` is no integer or null")),
            ("ratio", "1.5", Ok(json!(1.5))),
            ("permanent", "true", Ok(json!(true))),
            ("permanent", "yes", Err("`yes` is no boolean")),
            ("scopes", "admin", Ok(json!(["admin"]))),
            ("scopes", r#"["a", "b"]"#, Ok(json!(["a", "b"]))),
            ("scopes", "null", Ok(json!(null))),
            ("numbers", "1", Ok(json!([1]))),
            ("numbers", "one", Err("`one` is no array")),
            ("more", r#"{"a": 1}"#, Ok(json!({"a": 1}))),
            ("more", "a", Err("`a` is no object")),
            ("any", "[1]", Ok(json!([1]))),
            ("any", "text", Ok(json!("text"))),
            ("kind", "null", Ok(json!(null))),
            ("kind", "EdDSA", Ok(json!("EdDSA"))),
        ] {
            let found = filled("/a/1", &[(name, text)]).map(|filled| filled.body.unwrap()[name].clone());
            assert_eq!(found, expected.map_err(|problem: &str| format!("{name}: {problem}")), "{name}={text}");
        }
    }

    #[test]
    fn a_value_goes_where_it_belongs() {
        let fields = [("id", "ann b@x/1"), ("limit", "3"), ("name", "n"), ("scopes", "a"), ("scopes", "b")];
        let expected = Filled {
            path: "/a/ann%20b@x%2F1".into(),
            query: "limit=3".into(),
            body: Some(json!({"name": "n", "scopes": ["a", "b"]})),
        };
        assert_eq!(filled("/a/{id}", &fields), Ok(expected));
        assert_eq!(filled("/a/1", &[]).unwrap().body, None);
    }

    #[test]
    fn what_a_call_does_not_take_is_refused_and_what_it_takes_is_named() {
        for (path, fields, expected) in [
            ("/a/1", &[("nmae", "n")][..], "nmae: is no field of this call; it has id, limit, any, kind, more, name,"),
            ("/a/1", &[("Idempotency-Key", "k")], "Idempotency-Key: is no field of this call"),
            ("/a/1", &[("id", "2")], "id: is no field of this call"),
            ("/a/1", &[("limit", "x")], "limit: `x` is no integer"),
            ("/a/{id}", &[], "id: is missing"),
        ] {
            let problem = filled(path, fields).unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}
