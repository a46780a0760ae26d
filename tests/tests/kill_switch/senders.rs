//! Who sends: the one whom the switch is thrown for, on every worker, and others who have nothing to do
//! with it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::story::runtime;
use e2e::wire::{Connection, RawRequest};
use e2e::{World, poll};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Connections to each worker.
pub(crate) const CONNECTIONS: usize = 4;
/// Requests that every worker must have answered before one may speak of all workers.
const LEAST_ON_A_WORKER: u64 = 1_000;
/// How often each bystander asks.
const BYSTANDERS_PERIOD: Duration = Duration::from_millis(10);

/// Senders with one token, some for each worker.
pub(crate) struct Senders {
    /// Whether the change is acknowledged.
    acknowledged: watch::Sender<bool>,
    /// How many of them were let in before.
    let_in: Arc<AtomicU64>,
    tasks: JoinSet<Result<(String, Sum)>>,
}

/// What became of the requests that were sent after the acknowledgement.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    sent: u64,
    /// 401.
    refused: u64,
    /// 200.
    admitted: u64,
}

/// The same for each worker.
pub(crate) struct Sums(BTreeMap<String, Sum>);

impl Senders {
    /// Starts them. After the acknowledgement they send `requests` together, as many on each worker.
    pub(crate) async fn start(world: &World, token: &str, requests: u64) -> Result<Self> {
        let connections = world.connections_by_worker(CONNECTIONS).await?;
        let quota = requests.div_ceil(connections.len() as u64);
        let request: Arc<[u8]> = request(token).into();
        let (acknowledged, heard) = watch::channel(false);
        let (let_in, mut tasks) = (Arc::<AtomicU64>::default(), JoinSet::new());
        for (worker, connection) in connections {
            let sender = Sender { connection, request: Arc::clone(&request), heard: heard.clone(), quota };
            let let_in = Arc::clone(&let_in);
            tasks.spawn_on(async move { Ok((worker, sender.run(&let_in).await?)) }, runtime().handle());
        }
        Ok(Self { acknowledged, let_in, tasks })
    }

    /// Waits until each of them was let in: every worker holds an *allow*.
    pub(crate) async fn until_all_were_let_in(&self) -> Result<()> {
        let all = self.tasks.len() as u64;
        poll::until_true("every sender is let in", poll::START, async || Ok(self.let_in.load(Ordering::SeqCst) == all))
            .await
    }

    /// Says that the change is acknowledged, and waits until everything is sent and answered.
    pub(crate) async fn finish_after_acknowledgement(mut self) -> Result<Sums> {
        self.acknowledged.send_replace(true);
        let mut sums = BTreeMap::<String, Sum>::new();
        while let Some(ended) = self.tasks.join_next().await {
            let (worker, sum) = ended??;
            sums.entry(worker).or_default().add(sum);
        }
        Ok(Sums(sums))
    }
}

/// One connection.
struct Sender {
    connection: Connection,
    request: Arc<[u8]>,
    heard: watch::Receiver<bool>,
    quota: u64,
}

impl Sender {
    async fn run(mut self, let_in: &AtomicU64) -> Result<Sum> {
        let (mut after, mut was_let_in) = (Sum::default(), false);
        while after.sent < self.quota {
            // Asked before anything is sent: what counts is sent after the acknowledgement.
            let counts = *self.heard.borrow();
            let status = self.connection.send(&self.request).await?.status;
            if counts {
                after.add(Sum::of(status));
            } else if !was_let_in && status == 200 {
                was_let_in = true;
                let_in.fetch_add(1, Ordering::SeqCst);
            }
        }
        Ok(after)
    }
}

impl Sum {
    fn of(status: u16) -> Self {
        Self { sent: 1, refused: u64::from(status == 401), admitted: u64::from(status == 200) }
    }

    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.refused += other.refused;
        self.admitted += other.admitted;
    }
}

impl Sums {
    fn total(&self) -> Sum {
        let mut total = Sum::default();
        self.0.values().for_each(|sum| total.add(*sum));
        total
    }

    /// Enough was sent, on every worker, and nothing of it passed.
    pub(crate) fn expect_nothing_passed(&self, requests: u64, world: &World) -> Result<()> {
        let (workers, total) = (world.envoys.iter().map(|envoy| envoy.workers() as usize).sum::<usize>(), self.total());
        ensure!(total.admitted == 0, "{self}");
        ensure!(total.sent >= requests && self.0.len() == workers, "too little was sent: {self}");
        ensure!(self.0.values().all(|sum| sum.sent >= LEAST_ON_A_WORKER), "too little on a worker: {self}");
        ensure!(total.refused > 0, "nobody was told why: {self}");
        Ok(())
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sum { sent, refused, admitted } = self.total();
        write!(f, "{sent} requests after it: {refused} refused, {admitted} admitted")?;
        self.0.iter().try_for_each(|(worker, sum)| write!(f, "; {worker}: {}", sum.sent))
    }
}

/// Others, one for each worker, who are let in all the time.
pub(crate) struct Bystanders {
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<u64>>,
}

impl Bystanders {
    pub(crate) async fn start(world: &World) -> Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for (_, connection) in world.connections_by_worker(1).await? {
            let request = request(&world.user().token.text());
            tasks.spawn_on(ask_steadily(connection, request, stopped.clone()), runtime().handle());
        }
        Ok(Self { stop, tasks })
    }

    /// Ends it; the number of their requests, all of which passed.
    pub(crate) async fn stop(mut self) -> Result<u64> {
        self.stop.send_replace(true);
        let mut passed = 0;
        while let Some(ended) = self.tasks.join_next().await {
            passed += ended??;
        }
        Ok(passed)
    }
}

async fn ask_steadily(mut connection: Connection, request: Vec<u8>, stopped: watch::Receiver<bool>) -> Result<u64> {
    let (mut tick, mut passed) = (tokio::time::interval(BYSTANDERS_PERIOD), 0);
    while !*stopped.borrow() {
        tick.tick().await;
        let answer = connection.send(&request).await?;
        ensure!(answer.status == 200, "somebody uninvolved was refused: {answer:?}");
        passed += 1;
    }
    Ok(passed)
}

fn request(token: &str) -> Vec<u8> {
    RawRequest::new("GET", "/v1/models").header("authorization", format!("Bearer {token}")).bytes()
}
