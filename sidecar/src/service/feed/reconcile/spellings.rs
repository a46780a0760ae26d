//! Under which other spellings people have bans on record. Old programs wrote addresses as they came, so that one
//! person may have several records, and is banned for as long as the longest of them says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Most people with other spellings that are remembered. Of whom there is no room, each record counts alone.
const PEOPLE_MAX: usize = 10_000;
/// Most other spellings of one person.
const EACH_MAX: usize = 8;

/// The spellings that were come by. Clones are the same ones.
#[derive(Clone, Default)]
pub(super) struct Spellings(Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>);

impl Spellings {
    /// Remembers that `folded` has a record spelled like this.
    pub(super) fn note(&self, folded: &str, spelling: &str) {
        self.with(|people| {
            if !people.contains_key(folded) && people.len() >= PEOPLE_MAX {
                return;
            }
            let known = people.entry(folded.to_owned()).or_default();
            if known.len() < EACH_MAX {
                known.insert(spelling.to_owned());
            }
        });
    }

    /// Forgets one that has no record any more.
    pub(super) fn forget(&self, folded: &str, spelling: &str) {
        self.with(|people| {
            if let Some(known) = people.get_mut(folded) {
                known.remove(spelling);
                if known.is_empty() {
                    people.remove(folded);
                }
            }
        });
    }

    /// The other spellings of somebody.
    pub(super) fn of(&self, folded: &str) -> Vec<String> {
        self.with(|people| people.get(folded).map(|known| known.iter().cloned().collect()).unwrap_or_default())
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, BTreeSet<String>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_remembered_until_they_are_forgotten_and_no_more_than_there_is_room_for() {
        let spellings = Spellings::default();
        for number in 0..20 {
            spellings.note("ann@x", &format!("{number}"));
        }
        assert_eq!(spellings.of("ann@x").len(), EACH_MAX);
        for known in spellings.of("ann@x") {
            spellings.forget("ann@x", &known);
        }
        assert!(spellings.of("ann@x").is_empty() && spellings.with(|people| people.is_empty()));
        for number in 0..=PEOPLE_MAX {
            spellings.note(&format!("{number}"), "Odd");
        }
        assert!(spellings.of(&PEOPLE_MAX.to_string()).is_empty());
        assert_eq!(spellings.of("0"), ["Odd"]);
    }
}
