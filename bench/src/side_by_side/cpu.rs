//! The processor: who runs where, and how much of it each process has used.

use std::ops::Sub;
use std::thread::available_parallelism;

use anyhow::{Context, Result};
use bench::processes::{tasks, used_ns};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

/// The core of Envoy.
const OF_ENVOY: usize = 0;
/// The core of everybody else, the clients and the upstream included.
const OF_OTHERS: usize = 1;

/// Those whose use of the processor is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processes {
    pub(crate) envoy: u32,
    /// The sidecars and the server behind `ext_authz`.
    pub(crate) servers: [u32; 3],
    pub(crate) redis: u32,
}

/// For how long they have run, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    pub(crate) envoy_ns: u64,
    pub(crate) servers_ns: u64,
    pub(crate) redis_ns: u64,
}

impl Processes {
    /// What they have used since they started.
    ///
    /// # Errors
    /// One of them is gone.
    pub(crate) fn used(self) -> Result<Used> {
        Ok(Used {
            envoy_ns: used_ns(self.envoy)?,
            servers_ns: self.servers.into_iter().map(used_ns).sum::<Result<u64>>()?,
            redis_ns: used_ns(self.redis)?,
        })
    }
}

impl Sub for Used {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            envoy_ns: self.envoy_ns.saturating_sub(earlier.envoy_ns),
            servers_ns: self.servers_ns.saturating_sub(earlier.servers_ns),
            redis_ns: self.redis_ns.saturating_sub(earlier.redis_ns),
        }
    }
}

/// Gives Envoy a core of its own and everybody else the other one, so that a question that leaves Envoy always
/// costs the same way. Does nothing where there is one core only, or `SEKISHO_BENCH_PIN=0` forbids it: on a machine
/// that does other things meanwhile, the kernel finds free time better.
///
/// # Errors
/// A process is gone, or may not be moved.
pub(crate) fn settle(processes: Processes) -> Result<()> {
    let is_forbidden = std::env::var("SEKISHO_BENCH_PIN").is_ok_and(|pin| pin == "0");
    if is_forbidden || available_parallelism().map_or(1, usize::from) < 2 {
        return Ok(());
    }
    pin(processes.envoy, OF_ENVOY)?;
    let others = processes.servers.into_iter().chain([processes.redis, std::process::id()]);
    others.into_iter().try_for_each(|process| pin(process, OF_OTHERS))
}

fn pin(process: u32, core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    for task in tasks(process)? {
        let id = task.file_name().and_then(|name| name.to_str()?.parse().ok()).and_then(Pid::from_raw);
        sched_setaffinity(Some(id.context("a thread without an id")?), &cores)?;
    }
    Ok(())
}
