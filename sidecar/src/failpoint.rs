//! Places in which a crash between two writes could lose something, so that tests can crash there.
//!
//! In a debug build a sidecar that reaches the place which `SEKISHO_FAILPOINT` names ends at once,
//! as by `kill -9`. A release build contains none of it.

/// A place between two steps of which the second is missing if the program ends there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailPoint {
    /// A ban: its record is written, its feed entry is not.
    BanRecorded,
    /// A ban: its feed entry is written, the caller has no answer.
    BanEntered,
    /// An unban: the record is removed, the feed entry still holds.
    UnbanRemoved,
    /// An unban: the feed entry is lifted, the caller has no answer.
    UnbanLifted,
    /// A new token: its place is taken, there is no record of it.
    TokenReserved,
    /// A new token: it is on record, the caller has no answer.
    TokenInserted,
    /// An exchange of a token: it is noted, there is no new token.
    ExchangeNoted,
    /// An exchange of a token: the new one is on record, the end of the old one is not.
    ExchangeJoined,
    /// A token whose grace time is over: it is marked as exchanged, and not revoked.
    ExchangeMarked,
    /// A token was shown again after its exchange: its family is marked, none of it is revoked.
    FamilyMarked,
    /// The same: all of the family are revoked, the case is still open.
    FamilyRevoked,
    /// A token's revocation: its record is written, its feed entry is not.
    TokenRecorded,
    /// A token's revocation: its feed entry is written, the caller has no answer.
    TokenEntered,
    /// A logout: its record is written, its feed entry is not.
    NotBeforeRecorded,
    /// A logout: its feed entry is written, the caller has no answer.
    NotBeforeEntered,
    /// A session's end: its record is written, its feed entry is not.
    SessionRecorded,
    /// A session's end: its feed entry is written, the caller has no answer.
    SessionEntered,
    /// The end of all sessions of somebody: one of them is ended, the others are not.
    SessionsPart,
    /// Somebody must sign in: that is on record, there is no feed entry.
    SignInRequired,
    /// Somebody need not sign in any more: the record is removed, the feed entry still holds.
    SignInReleased,
    /// A keyset: its record is written, its feed entry is not.
    KeysetRecorded,
    /// A keyset: its feed entry is written, nobody was answered.
    KeysetEntered,
    /// Reconciling: an entry is written for a record, which was not read again yet.
    ReconcilePut,
    /// After a loss of data: an epoch has begun, nothing is written back to it yet.
    EpochBegun,
    /// After a loss of data: entries are written back, their records are not.
    RestoreEntered,
    /// After a loss of data: records are written back, too, and not yet compared with lifts made meanwhile.
    RestoreRecorded,
    /// A change: who ordered it is in the journal, it has not begun.
    AuditOpened,
    /// A change: it is made, what came of it is not in the journal.
    AuditChanged,
    /// The trail: events are appended, and still in line.
    AuditAppended,
    /// A rotation of encryption keys: a batch is sealed anew, the rest is not.
    EncryptionBatch,
    /// A rotation of encryption keys: everything is sealed anew, the canary is not.
    EncryptionResealed,
    /// A rotation of encryption keys: the canary is sealed anew, too, nobody was told.
    EncryptionRotated,
    /// A webhook: an event for it is this sidecar's to deliver, and not sent yet.
    OutboxLeased,
    /// A webhook: an event is delivered, and still in the outbox.
    OutboxDelivered,
    /// A poll is on record, the worker has no answer.
    PollRecorded,
    /// An activity report counts as taken, what it says is not written.
    ActivityTaken,
}

impl FailPoint {
    /// All of them.
    pub const ALL: [Self; 36] = [
        Self::BanRecorded,
        Self::BanEntered,
        Self::UnbanRemoved,
        Self::UnbanLifted,
        Self::TokenReserved,
        Self::TokenInserted,
        Self::ExchangeNoted,
        Self::ExchangeJoined,
        Self::ExchangeMarked,
        Self::FamilyMarked,
        Self::FamilyRevoked,
        Self::TokenRecorded,
        Self::TokenEntered,
        Self::NotBeforeRecorded,
        Self::NotBeforeEntered,
        Self::SessionRecorded,
        Self::SessionEntered,
        Self::SessionsPart,
        Self::SignInRequired,
        Self::SignInReleased,
        Self::KeysetRecorded,
        Self::KeysetEntered,
        Self::ReconcilePut,
        Self::EpochBegun,
        Self::RestoreEntered,
        Self::RestoreRecorded,
        Self::AuditOpened,
        Self::AuditChanged,
        Self::AuditAppended,
        Self::EncryptionBatch,
        Self::EncryptionResealed,
        Self::EncryptionRotated,
        Self::OutboxLeased,
        Self::OutboxDelivered,
        Self::PollRecorded,
        Self::ActivityTaken,
    ];

    /// The word by which `SEKISHO_FAILPOINT` names it. Never change one.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BanRecorded => "ban.recorded",
            Self::BanEntered => "ban.entered",
            Self::UnbanRemoved => "unban.removed",
            Self::UnbanLifted => "unban.lifted",
            Self::TokenReserved => "token.reserved",
            Self::TokenInserted => "token.inserted",
            Self::ExchangeNoted => "exchange.noted",
            Self::ExchangeJoined => "exchange.joined",
            Self::ExchangeMarked => "exchange.marked",
            Self::FamilyMarked => "family.marked",
            Self::FamilyRevoked => "family.revoked",
            Self::TokenRecorded => "token.recorded",
            Self::TokenEntered => "token.entered",
            Self::NotBeforeRecorded => "not_before.recorded",
            Self::NotBeforeEntered => "not_before.entered",
            Self::SessionRecorded => "session.recorded",
            Self::SessionEntered => "session.entered",
            Self::SessionsPart => "sessions.part",
            Self::SignInRequired => "sign_in.required",
            Self::SignInReleased => "sign_in.released",
            Self::KeysetRecorded => "keyset.recorded",
            Self::KeysetEntered => "keyset.entered",
            Self::ReconcilePut => "reconcile.put",
            Self::EpochBegun => "epoch.begun",
            Self::RestoreEntered => "restore.entered",
            Self::RestoreRecorded => "restore.recorded",
            Self::AuditOpened => "audit.opened",
            Self::AuditChanged => "audit.changed",
            Self::AuditAppended => "audit.appended",
            Self::EncryptionBatch => "encryption.batch",
            Self::EncryptionResealed => "encryption.resealed",
            Self::EncryptionRotated => "encryption.rotated",
            Self::OutboxLeased => "outbox.leased",
            Self::OutboxDelivered => "outbox.delivered",
            Self::PollRecorded => "poll.recorded",
            Self::ActivityTaken => "activity.taken",
        }
    }

    /// The place with this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|point| point.word() == word)
    }
}

/// Ends the program here, if `SEKISHO_FAILPOINT` names this place.
#[cfg(debug_assertions)]
pub(crate) fn reach(point: FailPoint) {
    use std::io::Write;
    use std::sync::LazyLock;

    static NAMED: LazyLock<Option<FailPoint>> =
        LazyLock::new(|| FailPoint::of_word(&std::env::var("SEKISHO_FAILPOINT").ok()?));
    if *NAMED == Some(point) {
        let _ = writeln!(std::io::stderr(), "fail point {} reached", point.word());
        std::process::abort();
    }
}

/// Nothing: a release build has no fail points.
#[cfg(not(debug_assertions))]
pub(crate) const fn reach(_: FailPoint) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_has_a_word_of_its_own() {
        for point in FailPoint::ALL {
            assert_eq!(FailPoint::of_word(point.word()), Some(point));
        }
        assert_eq!(FailPoint::of_word("ban"), None);
    }

    #[test]
    fn no_point_is_left_out_of_the_list() {
        let mut all = FailPoint::ALL.map(|point| point as usize);
        all.sort_unstable();
        assert_eq!(all.to_vec(), (0..=FailPoint::ActivityTaken as usize).collect::<Vec<_>>());
    }

    #[test]
    fn no_point_ends_the_program_unless_the_environment_names_it() {
        assert_eq!(std::env::var_os("SEKISHO_FAILPOINT"), None);
        FailPoint::ALL.into_iter().for_each(reach);
    }
}
