//! `/api/admin/tokens…`: everybody's tokens, for administrators.

use axum::Json as JsonBody;
use axum::extract::State;
use sekisho_protocol::{Email, Subject};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::error::Failure;
use crate::domain::page::{Direction, Page, Window};
use crate::domain::search::Search;
use crate::domain::time::UnixSeconds;
use crate::domain::token::order::{Sort, Wanted};
use crate::domain::token::{Status, StoredToken, Summary, TokenId};
use crate::http::app::Api;
use crate::http::app::answer::{AdminRefusals, Answer, BodyRefusals, Changed, Effect, Problem, ValueRefusals};
use crate::http::app::caller::{Admin, Reader};
use crate::http::app::request::{Json, Paging, PathPart, Query};
use crate::http::app::tokens::TokenInfo;
use crate::service::tokens::{Revoked, RevokedAll};

/// Lists everybody's tokens, the newest first if nobody says otherwise.
#[utoipa::path(get, path = "/api/admin/tokens", tag = "admin", params(WantedTokens),
    responses((status = 200, description = "The tokens", body = AllTokens),
        AdminRefusals, ValueRefusals))]
pub(super) async fn list(
    State(api): State<Api>,
    _: Reader,
    Query(query): Query<WantedTokens>,
) -> Answer<JsonBody<AllTokens>> {
    let ((wanted, window), now) = (query.split()?, api.now());
    let page = api.tokens.list(&wanted, &window, now).await?;
    Ok(JsonBody(AllTokens::new(page, api.tokens.summary(now).await?, now)))
}

/// Lists somebody's tokens, the newest first.
#[utoipa::path(get, path = "/api/admin/tokens/{email_or_id}", tag = "admin",
    params(Paging, ("email_or_id" = String, Path, description = "The user's address")),
    responses((status = 200, description = "The tokens", body = TokensOfUser),
        AdminRefusals, ValueRefusals))]
pub(super) async fn list_of_user(
    State(api): State<Api>,
    _: Reader,
    PathPart(email): PathPart,
    Query(paging): Query<Paging>,
) -> Answer<JsonBody<TokensOfUser>> {
    let email = user_email(&email)?;
    let page = api.tokens.of_user(&email, &paging.window()?).await?;
    Ok(JsonBody(TokensOfUser::new(page, email, api.now())))
}

/// Revokes anybody's token, and those that came of it by exchanges. Nothing brings them back.
#[utoipa::path(delete, path = "/api/admin/tokens/{email_or_id}", tag = "admin",
    params(("email_or_id" = String, Path, description = "The token's id")),
    responses((status = 200, description = "Revoked, and every filter knows", body = RevokedByAdmin),
        (status = 202, description = "Revoked, but some filters lag", body = RevokedByAdmin),
        (status = 404, description = "No such token", body = Problem, content_type = "application/problem+json"),
        AdminRefusals, ValueRefusals))]
pub(super) async fn revoke(
    State(api): State<Api>,
    admin: Admin,
    PathPart(id): PathPart,
) -> Answer<Changed<RevokedByAdmin>> {
    let id = TokenId::parse(&id)?;
    let owner = api.tokens.find(&id).await?.record.user_email;
    if let Ok(owner) = Subject::try_from(owner) {
        admin.must_outrank(&api, &owner)?;
    }
    let revoked = api.tokens.revoke(&id, admin.by()).await?;
    Ok(Changed::new(&revoked.change, RevokedByAdmin::new(&revoked, admin.name())))
}

/// Revokes every token of somebody that was issued until now, also by other issuers.
#[utoipa::path(post, path = "/api/admin/tokens/revoke-user", tag = "admin", request_body = UserRequest,
    responses((status = 200, description = "Revoked, and every filter knows", body = RevokedUser),
        (status = 202, description = "Revoked, but some filters lag", body = RevokedUser),
        AdminRefusals, BodyRefusals))]
pub(super) async fn revoke_user(
    State(api): State<Api>,
    admin: Admin,
    Json(request): Json<UserRequest>,
) -> Answer<Changed<RevokedUser>> {
    let email = user_email(&request.user_email)?;
    admin.must_outrank(&api, &email.clone().into())?;
    let revoked = api.tokens.revoke_all(email.clone(), admin.by(), api.now()).await?;
    Ok(Changed::new(&revoked.change, RevokedUser::new(&revoked, &email, admin.name())))
}

/// The address in `text`.
pub(super) fn user_email(text: &str) -> Result<Email, Failure> {
    Email::parse(text).map_err(|problem| Failure::invalid("user_email", problem))
}

/// Which tokens are wanted, and in which order.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedTokens {
    /// Only those whose owner's address or whose name holds this text, in whatever case.
    #[param(max_length = 254, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    q: Option<String>,
    /// Only those of which this has become.
    status: Option<Status>,
    /// What they are sorted by. Default: `created_at`.
    sort: Option<Sort>,
    /// From where to where. Default: `desc`.
    order: Option<Direction>,
    /// Most rows of the answer, 1 to 10,000. With `q` or `status` there may be fewer although there is more.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
    /// `next_cursor` of the answer before, to the same question.
    cursor: Option<String>,
}

impl WantedTokens {
    fn split(self) -> Answer<(Wanted, Window)> {
        let wanted = Wanted {
            search: Search::parse(self.q.as_deref())?,
            status: self.status,
            sort: self.sort.unwrap_or_default(),
            direction: self.order.unwrap_or_default(),
        };
        Ok((wanted, Window::choose(self.limit, self.cursor)?))
    }
}

/// A part of everybody's tokens.
#[derive(Serialize, ToSchema)]
pub(super) struct AllTokens {
    tokens: Vec<TokenInfo>,
    /// Of all tokens that there are, not only of those in this answer.
    summary: Summary,
    /// How many tokens there could have been.
    limit: usize,
    /// `cursor` of the next call, if there is more.
    next_cursor: Option<String>,
}

impl AllTokens {
    fn new(page: Page<StoredToken>, summary: Summary, now: UnixSeconds) -> Self {
        let page = page.map(|token| TokenInfo::new(token, now));
        Self { tokens: page.rows, summary, limit: page.limit, next_cursor: page.next }
    }
}

/// A part of somebody's tokens.
#[derive(Serialize, ToSchema)]
pub(super) struct TokensOfUser {
    user_email: String,
    tokens: Vec<TokenInfo>,
    /// How many there are in this answer.
    count: usize,
    /// How many there could have been.
    limit: usize,
    /// `cursor` of the next call, if there is more.
    next_cursor: Option<String>,
}

impl TokensOfUser {
    fn new(page: Page<StoredToken>, email: Email, now: UnixSeconds) -> Self {
        let page = page.map(|token| TokenInfo::new(token, now));
        Self {
            user_email: email.into(),
            count: page.rows.len(),
            tokens: page.rows,
            limit: page.limit,
            next_cursor: page.next,
        }
    }
}

/// Whom a call is about.
#[derive(Deserialize, ToSchema)]
pub(super) struct UserRequest {
    #[schema(format = Email, max_length = 254)]
    pub(super) user_email: String,
}

/// A token that an administrator revoked.
#[derive(Serialize, ToSchema)]
pub(super) struct RevokedByAdmin {
    message: &'static str,
    token_id: String,
    user_email: String,
    revoked_by: String,
    #[serde(flatten)]
    effect: Effect,
}

impl RevokedByAdmin {
    fn new(revoked: &Revoked, revoked_by: String) -> Self {
        Self {
            message: "Token revoked successfully",
            token_id: revoked.record.token_id.clone(),
            user_email: revoked.record.user_email.clone(),
            revoked_by,
            effect: Effect::from(&revoked.change),
        }
    }
}

/// Somebody whose tokens are revoked.
#[derive(Serialize, ToSchema)]
pub(super) struct RevokedUser {
    message: &'static str,
    user_email: String,
    /// How many of the tokens on record could still have been used.
    revoked_count: usize,
    revoked_by: String,
    #[serde(flatten)]
    effect: Effect,
}

impl RevokedUser {
    fn new(revoked: &RevokedAll, email: &Email, revoked_by: String) -> Self {
        Self {
            message: "All tokens of the user revoked successfully",
            user_email: email.to_string(),
            revoked_count: revoked.count,
            revoked_by,
            effect: Effect::from(&revoked.change),
        }
    }
}
