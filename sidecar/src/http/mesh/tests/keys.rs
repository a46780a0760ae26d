//! Questions for keys: what a provider publishes reaches filters, and what it should not publish does not.

use std::sync::Arc;

use sekisho_core::identity::key::published;
use sekisho_protocol::feed::{FOREVER, Kind};
use sekisho_protocol::keyset::{KeysReply, Standing};
use tokio::task::JoinSet;

use super::*;
use crate::domain::audit::By;
use crate::domain::feed::write::Says;
use crate::domain::keyset::{KeysetRecord, SourceName};
use crate::domain::signing::Algorithm;
use crate::test_provider::{Mood, Provider};
use crate::testing::ENCRYPTION_KEY;

mod lost;
mod rotation;
mod trouble;

/// A source named `idp` at the provider, with more settings.
fn at(provider: &Provider, more: &str) -> String {
    let uri = provider.url("/keys");
    format!(r#"[{{"name":"idp","jwks_uri":"{uri}","allow_http":true{more}}}]"#)
}

/// A sidecar that fetches from the provider.
async fn with_source(sources: &str) -> World {
    World::with(&[("SEKISHO_KEY_SOURCES", sources)]).await
}

fn idp() -> SourceName {
    SourceName::parse("idp").unwrap()
}

fn kids(reply: &KeysReply) -> Vec<&str> {
    reply.keys.iter().filter_map(|key| key.kid.as_deref()).collect()
}

impl World {
    async fn ask(&self, source: &str, kid: Option<&str>) -> Response {
        let kid = kid.map_or_else(String::new, |kid| format!("&kid={kid}"));
        self.get(&format!("/v1/keys?replica={}&source={source}{kid}", "0".repeat(32))).await
    }

    /// The answer to a question about `idp`.
    async fn keys(&self, kid: Option<&str>) -> KeysReply {
        let response = self.ask("idp", kid).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }

    /// The revision that this sidecar's copy of the feed tells of.
    fn marker(&self) -> Option<u64> {
        self.services.mirror.look(|state, _| match state.holding(Kind::Keyset, "idp", 0) {
            Some(Says::Holds { until: FOREVER, floor }) => Some(floor),
            _ => None,
        })?
    }

    /// Waits for what the feed says to be what is on record.
    async fn until_marked(&self, revision: u64) {
        until("the marker", || self.marker() == Some(revision)).await;
    }

    /// What is on record about `idp`.
    async fn record(&self) -> KeysetRecord {
        let all = self.services.keysets.overview().await.unwrap();
        all.into_iter().find(|source| source.source == idp()).unwrap().record
    }

    /// Lets the set's life be over.
    async fn make_due(&self) {
        self.services.keysets.refresh(&idp()).await.unwrap();
    }

    async fn overwrite(&self, record: &KeysetRecord) {
        let text = serde_json::to_string(record).unwrap();
        self.redis(&["SET", "sekisho:keyset:{idp}", &text]).await;
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} does not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a source's record is so.
async fn until_record(world: &World, what: &str, holds: impl Fn(&KeysetRecord) -> bool) -> KeysetRecord {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let record = world.record().await;
        if holds(&record) {
            return record;
        }
        assert!(Instant::now() < deadline, "{what} does not come: {record:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn keys_are_fetched_at_the_start_announced_and_answered_from_the_record() {
    let provider = Provider::start("a").await;
    let world = with_source(&at(&provider, "")).await;
    let reply = world.keys(None).await;
    assert_eq!((reply.standing, kids(&reply), reply.ask_again_ms), (Standing::Current, vec!["a"], 0));
    world.until_marked(reply.revision).await;
    for kid in [None, Some("a")] {
        assert_eq!(world.keys(kid).await, reply);
    }
    assert_eq!(provider.fetches(), 1, "only one sidecar asks, and only once");
    let text = world.services.metrics.text(&world.services.mirror);
    assert!(text.contains(r#"sekisho_keyset_fetches_total{source="idp",outcome="changed"} 1"#), "{text}");
    until("the gauge", || {
        world.services.metrics.text(&world.services.mirror).contains(r#"sekisho_keyset_keys{source="idp"} 1"#)
    })
    .await;
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_refused() {
    let world = with_source("[]").await;
    for (source, kid) in [("", None), ("a%20b", None), (&*"a".repeat(129), None), ("idp", Some("k".repeat(257)))] {
        assert_eq!(world.ask(source, kid.as_deref()).await.status(), StatusCode::BAD_REQUEST, "{source} {kid:?}");
    }
    assert_eq!(world.get("/v1/keys?source=idp").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_source_that_is_not_or_no_longer_configured_is_unknown() {
    let provider = Provider::start("a").await;
    let world = with_source(&at(&provider, "")).await;
    world.keys(None).await;
    world.closing.cancel();
    let without = world.beside(&[]).await;
    for (source, kid) in [("idp", None), ("idp", Some("a")), ("nobody", None), ("sekisho", Some("a"))] {
        let reply: KeysReply = without.ask(source, kid).await.json().await.unwrap();
        assert_eq!((reply.standing, reply.revision, reply.keys.len()), (Standing::Unknown, 0, 0), "{source} {kid:?}");
        assert!(reply.ask_again_ms > 0, "asking again at once is of no use");
    }
}

#[tokio::test]
async fn our_own_keys_are_answered_like_others_and_never_fetched() {
    let world = World::with(&[("REDIS_ENCRYPTION_KEY", ENCRYPTION_KEY)]).await;
    let added =
        world.services.signing_keys.add(Algorithm::Es256, By::operator("test"), UnixSeconds::now()).await.unwrap();
    let own = added.key.kid.to_string();
    let of_assertions = published(MESH_SECRET.as_bytes()).swap_remove(0).kid;
    for kid in [None, Some(own.as_str()), Some("other"), of_assertions.as_deref()] {
        let reply: KeysReply = world.ask("sekisho", kid).await.json().await.unwrap();
        assert_eq!((reply.standing, kids(&reply)), (Standing::Current, vec![own.as_str()]), "{kid:?}");
        assert!(reply.ask_again_ms > 0);
    }
}

#[tokio::test]
async fn p5_a_check_under_older_keys_than_those_announced_decides_nothing() {
    let provider = Provider::start("a").await;
    let world = with_source(&at(&provider, "")).await;
    let revision = world.keys(None).await.revision;
    world.until_marked(revision).await;
    for (source, held, expected) in [
        ("idp", revision - 1, StatusCode::SERVICE_UNAVAILABLE),
        ("idp", revision, StatusCode::OK),
        ("idp", revision + 1, StatusCode::OK),
        ("other", 1, StatusCode::OK),
    ] {
        let check = json!({"protocol": 1, "replica": "0".repeat(32), "route": "llm", "subject": "ann@x",
            "keys": {"source": source, "revision": held}});
        assert_eq!(world.post("/v1/check", &check).await.status(), expected, "{source} {held}");
    }
}
