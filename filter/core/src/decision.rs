//! How a request was decided: what metrics count, what the proxy's filter state says, and what whoever may know
//! is told.

use std::borrow::Cow;
use std::rc::Rc;

use crate::denial::{Denial, Refusal};
use crate::feed::Replica;
use crate::flow::{Cache, Pending};
use crate::time::Now;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// It passes.
    Allow,
    /// It is refused.
    Deny,
    /// Nobody can tell whether it may pass, so it does not.
    Error,
    /// It would be refused, and passes since its rule only says so.
    ShadowDeny,
    /// Nobody can tell, and it passes since its rule only says so.
    ShadowError,
}

impl Decision {
    /// The word for it in metrics, filter state and explanations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Error => "error",
            Self::ShadowDeny => "shadow_deny",
            Self::ShadowError => "shadow_error",
        }
    }

    /// What a refusal amounts to.
    pub(crate) fn of(refusal: &Refusal, is_shadow: bool) -> Self {
        match (refusal, is_shadow) {
            (Refusal::CannotTell(_), false) => Self::Error,
            (Refusal::CannotTell(_), true) => Self::ShadowError,
            (_, false) => Self::Deny,
            (_, true) => Self::ShadowDeny,
        }
    }
}

/// A header of an explanation.
pub type Line = (Cow<'static, str>, String);

/// Why a request was decided as it was, as headers of its answer. `refusal` is none if it passes.
#[must_use]
pub fn explain(
    decision: Decision,
    refusal: Option<&Refusal>,
    pending: &Pending,
    replica: &Replica,
    now: Now,
) -> Vec<Line> {
    let note = &pending.note;
    let route = pending.route();
    let credential = note
        .provider
        .as_ref()
        .map_or_else(|| "none".to_owned(), |name| format!("{}; provider={name}", note.method.as_str()));
    let cache = match note.cache {
        Cache::None => "none",
        Cache::Hit => "hit",
        Cache::Miss => "miss",
    };
    let version = match replica.position() {
        Some(position) => format!("{}/{}", position.epoch, position.version),
        None => "none".to_owned(),
    };
    let age = replica.age_ms(now).map_or_else(|| "unknown".to_owned(), |age| format!("{age}"));
    let mut lines: Vec<Line> = vec![
        ("x-sekisho-decision".into(), decision.as_str().into()),
        ("x-sekisho-reason".into(), refusal.map_or("none", Refusal::code).into()),
        ("x-sekisho-route".into(), visible(&route.name)),
        ("x-sekisho-rule".into(), place(refusal, &route.at).to_string()),
        ("x-sekisho-decided-by".into(), decided_by(refusal, pending).into()),
        ("x-sekisho-credential".into(), visible(&credential)),
        ("x-sekisho-cache".into(), cache.into()),
        ("x-sekisho-questions".into(), note.questions.to_string()),
    ];
    lines.push((
        "x-sekisho-version".into(),
        format!(
            "feed={version}; age_ms={age}; configuration={:016x}; filter={}",
            pending.policy.fingerprint,
            replica.build()
        ),
    ));
    lines
}

/// The part of the configuration that decided.
fn place<'a>(refusal: Option<&'a Refusal>, route: &'a Rc<str>) -> &'a Rc<str> {
    match refusal {
        Some(Refusal::Denied(Denial::Unmet(unmet))) => &unmet.at,
        _ => route,
    }
}

/// The step that decided.
fn decided_by(refusal: Option<&Refusal>, pending: &Pending) -> &'static str {
    let looked_up = if pending.note.questions > 0 { "check" } else { "denylist" };
    match refusal {
        None if pending.note.provider.is_none() => "route",
        None
        | Some(Refusal::Denied(
            Denial::Banned { .. }
            | Denial::SessionBanned { .. }
            | Denial::Revoked
            | Denial::SessionEnded
            | Denial::SignInNeeded,
        )) => looked_up,
        Some(Refusal::Denied(Denial::Missing | Denial::NotBearer)) => "extract",
        Some(Refusal::Denied(Denial::Invalid(_))) => "verify",
        Some(Refusal::Denied(Denial::NotAccepted | Denial::CrossSite | Denial::Unmet(_))) => "authorize",
        Some(Refusal::Denied(Denial::Closed)) => "route",
        Some(Refusal::CannotTell(_)) => "check",
        Some(Refusal::Malformed(_)) => "request",
    }
}

/// As the value of a header: names in a configuration may hold anything.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}
