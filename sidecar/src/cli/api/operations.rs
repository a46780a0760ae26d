//! What can be called, out of the API's description.

use serde_json::Value;

/// How many similar paths are named for one that does not exist.
const NEAREST: usize = 3;

/// The methods of a path in a description, in the order in which they are shown.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The API's description.
pub(super) struct Description(Value);

/// A call that there is.
pub(super) struct Operation<'a> {
    /// In capitals.
    pub(super) method: String,
    /// With `{names}` for what varies.
    pub(super) path: &'a str,
    description: &'a Description,
    value: &'a Value,
}

/// A value that a call takes besides its body.
pub(super) struct Parameter<'a> {
    pub(super) name: &'a str,
    /// `path`, `query` or `header`.
    pub(super) place: &'a str,
    pub(super) schema: &'a Value,
}

impl Description {
    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    /// All calls, by path.
    pub(super) fn operations(&self) -> Vec<Operation<'_>> {
        let mut operations = Vec::new();
        for (path, item) in self.0.get("paths").and_then(Value::as_object).into_iter().flatten() {
            for method in METHODS {
                let Some(value) = item.get(method) else { continue };
                operations.push(Operation { method: method.to_ascii_uppercase(), path, description: self, value });
            }
        }
        operations
    }

    /// The calls whose path `path` is: as it stands, or with something for each of its names. A path without names
    /// comes before one with.
    pub(super) fn at(&self, path: &str) -> Vec<Operation<'_>> {
        let all = || self.operations().into_iter();
        let exact: Vec<_> = all().filter(|operation| operation.path == path).collect();
        if exact.is_empty() { all().filter(|operation| is_filled_in(operation.path, path)).collect() } else { exact }
    }

    /// The paths that are most like `path`.
    pub(super) fn nearest(&self, path: &str) -> Vec<&str> {
        let mut paths: Vec<_> = self.operations().iter().map(|operation| operation.path).collect();
        paths.dedup();
        paths.sort_by_key(|known| distance(known, path));
        paths.truncate(NEAREST);
        paths
    }

    /// What a schema is, behind its reference.
    pub(super) fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return schema };
        reference.strip_prefix('#').and_then(|pointer| self.0.pointer(pointer)).unwrap_or(schema)
    }
}

impl<'a> Operation<'a> {
    /// What it does, in a line.
    pub(super) fn summary(&self) -> String {
        let text = self.value.get("summary").and_then(Value::as_str).unwrap_or_default();
        text.lines().collect::<Vec<_>>().join(" ")
    }

    /// Whether nobody has to say who they are.
    pub(super) fn is_public(&self) -> bool {
        let security = self.value.get("security").and_then(Value::as_array);
        security.is_some_and(|ways| ways.iter().any(|way| way.as_object().is_some_and(serde_json::Map::is_empty)))
    }

    /// What it takes besides a body.
    pub(super) fn parameters(&self) -> Vec<Parameter<'a>> {
        let parameters = self.value.get("parameters").and_then(Value::as_array).into_iter().flatten();
        let text = |value: &'a Value, name: &str| value.get(name).and_then(Value::as_str);
        let parse = |value: &'a Value| {
            let schema = value.get("schema").unwrap_or(&Value::Null);
            Some(Parameter { name: text(value, "name")?, place: text(value, "in")?, schema })
        };
        parameters.filter_map(parse).collect()
    }

    /// The schema of its body, if it takes one.
    pub(super) fn body(&self) -> Option<&'a Value> {
        let schema = self.value.pointer("/requestBody/content/application~1json/schema")?;
        Some(self.description.resolve(schema))
    }

    /// What a schema of it is, behind its reference.
    pub(super) fn resolve(&self, schema: &'a Value) -> &'a Value {
        self.description.resolve(schema)
    }

    /// Whether its good answer is JSON, a line each, of any length.
    pub(super) fn is_of_lines(&self) -> bool {
        self.value.pointer("/responses/200/content/application~1x-ndjson").is_some()
    }

    /// Whether its answers come in pages.
    pub(super) fn is_paged(&self) -> bool {
        self.method == "GET" && self.parameters().iter().any(|parameter| parameter.name == "cursor")
    }
}

/// Whether `path` is `template` with something for each of its names.
fn is_filled_in(template: &str, path: &str) -> bool {
    let is_name = |part: &str| part.starts_with('{') && part.ends_with('}');
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(path).all(|(known, part)| *known == part || is_name(known) && !part.is_empty())
}

/// How many characters must be changed, taken away or added (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(200).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, one) in a.chars().enumerate() {
        let mut next = vec![line + 1];
        for ((other, pair), left) in b.iter().zip(row.windows(2)).zip(1..) {
            let &[diagonal, above] = pair else { continue };
            let beside = next.get(left - 1).copied().unwrap_or(usize::MAX);
            next.push((diagonal + usize::from(one != *other)).min(above + 1).min(beside + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> Description {
        Description::parse(
            r##"{"paths": {
                "/api/keys": {"get": {"summary": "Lists\nkeys", "parameters": [{"name": "cursor", "in": "query"}]}, "post": {}},
                "/api/keys/{kid}": {"delete": {}},
                "/api/keys/rotate": {"post": {"security": [{}], "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/x"}}}}}}
            }, "x": {"type": "object"}}"##,
        )
        .unwrap()
    }

    #[test]
    fn a_path_is_found_as_it_stands_or_with_its_names_filled_in() {
        let description = description();
        for (path, expected) in [
            ("/api/keys", &["GET /api/keys", "POST /api/keys"][..]),
            ("/api/keys/rotate", &["POST /api/keys/rotate"]),
            ("/api/keys/k1", &["DELETE /api/keys/{kid}"]),
            ("/api/keys/{kid}", &["DELETE /api/keys/{kid}"]),
            ("/api/keys/", &[]),
            ("/api/keys/a/b", &[]),
            ("/api/nothing", &[]),
            ("", &[]),
        ] {
            let found: Vec<_> = description.at(path).iter().map(|op| format!("{} {}", op.method, op.path)).collect();
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn what_an_operation_says_of_itself_is_read() {
        let description = description();
        let operations = description.operations();
        let of = |path: &str| operations.iter().find(|operation| operation.path == path).unwrap();
        assert_eq!((of("/api/keys").summary(), of("/api/keys").is_paged()), ("Lists keys".into(), true));
        assert!(!of("/api/keys").is_public() && of("/api/keys/rotate").is_public());
        assert_eq!(of("/api/keys/rotate").body(), Some(&serde_json::json!({"type": "object"})));
    }

    #[test]
    fn the_most_similar_paths_come_first() {
        assert_eq!(description().nearest("/api/kyes/rotate").first(), Some(&"/api/keys/rotate"));
        for (a, b, expected) in [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("ab", "ab", 0)] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
