//! What a clean-up of Redis clears away, and what is on record about a run. The names are those of the gateway that
//! Sekisho replaces.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub mod schedule;

/// Most items that a run's log holds; how many more there were is said.
pub const ITEMS_MAX: usize = 10_000;
/// Most items of each kind that a preview names.
pub const PREVIEW_MAX: u64 = 2_500;

/// What kind of leftover it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The id of a token that ended, in the set of its user.
    OrphanedJwtTokenId,
    /// A set of tokens that is gone with its last id.
    EmptyTokenSet,
    /// What is known of somebody who is active no more.
    OrphanedMetadata,
    /// The name of somebody who is active no more.
    InactiveUser,
    /// The place of a token that ended, in the orders of all tokens.
    OrphanedIndexEntry,
}

impl Kind {
    /// Why it goes.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::OrphanedJwtTokenId | Self::OrphanedIndexEntry => "token_info_not_found",
            Self::EmptyTokenSet => "no_tokens_left",
            Self::OrphanedMetadata | Self::InactiveUser => "active_user_not_found",
        }
    }
}

/// A leftover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Item {
    /// What kind.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Whose it was.
    pub user_email: Option<String>,
    /// The token's id.
    pub token_id: Option<String>,
    /// The key in which it is, or which it is.
    pub key: String,
}

/// A leftover that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeletedItem {
    /// What it was.
    #[serde(flatten)]
    pub item: Item,
    /// Why it went.
    pub reason: String,
    /// When, in Unix seconds.
    pub timestamp: u64,
}

/// How many leftovers there are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ids of tokens.
    pub token_ids: u64,
    /// Sets of tokens.
    pub token_sets: u64,
    /// What is known of people.
    pub metadata: u64,
    /// Names of people.
    pub active_users: u64,
    /// Places in orders.
    pub index_entries: u64,
}

impl Counts {
    /// One more; how many of its kind there are with it.
    pub fn add(&mut self, kind: Kind) -> u64 {
        let count = self.of(kind);
        *count += 1;
        *count
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.token_ids + self.token_sets + self.metadata + self.active_users + self.index_entries
    }

    fn of(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::OrphanedJwtTokenId => &mut self.token_ids,
            Kind::EmptyTokenSet => &mut self.token_sets,
            Kind::OrphanedMetadata => &mut self.metadata,
            Kind::InactiveUser => &mut self.active_users,
            Kind::OrphanedIndexEntry => &mut self.index_entries,
        }
    }
}

/// What a run did, as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CleanupLog {
    /// `cleanup_YYYYMMDD_HHMMSS`, in UTC.
    pub cleanup_id: String,
    /// When it began, in Unix seconds.
    pub executed_at: u64,
    /// Who started it: an administrator, or `schedule`.
    pub executed_by: String,
    /// Whether somebody started it.
    pub manual: bool,
    /// What was deleted.
    pub results: Results,
    /// How many items were deleted.
    pub total_deleted: u64,
    /// How much memory of Redis that freed, measured, in bytes.
    pub freed_memory: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// The items, up to 10,000.
    pub deleted_items: Vec<DeletedItem>,
    /// How many more were deleted than are listed.
    #[serde(default)]
    pub deleted_items_left_out: u64,
}

/// How many items were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Results {
    /// Ids of tokens that ended.
    pub orphaned_jwt_token_ids_deleted: u64,
    /// What was known of people who are active no more.
    pub orphaned_metadata_deleted: u64,
    /// Sets of tokens that went with their last id.
    pub empty_token_sets_deleted: u64,
    /// Names of people who are active no more.
    #[serde(default)]
    pub inactive_users_deleted: u64,
    /// Places of tokens that ended, in the orders of all tokens.
    #[serde(default)]
    pub orphaned_index_entries_deleted: u64,
}

impl From<Counts> for Results {
    fn from(counts: Counts) -> Self {
        Self {
            orphaned_jwt_token_ids_deleted: counts.token_ids,
            orphaned_metadata_deleted: counts.metadata,
            empty_token_sets_deleted: counts.token_sets,
            inactive_users_deleted: counts.active_users,
            orphaned_index_entries_deleted: counts.index_entries,
        }
    }
}

/// The id of a run that began at this Unix second.
#[must_use]
pub fn id_of(executed_at: u64) -> String {
    let at = i64::try_from(executed_at).ok().and_then(|at| chrono::DateTime::from_timestamp(at, 0));
    at.unwrap_or_default().format("cleanup_%Y%m%d_%H%M%S").to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_is_named_after_its_second() {
        assert_eq!(id_of(1_795_289_539), "cleanup_20261121_193219");
        assert_eq!(id_of(0), "cleanup_19700101_000000");
    }

    #[test]
    fn an_item_has_the_shape_that_others_read() {
        let item = Item {
            kind: Kind::OrphanedJwtTokenId,
            user_email: Some("ann@x.org".into()),
            token_id: Some("t".into()),
            key: "user:tokens:ann@x.org".into(),
        };
        let reason = item.kind.reason().to_owned();
        assert_eq!(
            json!(DeletedItem { item, reason, timestamp: 7 }),
            json!({"type": "orphaned_jwt_token_id", "user_email": "ann@x.org", "token_id": "t",
                   "key": "user:tokens:ann@x.org", "reason": "token_info_not_found", "timestamp": 7})
        );
    }

    #[test]
    fn each_kind_is_counted_apart_and_all_of_them_together() {
        let mut counts = Counts::default();
        for kind in [Kind::OrphanedJwtTokenId, Kind::EmptyTokenSet, Kind::OrphanedMetadata, Kind::InactiveUser] {
            counts.add(kind);
        }
        counts.add(Kind::OrphanedIndexEntry);
        assert_eq!((counts.total(), Results::from(counts).inactive_users_deleted), (5, 1));
    }
}
