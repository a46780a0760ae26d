//! A user whose requests run on one worker without a pause until they are refused.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::wire::Connection;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// Between two requests on one connection.
const PACE: Duration = Duration::from_millis(1);
/// So long may somebody who is barred go on being admitted before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(90);

/// The moment from which on the user should be refused; none before.
pub(crate) type Since = watch::Receiver<Option<Instant>>;

/// One request and its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shot {
    sent: Instant,
    received: Instant,
    admitted: bool,
}

/// What happened on one worker.
#[derive(Debug)]
pub(crate) struct Course(Vec<Shot>);

impl Course {
    /// When the last answer came that admitted the user.
    pub(crate) fn last_admitted(&self) -> Option<Instant> {
        self.0.iter().filter(|shot| shot.admitted).map(|shot| shot.received).max()
    }

    /// When the first refusal came of a request that was sent after `moment`.
    pub(crate) fn first_refused_after(&self, moment: Instant) -> Option<Instant> {
        self.0.iter().filter(|shot| !shot.admitted && shot.sent > moment).map(|shot| shot.received).min()
    }

    /// Requests sent after `moment` that were admitted.
    pub(crate) fn admitted_after(&self, moment: Instant) -> usize {
        self.0.iter().filter(|shot| shot.admitted && shot.sent > moment).count()
    }
}

/// Runs `request` over every connection until it is refused on all of them, after `since` is known. Gives
/// the connections back.
pub(crate) struct Probes(JoinSet<Result<(Connection, Course)>>);

impl Probes {
    /// Begins.
    pub(crate) fn start(connections: Vec<Connection>, request: &[u8], since: &Since) -> Self {
        let mut probes = JoinSet::new();
        for connection in connections {
            probes.spawn(run(connection, request.to_vec(), since.clone()));
        }
        Self(probes)
    }

    /// Waits until the last one is refused.
    ///
    /// # Errors
    /// A connection broke, or somebody is admitted for ever.
    pub(crate) async fn end(mut self) -> Result<(Vec<Connection>, Vec<Course>)> {
        let (mut connections, mut courses) = (Vec::new(), Vec::new());
        while let Some(ended) = self.0.join_next().await {
            let (connection, course) = ended??;
            connections.push(connection);
            courses.push(course);
        }
        Ok((connections, courses))
    }
}

async fn run(mut connection: Connection, request: Vec<u8>, mut since: Since) -> Result<(Connection, Course)> {
    let (begin, mut shots) = (Instant::now(), Vec::new());
    loop {
        let sent = Instant::now();
        let answer = connection.send(&request).await?;
        let shot = Shot { sent, received: Instant::now(), admitted: answer.status == 200 };
        ensure!(matches!(answer.status, 200 | 401 | 503), "unexpected: {answer:?}");
        shots.push(shot);
        if !shot.admitted && since.borrow_and_update().is_some_and(|since| sent > since) {
            return Ok((connection, Course(shots)));
        }
        ensure!(begin.elapsed() < PATIENCE, "still admitted: {answer:?}");
        // The news that the user should be refused ends the pause: what follows is asked at once.
        let _pause_is_over = timeout(PACE, since.changed()).await;
    }
}
