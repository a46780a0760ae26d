//! Who sends requests while parts fail: somebody good all the time, others until they are banned.

use anyhow::{Context, Result, ensure};
use e2e::sidecar::Sidecar;
use e2e::{Load, User, World};
use serde_json::Value;
use tokio::time::Instant;

use crate::{DENY, NOTICED};

/// How many can be banned in the course of a story.
const NOT_BANNED_YET: usize = 4;

/// The users of one story, and the load that they cause on every Envoy.
pub(crate) struct Crowd {
    pub(crate) good: User,
    load: Load,
    not_banned_yet: Vec<User>,
    /// Who is banned, and since when it is acknowledged.
    banned: Vec<(User, Instant)>,
}

impl Crowd {
    /// Everybody is let in; then one of them is banned, and that is acknowledged.
    pub(crate) async fn gather(world: &World) -> Result<Self> {
        let (good, not_banned_yet) = (world.user(), Vec::from_iter((0..NOT_BANNED_YET).map(|_| world.user())));
        let everybody: Vec<&User> = not_banned_yet.iter().chain([&good]).collect();
        for user in &everybody {
            world.until_answered(&user.token, 200, NOTICED).await?;
        }
        let load = Load::start(&world.envoys, DENY, &everybody);
        let mut crowd = Self { good, load, not_banned_yet, banned: Vec::new() };
        crowd.ban_another(world, &world.a).await?;
        Ok(crowd)
    }

    /// Bans another one at `sidecar` until it is acknowledged, and gives the answer.
    pub(crate) async fn ban_another(&mut self, world: &World, sidecar: &Sidecar) -> Result<Value> {
        let user = self.next()?;
        let (since, answer) = world.ban_until_acknowledged(sidecar, &user).await?;
        self.banned.push((user, since));
        Ok(answer)
    }

    /// Somebody who is not banned yet.
    pub(crate) fn next(&mut self) -> Result<User> {
        self.not_banned_yet.pop().context("everybody is banned")
    }

    /// From now on nothing that `user` sends may pass.
    pub(crate) fn is_barred(&mut self, user: User) {
        self.banned.push((user, Instant::now()));
    }

    /// Waits until the good one is served and the banned ones are refused with the reason.
    pub(crate) async fn see_everything_as_before(&self, world: &World) -> Result<()> {
        world.until_answered(&self.good.token, 200, NOTICED).await?;
        for (user, _) in &self.banned {
            world.until_answered(&user.token, 401, NOTICED).await?;
        }
        Ok(())
    }

    /// Ends the load: nothing of the banned ones passed, and the good one was never called banned.
    pub(crate) async fn leave(self) -> Result<()> {
        let records = self.load.stop().await?;
        let (_, begin) = self.banned.first().context("nobody is banned")?;
        for (user, since) in &self.banned {
            records.expect_barred(user, *since)?;
        }
        let count = |status| records.count(&self.good, *begin, status);
        let (served, refused) = (count(200), count(401));
        ensure!(served > 0 && refused == 0, "the good one was served {served} times and refused {refused} times");
        Ok(())
    }
}
