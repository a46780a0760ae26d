//! The `app` listener: the API for people and programs, reached through Envoy, so that the filter
//! vouches for every caller. It believes nothing but the filter's signed assertion.

use std::sync::Arc;

use axum::{Json, Router};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::error::Failure;
use crate::domain::time::UnixSeconds;
use crate::service::active_users::ActiveUsers;
use crate::service::admins::Admins;
use crate::service::all_sessions::AllSessions;
use crate::service::audit::trail::AuditTrail;
use crate::service::bans::Bans;
use crate::service::cleanup::Cleanup;
use crate::service::idempotency::Idempotency;
use crate::service::keysets::Keysets;
use crate::service::logout::Logouts;
use crate::service::mesh::Mesh;
use crate::service::refusals::Refusals;
use crate::service::sessions::Sessions;
use crate::service::sign_in::SignIn;
use crate::service::signing_keys::SigningKeys;
use crate::service::signing_keys::jwks::Jwks;
use crate::service::throttle::Throttle;
use crate::service::tokens::Tokens;
use crate::service::webhooks::Webhooks;

pub mod admin_active_users;
pub mod admin_audit;
pub mod admin_bans;
pub mod admin_cleanup;
pub mod admin_keys;
pub mod admin_logout;
pub mod admin_manage;
pub mod admin_mesh;
pub mod admin_sessions;
pub mod admin_tokens;
pub mod admin_webhooks;
pub mod answer;
pub mod caller;
pub mod docs;
pub mod document;
pub mod jwks;
pub mod manners;
pub mod request;
pub mod sessions;
mod sign_in;
pub mod tokens;

use answer::Refused;
use caller::Verifier;

/// What the handlers work with.
#[derive(Clone)]
pub struct Api {
    /// Bans.
    pub bans: Bans,
    /// Tokens.
    pub tokens: Tokens,
    /// The keys of our own with which tokens are signed.
    pub signing_keys: SigningKeys,
    /// Those keys, for everybody.
    pub jwks: Jwks,
    /// Browsers that people signed in with.
    pub sessions: Sessions,
    /// The same, and sessions whose owners are not known.
    pub all_sessions: AllSessions,
    /// Logging people out everywhere.
    pub logouts: Logouts,
    /// Who is active.
    pub active_users: ActiveUsers,
    /// How far the filters are.
    pub mesh: Mesh,
    /// The keys of those who issue tokens.
    pub keysets: Keysets,
    /// What was done, by whom.
    pub trail: AuditTrail,
    /// Who is told of it.
    pub webhooks: Webhooks,
    /// Clearing leftovers away.
    pub cleanup: Cleanup,
    /// Who may administer.
    pub admins: Admins,
    /// Signing in, if people do it here.
    pub sign_in: Option<SignIn>,
    /// Calls that are carried out once, however often they are sent.
    pub idempotency: Idempotency,
    /// How often somebody may call.
    pub throttle: Throttle,
    /// Calls that are refused.
    pub refusals: Refusals,
    /// Who calls.
    pub verifier: Arc<Verifier>,
}

impl Api {
    fn now(&self) -> UnixSeconds {
        UnixSeconds::now()
    }
}

/// The listener's routes.
pub fn router(api: Api) -> Router {
    let (routes, _) = routes().split_for_parts();
    let routes = routes
        .route(document::PATH, axum::routing::get(document::openapi))
        .route(docs::PATH, axum::routing::get(docs::show))
        .merge(sign_in::routes())
        .fallback(async || Refused(Failure::NoSuchPath))
        .method_not_allowed_fallback(async || Refused(Failure::MethodNotAllowed))
        .with_state(api.clone());
    manners::around(routes, &api)
}

fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(document::Description::openapi())
        .routes(routes!(health))
        .routes(routes!(tokens::generate))
        .routes(routes!(tokens::refresh))
        .routes(routes!(tokens::list))
        .routes(routes!(tokens::info))
        .routes(routes!(tokens::revoke))
        .routes(routes!(admin_tokens::list))
        .routes(routes!(admin_tokens::list_of_user, admin_tokens::revoke))
        .routes(routes!(admin_tokens::revoke_user))
        .routes(routes!(admin_bans::list))
        .routes(routes!(admin_bans::history))
        .routes(routes!(admin_bans::ban))
        .routes(routes!(admin_bans::unban))
        .routes(routes!(admin_logout::logout_user))
        .routes(routes!(sessions::list, sessions::delete))
        .routes(routes!(admin_sessions::list))
        .routes(routes!(admin_sessions::stats))
        .routes(routes!(admin_sessions::delete))
        .routes(routes!(admin_sessions::delete_of_user))
        .routes(routes!(admin_active_users::list))
        .routes(routes!(admin_active_users::clean))
        .routes(routes!(admin_audit::list))
        .routes(routes!(admin_audit::export::export))
        .routes(routes!(admin_manage::list, admin_manage::add, admin_manage::remove_named))
        .routes(routes!(admin_manage::remove))
        .routes(routes!(admin_mesh::show))
        .routes(routes!(admin_keys::list, admin_keys::add))
        .routes(routes!(admin_keys::rotate))
        .routes(routes!(admin_keys::retire))
        .routes(routes!(admin_cleanup::preview))
        .routes(routes!(admin_cleanup::run))
        .routes(routes!(admin_cleanup::logs))
        .routes(routes!(admin_webhooks::list))
        .routes(routes!(admin_webhooks::show))
        .routes(routes!(admin_webhooks::test))
        .routes(routes!(admin_webhooks::retry))
        .routes(routes!(jwks::show))
}

/// Whether the API is up, as before. It says nothing about Redis: `/readyz` of the `ops` listener does.
#[utoipa::path(get, path = "/health", tag = "health", security(()),
    responses((status = 200, description = "The sidecar is up", body = Health)))]
async fn health() -> Json<Health> {
    Json(Health { status: "healthy" })
}

/// The answer of `/health`.
#[derive(serde::Serialize, utoipa::ToSchema)]
struct Health {
    /// Always `healthy`.
    status: &'static str,
}

#[cfg(test)]
mod tests;
