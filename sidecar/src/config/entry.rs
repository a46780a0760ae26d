//! An entry of a list of structures: everything that is wrong with it is told at its own path.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::problem::Problems;

/// An entry that is read field by field.
pub(super) struct Entry<'a> {
    pub(super) path: &'a str,
    members: &'a Map<String, Value>,
    pub(super) problems: &'a mut Problems,
    /// Whether nothing was wrong so far.
    pub(super) is_sound: bool,
}

impl<'a> Entry<'a> {
    /// The entry at `path`, a `kind` of which there are these `fields`; none if it has no fields at all.
    pub(super) fn new(
        path: &'a str,
        entry: &'a Value,
        kind: &str,
        fields: &[&str],
        problems: &'a mut Problems,
    ) -> Option<Self> {
        let Some(members) = entry.as_object() else {
            problems.push(path, format!("is not a {kind} with a `name`"));
            return None;
        };
        let mut entry = Self { path, members, problems, is_sound: true };
        for name in members.keys().filter(|name| !fields.contains(&name.as_str())) {
            entry.wrong(name, format!("is not a setting of a {kind}; there are {}", fields.join(", ")));
        }
        Some(entry)
    }

    pub(super) fn wrong(&mut self, field: &str, message: impl Into<String>) {
        self.is_sound = false;
        self.problems.push(format!("{}.{}", self.path, field.escape_debug()), message);
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.members.contains_key(field)
    }

    pub(super) fn text(&mut self, field: &'static str) -> Option<String> {
        let value = self.members.get(field)?;
        if value.as_str().is_none_or(str::is_empty) {
            self.wrong(field, "must be a text");
        }
        value.as_str().map(str::to_owned)
    }

    pub(super) fn texts(&mut self, field: &'static str) -> Option<Vec<String>> {
        let value = self.members.get(field)?;
        let texts = value.as_array().and_then(|list| list.iter().map(|one| one.as_str().map(str::to_owned)).collect());
        if texts.is_none() {
            self.wrong(field, "must be a list of texts");
        }
        texts
    }

    pub(super) fn flag(&mut self, field: &'static str) -> bool {
        let value = self.members.get(field);
        if value.is_some_and(|value| !value.is_boolean()) {
            self.wrong(field, "must be true or false");
        }
        value.and_then(Value::as_bool).unwrap_or_default()
    }

    pub(super) fn number(&mut self, field: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(value) = self.members.get(field) else { return default };
        let number = value.as_u64().filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong(field, format!("`{value}` is not a whole number from {} to {}", range.start(), range.end()));
        }
        number.unwrap_or(default)
    }

    /// A text that must not be shown: `field`, or what is in the file that `file_field` names.
    pub(super) fn secret(&mut self, field: &'static str, file_field: &'static str) -> Option<String> {
        match (self.text(field), self.text(file_field)) {
            (Some(_), Some(_)) => {
                self.wrong(file_field, format!("set either `{field}` or `{file_field}`, not both"));
                None
            }
            (Some(text), None) => Some(text),
            (None, Some(path)) => match std::fs::read_to_string(&path) {
                // Editors and `echo` end a file with a line end that is no part of the secret.
                Ok(text) => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(error) => {
                    self.wrong(file_field, format!("cannot read `{}`: {error}", path.escape_debug()));
                    None
                }
            },
            (None, None) => None,
        }
    }
}
