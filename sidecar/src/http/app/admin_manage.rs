//! `/api/admin/manage`: who administers, and as what. Everybody who may administer sees it; super administrators change it.

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::StatusCode;
use sekisho_protocol::Email;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::admin::{GivenRole, Role};
use crate::domain::error::Failure;
use crate::http::app::Api;
use crate::http::app::answer::{AdminRefusals, Answer, BodyRefusals, Problem, ValueRefusals};
use crate::http::app::caller::{Reader, SuperAdmin};
use crate::http::app::request::{Json, Paging, PathPart, Query};
use crate::service::admins::{Listed, Roster};

/// Lists who administers, by address.
#[utoipa::path(get, path = "/api/admin/manage", tag = "admin", params(Paging),
    responses((status = 200, description = "Administrators and auditors", body = AdminList),
        AdminRefusals, ValueRefusals))]
pub(super) async fn list(
    State(api): State<Api>,
    _: Reader,
    Query(paging): Query<Paging>,
) -> Answer<JsonBody<AdminList>> {
    Ok(JsonBody(AdminList::from(api.admins.list(&paging.window()?).await?)))
}

/// Makes somebody an administrator, or an auditor. Whoever was added before gets the new role in place of the old one.
#[utoipa::path(post, path = "/api/admin/manage", tag = "admin", request_body = AddAdmin,
    responses((status = 201, description = "Added", body = AddedAdmin),
        (status = 409, description = "They are already, or there is no room", body = Problem, content_type = "application/problem+json"),
        AdminRefusals, BodyRefusals))]
pub(super) async fn add(
    State(api): State<Api>,
    admin: SuperAdmin,
    Json(request): Json<AddAdmin>,
) -> Answer<(StatusCode, JsonBody<AddedAdmin>)> {
    let (email, given) = (address(&request.email)?, request.role.unwrap_or_default());
    api.admins.add(email.clone(), given, admin.by()).await?;
    let message = match given {
        GivenRole::Auditor => "Auditor added successfully",
        GivenRole::Admin => "Admin added successfully",
    };
    let role = given.into();
    Ok((StatusCode::CREATED, JsonBody(AddedAdmin { message, email: email.into(), role, added_by: admin.name() })))
}

/// Takes from somebody what they were made. What the configuration says of them stays.
#[utoipa::path(delete, path = "/api/admin/manage/{email}", tag = "admin",
    params(("email" = String, Path, description = "The address, percent-encoded; `+` means itself")),
    responses((status = 200, description = "Removed", body = RemovedAdmin),
        (status = 404, description = "Neither an administrator nor an auditor", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "By configuration, which no call changes", body = Problem, content_type = "application/problem+json"),
        AdminRefusals, ValueRefusals))]
pub(super) async fn remove(
    State(api): State<Api>,
    admin: SuperAdmin,
    PathPart(email): PathPart,
) -> Answer<JsonBody<RemovedAdmin>> {
    take_away(&api, &admin, &email).await
}

/// The same, with the address in the body.
#[utoipa::path(delete, path = "/api/admin/manage", tag = "admin", request_body = RemoveAdmin,
    responses((status = 200, description = "Removed", body = RemovedAdmin),
        (status = 404, description = "Neither an administrator nor an auditor", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "By configuration, which no call changes", body = Problem, content_type = "application/problem+json"),
        AdminRefusals, BodyRefusals))]
pub(super) async fn remove_named(
    State(api): State<Api>,
    admin: SuperAdmin,
    Json(request): Json<RemoveAdmin>,
) -> Answer<JsonBody<RemovedAdmin>> {
    take_away(&api, &admin, &request.email).await
}

async fn take_away(api: &Api, admin: &SuperAdmin, email: &str) -> Answer<JsonBody<RemovedAdmin>> {
    let email = address(email)?;
    let remaining_role = api.admins.remove(email.clone(), admin.by()).await?;
    let message = "Admin removed successfully";
    Ok(JsonBody(RemovedAdmin { message, email: email.into(), removed_by: admin.name(), remaining_role }))
}

fn address(text: &str) -> Result<Email, Failure> {
    Email::parse(text).map_err(|problem| Failure::invalid("email", problem))
}

/// Whom to add, and as what.
#[derive(Deserialize, ToSchema)]
pub(super) struct AddAdmin {
    #[schema(format = Email, max_length = 254)]
    email: String,
    /// Default `admin`. Only the configuration makes super administrators.
    role: Option<GivenRole>,
}

/// Whom to remove.
#[derive(Deserialize, ToSchema)]
pub(super) struct RemoveAdmin {
    #[schema(format = Email, max_length = 254)]
    email: String,
}

/// A part of those who administer.
#[derive(Serialize, ToSchema)]
pub(super) struct AdminList {
    admins: Vec<AdminInfo>,
    /// How many there are altogether.
    total: usize,
    /// Everybody of these domains is an administrator besides.
    domains: Vec<String>,
    /// How many there could have been in this answer.
    limit: usize,
    /// `cursor` of the next call, if there is more.
    next_cursor: Option<String>,
}

/// Somebody who administers.
#[derive(Serialize, ToSchema)]
struct AdminInfo {
    email: String,
    /// `redis` (added), `environment` or `super_admin`.
    source: &'static str,
    /// Whether a call can remove them.
    removable: bool,
    role: Role,
}

impl From<Roster> for AdminList {
    fn from(Roster { page, total, domains }: Roster) -> Self {
        let page = page.map(AdminInfo::from);
        Self { admins: page.rows, total, domains, limit: page.limit, next_cursor: page.next }
    }
}

impl From<Listed> for AdminInfo {
    fn from(listed: Listed) -> Self {
        let removable = listed.is_removable();
        Self { email: listed.email.into(), source: listed.source.word(), removable, role: listed.role }
    }
}

/// Somebody who was added.
#[derive(Serialize, ToSchema)]
pub(super) struct AddedAdmin {
    message: &'static str,
    email: String,
    role: Role,
    added_by: String,
}

/// Somebody who was removed.
#[derive(Serialize, ToSchema)]
pub(super) struct RemovedAdmin {
    message: &'static str,
    email: String,
    removed_by: String,
    /// What they still are by configuration; `null` if nothing.
    remaining_role: Option<Role>,
}
