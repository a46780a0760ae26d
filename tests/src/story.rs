//! How a story runs: in a world of its own, or in one that it shares with the stories of its module.

use std::sync::LazyLock;

use anyhow::Result;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, OnceCell};

use crate::process::logs_of;
use crate::world::{Plan, World};

/// One runtime for all stories of the process, so that a shared world outlives the story that
/// started it. Never dropped: its threads are the parents of all children.
#[must_use]
pub fn runtime() -> &'static Runtime {
    #[expect(clippy::expect_used, reason = "without threads there is no test at all")]
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("threads for the runtime"));
    &RUNTIME
}

/// A world that several stories of one process share. Each uses users and paths of its own.
pub struct Shared {
    plan: fn() -> Plan,
    world: OnceCell<World>,
    turn: Option<Mutex<()>>,
}

impl Shared {
    /// Stories that run at the same time.
    #[must_use]
    pub const fn new(plan: fn() -> Plan) -> Self {
        Self { plan, world: OnceCell::const_new(), turn: None }
    }

    /// Stories that run one after the other, because they read counters of the whole world.
    #[must_use]
    pub const fn in_turn(plan: fn() -> Plan) -> Self {
        Self { plan, world: OnceCell::const_new(), turn: Some(Mutex::const_new(())) }
    }
}

/// Runs a story in a world of its own.
///
/// # Panics
/// The story failed.
pub fn story_in(plan: Plan, story: impl AsyncFnOnce(&World) -> Result<()>) {
    runtime().block_on(async {
        match plan.start().await {
            Ok(world) => tell(&world, story).await,
            Err(error) => fail(&error),
        }
    });
}

/// Runs a story in a shared world.
///
/// # Panics
/// The story failed.
pub fn story(shared: &'static Shared, story: impl AsyncFnOnce(&World) -> Result<()>) {
    runtime().block_on(async {
        let _turn = match &shared.turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        match shared.world.get_or_try_init(|| (shared.plan)().start()).await {
            Ok(world) => tell(world, story).await,
            Err(error) => fail(&error),
        }
    });
}

/// Runs a story of parts that need no world.
///
/// # Panics
/// The story failed.
pub fn story_without_world(story: impl AsyncFnOnce() -> Result<()>) {
    if let Err(error) = runtime().block_on(story()) {
        fail(&error);
    }
}

async fn tell(world: &World, story: impl AsyncFnOnce(&World) -> Result<()>) {
    let _logs = ShowLogs(world);
    if let Err(error) = story(world).await {
        fail(&error);
    }
    if let Err(error) = world.leaves_no_secret() {
        fail(&error);
    }
}

#[expect(clippy::panic, reason = "a panic is how a test fails")]
fn fail(error: &anyhow::Error) -> ! {
    panic!("{error:?}")
}

/// Shows what every child wrote, if the story ends in a panic.
struct ShowLogs<'a>(&'a World);

impl Drop for ShowLogs<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", logs_of(self.0.folder()));
        }
    }
}
