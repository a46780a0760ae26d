//! The records of logouts, on a real Redis.

use tokio::task::JoinSet;

use super::*;
use crate::domain::feed::not_before_end;
use crate::testing::RedisServer;

fn ann() -> Subject {
    Subject::try_from("Ann@X.org".to_owned()).unwrap()
}

async fn raise_to(store: &RedisNotBefore, moment: u64) -> u64 {
    let until = UnixSeconds(not_before_end(moment));
    store.raise(&ann(), UnixSeconds(moment), until).await.unwrap().get()
}

#[tokio::test]
async fn p10_a_logout_is_on_record_until_no_token_from_before_it_is_alive() {
    let server = RedisServer::start().await;
    let (store, mut redis) = (RedisNotBefore::new(server.client()), server.client().shared());
    let moment = UnixSeconds::now().get();
    assert_eq!(raise_to(&store, moment).await, moment);
    let value: u64 = redis.get("sekisho:not_before:ann@x.org").await.unwrap();
    assert_eq!(value, moment);
    let ends: u64 = redis::cmd("EXPIRETIME").arg("sekisho:not_before:ann@x.org").query_async(&mut redis).await.unwrap();
    assert_eq!(ends, not_before_end(moment));
    assert_eq!(store.issued_before(&ann()).await.unwrap(), Some(UnixSeconds(moment)));
}

#[tokio::test]
async fn a_moment_on_record_is_never_lowered_and_each_logout_moves_it_on() {
    let server = RedisServer::start().await;
    let store = RedisNotBefore::new(server.client());
    let now = UnixSeconds::now().get();
    for (wanted, expected) in [(now, now), (now - 9, now + 1), (now, now + 2), (now + 2, now + 3), (now + 9, now + 9)] {
        assert_eq!(raise_to(&store, wanted).await, expected, "after {wanted}");
    }
}

#[tokio::test]
async fn p10_a_record_that_is_written_back_shortens_none_that_is_later() {
    let server = RedisServer::start().await;
    let (store, mut redis) = (RedisNotBefore::new(server.client()), server.client().shared());
    let now = UnixSeconds::now().get();
    raise_to(&store, now + 50).await;
    let kept: u64 = restore("ann@x.org", now, not_before_end(now)).invoke_async(&mut redis).await.unwrap();
    let ends: u64 = redis::cmd("EXPIRETIME").arg("sekisho:not_before:ann@x.org").query_async(&mut redis).await.unwrap();
    assert_eq!((kept, ends), (now + 50, not_before_end(now + 50)));
}

#[tokio::test]
async fn of_many_who_write_at_once_none_is_undone_by_another() {
    let server = RedisServer::start().await;
    let (now, mut racing) = (UnixSeconds::now().get(), JoinSet::new());
    for n in 0..50 {
        let store = RedisNotBefore::new(server.client());
        // In no order.
        racing.spawn(async move { raise_to(&store, now + n * 7 % 50).await });
    }
    let moments = racing.join_all().await;
    assert_eq!(moments.iter().collect::<BTreeSet<_>>().len(), 50, "each is later than those before it");
    let store = RedisNotBefore::new(server.client());
    let latest = moments.into_iter().max().filter(|latest| *latest >= now + 49);
    assert_eq!(store.issued_before(&ann()).await.unwrap(), latest.map(UnixSeconds));
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_alone_and_left_out_of_a_list() {
    let server = RedisServer::start().await;
    let (store, mut redis) = (RedisNotBefore::new(server.client()), server.client().shared());
    let _: () = redis.set("sekisho:not_before:ann@x.org", "soon").await.unwrap();
    let _: () = redis.sadd("sekisho:not_before:bob@x.org", 7).await.unwrap();
    let _: () = redis.set("sekisho:not_before:eve@x.org", 7).await.unwrap();
    assert!(store.issued_before(&ann()).await.is_err());
    let names = BTreeSet::from(["ann@x.org", "bob@x.org", "eve@x.org", "zoe@x.org"]);
    assert_eq!(of_all(&mut redis, NOT_BEFORE_RECORD, names).await.unwrap(), BTreeMap::from([("eve@x.org", 7)]));
    let now = UnixSeconds::now().get();
    assert_eq!(raise_to(&store, now).await, now, "the next logout repairs it");
}
