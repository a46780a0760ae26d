//! An operation: what it does, what it takes, and how it may be answered.

use serde_json::Value;

use super::example;
use super::html::{escape, id, prose};
use super::schema;

const METHODS: [&str; 8] = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];

/// An operation of the document.
pub(super) struct Operation<'a> {
    /// In capitals.
    pub(super) method: String,
    pub(super) path: &'a str,
    pub(super) value: &'a Value,
}

/// Every operation, by path.
pub(super) fn all(document: &Value) -> Vec<Operation<'_>> {
    let mut operations = Vec::new();
    for (path, item) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
        for method in METHODS {
            let Some(value) = item.get(method) else { continue };
            operations.push(Operation { method: method.to_ascii_uppercase(), path, value });
        }
    }
    operations
}

impl<'a> Operation<'a> {
    /// The first of its tags.
    pub(super) fn tag(&self) -> &'a str {
        self.value.pointer("/tags/0").and_then(Value::as_str).unwrap_or("others")
    }

    /// Whether nobody has to say who they are.
    pub(super) fn is_public(&self) -> bool {
        let ways = self.value.get("security").and_then(Value::as_array);
        ways.is_some_and(|ways| ways.iter().any(|way| way.as_object().is_some_and(serde_json::Map::is_empty)))
    }

    /// The schema of its body, if it takes one.
    pub(super) fn body(&self) -> Option<&'a Value> {
        self.value.pointer("/requestBody/content/application~1json/schema")
    }

    /// What it takes besides: name, place and the whole.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'a str, &'a str, &'a Value)> {
        let parameters = self.value.get("parameters").and_then(Value::as_array).into_iter().flatten();
        parameters.filter_map(|one| Some((one.get("name")?.as_str()?, one.get("in")?.as_str()?, one)))
    }

    fn anchor(&self) -> String {
        id(&[&self.method, self.path])
    }

    /// Its line in the table of contents.
    pub(super) fn entry(&self) -> String {
        let (method, path) = (escape(&self.method), escape(self.path));
        format!(
            "<li><a href=\"#{}\"><span class=\"method {}\">{method}</span> {path}</a></li>\n",
            self.anchor(),
            id(&[&self.method])
        )
    }

    /// All there is to say.
    pub(super) fn article(&self, document: &Value) -> String {
        let text = |name: &str| self.value.get(name).and_then(Value::as_str).unwrap_or_default();
        let about: String = [text("summary"), text("description")]
            .iter()
            .filter(|text| !text.is_empty())
            .map(|t| format!("<p>{}</p>\n", prose(t)))
            .collect();
        let who = if self.is_public() { "<p>Nobody has to say who they are.</p>\n" } else { "" };
        let anchor = self.anchor();
        format!(
            "<article aria-labelledby=\"{anchor}\">\n<h3 id=\"{anchor}\"><span class=\"method {}\">{}</span> <code>{}</code></h3>\n\
             {about}{who}{}{}{}<h4>Example</h4>\n<pre tabindex=\"0\"><code>{}</code></pre>\n</article>\n",
            id(&[&self.method]),
            escape(&self.method),
            escape(self.path),
            self.parameter_table(),
            self.body_table(document),
            self.answer_table(),
            escape(&example::curl(self, document)),
        )
    }

    fn parameter_table(&self) -> String {
        let row = |(name, place, whole): (&str, &str, &Value)| {
            let schema = whole.get("schema").unwrap_or(&Value::Null);
            let required = whole.get("required").and_then(Value::as_bool).unwrap_or_default();
            let about = whole.get("description").and_then(Value::as_str).map(prose).unwrap_or_default();
            format!(
                "<tr><th scope=\"row\"><code>{}</code>{}</th><td>{}</td><td>{}{}</td><td>{about}</td></tr>\n",
                escape(name),
                if required { "" } else { " <span class=\"optional\">optional</span>" },
                escape(place),
                schema::kind(schema),
                schema::bounds(schema),
            )
        };
        let rows: String = self.parameters().map(row).collect();
        if rows.is_empty() {
            return rows;
        }
        format!(
            "<h4>Parameters</h4>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">Name</th><th scope=\"col\">In</th>\
             <th scope=\"col\">Type</th><th scope=\"col\">Meaning</th></tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
        )
    }

    fn body_table(&self, document: &Value) -> String {
        let Some(body) = self.body() else { return String::new() };
        format!(
            "<h4>Body</h4>\n<p>JSON: {}</p>\n{}",
            schema::kind(body),
            schema::members(example::resolved(document, body))
        )
    }

    fn answer_table(&self) -> String {
        let answers = self.value.get("responses").and_then(Value::as_object).into_iter().flatten();
        let row = |(status, answer): (&String, &Value)| {
            let about = answer.get("description").and_then(Value::as_str).map(prose).unwrap_or_default();
            let contents = answer.get("content").and_then(Value::as_object).into_iter().flatten();
            let content = |(media, content): (&String, &Value)| {
                let schema = content.get("schema").unwrap_or(&Value::Null);
                format!("{}<br><span class=\"media\">{}</span>", schema::kind(schema), escape(media))
            };
            let contents: Vec<String> = contents.map(content).collect();
            let contents = if contents.is_empty() { "nothing".to_owned() } else { contents.join("<br>") };
            format!(
                "<tr><th scope=\"row\"><code>{}</code></th><td>{about}</td><td>{contents}</td></tr>\n",
                escape(status)
            )
        };
        let rows: String = answers.map(row).collect();
        format!(
            "<h4>Answers</h4>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">Status</th><th scope=\"col\">When</th>\
             <th scope=\"col\">Body</th></tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
        )
    }
}
