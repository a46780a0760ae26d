//! What schemas are made of.

use serde_json::{Value, json};

use super::super::limits::{Bounds, Number};
use super::super::places;
use super::merge;

pub(super) fn fields(properties: Value) -> Value {
    json!({"properties": properties})
}

/// Fields, and what is said of their object.
pub(super) fn object(properties: Value, more: Value) -> Value {
    and(fields(properties), more)
}

pub(super) fn and(mut schema: Value, more: Value) -> Value {
    merge(&mut schema, more);
    schema
}

pub(super) fn number(Number { default, bounds: Bounds { min, max } }: Number) -> Value {
    json!({"minimum": min, "maximum": max, "default": default})
}

pub(super) fn bounds(Bounds { min, max }: Bounds) -> Value {
    json!({"minimum": min, "maximum": max})
}

/// The words that a configuration has for something, and what it means to say nothing.
pub(super) fn words<T: PartialEq>(words: &[(&str, T)], default: Option<&T>) -> Value {
    let known = json!({"enum": words.iter().map(|(word, _)| *word).collect::<Vec<_>>()});
    match words.iter().find(|(_, value)| Some(value) == default) {
        Some((word, _)) => and(known, json!({"default": word})),
        None => known,
    }
}

pub(super) fn list(min: usize, max: usize) -> Value {
    if min == 0 { json!({"maxItems": max}) } else { json!({"minItems": min, "maxItems": max}) }
}

pub(super) fn text() -> Value {
    json!({"minLength": 1})
}

pub(super) fn text_or(default: &str) -> Value {
    json!({"minLength": 1, "default": default})
}

pub(super) fn texts() -> Value {
    json!({"minItems": 1, "items": text()})
}

/// As `is_header_name` in [`places`] wants it.
pub(super) fn header() -> Value {
    json!({"pattern": "^[a-z0-9._~!$*^-]+$", "maxLength": places::NAME_MAX_BYTES})
}

/// As `is_token` there wants it.
pub(super) fn token() -> Value {
    json!({"pattern": "^[A-Za-z0-9._~!$*^-]+$", "maxLength": places::NAME_MAX_BYTES})
}

/// Alternatives: the presence of each of these fields.
pub(super) fn one_of(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"required": [name]})).collect()
}

/// Two of these fields are there.
pub(super) fn pairs(names: &[&str]) -> Value {
    let behind = |index: usize| names.iter().skip(index + 1);
    let pairs = names.iter().enumerate().flat_map(|(index, first)| behind(index).map(move |second| [first, second]));
    pairs.map(|pair| json!({"required": pair})).collect()
}
