//! The records of keysets, on a real Redis.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use sekisho_protocol::keyset::Jwk;
use serde_json::{Value, json};

use super::*;
use crate::domain::keyset::Origin;
use crate::domain::keyset::source::{Place, Source};
use crate::service::feed::mirror::Mirror;
use crate::service::keysets::Keysets;
use crate::service::keysets::origin::{Document, Effort, Fetched, KeyOrigin, Unfetched};
use crate::service::keysets::publish::Publisher;
use crate::service::metrics::Metrics;
use crate::store::redis::feed::RedisFeed;
use crate::test_provider::{given_away, key};
use crate::testing::RedisServer;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(30);

fn google() -> SourceName {
    SourceName::parse("google").unwrap()
}

fn record(revision: u64) -> KeysetRecord {
    let key = Jwk { kty: "EC".into(), kid: Some("a".into()), ..Jwk::default() };
    KeysetRecord { revision, keys: vec![key], ..KeysetRecord::default() }
}

#[tokio::test]
async fn a_record_is_what_was_written_last_and_has_no_end() {
    let server = RedisServer::start().await;
    let (store, mut redis) = (RedisKeysets::new(server.client()), server.client().shared());
    assert_eq!(store.look(&google()).await.unwrap(), Look::default());
    let turn = store.take_turn(&google(), LONG).await.unwrap().unwrap();
    for revision in [7, 9] {
        assert!(store.write(&turn, &record(revision)).await.unwrap());
        assert_eq!(store.look(&google()).await.unwrap().record, Some(record(revision)));
    }
    let life: i64 = redis.ttl("sekisho:keyset:{google}").await.unwrap();
    assert_eq!(life, -1);
}

#[tokio::test]
async fn turns_of_one_source_exclude_each_other_and_end_by_themselves() {
    let server = RedisServer::start().await;
    let store = RedisKeysets::new(server.client());
    let first = store.take_turn(&google(), SHORT).await.unwrap().unwrap();
    assert_eq!(store.take_turn(&google(), SHORT).await.unwrap(), None);
    assert!(store.take_turn(&SourceName::own(), SHORT).await.unwrap().is_some(), "another source's");
    let second = loop {
        if let Some(turn) = store.take_turn(&google(), LONG).await.unwrap() {
            break turn;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(!store.write(&first, &record(1)).await.unwrap(), "its turn is over");
    store.end_turn(first).await.unwrap();
    assert!(store.write(&second, &record(2)).await.unwrap(), "nobody else can end it");
    store.end_turn(second).await.unwrap();
    assert!(store.take_turn(&google(), LONG).await.unwrap().is_some());
}

#[tokio::test]
async fn one_question_at_a_time_is_asked() {
    let server = RedisServer::start().await;
    let store = RedisKeysets::new(server.client());
    let (first, is_first) = store.ask(&google(), LONG).await.unwrap();
    let (second, is_second) = store.ask(&google(), LONG).await.unwrap();
    assert_eq!((is_first, is_second, &second.id), (true, false, &first.id));
    assert!(second.left > Duration::from_secs(50) && second.left <= LONG, "{second:?}");
    assert_eq!(store.look(&google()).await.unwrap().question.map(|question| question.id), Some(first.id));
    let (other, is_other) = store.ask(&SourceName::own(), SHORT).await.unwrap();
    assert!(is_other);
    while store.look(&SourceName::own()).await.unwrap().question.is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_ne!(store.ask(&SourceName::own(), SHORT).await.unwrap().0.id, other.id);
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error() {
    let server = RedisServer::start().await;
    let (store, mut redis) = (RedisKeysets::new(server.client()), server.client().shared());
    for text in ["soon", "{}", r#"{"revision":-1,"keys":[]}"#] {
        let _: () = redis.set("sekisho:keyset:{google}", text).await.unwrap();
        assert!(matches!(store.look(&google()).await, Err(StoreError::Corrupt { .. })), "{text}");
    }
}

/// The file of one machine.
struct OneFile(Mutex<Result<Document, Unfetched>>);

impl OneFile {
    fn write(&self, kid: &str, modified_at_ms: u64) {
        self.write_keys(vec![key(kid)], modified_at_ms);
    }

    fn write_keys(&self, keys: Vec<Value>, modified_at_ms: u64) {
        let body = json!({ "keys": keys }).to_string().into_bytes();
        *self.0.lock().unwrap() = Ok(Document { body, modified_at_ms: Some(modified_at_ms), ..Document::default() });
    }

    fn remove(&self) {
        *self.0.lock().unwrap() = Err(Unfetched("no such file".into()));
    }
}

#[async_trait]
impl KeyOrigin for OneFile {
    async fn fetch(&self, _: &Place, _: &Origin, _: Effort) -> Result<Fetched, Unfetched> {
        self.0.lock().unwrap().clone().map(Fetched::Document)
    }
}

/// A sidecar on a machine of its own.
struct Machine {
    file: Arc<OneFile>,
    keysets: Keysets,
}

impl Machine {
    fn new(server: &RedisServer, kid: &str, modified_at_ms: u64) -> Self {
        Self::at("/etc/keys.json", server, kid, modified_at_ms)
    }

    fn at(path: &str, server: &RedisServer, kid: &str, modified_at_ms: u64) -> Self {
        let (store, feed) = (Arc::new(RedisKeysets::new(server.client())), Arc::new(RedisFeed::new(server.client())));
        let publisher = Publisher::new(store.clone(), feed, Mirror::default());
        let source = Source {
            name: google(),
            place: Place::File(PathBuf::from(path)),
            refresh: LONG,
            refetch_interval: LONG,
            timeout: LONG,
        };
        let file = Arc::new(OneFile(Mutex::new(Ok(Document::default()))));
        file.write(kid, modified_at_ms);
        let keysets = Keysets::new(&[source], store, file.clone(), publisher, Mirror::default(), Metrics::default());
        Self { file, keysets }
    }

    /// What is on record once this one has looked at its file.
    async fn look(&self) -> KeysetRecord {
        self.keysets.tend(&google()).await.unwrap();
        let all = self.keysets.overview().await.unwrap();
        all.into_iter().find(|source| source.source == google()).unwrap().record
    }

    async fn sees(&self, kid: &str) {
        assert!(self.look().await.has_kid(kid), "{kid}");
    }
}

#[tokio::test]
async fn of_different_files_the_one_that_was_changed_last_counts_and_nobody_undoes_it() {
    let server = RedisServer::start().await;
    let (a, b) = (Machine::new(&server, "1", 100), Machine::new(&server, "1", 100));
    a.sees("1").await;
    let first = b.look().await;
    a.file.write("2", 200);
    a.sees("2").await;
    for _ in 0..3 {
        b.sees("2").await;
        a.sees("2").await;
    }
    b.file.write("2", 205);
    assert!(b.look().await.revision > first.revision);
    let settled = a.look().await;
    // Whoever starts with an old file does not bring it back; whoever starts with a new one does.
    assert_eq!(Machine::new(&server, "1", 150).look().await.revision, settled.revision);
    let d = Machine::new(&server, "3", 300);
    d.sees("3").await;
    a.sees("3").await;
    // Back to a copy from before: its date is old, but it was changed.
    a.file.write("1", 100);
    a.sees("1").await;
    for machine in [&b, &d, &a] {
        machine.sees("1").await;
    }
}

#[tokio::test]
async fn a_file_that_one_machine_lacks_is_in_nobodys_way() {
    let server = RedisServer::start().await;
    let (a, b) = (Machine::new(&server, "1", 100), Machine::new(&server, "1", 100));
    a.file.remove();
    assert_eq!(a.look().await.origin.failure.as_deref(), Some("no such file"), "there is no other");
    b.sees("1").await;
    let record = b.look().await;
    assert_eq!(a.look().await, record);
    assert_eq!(record.origin.failure, None);
}

#[tokio::test]
async fn a_key_whose_private_part_is_in_the_file_is_in_force_no_longer() {
    let server = RedisServer::start().await;
    let (a, b) = (Machine::new(&server, "1", 100), Machine::new(&server, "1", 100));
    b.sees("1").await;
    let before = a.look().await;
    a.file.write_keys(vec![given_away("1")], 200);
    let record = a.look().await;
    assert!(record.keys.is_empty() && record.revision > before.revision, "{record:?}");
    for machine in [&b, &a, &b] {
        assert_eq!(machine.look().await.revision, record.revision, "nobody brings it back");
    }
}

#[tokio::test]
async fn a_source_that_is_pointed_at_an_empty_file_has_no_keys_any_more() {
    let server = RedisServer::start().await;
    let before = Machine::new(&server, "1", 100).look().await;
    assert!(before.has_kid("1"));
    let moved = Machine::at("/etc/none.json", &server, "1", 100);
    moved.file.write_keys(Vec::new(), 200);
    let record = moved.look().await;
    assert!(record.keys.is_empty() && record.revision > before.revision, "{record:?}");
    assert_eq!(moved.look().await.revision, record.revision);
}
