//! A background load in which nearly every request carries a token that no worker has seen: its clients ask
//! the provider for a token, use it on two connections, and ask for the next one.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Result, ensure};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::provider::{Issuance, Provider};
use crate::story::runtime;
use crate::wire::{Connection, RawRequest};
use crate::{Answer, World};

/// How many ask at the same time.
const CLIENTS: usize = 8;
/// How many refusals are shown.
const SHOWN: usize = 3;

/// A load that runs.
pub struct FreshTokens {
    stop: watch::Sender<bool>,
    told: watch::Receiver<u64>,
    clients: Vec<JoinHandle<Result<Outcome>>>,
}

/// What became of a load.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many tokens the provider signed for it.
    pub tokens: usize,
    /// How many requests were answered with which status.
    pub statuses: BTreeMap<u16, usize>,
    /// Some of the answers that were not 200.
    pub refusals: Vec<Answer>,
}

impl FreshTokens {
    /// Lets clients ask `world` with tokens of its provider, until [`Self::stop`].
    #[must_use]
    pub fn start(world: &World, provider: &Provider) -> Self {
        let ((stop, stopped), (count, told)) = (watch::channel(false), watch::channel(0));
        let client = |number| {
            let client = Client { to: world.envoy.edge(), issuance: provider.issuance(), number };
            runtime().spawn(client.ask(stopped.clone(), count.clone()))
        };
        Self { clients: (0..CLIENTS).map(client).collect(), stop, told }
    }

    /// Waits until `more` requests were answered from now on.
    ///
    /// # Errors
    /// The clients have ended.
    pub async fn go_on_for(&mut self, more: u64) -> Result<()> {
        let until = *self.told.borrow() + more;
        self.told.wait_for(|answered| *answered >= until).await?;
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    /// A client got no answer, of the provider or of Envoy.
    pub async fn stop(self) -> Result<Outcome> {
        self.stop.send_replace(true);
        let mut total = Outcome::default();
        for client in self.clients {
            let outcome = client.await??;
            total.tokens += outcome.tokens;
            for (status, count) in outcome.statuses {
                *total.statuses.entry(status).or_default() += count;
            }
            total.refusals.extend(outcome.refusals);
            total.refusals.truncate(SHOWN);
        }
        Ok(total)
    }
}

impl Outcome {
    /// Makes sure that there were requests, and that every one passed.
    ///
    /// # Errors
    /// One did not.
    pub fn expect_all_passed(&self) -> Result<()> {
        ensure!(self.statuses.keys().eq([&200]), "not every request passed: {self:?}");
        Ok(())
    }
}

struct Client {
    to: SocketAddr,
    issuance: Issuance,
    number: usize,
}

impl Client {
    async fn ask(self, stopped: watch::Receiver<bool>, count: watch::Sender<u64>) -> Result<Outcome> {
        let mut connections = [Connection::open(self.to).await?, Connection::open(self.to).await?];
        let mut outcome = Outcome::default();
        while !*stopped.borrow() {
            let token = self.issuance.token(&format!("client{}@load.example", self.number)).await?;
            outcome.tokens += 1;
            let request =
                RawRequest::new("GET", "/v1/models").header("authorization", format!("Bearer {token}")).bytes();
            for connection in &mut connections {
                let answer = connection.send(&request).await?;
                *outcome.statuses.entry(answer.status).or_default() += 1;
                if answer.status != 200 && outcome.refusals.len() < SHOWN {
                    outcome.refusals.push(answer);
                }
                count.send_modify(|count| *count += 1);
            }
        }
        Ok(outcome)
    }
}
