//! The one table of failures: error → status, code, title, sentence and JSON shape.
//!
//! Where the gateway that Sekisho replaces had a shape, it is kept to the letter; elsewhere an error
//! is a problem document (RFC 9457) with a stable `code`. A client never sees an inner cause: that
//! is for the log and for the command line.

use sekisho_protocol::{Email, Subject};
use serde_json::{Value, json};

use crate::domain::admin::Role;
use crate::domain::time::UnixSeconds;

/// Why a call was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A value in the request is missing or wrong.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The body could not be read as the JSON that the call takes.
    #[error("the body is not what this call takes: {0}")]
    Body(String),
    /// The identity header came more than once: two identities can't both be right (rule E4).
    #[error("the header x-sekisho-identity came more than once")]
    RepeatedIdentity,
    /// Nobody whom the filter vouches for.
    #[error("this call needs a signed-in caller, through the gateway")]
    Unauthenticated,
    /// The caller has no e-mail address that its provider vouches for.
    #[error("this call needs a caller with an e-mail address")]
    NoEmail,
    /// Not an administrator, or not with a credential for administration (rule E7).
    #[error("{user} may not administer")]
    AdminOnly {
        /// Who asked.
        user: String,
    },
    /// An administrator, but none who may do this.
    #[error("only a super administrator may do this, and {user} is none")]
    SuperAdminOnly {
        /// Who asked.
        user: String,
    },
    /// Nobody could let the last one in again.
    #[error("{email} is the last super administrator who is not banned; the command line can do it")]
    LastSuperAdmin {
        /// Who.
        email: String,
    },
    /// There is nothing to add.
    #[error("{email} is {role} already{}", if *.is_configured { ", by configuration" } else { "" })]
    AlreadyAdmin {
        /// Who.
        email: Email,
        /// What they are.
        role: Role,
        /// Whether the configuration makes them so.
        is_configured: bool,
    },
    /// Nothing to remove.
    #[error("{email} is no administrator, and no auditor")]
    AdminNotFound {
        /// Who.
        email: Email,
    },
    /// What the configuration says is not changed at run time.
    #[error(
        "{email} is {role} by configuration: change SUPER_ADMIN_EMAIL, ADMIN_EMAILS, ADMIN_DOMAINS or SEKISHO_AUDITOR_EMAILS on every sidecar"
    )]
    AdminByConfiguration {
        /// Who.
        email: Email,
        /// What they are.
        role: Role,
    },
    /// No room for another one.
    #[error("there are as many administrators and auditors as can be added; remove some first, or use ADMIN_DOMAINS")]
    TooManyAdmins,
    /// Somebody else's token.
    #[error("this token belongs to somebody else")]
    NotYourToken,
    /// A new token can't do more than the credential that asks for it.
    #[error("your credential does not hold the scope `{scope}`, so it can't grant it")]
    ScopeNotHeld {
        /// The scope asked for.
        scope: String,
    },
    /// As many tokens as somebody may have.
    #[error("you have {most} tokens that can be used; revoke some, or wait until they expire")]
    TooManyTokens {
        /// How many somebody may have.
        most: usize,
    },
    /// A credential that no token of this API stands for.
    #[error("only a token that this API issued can be exchanged, and it must be the one with which you come")]
    NotExchangeable,
    /// A token that was exchanged before.
    #[error("this token was exchanged before; use the newest one, or make another")]
    AlreadyExchanged,
    /// A token whose family is as old as it may get.
    #[error("this token and those from which it comes have been exchanged for {days} days; make another")]
    FamilyTooOld {
        /// How old a family may get, in days.
        days: u64,
    },
    /// No token with this id.
    #[error("there is no token with this id")]
    TokenNotFound,
    /// No session with this key.
    #[error("there is no session with the key {key}")]
    SessionNotFound {
        /// What was asked for.
        key: String,
    },
    /// Nobody begins a session for whom a ban holds.
    #[error("{subject} is banned")]
    Banned {
        /// Who.
        subject: Subject,
        /// Unix seconds; [`sekisho_protocol::feed::FOREVER`] if it has no end.
        until: u64,
    },
    /// Nothing to lift.
    #[error("{subject} is not banned")]
    NotBanned {
        /// Who was to be let in again.
        subject: Subject,
    },
    /// A ban that was given while this one was being lifted stands, or the other way round.
    #[error("another change of {subject} came in between; look at the result and try again")]
    Overtaken {
        /// Whose ban it was about.
        subject: Subject,
    },
    /// No signing key with this id.
    #[error("there is no signing key with this id")]
    KeyNotFound,
    /// A key can't go while it signs.
    #[error("this key signs new tokens; rotate first")]
    KeySigns,
    /// `JWT_SECRET` can't take over from itself.
    #[error("HS256 with JWT_SECRET signs already")]
    SecretSigns,
    /// A key can't go while its tokens live.
    #[error("tokens of this key are valid until {until} (Unix seconds); to refuse them all, retire it now")]
    KeyNeeded {
        /// When it may go.
        until: UnixSeconds,
    },
    /// No room for another key.
    #[error("there are as many signing keys as filters know of one source; retire one first")]
    TooManyKeys,
    /// Somebody else changed the signing keys.
    #[error("somebody else changed the signing keys in between; look at them and try again")]
    KeysOvertaken,
    /// No key under which private keys could be sealed.
    #[error(
        "private keys are kept sealed under REDIS_ENCRYPTION_KEY, which is not set; make one with `openssl rand -hex 32` and give it to every sidecar"
    )]
    NoEncryptionKey,
    /// No key here opens what the other sidecars seal.
    #[error("{complaint}")]
    EncryptionKeyUnknown {
        /// Which key does, and what to do.
        complaint: String,
    },
    /// Somebody goes on sealing under another key.
    #[error(
        "others go on sealing under another key: see that REDIS_ENCRYPTION_KEY is the same on every sidecar, and try again"
    )]
    EncryptionOvertaken,
    /// The private part of the key that signs can't be had.
    #[error("tokens can't be signed: {cause}")]
    KeyClosed {
        /// For the log and the command line only.
        cause: String,
    },
    /// A browser sent the call for a page of another site (rule E7).
    #[error("a browser sent this call from another site: {why}")]
    CrossSite {
        /// How it shows.
        why: &'static str,
    },
    /// The same `Idempotency-Key` with another call.
    #[error("this Idempotency-Key was used for another call; a new call needs a new one")]
    IdempotencyKeyReused,
    /// The call with this `Idempotency-Key` has not ended.
    #[error("the call with this Idempotency-Key is still under way; send it again shortly")]
    IdempotencyInProgress {
        /// After so many seconds.
        retry_after_s: u32,
    },
    /// The call was carried out; what it answered can't be told again.
    #[error(
        "the call with this Idempotency-Key was carried out, but its answer was not kept; look at what it came to before you make it anew with another key"
    )]
    IdempotencyAnswerLost,
    /// More calls than one caller may make.
    #[error("too many calls; try again in {retry_after_s} s")]
    TooManyRequests {
        /// After so many seconds.
        retry_after_s: u32,
    },
    /// A clean-up runs already.
    #[error("a clean-up runs already; wait until it is over")]
    CleanupRuns,
    /// No webhook with this name.
    #[error("there is no webhook with this name")]
    WebhookNotFound,
    /// No such address.
    #[error("there is nothing at this address")]
    NoSuchPath,
    /// The address exists, the method does not.
    #[error("this address does not take this method")]
    MethodNotAllowed,
    /// The body is larger than the listener takes.
    #[error("the body is too large")]
    TooLarge,
    /// A write must say `content-type: application/json`: no form can, so no foreign page can send it.
    #[error("the body must be sent as application/json")]
    NotJson,
    /// Changes that could not be recorded are not made.
    #[error("too many audit events wait for the database: see that it is reachable (`sekisho doctor`)")]
    AuditFull,
    /// Redis can't be used now. Nothing was promised.
    #[error(
        "the state can't be reached (see REDIS_URL, or REDIS_HOST and REDIS_PORT; for the audit trail DATABASE_URL or SEKISHO_DATA_DIR): {cause}"
    )]
    Unavailable {
        /// For the log and the command line only.
        cause: String,
    },
    /// A defect of Sekisho.
    #[error("internal error: {cause}")]
    Internal {
        /// For the log and the command line only.
        cause: String,
    },
}

/// One row of the table.
struct Row(u16, &'static str, &'static str);

impl Failure {
    /// A value that is missing or wrong.
    pub fn invalid(field: &'static str, problem: impl ToString) -> Self {
        Self::Invalid { field, problem: problem.to_string() }
    }

    fn row(&self) -> Row {
        match self {
            Self::Invalid { .. } => Row(400, "invalid_value", "Bad Request"),
            Self::Body(_) => Row(400, "invalid_body", "Bad Request"),
            Self::RepeatedIdentity => Row(400, "repeated_identity", "Bad Request"),
            Self::Unauthenticated => Row(401, "unauthenticated", "Unauthorized"),
            Self::NoEmail => Row(403, "no_email", "Forbidden"),
            Self::AdminOnly { .. } => Row(403, "admin_only", "Forbidden"),
            Self::SuperAdminOnly { .. } => Row(403, "super_admin_only", "Forbidden"),
            Self::AdminNotFound { .. } => Row(404, "admin_not_found", "Not Found"),
            Self::LastSuperAdmin { .. } => Row(409, "last_super_admin", "Conflict"),
            Self::AlreadyAdmin { .. } => Row(409, "already_admin", "Conflict"),
            Self::AdminByConfiguration { .. } => Row(409, "admin_by_configuration", "Conflict"),
            Self::TooManyAdmins => Row(409, "too_many_admins", "Conflict"),
            Self::NotYourToken => Row(403, "not_your_token", "Forbidden"),
            Self::ScopeNotHeld { .. } => Row(403, "scope_not_held", "Forbidden"),
            Self::TooManyTokens { .. } => Row(409, "too_many_tokens", "Conflict"),
            Self::NotExchangeable => Row(400, "not_exchangeable", "Bad Request"),
            Self::AlreadyExchanged => Row(409, "already_exchanged", "Conflict"),
            Self::FamilyTooOld { .. } => Row(403, "family_too_old", "Forbidden"),
            Self::CrossSite { .. } => Row(403, "cross_site", "Forbidden"),
            Self::TokenNotFound => Row(404, "token_not_found", "Not Found"),
            Self::SessionNotFound { .. } => Row(404, "session_not_found", "Not Found"),
            Self::Banned { .. } => Row(403, "banned", "Forbidden"),
            Self::NotBanned { .. } => Row(404, "not_banned", "Not Found"),
            Self::KeyNotFound => Row(404, "key_not_found", "Not Found"),
            Self::WebhookNotFound => Row(404, "webhook_not_found", "Not Found"),
            Self::NoSuchPath => Row(404, "no_such_path", "Not Found"),
            Self::MethodNotAllowed => Row(405, "method_not_allowed", "Method Not Allowed"),
            Self::Overtaken { .. } | Self::KeysOvertaken => Row(409, "overtaken", "Conflict"),
            Self::KeySigns => Row(409, "key_signs", "Conflict"),
            Self::SecretSigns => Row(409, "secret_signs", "Conflict"),
            Self::KeyNeeded { .. } => Row(409, "key_needed", "Conflict"),
            Self::TooManyKeys => Row(409, "too_many_keys", "Conflict"),
            Self::EncryptionKeyUnknown { .. } => Row(409, "encryption_key_unknown", "Conflict"),
            Self::EncryptionOvertaken => Row(409, "overtaken", "Conflict"),
            Self::NoEncryptionKey => Row(409, "no_encryption_key", "Conflict"),
            Self::IdempotencyInProgress { .. } => Row(409, "idempotency_in_progress", "Conflict"),
            Self::IdempotencyAnswerLost => Row(409, "idempotency_answer_lost", "Conflict"),
            Self::CleanupRuns => Row(409, "cleanup_runs", "Conflict"),
            Self::TooLarge => Row(413, "too_large", "Content Too Large"),
            Self::NotJson => Row(415, "not_json", "Unsupported Media Type"),
            Self::IdempotencyKeyReused => Row(422, "idempotency_key_reused", "Unprocessable Content"),
            Self::TooManyRequests { .. } => Row(429, "too_many_requests", "Too Many Requests"),
            Self::Internal { .. } => Row(500, "internal", "Internal Server Error"),
            Self::KeyClosed { .. } => Row(503, "key_closed", "Service Unavailable"),
            Self::AuditFull => Row(503, "audit_full", "Service Unavailable"),
            Self::Unavailable { .. } => Row(503, "unavailable", "Service Unavailable"),
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.row().0
    }

    /// The stable code: what a program should look at.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.row().1
    }

    /// The sentence for the client, without any inner cause.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Unavailable { .. } => "the state can't be reached now; try again shortly".to_owned(),
            Self::KeyClosed { .. } => "tokens can't be signed now; the log of the sidecar says why".to_owned(),
            Self::Internal { .. } => "an internal error; the log of the sidecar says more".to_owned(),
            other => other.to_string(),
        }
    }

    /// After how many seconds it is worth trying again, if it is.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::Unavailable { .. } => Some(1),
            Self::IdempotencyInProgress { retry_after_s } | Self::TooManyRequests { retry_after_s } => {
                Some(*retry_after_s)
            }
            _ => None,
        }
    }

    /// The media type of [`Self::body`].
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        match self {
            Self::AdminOnly { .. } | Self::SessionNotFound { .. } => "application/json",
            _ => "application/problem+json",
        }
    }

    /// The JSON body.
    #[must_use]
    pub fn body(&self) -> Value {
        match self {
            Self::AdminOnly { user } => json!({"error": "Admin access only", "user": user}),
            Self::SessionNotFound { key } => json!({"error": "Session not found", "session_key": key}),
            other => {
                let Row(status, code, title) = other.row();
                json!({"type": "about:blank", "title": title, "status": status, "code": code, "detail": other.detail()})
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_call_of_somebody_else_keeps_the_old_shape() {
        let failure = Failure::AdminOnly { user: "bob@example.com".into() };
        assert_eq!(failure.status(), 403);
        assert_eq!(failure.media_type(), "application/json");
        assert_eq!(failure.body(), json!({"error": "Admin access only", "user": "bob@example.com"}));
    }

    #[test]
    fn a_session_that_is_not_there_keeps_the_old_shape() {
        let failure = Failure::SessionNotFound { key: "s1".into() };
        assert_eq!((failure.status(), failure.media_type()), (404, "application/json"));
        assert_eq!(failure.body(), json!({"error": "Session not found", "session_key": "s1"}));
    }

    #[test]
    fn everything_else_is_a_problem_document_with_a_code() {
        let failure = Failure::invalid("token_name", "is missing");
        assert_eq!(failure.media_type(), "application/problem+json");
        assert_eq!(
            failure.body(),
            json!({"type": "about:blank", "title": "Bad Request", "status": 400, "code": "invalid_value",
                   "detail": "token_name: is missing"})
        );
    }

    #[test]
    fn an_inner_cause_is_never_shown_to_a_client() {
        for failure in [
            Failure::Unavailable { cause: "redis://user:pass@host refused".into() },
            Failure::Internal { cause: "redis://user:pass@host refused".into() },
            Failure::KeyClosed { cause: "redis://user:pass@host refused".into() },
        ] {
            assert!(!failure.body().to_string().contains("pass@host"), "{failure:?}");
            assert!(failure.to_string().contains("pass@host"), "the log shows it");
        }
    }
}
