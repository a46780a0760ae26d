//! Holds a document against our schema: the keywords that it uses, and no more.
//!
//! A general validator would be thirty packages, and their build longer than that of the whole sidecar.

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::super::Problem;

/// Deepest nesting of what is looked at. The parser refuses what is nested deeper.
const DEPTH_MAX: usize = 64;

/// What the schema refuses, each with its place as the parser writes it.
#[must_use]
pub fn validate(schema: &Value, document: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    Validator { root: schema }.check(schema, document, "", 0, &mut problems);
    problems
}

struct Validator<'s> {
    root: &'s Value,
}

impl Validator<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str, depth: usize, problems: &mut Vec<Problem>) {
        let keywords = match schema {
            Value::Bool(true) => return,
            Value::Object(keywords) => keywords,
            _ => return push(problems, at, "must not be there".into()),
        };
        if depth > DEPTH_MAX {
            return;
        }
        for (keyword, wanted) in keywords {
            let problem = match keyword.as_str() {
                "$ref" => {
                    let target = wanted.as_str().and_then(|path| self.root.pointer(path.strip_prefix('#')?));
                    self.check(target.unwrap_or(&Value::Bool(false)), value, at, depth + 1, problems);
                    None
                }
                "properties" | "additionalProperties" | "items" | "propertyNames" | "allOf" | "then" => {
                    self.inside(keyword, keywords, value, at, depth, problems);
                    None
                }
                "anyOf" | "oneOf" => {
                    let fitting = array(wanted).iter().filter(|schema| self.fits(schema, value, depth)).count();
                    let is_met = if keyword == "oneOf" { fitting == 1 } else { fitting > 0 };
                    (!is_met).then(|| alternatives(keyword, array(wanted)))
                }
                "not" => self.fits(wanted, value, depth).then(|| "has what does not go together here".into()),
                "required" | "dependentRequired" => {
                    for name in missing(keyword, wanted, value) {
                        push(problems, &member(at, name), "is missing".into());
                    }
                    None
                }
                keyword => refused(keyword, wanted, value),
            };
            problems.extend(problem.map(|message| Problem { path: place(at), message }));
        }
    }

    fn fits(&self, schema: &Value, value: &Value, depth: usize) -> bool {
        let mut problems = Vec::new();
        self.check(schema, value, "", depth + 1, &mut problems);
        problems.is_empty()
    }

    /// Keywords about what is in a value, and those that only hand it on.
    fn inside(
        &self,
        keyword: &str,
        keywords: &Map<String, Value>,
        value: &Value,
        at: &str,
        depth: usize,
        problems: &mut Vec<Problem>,
    ) {
        let Some(wanted) = keywords.get(keyword) else { return };
        let properties = keywords.get("properties");
        let property = |name: &str| properties.and_then(|properties| properties.get(name));
        match (keyword, value) {
            ("allOf", value) => {
                array(wanted).iter().for_each(|schema| self.check(schema, value, at, depth + 1, problems));
            }
            ("then", value) if keywords.get("if").is_some_and(|when| self.fits(when, value, depth)) => {
                self.check(wanted, value, at, depth + 1, problems);
            }
            ("items", Value::Array(values)) => {
                for (index, value) in values.iter().enumerate() {
                    self.check(wanted, value, &format!("{at}[{index}]"), depth + 1, problems);
                }
            }
            (_, Value::Object(members)) => {
                for (name, value) in members {
                    let at = member(at, name);
                    match (keyword, property(name)) {
                        ("properties", Some(schema)) => self.check(schema, value, &at, depth + 1, problems),
                        ("propertyNames", _) if !self.fits(wanted, &Value::String(name.clone()), depth) => {
                            push(problems, &at, "has a name that may not be here".into());
                        }
                        ("additionalProperties", None) if wanted == &Value::Bool(false) => {
                            push(problems, &at, "is not a known field".into());
                        }
                        ("additionalProperties", None) => self.check(wanted, value, &at, depth + 1, problems),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// What is wrong with a value by itself. What is about values of another type says nothing.
fn refused(keyword: &str, wanted: &Value, value: &Value) -> Option<String> {
    let size = |is_met: fn(u64, u64) -> bool| {
        let most = wanted.as_u64()?;
        Some(is_met(size_of(keyword, value)?, most))
    };
    let number = |is_met: fn(f64, f64) -> bool| Some(is_met(value.as_f64()?, wanted.as_f64()?));
    let (is_met, message) = match keyword {
        "type" => (Some(is_of_type(wanted, value)), format!("is not of type {}", words(wanted, " or "))),
        "enum" => (Some(array(wanted).contains(value)), format!("is not one of {}", words(wanted, ", "))),
        "const" => (Some(wanted == value), format!("is not {wanted}")),
        "minimum" => (number(|value, least| value >= least), format!("is less than {wanted}")),
        "maximum" => (number(|value, most| value <= most), format!("is more than {wanted}")),
        "minLength" | "minItems" | "minProperties" => (size(|size, least| size >= least), "is empty".into()),
        "maxLength" | "maxItems" | "maxProperties" => {
            (size(|size, most| size <= most), format!("has more than {wanted}"))
        }
        "pattern" => (matches(wanted, value), "is not written as it must be".into()),
        _ => return None,
    };
    (is_met == Some(false)).then_some(message)
}

fn matches(pattern: &Value, value: &Value) -> Option<bool> {
    let pattern = Regex::new(pattern.as_str()?).ok()?;
    Some(pattern.is_match(value.as_str()?))
}

fn size_of(keyword: &str, value: &Value) -> Option<u64> {
    let size = match value {
        Value::String(text) if keyword.ends_with("Length") => text.chars().count(),
        Value::Array(values) if keyword.ends_with("Items") => values.len(),
        Value::Object(members) if keyword.ends_with("Properties") => members.len(),
        _ => return None,
    };
    u64::try_from(size).ok()
}

fn is_of_type(wanted: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        _ => false,
    };
    if wanted.is_array() { array(wanted).iter().any(is) } else { is(wanted) }
}

/// The members that a value must have and does not.
fn missing<'s>(keyword: &str, wanted: &'s Value, value: &Value) -> Vec<&'s str> {
    let Some(members) = value.as_object() else { return Vec::new() };
    let names: Vec<&Value> = match wanted {
        Value::Object(dependent) if keyword == "dependentRequired" => {
            let there = dependent.iter().filter(|(name, _)| members.contains_key(*name));
            there.flat_map(|(_, names)| array(names)).collect()
        }
        wanted => array(wanted).iter().collect(),
    };
    names.into_iter().filter_map(Value::as_str).filter(|name| !members.contains_key(*name)).collect()
}

/// Names the alternatives, if each of them is the presence of some members.
fn alternatives(keyword: &str, schemas: &[Value]) -> String {
    let names: Vec<_> =
        schemas.iter().filter_map(|schema| schema.get("required")).map(|names| words(names, " and ")).collect();
    match (keyword, names.is_empty()) {
        (_, true) => "is none of what it may be".into(),
        ("oneOf", _) => format!("has not just one of {}", names.join(", ")),
        _ => format!("has none of {}", names.join(", ")),
    }
}

fn words(values: &Value, separator: &str) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), |word| format!("`{word}`"));
    if values.is_array() { array(values).iter().map(word).collect::<Vec<_>>().join(separator) } else { word(values) }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn push(problems: &mut Vec<Problem>, at: &str, message: String) {
    problems.push(Problem { path: place(at), message });
}

fn place(at: &str) -> String {
    if at.is_empty() { "(document)".into() } else { at.into() }
}

fn member(at: &str, name: &str) -> String {
    if at.is_empty() { name.into() } else { format!("{at}.{name}") }
}
