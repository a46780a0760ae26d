//! Senders who never come to an end.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::stream::{self, StreamExt as _};
use tokio::time::{Instant, sleep};

use super::*;

/// A body of which a byte comes every ten seconds. As soon as it is read, time stands still, and jumps to the next
/// moment for which somebody waits; before, Redis needs it.
fn slow() -> Body {
    let first = stream::once(async {
        tokio::time::pause();
        Ok::<_, Infallible>(Bytes::from_static(b"{"))
    });
    Body::from_stream(first.chain(stream::repeat(()).then(async |()| {
        sleep(Duration::from_secs(10)).await;
        Ok(Bytes::from_static(b" "))
    })))
}

/// A body that begins and never goes on.
fn endless() -> Body {
    let first = stream::once(async {
        tokio::time::pause();
        Ok::<_, Infallible>(Bytes::from_static(b"{"))
    });
    Body::from_stream(first.chain(stream::pending()))
}

#[tokio::test]
async fn a_call_whose_body_does_not_come_is_given_up() {
    for (what, body, is_keyed) in
        [("slow", slow(), false), ("endless", endless(), false), ("slow", slow(), true), ("endless", endless(), true)]
    {
        let world = World::start().await;
        let request = if is_keyed { post(GENERATE).header("idempotency-key", "k") } else { post(GENERATE) };
        let started = Instant::now();
        world.send(request.body(body).unwrap()).await.is_problem(503, "unavailable");
        let took = started.elapsed();
        assert!((120..=131).contains(&took.as_secs()), "{what}: {took:?}");
        tokio::time::resume();
    }
}
