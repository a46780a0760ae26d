//! The JSON Schema of the configuration, for editors and for whoever generates configurations.
//!
//! Its shape and its descriptions come from the raw types, its bounds, words and defaults from what the parser uses.
//! It refuses nothing that the parser accepts; what depends on two places of a file, only the parser sees.

mod overlays;
mod pieces;
mod validate;

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::field::{Field, Members};
use super::raw::RawPolicy;
use overlays::overlays;
pub use validate::validate;

/// Names the schema. It is no address: nothing has to be fetched.
const ID: &str = "urn:sekisho:filter-configuration";
const TITLE: &str = "Configuration of the Sekisho filter";

/// In the schema, a field is what it holds: that it may be of a wrong type is the parser's business.
impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name().trim_start_matches("Raw").to_owned().into()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// An object, whatever its members are called.
impl<T: JsonSchema> JsonSchema for Members<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        BTreeMap::<String, T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, T>::json_schema(generator)
    }
}

/// The JSON Schema (draft 2020-12) of a configuration.
#[must_use]
pub fn schema() -> Value {
    let generated = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<RawPolicy>();
    let mut schema = generated.to_value();
    tidy(&mut schema);
    for (definition, overlay) in overlays() {
        let path = if definition.is_empty() { String::new() } else { format!("/$defs/{definition}") };
        if let Some(definition) = schema.pointer_mut(&path) {
            merge(definition, overlay);
        }
    }
    merge(&mut schema, json!({"$id": ID, "title": TITLE}));
    schema
}

/// Adds the members of `more`, at every depth.
fn merge(value: &mut Value, more: Value) {
    match (value, more) {
        (Value::Object(known), Value::Object(more)) => {
            for (name, more) in more {
                merge(known.entry(name).or_insert(Value::Null), more);
            }
        }
        (value, more) => *value = more,
    }
}

/// Takes away what says nothing to people, and makes sentences of lines.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, member| name != "format" || !member.is_string());
            for (name, member) in members.iter_mut() {
                match member {
                    Value::String(text) if name == "description" => *text = text.replace('\n', " "),
                    member => tidy(member),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(tidy),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
