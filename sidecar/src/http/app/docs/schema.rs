//! Schemas: what a value is, in a line; and of those with a name, what they consist of.

use serde_json::{Map, Value};

use super::html::{escape, id, prose};

const COMPONENTS: &str = "#/components/schemas/";

/// Every schema with a name.
pub(super) fn all(document: &Value) -> String {
    let schemas = document.pointer("/components/schemas").and_then(Value::as_object).into_iter().flatten();
    let one = |(name, schema): (&String, &Value)| {
        let anchor = id(&["schema", name]);
        let about = schema.get("description").and_then(Value::as_str).map(prose).unwrap_or_default();
        format!(
            "<article aria-labelledby=\"{anchor}\">\n<h3 id=\"{anchor}\">{}</h3>\n<p>{about}</p>\n{}</article>\n",
            escape(name),
            members(schema)
        )
    };
    let schemas: String = schemas.map(one).collect();
    format!("<section aria-labelledby=\"schemas\">\n<h2 id=\"schemas\">Schemas</h2>\n{schemas}</section>\n")
}

/// What a schema is, with links to those that it names.
pub(super) fn kind(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix(COMPONENTS)) {
        return format!("<a href=\"#{}\">{}</a>", id(&["schema", name]), escape(name));
    }
    for (choice, word) in [("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")] {
        if let Some(choices) = schema.get(choice).and_then(Value::as_array) {
            let kinds: Vec<String> = choices.iter().map(kind).collect();
            return kinds.join(word);
        }
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = words.iter().map(literal).collect();
        return words.join(" or ");
    }
    if let Some(value) = schema.get("const") {
        return literal(value);
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return "anything".to_owned(),
    };
    let one = |kind: &&str| match (*kind, schema.get("items")) {
        ("array", Some(items)) => format!("list of {}", self::kind(items)),
        (kind, _) => escape(kind),
    };
    kinds.iter().map(one).collect::<Vec<_>>().join(" or ")
}

fn literal(value: &Value) -> String {
    format!("<code>{}</code>", escape(&value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
}

/// What holds of a value besides its type.
pub(super) fn bounds(schema: &Value) -> String {
    let names = [
        ("minimum", "at least", ""),
        ("maximum", "at most", ""),
        ("minLength", "at least", " characters"),
        ("maxLength", "at most", " characters"),
        ("minItems", "at least", " items"),
        ("maxItems", "at most", " items"),
        ("pattern", "matches", ""),
        ("default", "by default", ""),
    ];
    let bound = |(name, words, of): (&str, &str, &str)| Some(format!("{words} {}{of}", literal(schema.get(name)?)));
    let bounds: Vec<String> = names.into_iter().filter_map(bound).collect();
    if bounds.is_empty() { String::new() } else { format!(" <span class=\"bounds\">({})</span>", bounds.join(", ")) }
}

/// The members of an object, in a table; in a line, what is none.
pub(super) fn members(schema: &Value) -> String {
    let parts = parts(schema);
    let rows: String =
        parts.iter().filter_map(|part| part.get("properties")?.as_object().map(|all| rows(part, all))).collect();
    let others: Vec<String> = match rows.is_empty() {
        true => vec![kind(schema)],
        false => parts.iter().filter(|part| part.get("properties").is_none()).map(|part| kind(part)).collect(),
    };
    let mut out = String::new();
    if !rows.is_empty() {
        out.push_str(&format!(
            "<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">Field</th><th scope=\"col\">Type</th>\
             <th scope=\"col\">Meaning</th></tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
        ));
        if !others.is_empty() {
            out.push_str(&format!("<p>Besides, the fields of {}.</p>\n", others.join(" and ")));
        }
    } else {
        out.push_str(&format!("<p>{}</p>\n", others.join(" and ")));
    }
    out
}

/// A schema that is made of several, taken apart.
fn parts(schema: &Value) -> Vec<&Value> {
    match schema.get("allOf").and_then(Value::as_array) {
        Some(parts) => parts.iter().collect(),
        None => vec![schema],
    }
}

fn rows(schema: &Value, members: &Map<String, Value>) -> String {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let row = |(name, member): (&String, &Value)| {
        let about = member.get("description").and_then(Value::as_str).map(prose).unwrap_or_default();
        let optional = if required.contains(&name.as_str()) { "" } else { " <span class=\"optional\">optional</span>" };
        format!(
            "<tr><th scope=\"row\"><code>{}</code>{optional}</th><td>{}{}</td><td>{about}</td></tr>\n",
            escape(name),
            kind(member),
            bounds(member)
        )
    };
    members.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_type_is_told_in_a_line() {
        for (schema, expected) in [
            (json!({"type": "string"}), "string"),
            (json!({"type": ["integer", "null"]}), "integer or null"),
            (json!({"type": "array", "items": {"type": "string"}}), "list of string"),
            (json!({"$ref": "#/components/schemas/Key<"}), "<a href=\"#schema-key\">Key&lt;</a>"),
            (
                json!({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/A"}]}),
                "null or <a href=\"#schema-a\">A</a>",
            ),
            (json!({"type": "string", "enum": ["a", "<b>"]}), "<code>a</code> or <code>&lt;b&gt;</code>"),
            (json!({}), "anything"),
        ] {
            assert_eq!(kind(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn members_say_whether_they_must_be_there_and_what_they_may_be() {
        let schema = json!({"type": "object", "required": ["a"], "properties": {
            "a": {"type": "string", "description": "The `a`."}, "b": {"type": "integer", "minimum": 1}}});
        let table = members(&schema);
        assert!(table.contains("<code>a</code></th><td>string</td><td>The <code>a</code>.</td>"), "{table}");
        assert!(table.contains("<code>b</code> <span class=\"optional\">optional</span>"), "{table}");
        assert!(table.contains("(at least <code>1</code>)"), "{table}");
        assert!(members(&json!({"type": "string"})).contains("<p>string</p>"));
    }
}
