//! Fields that remember what was wrong with them, so that one wrong field does not hide the others.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Problem;

/// A field as it was found: absent, of its type, or something else.
#[derive(Debug, Default)]
pub(super) enum Field<T> {
    #[default]
    Absent,
    Present(T),
    Wrong(String),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(T::deserialize(value).map_or_else(|error| Self::Wrong(error.to_string()), Self::Present))
    }
}

/// Fields that no part of the configuration knows.
pub(super) type Unknown = BTreeMap<String, Value>;

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn push(&mut self, path: impl Display, message: impl Display) {
        self.0.push(Problem { path: path.to_string(), message: message.to_string() });
    }

    /// The field's value; none, with a problem, if it is of the wrong type.
    pub(super) fn optional<T>(&mut self, path: impl Display, field: Field<T>) -> Option<T> {
        match field {
            Field::Absent => None,
            Field::Present(value) => Some(value),
            Field::Wrong(message) => {
                self.push(path, message);
                None
            }
        }
    }

    /// The field's value; none, with a problem, if it is missing or of the wrong type.
    pub(super) fn required<T>(&mut self, path: impl Display, field: Field<T>) -> Option<T> {
        if matches!(field, Field::Absent) {
            self.push(&path, "is missing");
        }
        self.optional(path, field)
    }

    /// A required text that is not empty.
    pub(super) fn text(&mut self, path: impl Display, field: Field<String>) -> Option<String> {
        let text = self.required(&path, field)?;
        if text.trim().is_empty() {
            self.push(path, "is empty");
            return None;
        }
        Some(text)
    }

    /// A number within bounds, or its default.
    pub(super) fn number(
        &mut self,
        path: impl Display,
        field: Field<u64>,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> u32 {
        let value = match field {
            Field::Absent => return default,
            Field::Present(value) => u32::try_from(value).ok().filter(|value| range.contains(value)),
            Field::Wrong(_) => None,
        };
        value.unwrap_or_else(|| {
            self.push(path, format!("is not a whole number from {} to {}", range.start(), range.end()));
            default
        })
    }

    /// One of a few words, or the default.
    pub(super) fn choice<T: Copy>(
        &mut self,
        path: impl Display,
        field: Field<String>,
        default: T,
        words: &[(&str, T)],
    ) -> T {
        let Some(word) = self.optional(&path, field) else {
            return default;
        };
        words.iter().find(|(known, _)| *known == word).map_or_else(
            || {
                let known: Vec<_> = words.iter().map(|(known, _)| format!("`{known}`")).collect();
                self.push(path, format!("`{word}` is not one of {}", known.join(", ")));
                default
            },
            |(_, value)| *value,
        )
    }

    /// Lists fields that nothing knows: a misspelt one must not be ignored.
    pub(super) fn unknown(&mut self, path: &str, unknown: &Unknown) {
        for name in unknown.keys() {
            let dot = if path.is_empty() { "" } else { "." };
            let name = if name.is_empty() { "\"\"" } else { name };
            self.push(format!("{path}{dot}{name}"), "is not a known field");
        }
    }
}
