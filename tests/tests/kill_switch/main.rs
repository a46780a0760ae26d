//! The promise of the kill switch, on two Envoys with two workers each and two sidecars: once a change is
//! acknowledged, of 100,000 requests that are *sent* after it not one passes; and nobody else is asked
//! anything.
//!
//! Figures are printed: `cargo test -p e2e --test kill_switch -- --nocapture`.

#![expect(clippy::indexing_slicing, reason = "JSON is read by `answer[\"field\"]`, and a story may panic")]

mod senders;

use anyhow::{Context, Result, ensure};
use e2e::{Answer, Plan, Shared, User, World, story};
use reqwest::Method;
use serde_json::{Value, json};

use senders::{Bystanders, CONNECTIONS, Senders};

/// The stories count what all workers do, so they take turns.
static MESH: Shared = Shared::in_turn(|| Plan { envoys: 2, ..Plan::default() });

/// Requests of each case after its acknowledgement, over all workers.
const REQUESTS: u64 = 100_000;

#[test]
fn p7_of_a_hundred_thousand_requests_after_an_acknowledged_ban_not_one_passes() {
    story(&MESH, async |world| {
        let user = world.user();
        not_one_passes(world, "ban", &user.token.text(), async || world.ban(&user).await).await
    });
}

#[test]
fn p7_of_a_hundred_thousand_requests_after_an_acknowledged_revocation_not_one_passes() {
    story(&MESH, async |world| {
        let user = world.user();
        let minted = mint(world, &user).await?;
        let body = json!({"token_id": minted["token_id"]});
        let bearer = minted["token"].as_str().context("no token")?;
        let revoke = async || world.app(Method::POST, "/api/token/revoke", &user.token, Some(&body)).await;
        not_one_passes(world, "revoked token", bearer, revoke).await?;
        // It was this token only.
        world.get("/v1/models", &user.token).await?.received().map(drop)
    });
}

#[test]
fn p7_of_a_hundred_thousand_requests_after_an_acknowledged_logout_not_one_passes() {
    story(&MESH, async |world| {
        let User { email, .. } = world.user();
        let earlier = e2e::token::now() - 10;
        let token = world.token_of(&email).claim("iat", earlier).claim("nbf", earlier);
        let body = json!({"user_email": email});
        let path = "/api/admin/sessions/logout-user";
        let logout = async || world.app(Method::POST, path, &world.admin_token(), Some(&body)).await;
        not_one_passes(world, "not before", &token.text(), logout).await?;
        // They may sign in anew.
        let later = world.token_of(&email).claim("iat", e2e::token::now() + 1);
        world.get("/v1/models", &later).await?.received().map(drop)
    });
}

/// Sends requests with `token` on every worker, makes `change`, and goes on sending: from its
/// acknowledgement on, nothing passes. Others send all the time, and cause no check.
async fn not_one_passes(
    world: &World,
    what: &str,
    token: &str,
    change: impl AsyncFnOnce() -> Result<Answer>,
) -> Result<()> {
    let before = Checks::so_far(world).await?;
    let bystanders = Bystanders::start(world).await?;
    let senders = Senders::start(world, token, REQUESTS).await?;
    senders.until_all_were_let_in().await?;
    ensure!(Checks::so_far(world).await? == before, "somebody was checked before anything had changed");

    let effect = change().await?.json_with(200)?;
    let sums = senders.finish_after_acknowledgement().await?;
    let passed = bystanders.stop().await?;
    let checks = Checks::so_far(world).await?.since(before);

    eprintln!("{what}: acknowledged by {} of {} workers", effect["acknowledged"], effect["workers"]);
    eprintln!("{what}: {sums}");
    eprintln!("{what}: {passed} requests of others, {checks:?}");
    sums.expect_nothing_passed(REQUESTS, world)?;
    checks.expect_only_confirmations(world)
}

async fn mint(world: &World, user: &User) -> Result<Value> {
    let body = json!({"token_name": "a story"});
    world.app(Method::POST, "/api/token/generate", &user.token, Some(&body)).await?.json_with(200)
}

/// Checks that sidecars answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Checks {
    /// With a denial.
    denied: u64,
    /// In another way.
    others: u64,
}

impl Checks {
    async fn so_far(world: &World) -> Result<Self> {
        let denied = world.checks(&[("outcome", "deny")]).await?;
        Ok(Self { denied, others: world.checks(&[]).await? - denied })
    }

    fn since(self, before: Self) -> Self {
        Self { denied: self.denied - before.denied, others: self.others - before.others }
    }

    /// Each check was the confirmation of a hit. A check for somebody who is not barred would have been
    /// answered otherwise, and so none was made. A worker confirms a hit once, but for requests that were
    /// under way before.
    fn expect_only_confirmations(self, world: &World) -> Result<()> {
        let workers: u64 = world.envoys.iter().map(|envoy| u64::from(envoy.workers())).sum();
        let most = workers * CONNECTIONS as u64;
        ensure!(self.others == 0, "others were checked: {self:?}");
        ensure!((1..=most).contains(&self.denied), "{self:?}: more than {most}");
        Ok(())
    }
}
