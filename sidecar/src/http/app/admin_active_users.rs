//! `/api/admin/sessions/active-users`: who passed lately, for administrators.

use axum::Json as JsonBody;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::active_user::ActiveUser;
use crate::domain::error::Failure;
use crate::domain::page::Window;
use crate::domain::search::Search;
use crate::domain::time::UnixSeconds;
use crate::http::app::Api;
use crate::http::app::answer::{AdminRefusals, Answer, ValueRefusals};
use crate::http::app::caller::{Admin, Reader};
use crate::http::app::request::Query;
use crate::service::active_users::ActivePage;

/// Lists those whose requests were let in within a day. Whoever came last is the first.
#[utoipa::path(get, path = "/api/admin/sessions/active-users", tag = "admin", params(WantedUsers),
    responses((status = 200, description = "The users", body = ActiveUserList), AdminRefusals, ValueRefusals))]
pub(super) async fn list(
    State(api): State<Api>,
    _: Reader,
    Query(wanted): Query<WantedUsers>,
) -> Answer<JsonBody<ActiveUserList>> {
    let (search, window, now) =
        (Search::parse(wanted.q.as_deref())?, Window::choose(wanted.limit, wanted.cursor)?, api.now());
    let found = api.active_users.list(&search, &window, now).await?;
    Ok(JsonBody(ActiveUserList::new(found, now)))
}

/// Clears away what expired: of users who are active no more, and of sessions that nobody used in time.
#[utoipa::path(post, path = "/api/admin/sessions/cleanup-expired", tag = "admin",
    responses((status = 200, description = "Whose", body = Cleaned), AdminRefusals))]
pub(super) async fn clean(State(api): State<Api>, admin: Admin) -> Answer<JsonBody<Cleaned>> {
    let cleaned_users = api.active_users.clean(admin.by()).await?;
    let cleaned_sessions = api.sessions.prune(api.now()).await.map_err(Failure::from)?;
    Ok(JsonBody(Cleaned {
        message: "Expired users cleaned up successfully",
        cleaned_count: cleaned_users.len(),
        cleaned_users,
        cleaned_sessions,
        cleaned_by: admin.name(),
    }))
}

/// Which users are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedUsers {
    /// Only those whose address holds this text, in whatever case.
    #[param(max_length = 254, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    q: Option<String>,
    /// Most rows of the answer, 1 to 10,000.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
    /// `next_cursor` of the answer before, to the same question.
    cursor: Option<String>,
}

/// A part of the active users.
#[derive(Serialize, ToSchema)]
pub(super) struct ActiveUserList {
    active_users: Vec<ActiveUserInfo>,
    /// How many there are in all, also beyond this answer.
    total: usize,
    /// How many of those are banned, as of a few seconds ago.
    banned_count: usize,
    /// How many tokens and sessions they all use.
    active_sessions: usize,
    /// Unix seconds.
    current_time: u64,
    /// How many rows there could have been.
    limit: usize,
    /// `cursor` of the next call, if there is more.
    next_cursor: Option<String>,
}

impl ActiveUserList {
    fn new(found: ActivePage, now: UnixSeconds) -> Self {
        let ActivePage { page, totals, banned } = found;
        let page = page.map(|user| ActiveUserInfo::new(user, now));
        Self {
            active_users: page.rows,
            total: totals.users,
            banned_count: banned,
            active_sessions: totals.in_use,
            current_time: now.get(),
            limit: page.limit,
            next_cursor: page.next,
        }
    }
}

/// Somebody who is active.
#[derive(Serialize, ToSchema)]
struct ActiveUserInfo {
    email: String,
    /// How many tokens and sessions they use.
    session_count: usize,
    /// The first request within the day, Unix seconds.
    created_at: u64,
    /// The last one, Unix seconds.
    last_access: u64,
    /// When they count as active no more unless they come back, Unix seconds.
    expires_at: u64,
    ttl_seconds: u64,
    is_banned: bool,
    /// What is left of the ban; none if they are not banned, or for ever.
    ban_remaining_seconds: Option<u64>,
    /// The same in words.
    ban_message: Option<String>,
    /// How they authenticated last.
    auth_method: String,
    /// How many requests were let in, if Sekisho saw them.
    request_count: Option<u64>,
    /// Where one of the last requests came from, as far as the proxy knows.
    address: Option<String>,
    /// The name of a token that they used.
    token_name: Option<String>,
}

impl ActiveUserInfo {
    fn new(user: ActiveUser, now: UnixSeconds) -> Self {
        Self {
            email: user.subject.to_string(),
            session_count: user.in_use,
            created_at: user.first_access.get(),
            last_access: user.last_access.get(),
            expires_at: user.expires_at.get(),
            ttl_seconds: user.expires_at.since(now),
            is_banned: user.ban.is_some(),
            ban_remaining_seconds: user.ban.and_then(|left| left.seconds()),
            ban_message: user.ban.map(|left| left.to_string()),
            auth_method: user.method,
            request_count: user.requests,
            address: user.address.map(|address| address.to_string()),
            token_name: user.token_name,
        }
    }
}

/// Whose data was cleared away.
#[derive(Serialize, ToSchema)]
pub(super) struct Cleaned {
    message: &'static str,
    cleaned_count: usize,
    cleaned_users: Vec<String>,
    /// How many sessions were taken out of the lists; one call takes 10,000 at most.
    cleaned_sessions: usize,
    cleaned_by: String,
}
