//! `/api/admin/sessions…`: everybody's sessions, for administrators.

use std::collections::BTreeMap;

use axum::Json as JsonBody;
use axum::extract::State;
use sekisho_protocol::Subject;
use sekisho_protocol::activity::Method;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{Object, Type};
use utoipa::{IntoParams, ToSchema};

use crate::domain::error::Failure;
use crate::domain::page::{Direction, Page, Window};
use crate::domain::search::Search;
use crate::domain::session::Session;
use crate::domain::session_order::{Sort, Wanted};
use crate::domain::time::UnixSeconds;
use crate::domain::unseen_session::Unseen;
use crate::http::app::Api;
use crate::http::app::answer::{AdminRefusals, Answer, Changed, Effect, NoSession, ValueRefusals};
use crate::http::app::caller::{Admin, Reader};
use crate::http::app::request::{PathPart, Query};
use crate::service::all_sessions::{Ended, Listed};
use crate::service::sessions::listing::{OWNERS_MAX, Stats};
use crate::service::sessions::orders::EndedAll;

/// Where our own are kept, in the words of the gateway that Sekisho replaces.
const OWN: &str = "sekisho:session:*";

/// Lists everybody's sessions that hold. The one that was used last is the first, if nobody says otherwise. Sessions of
/// oauth2-proxy that nobody has shown yet are behind all others, in no order.
#[utoipa::path(get, path = "/api/admin/sessions", tag = "admin", params(WantedSessions),
    responses((status = 200, description = "The sessions", body = SessionList), AdminRefusals, ValueRefusals))]
pub(super) async fn list(
    State(api): State<Api>,
    reader: Reader,
    Query(query): Query<WantedSessions>,
) -> Answer<JsonBody<SessionList>> {
    let ((wanted, window), now) = (query.split()?, api.now());
    let total = api.sessions.count(now).await?;
    // A key that another program made up may be all that it takes to get in there.
    if !reader.may_change() {
        let page = api.sessions.list(&wanted, &window).await?.map(Listed::known);
        return Ok(JsonBody(SessionList::new(page, total, Vec::new(), now)));
    }
    let page = api.all_sessions.list(&wanted, &window).await?;
    Ok(JsonBody(SessionList::new(page, total, api.all_sessions.patterns(), now)))
}

/// Counts everybody's sessions that hold.
#[utoipa::path(get, path = "/api/admin/sessions/stats", tag = "admin",
    responses((status = 200, description = "How many there are", body = SessionStats), AdminRefusals))]
pub(super) async fn stats(State(api): State<Api>, _: Reader) -> Answer<JsonBody<SessionStats>> {
    Ok(JsonBody(SessionStats::from(api.sessions.stats(api.now()).await?)))
}

/// Ends a session for good. Its browser has to sign in again.
#[utoipa::path(delete, path = "/api/admin/sessions/{session_key}", tag = "admin",
    params(("session_key" = String, Path, description = "As it is in the list")),
    responses((status = 200, description = "Ended, and every filter knows", body = DeletedSession),
        (status = 202, description = "Ended, but some filters lag", body = DeletedSession),
        (status = 404, description = "No such session", body = NoSession),
        AdminRefusals, ValueRefusals))]
pub(super) async fn delete(
    State(api): State<Api>,
    admin: Admin,
    PathPart(key): PathPart,
) -> Answer<Changed<DeletedSession>> {
    let session = api.all_sessions.find(&key, api.now()).await?;
    if let Listed::Known(session) = &session {
        // Whoever administers does so by their address.
        for owner in session.email.iter().cloned().map(Subject::from).chain([session.subject.clone()]) {
            admin.must_outrank(&api, &owner)?;
        }
    }
    let ended = api.all_sessions.end_on_order(session, admin.by()).await?;
    Ok(Changed::new(&ended.change, DeletedSession::new(&ended, admin.name())))
}

/// Ends all sessions of somebody for good. They may sign in again at once, and their tokens are as good as before.
#[utoipa::path(delete, path = "/api/admin/sessions/user/{email}", tag = "admin",
    params(("email" = String, Path, description = "The user's address, or whatever name is in the list, percent-encoded; `+` means itself")),
    responses((status = 200, description = "Ended, and every filter knows", body = DeletedSessions),
        (status = 202, description = "Ended, but some filters lag", body = DeletedSessions),
        AdminRefusals, ValueRefusals))]
pub(super) async fn delete_of_user(
    State(api): State<Api>,
    admin: Admin,
    PathPart(email): PathPart,
) -> Answer<Changed<DeletedSessions>> {
    let subject = subject(email)?;
    admin.must_outrank(&api, &subject)?;
    let ended = api.sessions.end_all_on_order(subject.clone(), admin.by(), api.now()).await?;
    Ok(Changed::new(&ended.change, DeletedSessions::new(&ended, subject.into(), admin.name())))
}

fn subject(text: String) -> Result<Subject, Failure> {
    Subject::try_from(text).map_err(|problem| Failure::invalid("user_email", problem))
}

/// Which sessions are wanted, and in which order.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedSessions {
    /// Only those whose owner, address or host holds this text, in whatever case.
    #[param(max_length = 254, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    q: Option<String>,
    /// Only this user's.
    user_email: Option<String>,
    /// What they are sorted by. Default: `last_access`.
    sort: Option<Sort>,
    /// From where to where. Default: `desc`.
    order: Option<Direction>,
    /// Most rows of the answer, 1 to 10,000. With `q` or `user_email` there may be fewer although there is more.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
    /// `next_cursor` of the answer before, to the same question.
    cursor: Option<String>,
}

impl WantedSessions {
    fn split(self) -> Result<(Wanted, Window), Failure> {
        let wanted = Wanted {
            search: Search::parse(self.q.as_deref())?,
            subject: self.user_email.map(subject).transpose()?,
            sort: self.sort.unwrap_or_default(),
            direction: self.order.unwrap_or_default(),
        };
        Ok((wanted, Window::choose(self.limit, self.cursor)?))
    }
}

/// A part of everybody's sessions.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionList {
    sessions: Vec<SessionRow>,
    /// How many there are in all whose owners are known, also beyond this answer, and those in it whose owners are not.
    total: usize,
    /// Where they are kept.
    patterns_searched: Vec<String>,
    /// How many rows there could have been.
    limit: usize,
    /// `cursor` of the next call, if there is more.
    next_cursor: Option<String>,
}

impl SessionList {
    fn new(page: Page<Listed>, known: usize, others: Vec<String>, now: UnixSeconds) -> Self {
        let total = known + page.rows.iter().filter(|session| matches!(session, Listed::Unseen(_))).count();
        let page = page.map(|session| match session {
            Listed::Known(session) => SessionRow::Known(SessionInfo::new(&session, now)),
            Listed::Unseen(unseen) => SessionRow::Unseen(UnseenSession::new(unseen, now)),
        });
        let patterns_searched = [OWN.to_owned()].into_iter().chain(others).collect();
        Self { sessions: page.rows, total, patterns_searched, limit: page.limit, next_cursor: page.next }
    }
}

/// A session, as far as it is known.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum SessionRow {
    Known(SessionInfo),
    Unseen(UnseenSession),
}

/// A session of oauth2-proxy that nobody has shown yet.
#[derive(Serialize, ToSchema)]
struct UnseenSession {
    session_key: String,
    /// Nobody knows whose it is: null.
    #[schema(schema_with = null)]
    email: (),
    /// Nobody knows since when: null.
    #[schema(schema_with = null)]
    created_at: (),
    /// When it ends, Unix seconds; null if it never does.
    expires_at: Option<u64>,
    ttl_seconds: Option<u64>,
    /// `oauth2_proxy`.
    method: &'static str,
}

fn null() -> Object {
    Object::with_type(Type::Null)
}

impl UnseenSession {
    fn new(unseen: Unseen, now: UnixSeconds) -> Self {
        Self {
            session_key: unseen.key,
            email: (),
            created_at: (),
            expires_at: unseen.ends_at.map(UnixSeconds::get),
            ttl_seconds: unseen.ends_at.map(|end| end.since(now)),
            method: Method::Oauth2Proxy.as_str(),
        }
    }
}

/// A session.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionInfo {
    session_key: String,
    /// The owner's address, or whatever name the provider gave them.
    email: String,
    /// Whose it is: what bans, logouts and `user_email` go by. That is the address, if the provider is authoritative for it.
    subject: String,
    /// When its owner signed in, Unix seconds.
    created_at: u64,
    /// When it ends if nobody uses it, Unix seconds.
    expires_at: u64,
    ttl_seconds: u64,
    /// When it ends in any case, Unix seconds.
    ends_at: u64,
    /// The first access, Unix seconds.
    first_access: u64,
    /// The last one, as far as it is written down: once a minute. Unix seconds.
    last_access: u64,
    /// Where its owner signed in from, if that is known.
    address: Option<String>,
    /// The browser, as it calls itself.
    agent: Option<String>,
    /// `session` for one of our own, `oauth2_proxy` for one of oauth2-proxy.
    method: &'static str,
    /// The host on which it holds.
    host: String,
}

impl SessionInfo {
    pub(super) fn new(session: &Session, now: UnixSeconds) -> Self {
        let expires_at = session.expires_at();
        Self {
            session_key: session.id.to_string(),
            email: session.email.as_ref().map_or_else(|| session.subject.to_string(), ToString::to_string),
            subject: session.subject.to_string(),
            created_at: session.signed_in_at.get(),
            expires_at: expires_at.get(),
            ttl_seconds: expires_at.since(now),
            ends_at: session.ends_at.get(),
            first_access: session.signed_in_at.get(),
            last_access: session.last_access.get(),
            address: session.address.map(|address| address.to_string()),
            agent: session.agent.as_ref().map(|agent| agent.as_str().to_owned()),
            method: session.method.as_str(),
            host: session.host.clone(),
        }
    }
}

/// How many sessions there are.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionStats {
    total_sessions: usize,
    unique_users: usize,
    /// How many each user has: those with the most sessions, `limit` of them at most.
    user_sessions: BTreeMap<String, usize>,
    /// How many users there could have been.
    limit: usize,
}

impl From<Stats> for SessionStats {
    fn from(stats: Stats) -> Self {
        Self {
            total_sessions: stats.sessions,
            unique_users: stats.users,
            user_sessions: stats.of_users.into_iter().collect(),
            limit: OWNERS_MAX,
        }
    }
}

/// A session that an administrator ended.
#[derive(Serialize, ToSchema)]
pub(super) struct DeletedSession {
    message: &'static str,
    session_key: String,
    /// Null of one whose owner is not known.
    user_email: Option<String>,
    deleted_by: String,
    #[serde(flatten)]
    effect: Effect,
}

impl DeletedSession {
    fn new(ended: &Ended, deleted_by: String) -> Self {
        Self {
            message: "Session deleted successfully",
            session_key: ended.session.key().to_owned(),
            user_email: ended.session.subject().map(ToString::to_string),
            deleted_by,
            effect: Effect::from(&ended.change),
        }
    }
}

/// Somebody whose sessions an administrator ended.
#[derive(Serialize, ToSchema)]
pub(super) struct DeletedSessions {
    message: &'static str,
    user_email: String,
    /// How many sessions were deleted.
    deleted_count: usize,
    deleted_by: String,
    #[serde(flatten)]
    effect: Effect,
}

impl DeletedSessions {
    fn new(ended: &EndedAll, user_email: String, deleted_by: String) -> Self {
        Self {
            message: "All sessions of the user deleted successfully",
            user_email,
            deleted_count: ended.count,
            deleted_by,
            effect: Effect::from(&ended.change),
        }
    }
}
