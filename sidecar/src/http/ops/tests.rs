//! What an operator sees.

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;
use crate::app::App;
use crate::logging::LogLevel;
use crate::testing::{MESH_SECRET, RedisServer};

struct World {
    redis: RedisServer,
    router: Router,
    _running: JoinSet<()>,
    _log: Box<dyn std::any::Any>,
}

impl World {
    async fn on(redis: RedisServer) -> Self {
        let settings = redis.settings(&[]);
        let app = App::new(&settings, CancellationToken::new()).unwrap();
        let mut running = JoinSet::new();
        app.start_jobs(&settings, &mut running);
        let (log_level, log) = LogLevel::unconnected();
        Self { redis, router: app.ops(&settings, log_level), _running: running, _log: Box::new(log) }
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn until_ready(&self, expected: bool) -> Value {
        for _ in 0..400 {
            let (status, body) = self.get("/readyz").await;
            let report: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(status == StatusCode::OK, report["ready"].as_bool().unwrap());
            if report["ready"] == expected {
                return report;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("readiness does not become {expected}");
    }
}

fn finding<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()
}

#[tokio::test]
async fn a_sidecar_is_ready_once_it_has_read_the_feed_and_not_any_more_without_redis() {
    let mut world = World::on(RedisServer::start().await).await;
    let report = world.until_ready(true).await;
    assert_eq!(finding(&report, "feed")["ok"], true);
    assert_eq!(finding(&report, "persistence")["ok"], false, "not required, but told");
    world.redis.stop();
    let report = world.until_ready(false).await;
    assert_eq!(finding(&report, "redis")["ok"], false);
    assert_eq!(world.get("/healthz").await.0, StatusCode::OK, "the process itself is well");
}

#[tokio::test]
async fn a_redis_that_evicts_makes_a_sidecar_unready() {
    let redis = RedisServer::start_with(&["--save", "", "--maxmemory-policy", "allkeys-lru"]).await;
    let world = World::on(redis).await;
    let report = world.until_ready(false).await;
    assert!(finding(&report, "eviction")["detail"].as_str().unwrap().contains("set it to noeviction"));
}

#[tokio::test]
async fn health_is_as_the_old_gateways() {
    let world = World::on(RedisServer::start().await).await;
    assert_eq!(world.get("/health").await, (StatusCode::OK, r#"{"status":"healthy"}"#.to_owned()));
    let health: Value = serde_json::from_str(&world.get("/healthz").await.1).unwrap();
    assert_eq!((&health["status"], &health["node"]), (&json!("ok"), &json!("test")));
}

#[tokio::test]
async fn metrics_tell_the_feeds_version_and_age() {
    let world = World::on(RedisServer::start().await).await;
    world.until_ready(true).await;
    let (status, text) = world.get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("sekisho_feed_version 0") && text.ends_with("# EOF\n"), "{text}");
}

/// The metrics, once they hold `line`.
async fn until_metric(world: &World, line: &str) -> String {
    for _ in 0..400 {
        let text = world.get("/metrics").await.1;
        if text.lines().any(|found| found == line) {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{line} does not come");
}

#[tokio::test]
async fn metrics_tell_how_many_workers_are_in_which_state_and_that_redis_is_away() {
    let mut world = World::on(RedisServer::start().await).await;
    let text = until_metric(&world, "sekisho_feed_lag_seconds 0.0").await;
    for state in ["live", "loading", "lagging", "fenced", "silent"] {
        assert!(text.contains(&format!("sekisho_workers{{state=\"{state}\"}} 0\n")), "{text}");
    }
    world.redis.stop();
    until_metric(&world, "sekisho_feed_lag_seconds -1.0").await;
}

#[test]
fn metrics_count_changes_by_whether_they_were_acknowledged_in_time() {
    let metrics = Metrics::default();
    for (is_complete, millis) in [(true, 3), (true, 30), (false, 2_000)] {
        metrics.acknowledgement(is_complete, Duration::from_millis(millis));
    }
    let text = metrics.text(&Mirror::default());
    for line in [
        "sekisho_acknowledgements_total{result=\"complete\"} 2",
        "sekisho_acknowledgements_total{result=\"incomplete\"} 1",
        "sekisho_acknowledgement_seconds_bucket{le=\"0.005\"} 1",
        "sekisho_acknowledgement_seconds_count 2",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[tokio::test]
async fn the_log_level_is_changed_only_with_the_mesh_secret() {
    let world = World::on(RedisServer::start().await).await;
    let put = |secret: Option<&str>, body: &str| {
        let mut request = Request::put("/log-level");
        if let Some(secret) = secret {
            request = request.header("authorization", format!("Bearer {secret}"));
        }
        request.body(Body::from(body.to_owned())).unwrap()
    };
    for (secret, body, expected) in [
        (None, r#"{"level":"debug"}"#, StatusCode::UNAUTHORIZED),
        (Some("wrong"), r#"{"level":"debug"}"#, StatusCode::UNAUTHORIZED),
        (Some(MESH_SECRET), r#"{"level":"a=b=c"}"#, StatusCode::BAD_REQUEST),
        (Some(MESH_SECRET), r#"{}"#, StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(world.send(put(secret, body)).await.0, expected, "{secret:?} {body}");
        assert_eq!(world.get("/log-level").await.1, r#"{"level":"info"}"#);
    }
    assert_eq!(world.send(put(Some(MESH_SECRET), r#"{"level":"debug"}"#)).await.0, StatusCode::OK);
    assert_eq!(world.get("/log-level").await.1, r#"{"level":"debug"}"#);
}
