//! Following a real Redis through growth, gaps, restarts and loss.

use sekisho_protocol::feed::Kind;
use sekisho_protocol::{Subject, keys};

use super::*;
use crate::domain::feed::Mark;
use crate::service::feed::Feed;
use crate::store::redis::feed::RedisFeed;
use crate::store::redis::source::RedisFeedSource;
use crate::testing::RedisServer;

struct Sidecar {
    follower: Follower<RedisFeedSource>,
    mirror: Mirror,
}

impl Sidecar {
    fn of(server: &RedisServer) -> Self {
        let mirror = Mirror::default();
        let key = keys::digest_key(b"a mesh secret of at least thirty-two bytes");
        Self { follower: Follower::new(RedisFeedSource::new(server.client()), mirror.clone(), key), mirror }
    }

    /// Steps until nothing fails and nothing changes any more.
    async fn settle(&mut self) {
        let mut calm = 0;
        for _ in 0..200 {
            let before = self.mirror.stamp();
            let step = self.follower.step().await;
            calm = if step.is_ok() && self.mirror.stamp() == before { calm + 1 } else { 0 };
            if calm == 2 {
                return;
            }
        }
        panic!("the feed does not settle");
    }

    fn version(&self) -> u64 {
        self.mirror.stamp().unwrap().version.get()
    }

    fn bans(&self, name: &str) -> bool {
        let now = UnixSeconds::now().get();
        self.mirror.look(|state, _| state.holding(Kind::Ban, name, now).is_some()).unwrap()
    }
}

fn ban(name: &str) -> Mark {
    let subject = Subject::try_from(name.to_owned()).unwrap();
    Mark::ban(&subject, UnixSeconds::now().get() + 600)
}

async fn command(server: &RedisServer, words: &[&str]) {
    let mut connection = server.client().dedicated().await.unwrap();
    let mut cmd = redis::cmd(words[0]);
    for word in &words[1..] {
        cmd.arg(word);
    }
    cmd.exec_async(&mut connection).await.unwrap();
}

#[tokio::test]
async fn the_copy_grows_with_the_feed() {
    let server = RedisServer::start().await;
    let (feed, mut sidecar) = (RedisFeed::new(server.client()), Sidecar::of(&server));
    sidecar.settle().await;
    feed.put(&ban("ann@x")).await.unwrap();
    let bob = feed.put(&ban("bob@x")).await.unwrap();
    feed.lift(Kind::Ban, "bob@x", bob.version).await.unwrap();
    sidecar.settle().await;
    assert!(sidecar.bans("ann@x") && !sidecar.bans("bob@x"));
    assert_eq!(sidecar.version(), 3);
}

#[tokio::test]
async fn p4_the_copys_age_is_that_of_the_last_read_with_success() {
    let mut server = RedisServer::start().await;
    let mut sidecar = Sidecar::of(&server);
    sidecar.settle().await;
    assert!(sidecar.mirror.age().unwrap() < Duration::from_millis(250));
    server.stop();
    for _ in 0..3 {
        assert!(sidecar.follower.step().await.is_err());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(sidecar.mirror.age().unwrap() >= Duration::from_millis(300));
    assert!(sidecar.mirror.stamp().is_some(), "what is held stays");
}

#[tokio::test]
async fn p1_a_stream_with_a_gap_is_not_read_over_but_loaded_anew() {
    let server = RedisServer::start().await;
    let (feed, mut sidecar) = (RedisFeed::new(server.client()), Sidecar::of(&server));
    feed.put(&ban("ann@x")).await.unwrap();
    sidecar.settle().await;
    let epoch = sidecar.mirror.stamp().unwrap().epoch;
    for name in ["bob@x", "cid@x", "dan@x"] {
        feed.put(&ban(name)).await.unwrap();
    }
    command(&server, &["XDEL", "sekisho:{feed}:stream", "2-0"]).await;
    sidecar.settle().await;
    assert!(["ann@x", "bob@x", "cid@x", "dan@x"].into_iter().all(|name| sidecar.bans(name)));
    assert_eq!(sidecar.mirror.stamp().unwrap(), Stamp { epoch, version: Version::new(4) });
}

#[tokio::test]
async fn p1_a_stream_that_lacks_its_end_is_noticed() {
    let server = RedisServer::start().await;
    let (feed, mut sidecar) = (RedisFeed::new(server.client()), Sidecar::of(&server));
    sidecar.settle().await;
    feed.put(&ban("ann@x")).await.unwrap();
    command(&server, &["XDEL", "sekisho:{feed}:stream", "1-0"]).await;
    sidecar.settle().await;
    assert!(sidecar.bans("ann@x"));
}

#[tokio::test]
async fn p2_after_a_loss_of_everything_a_new_epoch_holds_what_was_held() {
    let server = RedisServer::start().await;
    let (feed, mut one, mut two) = (RedisFeed::new(server.client()), Sidecar::of(&server), Sidecar::of(&server));
    feed.put(&ban("ann@x")).await.unwrap();
    let bob = feed.put(&ban("bob@x")).await.unwrap();
    one.settle().await;
    // The other one stays behind: it has not heard that bob's ban was lifted.
    two.settle().await;
    feed.lift(Kind::Ban, "bob@x", bob.version).await.unwrap();
    one.settle().await;
    let old = one.mirror.stamp().unwrap();
    command(&server, &["FLUSHALL"]).await;
    two.settle().await;
    one.settle().await;
    two.settle().await;
    assert_ne!(one.mirror.stamp().unwrap().epoch, old.epoch);
    assert_eq!(one.mirror.stamp(), two.mirror.stamp());
    assert!(one.version() > old.version.get());
    for sidecar in [&one, &two] {
        assert!(sidecar.bans("ann@x") && !sidecar.bans("bob@x"));
    }
    command(&server, &["PERSIST", "active_user_deleted:ann@x"]).await;
}

#[tokio::test]
async fn p2_after_a_restart_with_an_older_file_what_was_lost_comes_back() {
    let settings = ["--save", "", "--appendonly", "no"];
    let mut server = RedisServer::start_with(&settings).await;
    let (feed, mut sidecar) = (RedisFeed::new(server.client()), Sidecar::of(&server));
    feed.put(&ban("ann@x")).await.unwrap();
    sidecar.settle().await;
    let old = sidecar.mirror.stamp().unwrap();
    command(&server, &["SAVE"]).await;
    feed.put(&ban("bob@x")).await.unwrap();
    sidecar.settle().await;
    server.restart(&settings).await;
    sidecar.settle().await;
    assert_ne!(sidecar.mirror.stamp().unwrap().epoch, old.epoch);
    assert!(sidecar.bans("ann@x") && sidecar.bans("bob@x"));
    let bob = RedisFeed::new(server.client()).entry(Kind::Ban, "bob@x").await.unwrap();
    assert!(bob.is_some(), "it is in Redis again");
}

#[tokio::test]
async fn p2_a_write_that_begins_an_epoch_after_a_loss_is_joined_with_what_was_held() {
    let server = RedisServer::start().await;
    let (feed, mut sidecar) = (RedisFeed::new(server.client()), Sidecar::of(&server));
    feed.put(&ban("ann@x")).await.unwrap();
    sidecar.settle().await;
    command(&server, &["FLUSHALL"]).await;
    let bob = feed.put(&ban("bob@x")).await.unwrap();
    sidecar.settle().await;
    assert_eq!(sidecar.mirror.stamp().unwrap().epoch, bob.epoch);
    assert!(sidecar.bans("ann@x") && sidecar.bans("bob@x"));
}

#[tokio::test]
async fn a_replica_of_redis_is_not_followed() {
    let (master, server) = (RedisServer::start().await, RedisServer::start().await);
    let mut sidecar = Sidecar::of(&server);
    sidecar.settle().await;
    let port = master.url().rsplit(':').next().unwrap().to_owned();
    command(&server, &["REPLICAOF", "127.0.0.1", &port]).await;
    assert!(sidecar.follower.step().await.is_err());
}

#[tokio::test]
async fn a_large_feed_comes_whole() {
    let server = RedisServer::start().await;
    let (feed, mut sidecar) = (RedisFeed::new(server.client()), Sidecar::of(&server));
    sidecar.settle().await;
    for n in 0..2_500 {
        feed.put(&ban(&format!("p{n}@x"))).await.unwrap();
    }
    sidecar.settle().await;
    assert_eq!(sidecar.version(), 2_500);
    command(&server, &["FLUSHALL"]).await;
    sidecar.settle().await;
    assert!(sidecar.bans("p0@x") && sidecar.bans("p2499@x"));
    assert_eq!(sidecar.mirror.look(|state, _| state.filed()).unwrap(), 2_500);
}
