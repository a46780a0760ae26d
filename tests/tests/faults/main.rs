//! What happens when parts fail, stand still, or lose what they knew, while requests flow: nobody who is
//! banned gets in.
//!
//! One module a part that fails. These stories kill and wait, so they are apart from the others.

#![expect(clippy::indexing_slicing, reason = "JSON is read by `answer[\"field\"]`, and a story may panic")]

mod crowd;
mod encryption;
mod envoys;
mod exchanges;
mod fail_points;
mod hot_restart;
#[path = "../people/sessions.rs"]
mod people;
mod pushes;
mod redis;
mod sessions;
mod sidecars;
mod sign_ins;
mod signing_keys;
mod traps;

use std::time::Duration;

use anyhow::Result;
use e2e::{User, World};
use serde_json::Value;

/// The staleness bound that users run.
const STALENESS: Duration = Duration::from_secs(3);
/// In which time a worker notices what is away, and everything is as before once it is back.
const NOTICED: Duration = Duration::from_secs(15);

/// The path of ordinary requests: where nothing can be checked, nothing passes.
const DENY: &str = "/v1/models";
/// A path of [`with_available_route`](e2e::world::plan::with_available_route).
const ALLOW: &str = "/available/x";

/// A staleness bound that is so much longer than a change waits for acknowledgements that whoever fell
/// silent just before it still counts when the answer comes, however slow the machine is.
fn with_a_long_bound(policy: &mut Value) {
    policy["mesh"]["staleness_ms"] = 6_000.into();
}

/// Waits until nothing can be checked any more, so that `user` gets 503.
async fn until_unavailable(world: &World, user: &User) -> Result<()> {
    world.until_answered(&user.token, 503, NOTICED).await.map(drop)
}
