//! `/api/admin/sessions/logout-user`: everything invalid that somebody holds, for administrators.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::app::Api;
use crate::http::app::admin_tokens::{UserRequest, user_email};
use crate::http::app::answer::{AdminRefusals, Answer, BodyRefusals, Changed, Effect};
use crate::http::app::caller::Admin;
use crate::http::app::request::Json;
use crate::service::logout::LoggedOut;

/// Logs somebody out everywhere: what was issued to them until now is invalid, by whomever it was
/// issued. Nothing brings it back; they may sign in and get new tokens at once.
#[utoipa::path(post, path = "/api/admin/sessions/logout-user", tag = "admin", request_body = UserRequest,
    responses((status = 200, description = "Logged out, and every filter knows", body = LoggedOutUser),
        (status = 202, description = "Logged out, but some filters lag", body = LoggedOutUser),
        AdminRefusals, BodyRefusals))]
pub(super) async fn logout_user(
    State(api): State<Api>,
    admin: Admin,
    Json(request): Json<UserRequest>,
) -> Answer<Changed<LoggedOutUser>> {
    let email = user_email(&request.user_email)?;
    admin.must_outrank(&api, &email.clone().into())?;
    let logged_out = api.logouts.log_out(email.clone().into(), admin.by(), api.now()).await?;
    Ok(Changed::new(&logged_out.change, LoggedOutUser::new(&logged_out, email.into(), admin.name())))
}

/// Somebody who is logged out everywhere.
#[derive(Serialize, ToSchema)]
pub(super) struct LoggedOutUser {
    message: &'static str,
    user_email: String,
    /// How many sessions were deleted.
    deleted_count: usize,
    logged_out_by: String,
    /// What was issued before this moment is invalid.
    issued_before: u64,
    #[serde(flatten)]
    effect: Effect,
}

impl LoggedOutUser {
    fn new(logged_out: &LoggedOut, user_email: String, logged_out_by: String) -> Self {
        Self {
            message: "User logged out successfully",
            user_email,
            deleted_count: logged_out.ended_sessions,
            logged_out_by,
            issued_before: logged_out.issued_before.get(),
            effect: Effect::from(&logged_out.change),
        }
    }
}
