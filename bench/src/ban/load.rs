//! Load whose times of sending are fixed in advance (an *open loop*): a slow answer delays nobody's
//! counting. Delays count from the intended time, so what waits behind a slow answer counts as slow, too.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use e2e::wire::Connection;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use bench::figures::Samples;

/// Connections over which one stream goes.
const LANES: u32 = 16;

/// A stream of requests that goes on until it is stopped.
pub(crate) struct Stream {
    stop: Arc<AtomicBool>,
    lanes: JoinSet<Result<Passed>>,
}

/// What became of a stream.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// From the intended time of sending to the whole answer.
    pub(crate) delays: Samples,
    /// Requests that were not answered with 200.
    pub(crate) refused: u64,
    /// All requests.
    pub(crate) sent: u64,
}

impl Stream {
    /// Sends `requests`, one after the other and over again, `per_second` of them, to these listeners in turn.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(crate) async fn start(to: &[SocketAddr], per_second: u32, requests: Vec<Vec<u8>>) -> Result<Self> {
        let (stop, requests) = (Arc::new(AtomicBool::new(false)), Arc::new(requests));
        let between = Duration::from_secs(1) / per_second;
        let mut lanes = JoinSet::new();
        let mut open = Vec::new();
        for listener in to.iter().cycle().take(LANES as usize) {
            open.push(Connection::open(*listener).await?);
        }
        let begin = Instant::now() + Duration::from_millis(10);
        for (number, connection) in (0..LANES).zip(open) {
            let lane = Lane { connection, next: begin + between * number, between: between * LANES };
            lanes.spawn(lane.run(Arc::clone(&requests), number as usize, Arc::clone(&stop)));
        }
        Ok(Self { stop, lanes })
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// A connection broke.
    pub(crate) async fn stop(mut self) -> Result<Passed> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Passed::default();
        while let Some(lane) = self.lanes.join_next().await {
            let lane = lane??;
            all.delays.extend(lane.delays);
            all.refused += lane.refused;
            all.sent += lane.sent;
        }
        Ok(all)
    }
}

struct Lane {
    connection: Connection,
    next: Instant,
    between: Duration,
}

impl Lane {
    async fn run(mut self, requests: Arc<Vec<Vec<u8>>>, first: usize, stop: Arc<AtomicBool>) -> Result<Passed> {
        let mut passed = Passed::default();
        for request in requests.iter().cycle().skip(first).step_by(LANES as usize) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            sleep_until(self.next).await;
            let answer = self.connection.send(request).await?;
            passed.delays.push(self.next.elapsed());
            passed.sent += 1;
            passed.refused += u64::from(answer.status != 200);
            self.next += self.between;
        }
        Ok(passed)
    }
}
