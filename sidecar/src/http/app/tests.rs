//! The whole listener over a real Redis, as the filter would call it: with an assertion of its own
//! making. Each story has its server, its sidecar without jobs, and clients by role.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use jwt_simple::prelude::{Claims, Duration, HS256Key, HeaderOptions, JWTClaims, MACLike};
use redis::AsyncCommands;
use sekisho_protocol::identity::{APP_AUDIENCE, ISSUER, TYPE};
use sekisho_protocol::keys::app_identity_key;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::app::App;
use crate::domain::session::Session;
use crate::domain::time::UnixSeconds;
use crate::service::Services;
use crate::testing::{MESH_SECRET, RedisServer};

mod active_users;
mod admin_tokens;
mod bans;
mod cleanup;
mod docs;
mod identity;
mod keys;
mod logout;
mod manage;
mod manners;
mod mesh;
mod refresh;
mod refused;
mod roles;
mod sessions;
mod tokens;
mod webhooks;

/// An address with what makes paths hard.
const ANN: &str = "ann+test@x.org";
const ROOT: &str = "root@x.org";

struct World {
    redis: RedisServer,
    services: Services,
    router: Router,
}

/// An answer, taken apart.
struct Answer {
    status: StatusCode,
    media_type: String,
    headers: axum::http::HeaderMap,
    body: Value,
}

impl World {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    async fn with(settings: &[(&str, &str)]) -> Self {
        Self::on(RedisServer::start().await, settings)
    }

    fn on(redis: RedisServer, settings: &[(&str, &str)]) -> Self {
        // The first one counts.
        let all = [settings, &[("SUPER_ADMIN_EMAIL", ROOT), ("SEKISHO_ACK_TIMEOUT_MS", "100")]].concat();
        let settings = redis.settings(&all);
        let app = App::new(&settings, CancellationToken::new()).unwrap();
        Self { redis, services: app.services.clone(), router: app.api(&settings) }
    }

    /// Another sidecar on the same Redis.
    fn neighbour(&self, settings: &[(&str, &str)]) -> Self {
        Self::on(self.redis.neighbour(), settings)
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let media_type = parts.headers.get(header::CONTENT_TYPE).map_or("", |value| value.to_str().unwrap());
        Answer {
            status: parts.status,
            media_type: media_type.to_owned(),
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            headers: parts.headers,
        }
    }

    /// A call of somebody with these scopes.
    async fn call(&self, who: &str, scopes: &[&str], method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-sekisho-identity", assertion(who, scopes))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
            .unwrap();
        self.send(request).await
    }

    /// A call of an ordinary user.
    async fn user(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.call(ANN, &["api:read", "api:write"], method, path, body).await
    }

    /// A call of the super administrator with the scope.
    async fn root(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.call(ROOT, &["admin"], method, path, body).await
    }

    /// Begins a session of somebody, as a sign-in does.
    async fn begin(&self, id: &str, who: &str) -> Session {
        let now = UnixSeconds::now();
        let email = (!who.contains('|')).then_some(who);
        let session = json!({"id": id, "subject": who, "email": email, "host": "app.x", "method": "session",
            "signed_in_at": now, "last_access": now, "ends_at": now.plus(86_400), "idle_s": 3_600,
            "address": "2001:db8::7", "agent": "Fox"});
        let session = serde_json::from_value(session).unwrap();
        self.services.sessions.begin(session, now).await.unwrap()
    }

    async fn issue(&self, name: &str) -> Value {
        let answer = self.user(Method::POST, "/api/token/generate", Some(json!({"token_name": name}))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body
    }
}

impl Answer {
    /// The whole answer, literally: nothing is missing, and nothing came in between.
    fn is(&self, status: u16, body: &Value) {
        assert_eq!((self.status.as_u16(), &self.body), (status, body));
        assert_eq!(self.media_type, "application/json");
    }

    fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.media_type, "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["code"], code, "{}", self.body);
        assert_eq!(keys(&self.body), ["code", "detail", "status", "title", "type"]);
    }
}

/// The names of an object's members, sorted.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// What the gateway that Sekisho replaces has on record: tokens that are good, revoked and expired.
async fn old_tokens(world: &World) {
    let mut redis = world.redis.client().shared();
    // Addresses stand there as they were typed, and an empty list is an empty object.
    for (id, email, name, scopes, created_at, expires_at, last_used) in [
        ("t1", ANN, "laptop", json!(["api:read", "api:write"]), 1_700_000_000, 4_000_000_000_u64, json!(1_700_000_500)),
        ("t2", "Ann+Test@X.org", "ci", json!({}), 1_700_000_100, 4_000_000_000, Value::Null),
        ("t3", ANN, "ended", json!(["api:read"]), 1_600_000_000, 1_600_086_400, Value::Null),
    ] {
        let record = json!({"token_id": id, "user_email": email, "token_name": name, "scopes": scopes,
            "created_at": created_at, "expires_at": expires_at, "last_used": last_used});
        let _: () = redis.set(format!("token:info:{id}"), record.to_string()).await.unwrap();
        let _: () = redis.sadd(format!("user:tokens:{email}"), id).await.unwrap();
    }
    let _: () = redis.set("revoked:token:t2", 1).await.unwrap();
    // As a job does.
    world.services.tokens.tidy(UnixSeconds::now()).await.unwrap();
}

/// How lists show the good one.
fn old_good() -> Value {
    json!({"token_id": "t1", "user_email": ANN, "token_name": "laptop", "scopes": ["api:read", "api:write"],
        "created_at": 1_700_000_000, "expires_at": 4_000_000_000_u64, "last_used": 1_700_000_500,
        "is_expired": false, "is_revoked": false, "status": "active"})
}

/// How lists show the one that was revoked.
fn old_revoked() -> Value {
    json!({"token_id": "t2", "user_email": "Ann+Test@X.org", "token_name": "ci", "scopes": [],
        "created_at": 1_700_000_100, "expires_at": 4_000_000_000_u64, "last_used": null,
        "is_expired": false, "is_revoked": true, "status": "revoked"})
}

/// How lists show the one that expired.
fn old_expired() -> Value {
    json!({"token_id": "t3", "user_email": ANN, "token_name": "ended", "scopes": ["api:read"],
        "created_at": 1_600_000_000, "expires_at": 1_600_086_400, "last_used": null,
        "is_expired": true, "is_revoked": false, "status": "expired"})
}

/// The literal `own`, and how the change took effect that `body` is the answer to: no filter is there to be waited for.
fn changed(mut own: Value, body: &Value) -> Value {
    let (version, epoch, elapsed_ms) = (&body["version"], &body["epoch"], &body["elapsed_ms"]);
    assert!(version.as_u64() >= Some(1) && epoch.as_str().is_some_and(|id| !id.is_empty()), "{body}");
    assert!(elapsed_ms.as_u64().is_some_and(|elapsed_ms| elapsed_ms < 5_000), "{body}");
    let effect = json!({"version": version, "epoch": epoch, "workers": 0, "acknowledged": 0, "joining": 0, "fenced": 0,
        "fenced_workers": [], "lagging": [], "elapsed_ms": elapsed_ms, "durability": "memory"});
    own.as_object_mut().unwrap().extend(effect.as_object().unwrap().clone());
    own
}

/// A moment of an answer, which must be that of the call.
fn just_now(moment: &Value) -> u64 {
    let (moment, now) = (moment.as_u64().expect("Unix seconds"), UnixSeconds::now().get());
    assert!((now - 10..=now).contains(&moment), "{moment} is not now, {now}");
    moment
}

/// The assertion that the filter signs.
fn assertion(who: &str, scopes: &[&str]) -> String {
    sign(MESH_SECRET, APP_AUDIENCE, who, scopes, 30)
}

fn sign(secret: &str, audience: &str, who: &str, scopes: &[&str], life_s: u64) -> String {
    // Somebody who signed in after whatever the test does.
    let issued_at = UnixSeconds::now().get() + 600;
    let own = json!({"email": who, "method": "jwt", "token_id": "t", "token_issued_at": issued_at, "scopes": scopes});
    sign_own(secret, audience, who, own, life_s)
}

/// An assertion with these claims besides the registered ones.
fn sign_own(secret: &str, audience: &str, who: &str, own: Value, life_s: u64) -> String {
    let mut claims = Claims::with_custom_claims(own, Duration::from_secs(life_s))
        .with_issuer(ISSUER)
        .with_audience(audience)
        .with_subject(who);
    claims.invalid_before = None;
    authenticate(&HS256Key::from_bytes(&app_identity_key(secret.as_bytes())), claims)
}

fn authenticate(key: &HS256Key, claims: JWTClaims<Value>) -> String {
    let options = HeaderOptions { signature_type: Some(TYPE.into()), ..HeaderOptions::default() };
    key.authenticate_with_options(claims, &options).unwrap()
}

#[tokio::test]
async fn health_needs_no_caller() {
    let world = World::start().await;
    let answer = world.send(Request::get("/health").body(Body::empty()).unwrap()).await;
    answer.is(200, &json!({"status": "healthy"}));
}

#[tokio::test]
async fn the_description_is_served_and_names_every_call() {
    let world = World::start().await;
    let answer = world.send(Request::get("/api/openapi.json").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    for path in [
        "/health",
        "/api/token/generate",
        "/api/token/refresh",
        "/api/token/list",
        "/api/token/info",
        "/api/token/revoke",
        "/api/admin/tokens",
        "/api/admin/tokens/{email_or_id}",
        "/api/admin/tokens/revoke-user",
        "/api/admin/bans",
        "/api/admin/audit",
        "/api/admin/audit/export",
        "/api/admin/manage",
        "/api/admin/manage/{email}",
        "/api/admin/mesh",
        "/api/admin/sessions/revoke-user",
        "/api/admin/sessions/unban/{email}",
        "/api/admin/sessions/logout-user",
        "/api/admin/sessions",
        "/api/admin/sessions/stats",
        "/api/admin/sessions/{session_key}",
        "/api/admin/sessions/user/{email}",
        "/api/session",
        "/api/admin/keys",
        "/api/admin/keys/rotate",
        "/api/admin/keys/{kid}",
        "/.well-known/jwks.json",
    ] {
        assert!(answer.body["paths"][path].is_object(), "{path}");
    }
}

#[tokio::test]
async fn a_call_whose_body_never_ends_is_given_up() {
    let limit = axum::middleware::from_fn_with_state(std::time::Duration::from_millis(20), super::manners::in_time);
    let router = Router::new().route("/", axum::routing::post(async |_: String| "read")).layer(limit);
    for (body, expected) in [
        (Body::from("whole"), StatusCode::OK),
        (
            Body::from_stream(futures_util::stream::pending::<Result<String, std::io::Error>>()),
            StatusCode::SERVICE_UNAVAILABLE,
        ),
    ] {
        let response = router.clone().oneshot(Request::post("/").body(body).unwrap()).await.unwrap();
        assert_eq!(response.status(), expected);
        let is_problem = response.headers()[header::CONTENT_TYPE] == "application/problem+json";
        assert_eq!(is_problem, expected != StatusCode::OK);
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_document_too() {
    let world = World::start().await;
    world.user(Method::GET, "/api/nothing", None).await.is_problem(404, "no_such_path");
    world.user(Method::DELETE, "/api/token/list", None).await.is_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_write_must_be_json_of_a_bounded_size() {
    let world = World::start().await;
    let with = |media: Option<&str>, body: String| {
        let mut request =
            Request::post("/api/token/generate").header("x-sekisho-identity", assertion(ANN, &["api:read"]));
        if let Some(media) = media {
            request = request.header(header::CONTENT_TYPE, media);
        }
        world.send(request.body(Body::from(body)).unwrap())
    };
    let good = json!({"token_name": "n"}).to_string();
    with(None, good.clone()).await.is_problem(415, "not_json");
    with(Some("text/plain"), good.clone()).await.is_problem(415, "not_json");
    with(Some("application/x-www-form-urlencoded"), good.clone()).await.is_problem(415, "not_json");
    with(Some("application/json"), "{".into()).await.is_problem(400, "invalid_body");
    with(Some("application/json"), "{}".into()).await.is_problem(400, "invalid_body");
    with(Some("application/json"), r#"{"token_name":"n","expires_in":-1}"#.into())
        .await
        .is_problem(400, "invalid_body");
    with(Some("application/json"), format!("\"{}\"", "x".repeat(70_000))).await.is_problem(413, "too_large");
    assert_eq!(with(Some("application/json; charset=utf-8"), good).await.status, StatusCode::OK);
}

#[tokio::test]
async fn without_redis_calls_fail_whole_and_say_when_to_try_again() {
    let mut world = World::start().await;
    let token = world.issue("n").await;
    world.redis.stop();
    let id = token["token_id"].as_str().unwrap();
    for (method, path, body) in [
        (Method::POST, "/api/token/generate", Some(json!({"token_name": "n"}))),
        (Method::GET, "/api/token/list", None),
        (Method::POST, "/api/token/revoke", Some(json!({"token_id": id}))),
    ] {
        let answer = world.user(method, path, body).await;
        answer.is_problem(503, "unavailable");
        assert_eq!(answer.headers[header::RETRY_AFTER], "1");
        assert!(!answer.body.to_string().contains("127.0.0.1"), "no inner cause: {}", answer.body);
    }
    let ban = Some(json!({"user_email": ANN}));
    world.root(Method::POST, "/api/admin/sessions/revoke-user", ban).await.is_problem(503, "unavailable");
}

#[tokio::test]
async fn no_answer_is_kept_by_a_cache() {
    let world = World::start().await;
    let answer = world.user(Method::GET, "/api/token/list", None).await;
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
}
