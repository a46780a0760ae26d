//! The mesh as administrators see it.

use super::*;
use crate::domain::feed::{Mark, Stamp};
use crate::service::feed::Feed;
use crate::service::feed::registry::{Presence, Registry, Start};
use crate::store::redis::feed::RedisFeed;
use crate::store::redis::workers::RedisWorkers;

/// A worker whose replica holds this much of the feed.
pub(super) fn presence(id: u8, node: &str, worker: u32, holds: Option<Stamp>) -> Presence {
    Presence {
        replica: sekisho_protocol::ReplicaId::from_bytes([id; 16]),
        node: node.into(),
        worker,
        build: "0.1.0".into(),
        fences: true,
        staleness_ms: 3_000,
        sidecar: "one".into(),
        holds,
        memory_bytes: 3 << 20,
        entries: 2,
        age_ms: Some(12),
    }
}

#[tokio::test]
async fn every_worker_is_shown_with_its_state_by_node_and_number() {
    let world = World::start().await;
    let feed = RedisFeed::new(world.redis.client());
    let ann = sekisho_protocol::Subject::try_from(ANN.to_owned()).unwrap();
    let first = feed.put(&Mark::ban(&ann, FAR)).await.unwrap();
    let last = feed.put(&Mark::ban(&ann, FAR + 1)).await.unwrap();
    let workers = RedisWorkers::new(world.redis.client());
    for (id, node, worker, holds) in [(1, "b", 1, Some(first)), (2, "a", 2, None), (3, "a", 1, Some(last))] {
        workers.record(&presence(id, node, worker, holds), Start::Held).await.unwrap();
    }
    let gone = Presence { staleness_ms: 0, fences: false, ..presence(4, "c", 1, None) };
    workers.record(&gone, Start::Held).await.unwrap();
    let silent = Presence { staleness_ms: 0, ..presence(5, "c", 2, None) };
    workers.record(&silent, Start::Held).await.unwrap();

    let mesh = until_silent(&world).await;
    assert_eq!(keys(&mesh), ["count", "epoch", "limit", "next_cursor", "states", "version", "workers"]);
    assert_eq!(mesh["states"], json!({"live": 1, "loading": 1, "lagging": 1, "fenced": 1, "silent": 1}));
    let rows = mesh["workers"].as_array().unwrap();
    let seen: Vec<Value> =
        rows.iter().map(|row| json!([row["node"], row["worker"], row["state"], row["version"], row["lag"]])).collect();
    let expected = [
        json!(["a", 1, "live", 2, 0]),
        json!(["a", 2, "loading", null, null]),
        json!(["b", 1, "lagging", 1, 1]),
        json!(["c", 1, "silent", null, null]),
        json!(["c", 2, "fenced", null, null]),
    ];
    assert_eq!(seen, expected);
    assert_eq!(
        (&rows[0]["memory_bytes"], &rows[0]["age_ms"], &rows[0]["sidecar"]),
        (&json!(3 << 20), &json!(12), &json!("one"))
    );
}

/// Unix seconds that no clock will reach soon.
const FAR: u64 = 4_000_000_000;

/// The mesh, once the workers whose bound is over count as silent.
async fn until_silent(world: &World) -> Value {
    for _ in 0..400 {
        let mesh = world.root(Method::GET, "/api/admin/mesh", None).await.body;
        if mesh["states"]["fenced"] == 1 && mesh["states"]["silent"] == 1 {
            return mesh;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("nobody counts as silent");
}

#[tokio::test]
async fn the_mesh_is_shown_page_by_page_and_to_administrators_only() {
    let world = World::start().await;
    let workers = RedisWorkers::new(world.redis.client());
    for id in 1..=5 {
        workers.record(&presence(id, "a.node", u32::from(id), None), Start::Held).await.unwrap();
    }
    let (mut path, mut seen) = ("/api/admin/mesh?limit=2".to_owned(), Vec::new());
    loop {
        let page = world.root(Method::GET, &path, None).await.body;
        seen.extend(page["workers"].as_array().unwrap().iter().map(|row| row["worker"].as_u64().unwrap()));
        assert_eq!(page["states"]["loading"], 5, "all are counted on each page");
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/admin/mesh?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    world.root(Method::GET, "/api/admin/mesh?cursor=nonsense", None).await.is_problem(400, "invalid_value");
    assert_eq!(world.user(Method::GET, "/api/admin/mesh", None).await.status, StatusCode::FORBIDDEN);
}
