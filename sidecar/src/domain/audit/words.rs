//! The words of audit events. They are stable: people filter by them, and a hash chain covers them.

use serde::{Deserialize, Serialize};

use crate::domain::error::Failure;

/// What was done, or seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Action {
    /// Somebody was banned.
    #[serde(rename = "ban.given")]
    BanGiven,
    /// A ban was lifted.
    #[serde(rename = "ban.lifted")]
    BanLifted,
    /// A token was issued.
    #[serde(rename = "token.issued")]
    TokenIssued,
    /// A token was exchanged for a new one.
    #[serde(rename = "token.refreshed")]
    TokenRefreshed,
    /// A token was shown again after it had been exchanged: it, or its successor, was stolen.
    #[serde(rename = "token.reused")]
    TokenReused,
    /// A token was revoked.
    #[serde(rename = "token.revoked")]
    TokenRevoked,
    /// Every token of somebody was revoked.
    #[serde(rename = "tokens.revoked")]
    TokensRevoked,
    /// Somebody was logged out everywhere.
    #[serde(rename = "user.logged_out")]
    UserLoggedOut,
    /// Somebody signed in.
    #[serde(rename = "session.begun")]
    SessionBegun,
    /// A session was ended.
    #[serde(rename = "session.ended")]
    SessionEnded,
    /// Every session of somebody was ended.
    #[serde(rename = "sessions.ended")]
    SessionsEnded,
    /// What had expired of active users was cleared away.
    #[serde(rename = "active_users.cleaned")]
    ActiveUsersCleaned,
    /// The store was cleaned up.
    #[serde(rename = "cleanup.run")]
    CleanupRun,
    /// An administrator was added.
    #[serde(rename = "admin.added")]
    AdminAdded,
    /// An administrator was removed.
    #[serde(rename = "admin.removed")]
    AdminRemoved,
    /// A signing key was made.
    #[serde(rename = "signing_key.added")]
    SigningKeyAdded,
    /// Another signing key signs.
    #[serde(rename = "signing_key.rotated")]
    SigningKeyRotated,
    /// A signing key was retired.
    #[serde(rename = "signing_key.retired")]
    SigningKeyRetired,
    /// What is sealed was sealed anew, under another encryption key.
    #[serde(rename = "encryption.rotated")]
    EncryptionRotated,
    /// A call was refused to somebody who may not make it.
    #[serde(rename = "access.refused")]
    AccessRefused,
    /// Old events were dropped, as the retention says.
    #[serde(rename = "audit.pruned")]
    AuditPruned,
    /// A webhook was sent a test.
    #[serde(rename = "webhook.tested")]
    WebhookTested,
    /// What was given up is sent to a webhook again.
    #[serde(rename = "webhook.retried")]
    WebhookRetried,
    /// Events for a webhook were given up: it took none of them.
    #[serde(rename = "webhook.given_up")]
    WebhookGivenUp,
}

/// What an event says was done: an action that is known here, or one of a newer Sekisho, whose sidecars share the journal
/// and the database with this one while they are brought up to date. It is carried, listed and told as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ActionWord {
    /// One of ours.
    Known(Action),
    /// The word of another one.
    Other(String),
}

impl ActionWord {
    /// The word.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Known(action) => action.word(),
            Self::Other(word) => word,
        }
    }
}

impl From<Action> for ActionWord {
    fn from(action: Action) -> Self {
        Self::Known(action)
    }
}

impl PartialEq<Action> for ActionWord {
    fn eq(&self, other: &Action) -> bool {
        matches!(self, Self::Known(action) if action == other)
    }
}

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Everyday use.
    Info,
    /// Administration.
    Notice,
    /// Somebody should look at it.
    Warning,
    /// Somebody should look at it now.
    Critical,
}

impl Severity {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused: the request was wrong, or not allowed.
    Refused,
    /// It could not be done; part of it may have been.
    Failed,
    /// Nobody knows: whoever did it ended before it was over. What was written is brought to its end, or undone, by the
    /// reconciler.
    Interrupted,
}

impl Outcome {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<&Failure> for Outcome {
    fn from(failure: &Failure) -> Self {
        if failure.status() < 500 { Self::Refused } else { Self::Failed }
    }
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::BanGiven,
        Self::BanLifted,
        Self::TokenIssued,
        Self::TokenRefreshed,
        Self::TokenReused,
        Self::TokenRevoked,
        Self::TokensRevoked,
        Self::UserLoggedOut,
        Self::SessionBegun,
        Self::SessionEnded,
        Self::SessionsEnded,
        Self::ActiveUsersCleaned,
        Self::CleanupRun,
        Self::AdminAdded,
        Self::AdminRemoved,
        Self::SigningKeyAdded,
        Self::SigningKeyRotated,
        Self::SigningKeyRetired,
        Self::EncryptionRotated,
        Self::AccessRefused,
        Self::AuditPruned,
        Self::WebhookTested,
        Self::WebhookRetried,
        Self::WebhookGivenUp,
    ];

    /// Its word. Never change one: people filter by it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BanGiven => "ban.given",
            Self::BanLifted => "ban.lifted",
            Self::TokenIssued => "token.issued",
            Self::TokenRefreshed => "token.refreshed",
            Self::TokenReused => "token.reused",
            Self::TokenRevoked => "token.revoked",
            Self::TokensRevoked => "tokens.revoked",
            Self::UserLoggedOut => "user.logged_out",
            Self::SessionBegun => "session.begun",
            Self::SessionEnded => "session.ended",
            Self::SessionsEnded => "sessions.ended",
            Self::ActiveUsersCleaned => "active_users.cleaned",
            Self::CleanupRun => "cleanup.run",
            Self::AdminAdded => "admin.added",
            Self::AdminRemoved => "admin.removed",
            Self::SigningKeyAdded => "signing_key.added",
            Self::SigningKeyRotated => "signing_key.rotated",
            Self::SigningKeyRetired => "signing_key.retired",
            Self::EncryptionRotated => "encryption.rotated",
            Self::AccessRefused => "access.refused",
            Self::AuditPruned => "audit.pruned",
            Self::WebhookTested => "webhook.tested",
            Self::WebhookRetried => "webhook.retried",
            Self::WebhookGivenUp => "webhook.given_up",
        }
    }

    /// How much it matters.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::TokenIssued
            | Self::TokenRefreshed
            | Self::SessionBegun
            | Self::ActiveUsersCleaned
            | Self::AuditPruned => Severity::Info,
            Self::TokenReused => Severity::Critical,
            Self::AccessRefused | Self::WebhookGivenUp => Severity::Warning,
            Self::BanGiven
            | Self::BanLifted
            | Self::TokenRevoked
            | Self::TokensRevoked
            | Self::UserLoggedOut
            | Self::SessionEnded
            | Self::SessionsEnded
            | Self::CleanupRun
            | Self::AdminAdded
            | Self::AdminRemoved
            | Self::SigningKeyAdded
            | Self::SigningKeyRotated
            | Self::SigningKeyRetired
            | Self::EncryptionRotated
            | Self::WebhookTested
            | Self::WebhookRetried => Severity::Notice,
        }
    }
}
