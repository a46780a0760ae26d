//! The credential that an upstream wants to be shown: its own, never the client's.

use std::rc::Rc;

use crate::authorize::{Requirement, Subject};
use crate::head::{Head, folds_to};
use crate::identity::Edits;
use crate::secret::Secret;

/// A credential of the service behind this checkpoint.
#[derive(Debug)]
pub struct UpstreamCredential {
    /// For whom it is; none: for everybody whom the rule admits.
    pub when: Option<Requirement>,
    /// The header that carries it, in lower case.
    pub header: String,
    /// The header's value.
    pub value: Secret,
}

/// What a client sent under the names of these headers goes, however it is spelt (rule E1): the upstream must not
/// find two.
pub fn strip(credentials: &[Rc<UpstreamCredential>], head: &Head<'_>, edits: &mut Edits) {
    for credential in credentials {
        for (name, _) in head.pairs.iter().filter(|(name, _)| folds_to(name, credential.header.as_bytes())) {
            edits.remove_once(name);
        }
    }
}

/// The first that is for this caller.
#[must_use]
pub fn choose(credentials: &[Rc<UpstreamCredential>], subject: &Subject<'_>) -> Option<Rc<UpstreamCredential>> {
    let is_for = |when: &Requirement| when.check(subject).is_ok();
    credentials.iter().find(|credential| credential.when.as_ref().is_none_or(is_for)).map(Rc::clone)
}
