//! Every setting there is: where it stands in the file, and what its variable is called.

use super::sources::{Form, Key};

const fn key(path: &'static str, env: &'static str) -> Key {
    Key { path, env, form: Form::Text }
}

const fn secret(path: &'static str, env: &'static str) -> Key {
    Key { path, env, form: Form::Secret }
}

const fn structure(path: &'static str, env: &'static str) -> Key {
    Key { path, env, form: Form::Json }
}

/// Every setting.
pub(super) const KEYS: &[Key] = &[
    key("listen.mesh", "SEKISHO_MESH_LISTEN"),
    key("listen.app", "SEKISHO_APP_LISTEN"),
    key("listen.ops", "SEKISHO_OPS_LISTEN"),
    secret("mesh.secret", "SEKISHO_MESH_SECRET"),
    key("mesh.feed_hold_ms", "SEKISHO_FEED_HOLD_MS"),
    key("mesh.acknowledgement_timeout_ms", "SEKISHO_ACK_TIMEOUT_MS"),
    secret("redis.url", "REDIS_URL"),
    key("redis.host", "REDIS_HOST"),
    key("redis.port", "REDIS_PORT"),
    secret("redis.encryption_key", "REDIS_ENCRYPTION_KEY"),
    secret("redis.other_encryption_keys", "SEKISHO_OTHER_ENCRYPTION_KEYS"),
    secret("database.url", "DATABASE_URL"),
    key("database.folder", "SEKISHO_DATA_DIR"),
    key("audit.retention_days", "SEKISHO_AUDIT_RETENTION_DAYS"),
    secret("tokens.jwt_secret", "JWT_SECRET"),
    key("tokens.allow_short_jwt_secret", "SEKISHO_ALLOW_SHORT_JWT_SECRET"),
    key("tokens.issuer", "SEKISHO_TOKEN_ISSUER"),
    key("tokens.audience", "SEKISHO_TOKEN_AUDIENCE"),
    key("tokens.max_expires_in_s", "MAX_EXPIRES_IN"),
    key("tokens.default_expires_in_s", "SEKISHO_DEFAULT_EXPIRES_IN"),
    key("tokens.per_user", "SEKISHO_TOKENS_PER_USER"),
    key("tokens.refresh_grace_s", "SEKISHO_REFRESH_GRACE"),
    key("tokens.refresh_max_age_s", "SEKISHO_REFRESH_MAX_AGE"),
    key("tokens.recent_sign_in_s", "SEKISHO_TOKENS_RECENT_SIGN_IN_SECONDS"),
    key("tokens.requests_per_minute", "SEKISHO_TOKEN_REQUESTS_PER_MINUTE"),
    key("sessions.idle_s", "SEKISHO_SESSION_IDLE_SECONDS"),
    key("sessions.lifetime_s", "SEKISHO_SESSION_LIFETIME_SECONDS"),
    key("sessions.refresh_s", "SEKISHO_SESSION_REFRESH_SECONDS"),
    key("sign_in.issuer", "SEKISHO_OIDC_ISSUER"),
    key("sign_in.client_id", "SEKISHO_OIDC_CLIENT_ID"),
    secret("sign_in.client_secret", "SEKISHO_OIDC_CLIENT_SECRET"),
    key("sign_in.scopes", "SEKISHO_OIDC_SCOPES"),
    key("sign_in.prompt", "SEKISHO_OIDC_PROMPT"),
    key("sign_in.email_verified", "SEKISHO_OIDC_EMAIL_VERIFIED"),
    key("sign_in.claims", "SEKISHO_OIDC_CLAIMS"),
    key("sign_in.acr_values", "SEKISHO_OIDC_ACR_VALUES"),
    key("sign_in.amr_values", "SEKISHO_OIDC_AMR_VALUES"),
    key("sign_in.origins", "SEKISHO_SIGN_IN_ORIGINS"),
    key("sign_in.allowed_domains", "SEKISHO_SIGN_IN_ALLOWED_DOMAINS"),
    key("sign_in.allowed_emails", "SEKISHO_SIGN_IN_ALLOWED_EMAILS"),
    key("sign_in.insecure", "SEKISHO_SIGN_IN_INSECURE"),
    key("sign_in.keep_at_provider", "SEKISHO_SIGN_OUT_HERE_ONLY"),
    key("sign_in.logout_revokes_tokens", "SEKISHO_PROVIDER_LOGOUT_REVOKES_TOKENS"),
    key("oauth2_proxy.enabled", "SEKISHO_OAUTH2_PROXY"),
    key("oauth2_proxy.cookie", "SEKISHO_OAUTH2_PROXY_COOKIE"),
    key("oauth2_proxy.expire_s", "SEKISHO_OAUTH2_PROXY_EXPIRE_SECONDS"),
    key("oauth2_proxy.email_domains", "SEKISHO_OAUTH2_PROXY_EMAIL_DOMAINS"),
    key("oauth2_proxy.outlives_tokens", "SEKISHO_OAUTH2_PROXY_OUTLIVES_TOKENS"),
    key("oauth2_proxy.patterns", "SEKISHO_OAUTH2_PROXY_PATTERNS"),
    key("admins.super_admin", "SUPER_ADMIN_EMAIL"),
    key("admins.emails", "ADMIN_EMAILS"),
    key("admins.domains", "ADMIN_DOMAINS"),
    key("admins.auditors", "SEKISHO_AUDITOR_EMAILS"),
    structure("key_sources", "SEKISHO_KEY_SOURCES"),
    structure("webhooks", "SEKISHO_WEBHOOKS"),
    key("cleanup.schedule", "SEKISHO_CLEANUP_SCHEDULE"),
    key("cleanup.log_retention_days", "CLEANUP_LOG_RETENTION_DAYS"),
    key("log.filter", "SEKISHO_LOG"),
    key("log.format", "SEKISHO_LOG_FORMAT"),
    key("node", "SEKISHO_NODE"),
    key("doctor.envoy_admin", "SEKISHO_ENVOY_ADMIN"),
    key("doctor.sidecars", "SEKISHO_SIDECARS"),
];

/// Whether an environment variable of this name is a setting.
#[must_use]
pub fn is_setting(variable: &str) -> bool {
    KEYS.iter().any(|key| key.env == variable)
}

/// Whether it is one that must not be shown.
#[must_use]
pub fn is_secret(variable: &str) -> bool {
    KEYS.iter().any(|key| key.env == variable && key.form == Form::Secret)
}
