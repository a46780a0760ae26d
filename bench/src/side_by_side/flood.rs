//! A flood of forged tokens, or of made-up cookies, as fast as they are answered, beside somebody who comes now and then: what a forged
//! token costs, and how long the other one waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::client::Client;
use crate::cpu::Used;
use crate::crowd::Crowd;
use crate::people;
use crate::scene::Scene;
use crate::traffic::{request, request_of_browser};
use crate::variant::{Travellers, Variant};

/// Connections of the flood.
pub(crate) const CONNECTIONS: usize = 8;
/// Between two requests of somebody with a good token.
const PAUSE: Duration = Duration::from_millis(2);
/// How long one slice takes.
const SLICE: Duration = Duration::from_millis(300);

/// What a flood did to one variant.
#[derive(Debug)]
pub(crate) struct Flood {
    pub(crate) name: &'static str,
    /// Envoy's use of the processor for each forged token, one number for each round.
    pub(crate) envoy_us: Vec<f64>,
    /// How long good requests took without a flood.
    pub(crate) calm: Vec<Duration>,
    /// How long they took beside it.
    pub(crate) beside: Vec<Duration>,
    /// How many forged tokens were refused.
    pub(crate) refused: u64,
}

/// Who comes to one listener.
struct Gate<'a> {
    scene: &'a Scene,
    number: usize,
    good: Vec<u8>,
    forged: Vec<Vec<u8>>,
    next: usize,
    client: Client,
    crowd: Crowd,
}

/// Floods these variants in turn.
///
/// # Errors
/// A part fails, a forged token is let in, or a good one is not.
pub(crate) fn run(scene: &Scene, names: &[&'static str], rounds: usize) -> Result<Vec<Flood>> {
    let mut gates = names.iter().map(|name| Gate::open(scene, name)).collect::<Result<Vec<_>>>()?;
    let none = |name: &&'static str| Flood { name, envoy_us: vec![], calm: vec![], beside: vec![], refused: 0 };
    let mut floods: Vec<Flood> = names.iter().map(none).collect();
    for _ in 0..rounds {
        for (gate, flood) in gates.iter_mut().zip(&mut floods) {
            gate.round(flood)?;
        }
    }
    Ok(floods)
}

impl<'a> Gate<'a> {
    fn open(scene: &'a Scene, name: &str) -> Result<Self> {
        let number = Variant::number_of(name).with_context(|| format!("there is no variant {name}"))?;
        let variant = crate::variant::ALL.get(number).context("no such variant")?;
        let (minted, to) = (scene.tokens.of(variant.algorithm), scene.listener(number));
        Ok(Self {
            scene,
            number,
            good: match variant.travellers {
                Travellers::SignedIn => request_of_browser(number, &scene.session),
                Travellers::One | Travellers::Many => request(number, Some(minted.first())),
            },
            forged: match variant.travellers {
                Travellers::SignedIn => people::forged().map(|cookie| request_of_browser(number, &cookie)).collect(),
                Travellers::One | Travellers::Many => {
                    minted.forged().map(|token| request(number, Some(&token))).collect()
                }
            },
            next: 0,
            client: Client::open(to)?,
            crowd: Crowd::open(to, CONNECTIONS)?,
        })
    }

    fn round(&mut self, flood: &mut Flood) -> Result<()> {
        let reached = self.scene.upstream.reached(self.number).all;
        let (calm, used) = self.good_requests()?;
        let each_us = us(used) / calm.len() as f64;
        let (beside, used, refused) = self.with_flood()?;
        ensure!(refused > 0, "no forged token came through to be refused");
        flood.envoy_us.push((us(used) - each_us * beside.len() as f64) / refused as f64);
        let passed = self.scene.upstream.reached(self.number).all - reached;
        ensure!(passed == (calm.len() + beside.len()) as u64, "{}: {passed} requests passed", flood.name);
        flood.calm.extend(calm);
        flood.beside.extend(beside);
        flood.refused += refused;
        Ok(())
    }

    fn good_requests(&mut self) -> Result<(Vec<Duration>, Used)> {
        let before = self.scene.processes.used()?;
        let times = come_now_and_then(&mut self.client, &self.good)?;
        Ok((times, self.scene.processes.used()? - before))
    }

    fn with_flood(&mut self) -> Result<(Vec<Duration>, Used, u64)> {
        let stop = AtomicBool::new(false);
        let (crowd, client, forged, next) = (&mut self.crowd, &mut self.client, &self.forged, &mut self.next);
        let before = self.scene.processes.used()?;
        let (times, refused) = thread::scope(|scope| {
            let flood = scope.spawn(|| {
                crowd.run(401, |client| {
                    if stop.load(Ordering::Relaxed) {
                        return Ok(false);
                    }
                    *next += 1;
                    client.send(forged.get(*next % forged.len()).context("nothing is forged")?)?;
                    Ok(true)
                })
            });
            let times = come_now_and_then(client, &self.good);
            stop.store(true, Ordering::Relaxed);
            let refused = flood.join().map_err(|_| anyhow!("the flood's thread ended in a panic"))?;
            Ok::<_, anyhow::Error>((times?, refused.context("a forged token")?))
        })?;
        Ok((times, self.scene.processes.used()? - before, refused))
    }
}

fn come_now_and_then(client: &mut Client, request: &[u8]) -> Result<Vec<Duration>> {
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed() < SLICE {
        let answered = client.ask(request)?;
        ensure!(answered.status == 200, "a good token was answered {}", answered.status);
        times.push(answered.taken);
        thread::sleep(PAUSE);
    }
    Ok(times)
}

fn us(used: Used) -> f64 {
    used.envoy_ns as f64 / 1_000.0
}
