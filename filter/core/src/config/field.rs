//! Fields that remember what was wrong with them, so that one wrong field does not hide the others.
//!
//! What `serde` would derive for the many parts of a configuration makes up a sixth of the whole filter, and is run
//! once. These readers share their code.

use std::fmt::Display;

use serde_json::{Map, Value};

use super::Problem;
use super::limits::{Bounds, Number};

/// A field as it was found: absent, of its type, or something else.
#[derive(Debug, Default)]
pub(super) enum Field<T> {
    #[default]
    Absent,
    Present(T),
    Wrong(String),
}

/// What can be read from a JSON value.
pub(super) trait FromValue: Sized {
    /// # Errors
    /// What is wrong with it, for people.
    fn from_value(value: Value) -> Result<Self, String>;
}

impl<T: FromValue> Field<T> {
    /// A member of an object, if it is there.
    #[inline(never)] // Each of these is called from many places, once.
    pub(super) fn of(member: Option<Value>) -> Self {
        match member.map(T::from_value) {
            None => Self::Absent,
            Some(Ok(value)) => Self::Present(value),
            Some(Err(message)) => Self::Wrong(message),
        }
    }
}

/// An element that is wrong is named by its own place.
impl<T: FromValue> FromValue for Field<T> {
    fn from_value(value: Value) -> Result<Self, String> {
        Ok(Self::of(Some(value)))
    }
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Self, String> {
        Ok(value)
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Result<Self, String> {
        if let Value::String(text) = value { Ok(text) } else { Err("is not a text".into()) }
    }
}

impl FromValue for u64 {
    fn from_value(value: Value) -> Result<Self, String> {
        value.as_u64().ok_or_else(|| "is not a whole number".into())
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| "is neither `true` nor `false`".into())
    }
}

impl<T: FromValue> FromValue for Box<T> {
    fn from_value(value: Value) -> Result<Self, String> {
        T::from_value(value).map(Self::new)
    }
}

/// Hands the elements of a list over one by one, up to the first that is refused.
#[inline(never)] // Shared by the lists of every type.
fn each(value: Value, read: &mut dyn FnMut(Value) -> Result<(), String>) -> Result<(), String> {
    let Value::Array(values) = value else { return Err("is not a list".into()) };
    for (index, value) in values.into_iter().enumerate() {
        read(value).map_err(|message| format!("its element [{index}] {message}"))?;
    }
    Ok(())
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Result<Self, String> {
        let mut elements = Self::new();
        each(value, &mut |value| {
            elements.push(T::from_value(value)?);
            Ok(())
        })?;
        Ok(elements)
    }
}

/// The members of an object whose names the configuration chooses, sorted by name.
#[derive(Debug)]
pub(super) struct Members<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: FromValue> FromValue for Members<T> {
    fn from_value(value: Value) -> Result<Self, String> {
        let mut members = Vec::new();
        each_member(value, &mut |name, value| {
            members.push((name.to_owned(), T::from_value(value)?));
            Ok(())
        })?;
        Ok(Self(members))
    }
}

/// Hands the members of an object over one by one, up to the first that is refused.
#[inline(never)] // Shared by the members of every type.
fn each_member(value: Value, read: &mut dyn FnMut(&str, Value) -> Result<(), String>) -> Result<(), String> {
    for (name, value) in members(value)? {
        read(&name, value).map_err(|message| format!("its member `{name}` {message}"))?;
    }
    Ok(())
}

#[inline(never)]
pub(super) fn members(value: Value) -> Result<Map<String, Value>, String> {
    if let Value::Object(members) = value { Ok(members) } else { Err("is not an object".into()) }
}

/// The names of what no field has taken.
#[inline(never)]
pub(super) fn unknown(members: Map<String, Value>) -> Unknown {
    members.into_iter().map(|(name, _)| name).collect()
}

/// The member of an object that a field is called after.
#[inline(never)]
pub(super) fn take(members: &mut Map<String, Value>, field: &str) -> Option<Value> {
    members.remove(field.trim_start_matches("r#"))
}

/// Declares a part of the configuration: a struct of [`Field`]s, each read from the member of its name, with a list
/// of the members that it does not know.
macro_rules! raw {
    (
        $(#[$meta:meta])*
        pub(super) struct $name:ident {
            $($(#[$field_meta:meta])* pub(super) $field:ident: Field<$type:ty>,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(default, deny_unknown_fields))]
        pub(super) struct $name {
            $($(#[$field_meta])* pub(super) $field: Field<$type>,)*
            #[cfg_attr(feature = "schema", schemars(skip))]
            pub(super) unknown: $crate::config::field::Unknown,
        }

        impl $crate::config::field::FromValue for $name {
            fn from_value(value: Value) -> Result<Self, String> {
                let mut members = $crate::config::field::members(value)?;
                let mut take = |name: &str| $crate::config::field::take(&mut members, name);
                Ok(Self {
                    $($field: Field::of(take(stringify!($field))),)*
                    unknown: $crate::config::field::unknown(members),
                })
            }
        }
    };
}
pub(super) use raw;

/// Members that no part of the configuration knows.
pub(super) type Unknown = Vec<String>;

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn push(&mut self, path: impl Display, message: impl Display) {
        self.add(&path, &message);
    }

    #[inline(never)]
    fn add(&mut self, path: &dyn Display, message: &dyn Display) {
        self.0.push(Problem { path: path.to_string(), message: message.to_string() });
    }

    /// The field's value; none, with a problem, if it is of the wrong type.
    #[inline(never)]
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
    #[inline(never)]
    pub(super) fn required<T>(&mut self, path: impl Display, field: Field<T>) -> Option<T> {
        if matches!(field, Field::Absent) {
            self.push(&path, "is missing");
        }
        self.optional(path, field)
    }

    /// Says what is missing if a list names nothing. What it names may be wrong all the same.
    pub(super) fn named<T>(&mut self, path: impl Display, field: &Field<Vec<T>>, missing: &str) {
        if matches!(field, Field::Absent) || matches!(field, Field::Present(list) if list.is_empty()) {
            self.push(path, missing);
        }
    }

    /// A required text that is not empty.
    #[inline(never)]
    pub(super) fn text(&mut self, path: impl Display, field: Field<String>) -> Option<String> {
        let text = self.required(&path, field)?;
        if text.trim().is_empty() {
            self.push(path, "is empty");
            return None;
        }
        Some(text)
    }

    /// A number within bounds, or its default.
    #[inline(never)]
    pub(super) fn number(&mut self, path: impl Display, field: Field<u64>, number: Number) -> u32 {
        self.bounded(path, field, number.bounds).unwrap_or(number.default)
    }

    /// A number within bounds; none if it is absent or, with a problem, if it is none.
    #[inline(never)]
    pub(super) fn bounded(
        &mut self,
        path: impl Display,
        field: Field<u64>,
        Bounds { min, max }: Bounds,
    ) -> Option<u32> {
        let value = match field {
            Field::Absent => return None,
            Field::Present(value) => u32::try_from(value).ok().filter(|value| (min..=max).contains(value)),
            Field::Wrong(_) => None,
        };
        if value.is_none() {
            self.push(path, format_args!("is not a whole number from {min} to {max}"));
        }
        value
    }

    /// One of a few words, or the default.
    #[inline(never)]
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
        for name in unknown {
            let dot = if path.is_empty() { "" } else { "." };
            let name = if name.is_empty() { "\"\"" } else { name.as_str() };
            self.push(format!("{path}{dot}{name}"), "is not a known field");
        }
    }
}
