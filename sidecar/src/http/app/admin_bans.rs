//! Bans, for administrators. The paths are those of the gateway that Sekisho replaces.

use axum::Json as JsonBody;
use axum::extract::State;
use sekisho_protocol::Subject;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::audit::{Action, By, Question};
use crate::domain::ban::{Ban, Length, Order, Reason};
use crate::domain::error::Failure;
use crate::domain::page::{Page, Window};
use crate::domain::search::Search;
use crate::domain::time::UnixSeconds;
use crate::http::app::Api;
use crate::http::app::admin_audit::EventList;
use crate::http::app::admin_tokens::user_email;
use crate::http::app::answer::{AdminRefusals, Answer, BodyRefusals, Changed, Effect, Problem, ValueRefusals};
use crate::http::app::caller::{Admin, Reader};
use crate::http::app::request::{Json, PathPart, Query};
use crate::service::bans::Banned;
use crate::service::change::Change;

/// Lists the bans that hold now, by address.
#[utoipa::path(get, path = "/api/admin/bans", tag = "admin", params(WantedBans),
    responses((status = 200, description = "The bans", body = BanList),
        AdminRefusals, ValueRefusals))]
pub(super) async fn list(
    State(api): State<Api>,
    _: Reader,
    Query(wanted): Query<WantedBans>,
) -> Answer<JsonBody<BanList>> {
    let search = Search::parse(wanted.q.as_deref())?;
    let page = api.bans.list(&search, &Window::choose(wanted.limit, wanted.cursor)?).await?;
    Ok(JsonBody(BanList::new(page, api.now())))
}

/// Lists what happened to bans, the newest first: who banned whom, until when and why, and who lifted it. It is a part of the audit
/// trail, and goes as far back.
#[utoipa::path(get, path = "/api/admin/bans/history", tag = "admin", params(WantedHistory),
    responses((status = 200, description = "The events", body = EventList), AdminRefusals, ValueRefusals))]
pub(super) async fn history(
    State(api): State<Api>,
    _: Reader,
    Query(wanted): Query<WantedHistory>,
) -> Answer<JsonBody<EventList>> {
    let subject = wanted.user_email.map(Subject::try_from).transpose();
    let subject = subject.map_err(|problem| Failure::invalid("user_email", problem))?;
    let question = Question {
        actions: vec![Action::BanGiven, Action::BanLifted],
        target: subject.map(String::from),
        ..Question::default()
    };
    let window = Window::choose(wanted.limit.or(Some(EventList::DEFAULT_LIMIT)), wanted.cursor)?;
    Ok(JsonBody(EventList::new(api.trail.list(&question, &window).await?)))
}

/// Bans somebody, for 7 days unless the request says otherwise.
#[utoipa::path(post, path = "/api/admin/sessions/revoke-user", tag = "admin", request_body = BanRequest,
    responses((status = 200, description = "Banned, and every filter knows", body = BannedUser),
        (status = 202, description = "Banned, but some filters lag", body = BannedUser),
        (status = 409, description = "Lifted again meanwhile, or the last super administrator", body = Problem, content_type = "application/problem+json"),
        AdminRefusals, BodyRefusals))]
pub(super) async fn ban(
    State(api): State<Api>,
    admin: Admin,
    Json(request): Json<BanRequest>,
) -> Answer<Changed<BannedUser>> {
    let order = request.order(admin.by())?;
    admin.must_outrank(&api, &order.subject)?;
    let one_of = api.admins.peers(&order.subject);
    let banned = api.bans.ban_one_of(order, one_of, api.now()).await?;
    Ok(Changed::new(&banned.change, BannedUser::new(&banned, admin.name())))
}

/// Lifts a ban. The same tokens get in again at once.
#[utoipa::path(delete, path = "/api/admin/sessions/unban/{email}", tag = "admin",
    params(("email" = String, Path, description = "The user's address, percent-encoded; `+` means itself")),
    responses((status = 200, description = "Lifted, and every filter knows", body = UnbannedUser),
        (status = 202, description = "Lifted, but some filters lag", body = UnbannedUser),
        (status = 404, description = "Not banned", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Banned anew meanwhile", body = Problem, content_type = "application/problem+json"),
        AdminRefusals, ValueRefusals))]
pub(super) async fn unban(
    State(api): State<Api>,
    admin: Admin,
    PathPart(email): PathPart,
) -> Answer<Changed<UnbannedUser>> {
    let subject = Subject::try_from(email).map_err(|problem| Failure::invalid("user_email", problem))?;
    admin.must_outrank(&api, &subject)?;
    let change = api.bans.lift(subject.clone(), admin.by()).await?;
    Ok(Changed::new(&change, UnbannedUser::new(&change, subject.into(), admin.name())))
}

/// Which bans are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedBans {
    /// Only those of whose address this text is a part, in whatever case.
    #[param(max_length = 254, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    q: Option<String>,
    /// Most rows of the answer, 1 to 10,000.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
    /// `next_cursor` of the answer before, to the same question.
    cursor: Option<String>,
}

/// Whose history is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedHistory {
    /// Only this user's.
    user_email: Option<String>,
    /// Most rows of the answer, 1 to 10,000. Default: 100.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
    /// `next_cursor` of the answer before.
    cursor: Option<String>,
}

/// Whom to ban, and how.
#[derive(Deserialize, ToSchema)]
pub(super) struct BanRequest {
    #[schema(format = Email, max_length = 254)]
    user_email: String,
    /// Default 604,800 (7 days).
    #[schema(minimum = 1, maximum = 315_360_000)]
    duration_seconds: Option<u64>,
    /// Until somebody lifts it; not together with `duration_seconds`.
    #[serde(default)]
    permanent: bool,
    /// For other administrators; at most 500 characters.
    #[schema(max_length = 500, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    reason: Option<String>,
}

impl BanRequest {
    fn order(self, by: By) -> Result<Order, Failure> {
        Ok(Order {
            subject: user_email(&self.user_email)?.into(),
            length: Length::choose(self.duration_seconds, self.permanent)?,
            reason: Reason::parse(self.reason.as_deref().unwrap_or_default())?,
            by,
        })
    }
}

/// A part of the bans.
#[derive(Serialize, ToSchema)]
pub(crate) struct BanList {
    bans: Vec<BanInfo>,
    /// How many there are in this answer.
    count: usize,
    /// How many there could have been.
    limit: usize,
    /// `cursor` of the next call, if there is more.
    next_cursor: Option<String>,
}

impl BanList {
    pub(crate) fn new(page: Page<Ban>, now: UnixSeconds) -> Self {
        let page = page.map(|ban| BanInfo::new(ban, now));
        Self { count: page.rows.len(), bans: page.rows, limit: page.limit, next_cursor: page.next }
    }
}

/// A ban.
#[derive(Serialize, ToSchema)]
struct BanInfo {
    user_email: String,
    reason: Option<String>,
    banned_by: Option<String>,
    banned_at: Option<u64>,
    /// Missing if it has no end.
    banned_until: Option<u64>,
    /// Missing if it has no end.
    ban_remaining_seconds: Option<u64>,
    permanent: bool,
    /// What the user is told.
    message: String,
}

impl BanInfo {
    fn new(ban: Ban, now: UnixSeconds) -> Self {
        Self {
            message: ban.left(now).to_string(),
            banned_at: ban.at.map(UnixSeconds::get),
            banned_until: ban.end().map(UnixSeconds::get),
            ban_remaining_seconds: ban.left(now).seconds(),
            permanent: ban.is_permanent(),
            reason: ban.reason.map(|reason| reason.as_str().to_owned()),
            banned_by: ban.by,
            user_email: ban.subject.into(),
        }
    }
}

/// Somebody who is banned now.
#[derive(Serialize, ToSchema)]
pub(super) struct BannedUser {
    message: &'static str,
    user_email: String,
    /// How many sessions were deleted.
    deleted_count: usize,
    /// `null` if it has no end.
    ban_duration_seconds: Option<u64>,
    /// `null` if it has no end.
    banned_until: Option<u64>,
    permanent: bool,
    reason: Option<String>,
    deleted_by: String,
    #[serde(flatten)]
    effect: Effect,
}

impl BannedUser {
    fn new(banned: &Banned, deleted_by: String) -> Self {
        let ban = &banned.ban;
        Self {
            message: "User banned successfully",
            user_email: ban.subject.to_string(),
            deleted_count: banned.ended_sessions,
            ban_duration_seconds: ban.at.and_then(|at| ban.left(at).seconds()),
            banned_until: ban.end().map(UnixSeconds::get),
            permanent: ban.is_permanent(),
            reason: ban.reason.as_ref().map(|reason| reason.as_str().to_owned()),
            deleted_by,
            effect: Effect::from(&banned.change),
        }
    }
}

/// Somebody whose ban is lifted.
#[derive(Serialize, ToSchema)]
pub(super) struct UnbannedUser {
    message: &'static str,
    user_email: String,
    unbanned_by: String,
    #[serde(flatten)]
    effect: Effect,
}

impl UnbannedUser {
    fn new(change: &Change, user_email: String, unbanned_by: String) -> Self {
        Self { message: "User unbanned successfully", user_email, unbanned_by, effect: Effect::from(change) }
    }
}
