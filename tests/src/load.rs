//! A background load: requests of several users at a steady pace, whatever becomes of them.
//!
//! The pace does not wait for answers (an open loop): a part that stands still does not hide from the
//! load, the requests pile up before it and show what it does when it goes on. Each request is on record
//! with the moment in which it was sent, since what an acknowledgement promises is about requests that
//! are *sent* after it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::User;
use crate::envoy::Envoy;
use crate::story::runtime;
use crate::wire::{Connection, RawRequest};

/// How often each user asks each Envoy.
const PERIOD: Duration = Duration::from_millis(20);
/// Most requests that wait for an answer of one Envoy; there is no room for more until one is answered.
const WAITING: usize = 2_000;

/// A load that runs.
pub struct Load {
    stop: watch::Sender<bool>,
    senders: Vec<JoinHandle<Vec<Record>>>,
}

/// One request of a load.
#[derive(Debug, Clone)]
struct Record {
    email: String,
    sent_at: Instant,
    /// None: no answer, since the connection broke or could not be opened.
    status: Option<u16>,
}

/// What became of a load.
pub struct Records(Vec<Record>);

impl Load {
    /// Lets each of `users` ask each of `envoys` for `path` at a steady pace, until [`Self::stop`].
    #[must_use]
    pub fn start(envoys: &[Arc<Envoy>], path: &str, users: &[&User]) -> Self {
        let (stop, stopped) = watch::channel(false);
        let send = |envoy: &Arc<Envoy>| {
            let requests = users.iter().map(|user| (user.email.clone(), request(path, user).into())).collect();
            runtime().spawn(send_steadily(envoy.edge(), requests, stopped.clone()))
        };
        Self { senders: envoys.iter().map(send).collect(), stop }
    }

    /// Ends it, and waits for the answers that are still to come.
    ///
    /// # Errors
    /// A sender failed.
    pub async fn stop(self) -> Result<Records> {
        self.stop.send_replace(true);
        let mut records = Vec::new();
        for sender in self.senders {
            records.extend(sender.await?);
        }
        Ok(Records(records))
    }
}

impl Records {
    /// The statuses of the requests that `user` sent after `since`; none where no answer came.
    pub fn after(&self, user: &User, since: Instant) -> impl Iterator<Item = Option<u16>> {
        let of_user = self.0.iter().filter(move |record| record.email == user.email && record.sent_at > since);
        of_user.map(|record| record.status)
    }

    /// How many of the requests that `user` sent after `since` were answered with `status`.
    #[must_use]
    pub fn count(&self, user: &User, since: Instant, status: u16) -> usize {
        self.after(user, since).filter(|answer| *answer == Some(status)).count()
    }

    /// Makes sure that `user` sent something after `since`, and that nothing of it passed.
    ///
    /// # Errors
    /// Something passed, or the load proves nothing.
    pub fn expect_barred(&self, user: &User, since: Instant) -> Result<()> {
        let answered = self.after(user, since).flatten().count();
        ensure!(answered > 0, "no request of {} was answered after the ban", user.email);
        let admitted = self.count(user, since, 200);
        ensure!(admitted == 0, "{admitted} of {answered} requests of {} passed after the ban", user.email);
        Ok(())
    }
}

/// The request that `user` sends to `path`.
#[must_use]
pub fn request(path: &str, user: &User) -> Vec<u8> {
    RawRequest::new("GET", path).header("authorization", user.token.bearer()).bytes()
}

async fn send_steadily(
    to: SocketAddr,
    requests: Vec<(String, Arc<[u8]>)>,
    stopped: watch::Receiver<bool>,
) -> Vec<Record> {
    let (mut tick, mut waiting, mut records) = (interval(PERIOD), JoinSet::new(), Vec::new());
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let idle = Idle::default();
    loop {
        tick.tick().await;
        // One round more, however slow the machine is: what came before the end of the load is to be seen.
        let is_last = *stopped.borrow();
        while let Some(Ok(record)) = waiting.try_join_next() {
            records.push(record);
        }
        // All or nobody: on a busy machine the last ones would never have their turn.
        if is_last || waiting.len() < WAITING {
            for (email, request) in &requests {
                waiting.spawn(send(to, email.clone(), Arc::clone(request), idle.clone()));
            }
        }
        if is_last {
            break;
        }
    }
    records.extend(waiting.join_all().await);
    records
}

async fn send(to: SocketAddr, email: String, request: Arc<[u8]>, idle: Idle) -> Record {
    let connection = match idle.take() {
        Some(connection) => Ok(connection),
        None => Connection::open(to).await,
    };
    let sent_at = Instant::now();
    let Ok(mut connection) = connection else { return Record { email, sent_at, status: None } };
    let answer = connection.send(&request).await;
    let status = answer.as_ref().ok().map(|answer| answer.status);
    if answer.is_ok_and(|answer| answer.header("connection") != Some("close")) {
        idle.put(connection);
    }
    Record { email, sent_at, status }
}

/// Open connections that wait for nothing, used in turn, so that all workers are asked.
#[derive(Clone, Default)]
struct Idle(Arc<Mutex<VecDeque<Connection>>>);

impl Idle {
    /// Enough that each worker has some.
    const LEAST: usize = 8;

    fn take(&self) -> Option<Connection> {
        let mut connections = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if connections.len() < Self::LEAST { None } else { connections.pop_front() }
    }

    fn put(&self, connection: Connection) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(connection);
    }
}
