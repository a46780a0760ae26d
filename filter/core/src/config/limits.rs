//! Bounds and defaults of the configuration's fields: the parser applies them, and its schema names them.

use sekisho_protocol::LEEWAY_MAX_S;

use crate::verify::budget;

/// The whole numbers that a field may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) min: u32,
    pub(super) max: u32,
}

/// The same with the one that a field has if nothing is said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    pub(super) default: u32,
    pub(super) bounds: Bounds,
}

const fn bounds(min: u32, max: u32) -> Bounds {
    Bounds { min, max }
}

const fn number(default: u32, min: u32, max: u32) -> Number {
    Number { default, bounds: bounds(min, max) }
}

pub(super) const TRUSTED_HOPS: Number = number(0, 0, 16);
pub(super) const VERIFY_BUDGET_MS: Number = number(budget::DEFAULT_MS, 10, 1_000);
pub(super) const STALENESS_MS: Number = number(3_000, 1_000, 60_000);
pub(super) const CHECK_TIMEOUT_MS: Number = number(500, 10, 10_000);
pub(super) const MAX_CHECKS: Number = number(256, 1, 10_000);
pub(super) const LEEWAY_S: Number = number(30, 0, LEEWAY_MAX_S);
/// Up to ten years: longer than any token should live, and short enough that no sum overflows.
pub(super) const TOKEN_SECONDS: Bounds = bounds(1, 315_360_000);
/// How old a token or a sign-in may be.
pub(super) const AGE_S: Bounds = bounds(1, u32::MAX);
/// Never 2xx: what was refused would look done.
pub(super) const CUSTOM_STATUS: Bounds = bounds(300, 599);

/// Up to ten years.
pub(super) const COOKIE_EXPIRE_S: Number = number(604_800, 60, 315_360_000);

pub(super) const FEED_CLUSTER: &str = "sekisho_feed";
pub(super) const CHECK_CLUSTER: &str = "sekisho_check";
pub(super) const SESSION_COOKIE: &str = "__Host-sekisho";
pub(super) const OAUTH2_PROXY_COOKIE: &str = "_oauth2_proxy";
pub(super) const COOKIE_SECRET_ENV: &str = "OAUTH2_PROXY_COOKIE_SECRET";
pub(super) const MESH_SECRET_ENV: &str = "SEKISHO_MESH_SECRET";
pub(super) const EXPLAIN_KEY_ENV: &str = "SEKISHO_EXPLAIN_KEY";
pub(super) const SUBJECT_CLAIM: &str = "sub";
pub(super) const ROLES_CLAIM: &str = "roles";
pub(super) const GROUPS_CLAIM: &str = "groups";
pub(super) const CREDENTIAL_HEADER: &str = "authorization";
