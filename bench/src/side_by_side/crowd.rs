//! Many connections at once, each of which asks again as soon as it was answered.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::client::Client;
use crate::rounds::Extent;
use crate::scene::Scene;
use crate::traffic::Traffic;

/// How many connections there are.
pub(crate) const CONNECTIONS: usize = 32;

/// Connections to one listener.
pub(crate) struct Crowd(VecDeque<Client>);

impl Crowd {
    /// Opens so many.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(crate) fn open(to: SocketAddr, connections: usize) -> Result<Self> {
        Ok(Self((0..connections).map(|_| Client::open(to)).collect::<Result<_>>()?))
    }

    /// Lets `send` send the next request wherever one can be sent, until it says that there is none, and waits for
    /// all answers. How many there were.
    ///
    /// # Errors
    /// A connection broke, or an answer has not this status.
    pub(crate) fn run(&mut self, expected: u16, mut send: impl FnMut(&mut Client) -> Result<bool>) -> Result<u64> {
        let (mut idle, mut waiting, mut answered) = (VecDeque::new(), VecDeque::new(), 0);
        while let Some(mut client) = self.0.pop_front() {
            let queue = if send(&mut client)? { &mut waiting } else { &mut idle };
            queue.push_back(client);
        }
        // Whoever waits longest is asked first: the others' answers come meanwhile.
        while let Some(mut client) = waiting.pop_front() {
            let status = client.receive()?;
            ensure!(status == expected, "answered {status}");
            answered += 1;
            let queue = if send(&mut client)? { &mut waiting } else { &mut idle };
            queue.push_back(client);
        }
        self.0 = idle;
        Ok(answered)
    }
}

/// Requests per second over many connections, of each variant in turn: one number for each round.
///
/// # Errors
/// A part fails, or an answer is not the expected one.
pub(crate) fn per_second(scene: &Scene, traffic: &mut [Traffic], extent: Extent) -> Result<Vec<Vec<f64>>> {
    let mut crowds = Vec::new();
    for traffic in traffic.iter() {
        crowds.push(Crowd::open(traffic.listener, CONNECTIONS)?);
    }
    let mut rates = vec![Vec::new(); crowds.len()];
    for _ in 0..extent.rounds {
        for ((crowd, traffic), rates) in crowds.iter_mut().zip(traffic.iter_mut()).zip(&mut rates) {
            crowd.run(200, of(traffic, extent.warm_up))?;
            let begin = Instant::now();
            let answered = crowd.run(200, of(traffic, extent.requests))?;
            rates.push(answered as f64 / begin.elapsed().as_secs_f64());
            traffic.settle(scene)?;
        }
    }
    Ok(rates)
}

/// Sends so many of those who come.
fn of(traffic: &mut Traffic, mut count: usize) -> impl FnMut(&mut Client) -> Result<bool> {
    move |client| {
        let is_one_left = count > 0;
        if is_one_left {
            count -= 1;
            client.send(traffic.next())?;
        }
        Ok(is_one_left)
    }
}
