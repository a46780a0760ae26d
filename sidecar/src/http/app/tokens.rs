//! `/api/token/…`: a caller's own tokens.

use axum::Json as JsonBody;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::error::Failure;
use crate::domain::page::Page;
use crate::domain::time::UnixSeconds;
use crate::domain::token::{Grant, Status, StoredToken, TokenId, TokenRecord};
use crate::http::app::Api;
use crate::http::app::answer::{Answer, BodyRefusals, Changed, Effect, OwnRefusals, Problem, ValueRefusals};
use crate::http::app::caller::SignedIn;
use crate::http::app::request::{Json, Paging, Query};
use crate::service::tokens::refresh::Refreshed;
use crate::service::tokens::{Issued, Revoked, Wish};

/// Issues a token to the caller. It is shown this once.
#[utoipa::path(post, path = "/api/token/generate", tag = "tokens", request_body = GenerateRequest,
    responses((status = 200, description = "The token", body = Generated),
        (status = 409, description = "There are too many tokens", body = Problem, content_type = "application/problem+json"),
        OwnRefusals, BodyRefusals))]
pub(super) async fn generate(
    State(api): State<Api>,
    SignedIn(caller): SignedIn,
    Json(request): Json<GenerateRequest>,
) -> Answer<JsonBody<Generated>> {
    let issued = api.tokens.issue(&caller, &request.into(), api.now()).await?;
    Ok(JsonBody(issued.into()))
}

/// Exchanges the token with which the caller comes for a new one with the same name and scopes. The old one is good for a
/// grace time, and then revoked. Who comes with it after that has a copy: then all tokens that come from the same first one are revoked.
#[utoipa::path(post, path = "/api/token/refresh", tag = "tokens", request_body = RefreshRequest,
    responses((status = 200, description = "The new token", body = RefreshedToken),
        (status = 403, description = "The first token from which it comes was issued too long ago", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "It was exchanged too often, or there are too many tokens", body = Problem,
            content_type = "application/problem+json"),
        OwnRefusals, BodyRefusals))]
pub(super) async fn refresh(
    State(api): State<Api>,
    SignedIn(caller): SignedIn,
    Json(request): Json<RefreshRequest>,
) -> Answer<JsonBody<RefreshedToken>> {
    Ok(JsonBody(api.tokens.refresh(&caller, request.expires_in, api.now()).await?.into()))
}

/// Lists the caller's tokens, the newest first.
#[utoipa::path(get, path = "/api/token/list", tag = "tokens", params(Paging),
    responses((status = 200, description = "The tokens", body = Listed),
        OwnRefusals, ValueRefusals))]
pub(super) async fn list(
    State(api): State<Api>,
    SignedIn(caller): SignedIn,
    Query(paging): Query<Paging>,
) -> Answer<JsonBody<Listed>> {
    let page = api.tokens.of_user(caller.email()?, &paging.window()?).await?;
    Ok(JsonBody(Listed::new(page, caller.name(), api.now())))
}

/// What is known of one of the caller's tokens.
#[utoipa::path(get, path = "/api/token/info", tag = "tokens", params(InfoQuery),
    responses((status = 200, description = "What is known", body = Info),
        (status = 404, description = "No such token", body = Problem, content_type = "application/problem+json"),
        OwnRefusals, ValueRefusals))]
pub(super) async fn info(
    State(api): State<Api>,
    SignedIn(caller): SignedIn,
    Query(query): Query<InfoQuery>,
) -> Answer<JsonBody<Info>> {
    let token = api.tokens.own(&caller, &required_id(query.token_id)?).await?;
    Ok(JsonBody(Info { success: true, token_info: TokenInfo::new(token, api.now()) }))
}

/// Revokes one of the caller's tokens, and those that came of it by exchanges. Nothing brings them back.
#[utoipa::path(post, path = "/api/token/revoke", tag = "tokens", request_body = RevokeRequest,
    responses((status = 200, description = "Revoked, and every filter knows", body = RevokedToken),
        (status = 202, description = "Revoked, but some filters lag", body = RevokedToken),
        (status = 404, description = "No such token", body = Problem, content_type = "application/problem+json"),
        OwnRefusals, BodyRefusals))]
pub(super) async fn revoke(
    State(api): State<Api>,
    SignedIn(caller): SignedIn,
    Json(request): Json<RevokeRequest>,
) -> Answer<Changed<RevokedToken>> {
    let revoked = api.tokens.revoke_own(&caller, &required_id(request.token_id)?).await?;
    Ok(Changed::new(&revoked.change, RevokedToken::new(&revoked)))
}

fn required_id(id: Option<String>) -> Result<TokenId, Failure> {
    match id.as_deref().unwrap_or_default() {
        "" => Err(Failure::invalid("token_id", "is missing")),
        id => TokenId::parse(id),
    }
}

/// What a new token should be.
#[derive(Deserialize, ToSchema)]
pub(super) struct GenerateRequest {
    /// 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*\S[^\x00-\x1f\x7f-\x9f]*$")]
    token_name: String,
    /// Seconds; more than the maximum is cut to it.
    #[schema(minimum = 1)]
    expires_in: Option<u64>,
    /// Not more than the caller's own credential holds. Default `["api:read","api:write"]`.
    scopes: Option<Vec<String>>,
}

impl From<GenerateRequest> for Wish {
    fn from(request: GenerateRequest) -> Self {
        Self { name: request.token_name, expires_in: request.expires_in, scopes: request.scopes }
    }
}

/// A new token.
#[derive(Serialize, ToSchema)]
pub(crate) struct Generated {
    success: bool,
    /// The token. Nobody can see it again.
    token: String,
    token_type: &'static str,
    token_id: String,
    token_name: String,
    expires_in: u64,
    expires_at: u64,
    created_at: u64,
    scopes: Vec<String>,
    user_email: String,
    usage_instructions: Usage,
}

/// How to use a token.
#[derive(Serialize, ToSchema)]
struct Usage {
    header: &'static str,
    note: &'static str,
}

impl From<Issued> for Generated {
    fn from(Issued { token, grant }: Issued) -> Self {
        Self::new(token, &grant)
    }
}

impl Generated {
    fn new(token: String, grant: &Grant) -> Self {
        let record = grant.record();
        Self {
            success: true,
            token,
            token_type: "Bearer",
            token_id: record.token_id,
            token_name: record.token_name,
            expires_in: record.expires_at.saturating_sub(record.created_at),
            expires_at: record.expires_at,
            created_at: record.created_at,
            scopes: record.scopes,
            user_email: record.user_email,
            usage_instructions: Usage {
                header: "Authorization: Bearer <token>",
                note: "Keep the token safe: it is not shown again.",
            },
        }
    }
}

/// How a token is to be exchanged.
#[derive(Deserialize, ToSchema)]
pub(super) struct RefreshRequest {
    /// Seconds that the new one lives; more than the maximum is cut to it. Default: as long as the old one in all.
    #[schema(minimum = 1)]
    expires_in: Option<u64>,
}

/// A token that was exchanged.
#[derive(Serialize, ToSchema)]
pub(crate) struct RefreshedToken {
    #[serde(flatten)]
    new: Generated,
    /// The id of the old one.
    previous_token_id: String,
    /// Until when the old one is good.
    previous_expires_at: u64,
}

impl From<Refreshed> for RefreshedToken {
    fn from(refreshed: Refreshed) -> Self {
        Self {
            new: Generated::new(refreshed.token, &refreshed.grant),
            previous_token_id: refreshed.previous_id.to_string(),
            previous_expires_at: refreshed.previous_until.get(),
        }
    }
}

/// A part of the caller's tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct Listed {
    success: bool,
    tokens: Vec<TokenInfo>,
    /// How many there are in this answer.
    count: usize,
    user_email: String,
    /// How many there could have been.
    limit: usize,
    /// `cursor` of the next call, if there is more.
    next_cursor: Option<String>,
}

impl Listed {
    pub(crate) fn new(page: Page<StoredToken>, user_email: &str, now: UnixSeconds) -> Self {
        let page = page.map(|token| TokenInfo::new(token, now));
        Self {
            success: true,
            count: page.rows.len(),
            tokens: page.rows,
            user_email: user_email.to_owned(),
            limit: page.limit,
            next_cursor: page.next,
        }
    }
}

/// What is known of a token.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenInfo {
    token_id: String,
    user_email: String,
    token_name: String,
    scopes: Vec<String>,
    created_at: u64,
    expires_at: u64,
    /// As far as it is known.
    last_used: Option<u64>,
    is_expired: bool,
    is_revoked: bool,
    status: Status,
}

impl TokenInfo {
    pub(crate) fn new(token: StoredToken, now: UnixSeconds) -> Self {
        let (status, is_expired) = (token.status(now), token.record.is_expired(now));
        let StoredToken { record, is_revoked } = token;
        let TokenRecord { token_id, user_email, token_name, scopes, created_at, expires_at, last_used, .. } = record;
        Self {
            token_id,
            user_email,
            token_name,
            scopes,
            created_at,
            expires_at,
            last_used,
            is_expired,
            is_revoked,
            status,
        }
    }
}

/// Which token.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct InfoQuery {
    /// The token's id. Without it the answer is 400.
    #[param(value_type = String, required = true)]
    token_id: Option<String>,
}

/// What is known of one token.
#[derive(Serialize, ToSchema)]
pub(super) struct Info {
    success: bool,
    token_info: TokenInfo,
}

/// Which token.
#[derive(Deserialize, ToSchema)]
pub(super) struct RevokeRequest {
    /// The token's id. Without it the answer is 400.
    #[schema(value_type = String, required = true)]
    token_id: Option<String>,
}

/// A token that is revoked.
#[derive(Serialize, ToSchema)]
pub(super) struct RevokedToken {
    success: bool,
    message: &'static str,
    token_id: String,
    #[serde(flatten)]
    effect: Effect,
}

impl RevokedToken {
    fn new(revoked: &Revoked) -> Self {
        Self {
            success: true,
            message: "Token revoked successfully",
            token_id: revoked.record.token_id.clone(),
            effect: Effect::from(&revoked.change),
        }
    }
}
