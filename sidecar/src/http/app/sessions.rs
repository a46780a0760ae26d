//! `/api/session`: a caller's own sessions.

use axum::Json as JsonBody;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::caller::Caller;
use crate::domain::error::Failure;
use crate::domain::page::Page;
use crate::domain::session::Session;
use crate::domain::time::UnixSeconds;
use crate::http::app::Api;
use crate::http::app::admin_sessions::SessionInfo;
use crate::http::app::answer::{Answer, Changed, Effect, NoSession, OwnRefusals, ValueRefusals};
use crate::http::app::caller::SignedIn;
use crate::http::app::request::{Paging, Query};
use crate::service::change::Change;

/// Lists the caller's sessions that hold, and says with which of them they come.
#[utoipa::path(get, path = "/api/session", tag = "sessions", params(Paging),
    responses((status = 200, description = "The sessions", body = OwnSessions), OwnRefusals, ValueRefusals))]
pub(super) async fn list(
    State(api): State<Api>,
    SignedIn(caller): SignedIn,
    Query(paging): Query<Paging>,
) -> Answer<JsonBody<OwnSessions>> {
    let page = api.sessions.list_of(caller.subject(), &paging.window()?).await?;
    Ok(JsonBody(OwnSessions::new(page, &caller, api.now())))
}

/// Ends the session with which the caller comes, another one of theirs, or all of them. Nothing brings them back.
#[utoipa::path(delete, path = "/api/session", tag = "sessions", params(WhichSessions),
    responses((status = 200, description = "Ended, and every filter knows", body = EndedOwn),
        (status = 202, description = "Ended, but some filters lag", body = EndedOwn),
        (status = 404, description = "The caller has no such session", body = NoSession),
        OwnRefusals, ValueRefusals))]
pub(super) async fn delete(
    State(api): State<Api>,
    SignedIn(caller): SignedIn,
    Query(which): Query<WhichSessions>,
) -> Answer<Changed<EndedOwn>> {
    let (by, now) = (caller.by().clone(), api.now());
    let (count, change) = match which.choose(&caller)? {
        None => {
            let ended = api.sessions.end_all_on_order(caller.subject().clone(), by, now).await?;
            (ended.count, ended.change)
        }
        Some(key) => {
            let session = api.sessions.find_own(&caller, &key, now).await?;
            (1, api.sessions.end_on_order(session, by).await?.change)
        }
    };
    Ok(Changed::new(&change, EndedOwn::new(count, &change)))
}

/// Which of the caller's sessions are to end. Without both, the one with which they come.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WhichSessions {
    /// All of them.
    #[serde(default)]
    all: bool,
    /// This one, as it is in the list; not together with `all`.
    session_key: Option<String>,
}

impl WhichSessions {
    /// The key of the one that is to end; none for all of them.
    fn choose(self, caller: &Caller) -> Result<Option<String>, Failure> {
        match (self.all, self.session_key) {
            (true, Some(_)) => Err(Failure::invalid("session_key", "can't be together with `all`")),
            (true, None) => Ok(None),
            (false, Some(key)) => Ok(Some(key)),
            (false, None) => {
                let own = caller.session_key().map(str::to_owned);
                let missing = "is missing: you come with no session; name one, or say `all=true`";
                own.map(Some).ok_or_else(|| Failure::invalid("session_key", missing))
            }
        }
    }
}

/// A part of the caller's sessions.
#[derive(Serialize, ToSchema)]
pub(super) struct OwnSessions {
    user_email: String,
    sessions: Vec<OwnSession>,
    /// How many there are in this answer.
    count: usize,
    /// How many there could have been.
    limit: usize,
    /// `cursor` of the next call, if there is more.
    next_cursor: Option<String>,
}

impl OwnSessions {
    fn new(page: Page<Session>, caller: &Caller, now: UnixSeconds) -> Self {
        let own = |session: Session| OwnSession {
            is_current: caller.session_key() == Some(session.id.as_str()),
            session: SessionInfo::new(&session, now),
        };
        let page = page.map(own);
        Self {
            user_email: caller.name().to_owned(),
            count: page.rows.len(),
            sessions: page.rows,
            limit: page.limit,
            next_cursor: page.next,
        }
    }
}

/// A session of the caller's.
#[derive(Serialize, ToSchema)]
struct OwnSession {
    /// Whether the caller comes with it.
    is_current: bool,
    #[serde(flatten)]
    session: SessionInfo,
}

/// A caller some of whose sessions are ended.
#[derive(Serialize, ToSchema)]
pub(super) struct EndedOwn {
    success: bool,
    message: &'static str,
    /// How many sessions were deleted.
    deleted_count: usize,
    #[serde(flatten)]
    effect: Effect,
}

impl EndedOwn {
    fn new(deleted_count: usize, change: &Change) -> Self {
        let message = if deleted_count == 1 { "Session ended successfully" } else { "Sessions ended successfully" };
        Self { success: true, message, deleted_count, effect: Effect::from(change) }
    }
}
