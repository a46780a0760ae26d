//! `sekisho doctor`.

use super::*;

fn doctor(url: &str, more: &[(&str, &str)]) -> Ended {
    let mut command = on(url, &["doctor", "--json"]);
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    command.env("SEKISHO_ENVOY_ADMIN", &nowhere).env("SEKISHO_SIDECARS", &nowhere).envs(more.iter().copied());
    run(command)
}

fn status<'a>(report: &'a Value, name: &str) -> Vec<&'a str> {
    let checks = report["checks"].as_array().expect("checks");
    let of = checks.iter().filter(|check| check["name"] == name);
    of.map(|check| check["status"].as_str().expect("a status")).collect()
}

#[tokio::test]
async fn what_is_missing_is_3_and_each_check_says_what_to_do() {
    let redis = RedisServer::start().await;
    let ended = doctor(&redis.url(), &[]);
    assert_eq!(ended.code, 3, "{}", ended.err);
    let report = ended.json();
    assert_eq!(report["ok"], false);
    for (name, expected) in [
        ("redis", "ok"),
        ("redis role", "ok"),
        ("redis persistence", "fail"),
        ("redis eviction", "ok"),
        ("redis notices", "warn"),
        ("clock", "ok"),
        ("SEKISHO_MESH_SECRET", "warn"),
        ("JWT_SECRET", "warn"),
        ("signing keys", "ok"),
        ("envoy", "fail"),
        ("filters", "fail"),
        ("sidecar", "fail"),
    ] {
        assert_eq!(status(&report, name), [expected], "{name}: {report:#}");
    }
    assert!(!ended.out.contains(MESH_SECRET) && !ended.out.contains(JWT_SECRET));
}

#[tokio::test]
async fn without_redis_the_doctor_still_looks_at_the_rest() {
    let ended = doctor(&format!("redis://127.0.0.1:{}", free_port()), &[]);
    assert_eq!(ended.code, 3, "{}", ended.err);
    let report = ended.json();
    for name in ["redis", "filters", "envoy", "sidecar"] {
        assert_eq!(status(&report, name), ["fail"], "{name}");
    }
}

#[tokio::test]
async fn a_running_sidecar_is_found_with_its_version() {
    let redis = RedisServer::start_with(&["--appendonly", "yes"]).await;
    let sidecar = Sidecar::start(&redis.url()).await;
    let report = doctor(&redis.url(), &[("SEKISHO_SIDECARS", &sidecar.ops)]).json();
    assert_eq!(status(&report, "sidecar"), ["ok"], "{report:#}");
    assert_eq!(status(&report, "redis persistence"), ["ok"]);
    assert_eq!(status(&report, "redis notices"), ["ok"], "the sidecar switched them on");
    let detail = report["checks"].as_array().and_then(|checks| checks.last()).map(|check| &check["detail"]);
    assert!(detail.is_some_and(|detail| detail.as_str().is_some_and(|text| text.contains(env!("CARGO_PKG_VERSION")))));
}

#[tokio::test]
async fn text_is_one_line_for_each_check() {
    let redis = RedisServer::start().await;
    let ended = run(on(&redis.url(), &["doctor"]));
    assert_eq!(ended.code, 3);
    for line in ended.out.lines() {
        assert!(["ok    ", "warn  ", "FAIL  "].iter().any(|mark| line.starts_with(mark)), "{line}");
    }
}
