//! Which revision of each source's keys the feed has announced.

use std::collections::BTreeMap;

use sekisho_protocol::Digest;

/// Most sources that are remembered; a mesh has a handful.
const MAX: usize = 4_096;

/// The revisions that were announced.
#[derive(Debug, Default)]
pub struct Announced(BTreeMap<Digest, u64>);

impl Announced {
    /// The revision that is in force for the source under `digest`; 0 if nothing was heard of it.
    #[must_use]
    pub fn revision(&self, digest: Digest) -> u64 {
        self.0.get(&digest).copied().unwrap_or_default()
    }

    /// From now on no lower revision is in force. A source's silence in a snapshot changes nothing: revisions
    /// only grow.
    pub(crate) fn announce(&mut self, digest: Digest, revision: u64) {
        if self.0.len() < MAX || self.0.contains_key(&digest) {
            let known = self.0.entry(digest).or_default();
            *known = revision.max(*known);
        }
    }
}
