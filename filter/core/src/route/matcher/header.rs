//! What a header must be for a rule to apply, for whichever upstream reads it.

use crate::head::{Pairs, folds_to};

/// What a header must be.
#[derive(Debug)]
pub struct HeaderTest {
    /// In lower case; compared as upstreams do that cannot tell `x_a` from `x-a` (rule E1).
    pub name: Box<[u8]>,
    /// How it must be.
    pub value: ValueTest,
}

/// What a header's value must be.
#[derive(Debug)]
pub enum ValueTest {
    /// It is there.
    Present,
    /// It is not there.
    Absent,
    /// It is this.
    Equals(String),
    /// It starts with this.
    Prefix(String),
    /// It ends with this.
    Suffix(String),
    /// This is in it.
    Contains(String),
}

impl HeaderTest {
    /// Whether the header fits; none if that depends on who reads it.
    pub(super) fn holds(&self, pairs: &Pairs<'_>) -> Option<bool> {
        let mut found = pairs.iter().filter(|(name, _)| folds_to(name, &self.name));
        match (found.next(), found.next()) {
            (None, _) => Some(self.value.holds(None)),
            (Some((name, value)), None) if **name == *self.name => Some(self.value.holds(Some(value))),
            _ => self.holds_for_everybody(pairs),
        }
    }

    /// The same of a header that is there several times, or by another name that upstreams could take for it
    /// (rule E1): they may see all values in one, or any one of them, or no header at all.
    fn holds_for_everybody(&self, pairs: &Pairs<'_>) -> Option<bool> {
        let folded = || pairs.iter().filter(|(name, _)| folds_to(name, &self.name));
        let all: Vec<&[u8]> = folded().map(|(_, value)| *value).collect();
        let exact: Vec<&[u8]> = folded().filter(|(name, _)| **name == *self.name).map(|(_, value)| *value).collect();
        let one = (!exact.is_empty()).then(|| exact.join(&b','));
        let holds = self.value.holds(one.as_deref());
        let agrees = |value: &[u8]| self.value.holds(Some(value)) == holds;
        // RFC 9110 §5.3: with a comma between them, and perhaps a space.
        let mut joined = [&exact, &all].into_iter().filter(|values| !values.is_empty());
        let agree = joined.all(|values| agrees(&values.join(&b',')) && agrees(&values.join(&b", "[..])));
        (agree && all.iter().all(|value| agrees(value))).then_some(holds)
    }
}

impl ValueTest {
    /// None if there is no such header.
    fn holds(&self, value: Option<&[u8]>) -> bool {
        let Some(value) = value else { return matches!(self, Self::Absent) };
        match self {
            Self::Present => true,
            Self::Absent => false,
            Self::Equals(wanted) => value == wanted.as_bytes(),
            Self::Prefix(wanted) => value.starts_with(wanted.as_bytes()),
            Self::Suffix(wanted) => value.ends_with(wanted.as_bytes()),
            Self::Contains(wanted) => value.windows(wanted.len()).any(|part| part == wanted.as_bytes()),
        }
    }
}
