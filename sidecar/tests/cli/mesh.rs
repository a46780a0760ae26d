//! `sekisho mesh`, and how other commands name workers.

use std::io::{BufRead, BufReader};

use sekisho_protocol::ReplicaId;
use sekisho_sidecar::service::feed::registry::{Presence, Registry, Start};
use sekisho_sidecar::store::redis::workers::RedisWorkers;

use super::*;

/// Puts a worker that reads a snapshot on record, on a node whose name would clear a terminal.
async fn register(redis: &RedisServer, id: u8, worker: u32) {
    let presence = Presence {
        replica: ReplicaId::from_bytes([id; 16]),
        node: "edge\u{1b}[2J".into(),
        worker,
        build: "0.1.0".into(),
        fences: true,
        staleness_ms: 30_000,
        sidecar: "one".into(),
        holds: None,
        memory_bytes: 3 << 20,
        entries: 7,
        age_ms: None,
    };
    let registered = RedisWorkers::new(redis.client()).record(&presence, Start::Held).await;
    registered.expect("a registered worker");
}

#[tokio::test]
async fn the_mesh_is_a_table_of_workers_and_as_json_what_the_api_shows() {
    let redis = RedisServer::start().await;
    let empty = run(on(&redis.url(), &["mesh"]));
    assert_eq!(empty.code, 0, "{}", empty.err);
    assert!(empty.out.contains("no filter listens to the feed"), "{}", empty.out);

    register(&redis, 1, 2).await;
    register(&redis, 2, 1).await;
    let shown = run(on(&redis.url(), &["mesh"])).out;
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.get(1), Some(&"0 live, 2 loading, 0 lagging, 0 fenced, 0 silent"), "{shown}");
    let words = |line: usize| lines.get(line).map(|line| line.split_whitespace().take(3).collect::<Vec<_>>());
    assert_eq!(words(2), Some(vec!["NODE", "WORKER", "STATE"]));
    assert_eq!(words(3), Some(vec!["edge\\u{1b}[2J", "1", "loading"]), "{shown}");
    assert_eq!(words(4), Some(vec!["edge\\u{1b}[2J", "2", "loading"]), "{shown}");
    assert!(shown.contains("3.0 MiB"), "{shown}");

    let mesh = run(on(&redis.url(), &["mesh", "--json"])).json();
    assert_eq!((&mesh["count"], &mesh["states"]["loading"]), (&2.into(), &2.into()));
    let worker = &mesh["workers"][0];
    assert_eq!((&worker["worker"], &worker["entries"], &worker["lag"]), (&1.into(), &7.into(), &Value::Null));
}

#[tokio::test]
async fn the_mesh_is_shown_again_and_again_when_it_is_watched() {
    let redis = RedisServer::start().await;
    let mut watching = on(&redis.url(), &["mesh", "--watch"]).stdout(Stdio::piped()).spawn().expect("the binary runs");
    let lines = BufReader::new(watching.stdout.take().expect("its output")).lines();
    let heads = lines.map_while(Result::ok).filter(|line| line.starts_with("version ")).take(2).count();
    watching.kill().expect("it runs");
    watching.wait().expect("it ends");
    assert_eq!(heads, 2);
}

#[tokio::test]
async fn who_lags_behind_a_ban_is_named_by_node_and_number() {
    let redis = RedisServer::start().await;
    register(&redis, 1, 2).await;
    let banned = run(on(&redis.url(), &["ban", "add", "ann@x.org"]));
    assert_eq!(banned.code, 0, "it is written");
    assert!(banned.err.contains("warning: worker 2 of edge\\u{1b}[2J (0101"), "{}", banned.err);
    let banned = run(on(&redis.url(), &["ban", "add", "bob@x.org", "--json"])).json();
    assert_eq!((&banned["lagging"][0]["worker"], &banned["fenced_workers"]), (&2.into(), &serde_json::json!([])));
}
