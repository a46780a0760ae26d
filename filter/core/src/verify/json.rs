//! JSON as tokens may hold it: read once, borrowed where it can be, and refused where two readers could read it
//! differently (RFC 7515 §4, RFC 7519 §4) or where it would take one too deep.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::Deserializer;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::Invalid;

/// Most levels of objects and lists, the outermost counted.
pub(super) const NESTING_MAX: usize = 16;
/// Room for the members of an ordinary token, so that it is made once.
const USUAL_MEMBERS: usize = 16;

/// Any value.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    /// A whole number, written as one.
    Whole(u64),
    /// A negative whole number.
    Negative(i64),
    /// `1.5`, but also `1.0`, `1e3` and `-0`: numbers of which not every reader makes the same.
    Fraction,
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    Object(Object<'a>),
}

/// An object without repeated members, sorted by name.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// Whether `json` is an object without repeated members, with so many levels at most.
///
/// # Errors
/// As [`Object::parse`].
pub(crate) fn check(json: &[u8], levels: usize) -> Result<(), Invalid> {
    Object::parse_within(json, levels).map(|_| ())
}

impl<'a> Object<'a> {
    /// The object that `json` is, with nothing around it but white space.
    ///
    /// # Errors
    /// [`Invalid::Repeated`], [`Invalid::Nesting`], and [`Invalid::Malformed`] for everything else that is no object.
    pub(super) fn parse(json: &'a [u8]) -> Result<Self, Invalid> {
        Self::parse_within(json, NESTING_MAX)
    }

    fn parse_within(json: &'a [u8], levels: usize) -> Result<Self, Invalid> {
        let refused = Cell::new(Invalid::Malformed);
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let value = Reader { levels, refused: &refused }
            .deserialize(&mut deserializer)
            .and_then(|value| deserializer.end().map(|()| value));
        match value {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(Invalid::Malformed),
            Err(_) => Err(refused.get()),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value<'a>> {
        let index = self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name)).ok()?;
        self.0.get(index).map(|(_, value)| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }
}

impl Value<'_> {
    pub(super) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// Reads a value with so many levels left, and notes why it refuses one: errors of serde are texts.
#[derive(Clone, Copy)]
struct Reader<'r> {
    levels: usize,
    refused: &'r Cell<Invalid>,
}

impl Reader<'_> {
    fn refuse<E: de::Error>(self, invalid: Invalid) -> E {
        self.refused.set(invalid);
        E::custom(invalid)
    }

    /// The reader of what stands one level deeper.
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| self.refuse(Invalid::Nesting))?;
        Ok(Self { levels, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(Value::Whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Negative(value))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Fraction)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        let reader = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(reader)? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        let reader = self.deeper()?;
        let outermost = reader.levels + 1 == NESTING_MAX;
        let mut members = Vec::with_capacity(if outermost { USUAL_MEMBERS } else { 0 });
        while let Some(name) = map.next_key_seed(Name)? {
            members.push((name, map.next_value_seed(reader)?));
        }
        // Sorted, repeated names stand side by side, however many members a hostile token has.
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        if members.windows(2).any(|pair| matches!(pair, [(one, _), (other, _)] if one == other)) {
            return Err(self.refuse(Invalid::Repeated));
        }
        Ok(Value::Object(Object(members)))
    }
}

/// Reads a member's name.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn refusal(json: &str) -> Option<Invalid> {
        Object::parse(json.as_bytes()).err()
    }

    #[test]
    fn numbers_count_as_whole_only_if_they_are_written_so() {
        for (json, expected) in [
            ("0", Value::Whole(0)),
            ("18446744073709551615", Value::Whole(u64::MAX)),
            ("-1", Value::Negative(-1)),
            ("1.0", Value::Fraction),
            ("1e3", Value::Fraction),
            ("1E0", Value::Fraction),
            ("-0", Value::Fraction),
            ("18446744073709551616", Value::Fraction),
        ] {
            let text = format!(r#"{{"n": {json}}}"#);
            assert_eq!(Object::parse(text.as_bytes()).unwrap().get("n"), Some(&expected), "{json}");
        }
    }

    #[test]
    fn a_repeated_member_is_found_at_any_depth_and_in_any_spelling() {
        for json in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"c":3,"a":4}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[[{"y":{"a":null,"b":0,"a":2}}]]}"#,
            r#"{"":1,"":2}"#,
        ] {
            assert_eq!(refusal(json), Some(Invalid::Repeated), "{json}");
        }
        assert_eq!(refusal(r#"{"a":{"a":1},"A":[{"a":1},{"a":1}],"á":1}"#), None);
    }

    #[test]
    fn nesting_has_a_bound_and_what_lies_beyond_is_not_read() {
        let lists = |levels: usize| format!(r#"{{"x":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        assert_eq!(refusal(&lists(NESTING_MAX - 1)), None);
        assert_eq!(refusal(&lists(NESTING_MAX)), Some(Invalid::Nesting));
        assert_eq!(refusal(&lists(8_000)), Some(Invalid::Nesting));
        assert_eq!(refusal(&format!("{}1", r#"{"a":"#.repeat(NESTING_MAX + 1))), Some(Invalid::Nesting));
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        for json in [
            "",
            " ",
            "null",
            "1",
            "[]",
            r#""x""#,
            "{",
            "}",
            "{}}",
            "{} x",
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{a:1}"#,
            "{'a':1}",
            r#"{"a":01}"#,
            r#"{"a":+1}"#,
            r#"{"a":.5}"#,
            r#"{"a":NaN}"#,
            r#"{"a":1e999}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\x"}"#,
            "{\"a\":\"\n\"}",
            "\u{feff}{}",
            "{\"a\":/**/1}",
        ] {
            assert_eq!(refusal(json), Some(Invalid::Malformed), "{json}");
        }
        for bytes in [&b"{\"a\":\"\xff\"}"[..], b"{\"\xff\":1}", b"{\"a\":1\xff}", b"{\"a\":\"\xc0\x80\"}", b"{}\0"] {
            assert_eq!(Object::parse(bytes).err(), Some(Invalid::Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn many_members_take_no_time_that_hurts() {
        let members: Vec<_> = (0..2_000).map(|n| format!(r#""{n}":{n}"#)).collect();
        let json = format!("{{{}}}", members.join(","));
        assert_eq!(Object::parse(json.as_bytes()).unwrap().get("1999"), Some(&Value::Whole(1_999)));
    }
}
