//! One connection: short slices of every variant in turn, over and over and each time in another order, so that
//! whatever else the machine does meets all alike.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::client::Client;
use crate::scene::Scene;
use crate::traffic::Traffic;
use crate::variant::Variant;

/// How much is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// How many slices each variant has.
    pub(crate) rounds: usize,
    /// Requests of a slice that count.
    pub(crate) requests: usize,
    /// Requests before them that do not.
    pub(crate) warm_up: usize,
}

/// What a request of one slice took on the average, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    /// From sending it to the whole answer.
    pub(crate) time_us: f64,
    /// With everything that the client does in between.
    pub(crate) wall_us: f64,
    /// Envoy's use of the processor.
    pub(crate) envoy_us: f64,
    /// That of the sidecars and the server behind `ext_authz`.
    pub(crate) servers_us: f64,
    /// That of Redis.
    pub(crate) redis_us: f64,
}

/// All that was measured of one variant.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) variant: &'static Variant,
    /// One for each round.
    pub(crate) slices: Vec<Slice>,
    /// Of every request that counts.
    pub(crate) times: Vec<Duration>,
}

struct Lane<'a> {
    traffic: &'a mut Traffic,
    client: Client,
    course: Course,
}

/// Measures. The courses are in the order of `traffic`.
///
/// # Errors
/// A part fails, or an answer is not the expected one.
pub(crate) fn run(scene: &Scene, traffic: &mut [Traffic], extent: Extent) -> Result<Vec<Course>> {
    let mut lanes = Vec::new();
    for traffic in traffic {
        let client = Client::open(traffic.listener)?;
        let course = Course { variant: traffic.variant, slices: Vec::new(), times: Vec::new() };
        lanes.push(Lane { traffic, client, course });
    }
    let mut order: Vec<usize> = (0..lanes.len()).collect();
    for _ in 0..extent.rounds {
        fastrand::shuffle(&mut order);
        for lane in &order {
            lanes.get_mut(*lane).context("no such lane")?.slice(scene, extent)?;
        }
    }
    Ok(lanes.into_iter().map(|lane| lane.course).collect())
}

impl Lane<'_> {
    fn slice(&mut self, scene: &Scene, extent: Extent) -> Result<()> {
        for _ in 0..extent.warm_up {
            self.ask()?;
        }
        let (before, begin) = (scene.processes.used()?, Instant::now());
        let times = (0..extent.requests).map(|_| self.ask()).collect::<Result<Vec<_>>>()?;
        let (wall, used) = (begin.elapsed(), scene.processes.used()? - before);
        let each_us = |nanoseconds: f64| nanoseconds / extent.requests as f64 / 1_000.0;
        self.course.slices.push(Slice {
            time_us: each_us(times.iter().sum::<Duration>().as_nanos() as f64),
            wall_us: each_us(wall.as_nanos() as f64),
            envoy_us: each_us(used.envoy_ns as f64),
            servers_us: each_us(used.servers_ns as f64),
            redis_us: each_us(used.redis_ns as f64),
        });
        self.course.times.extend(times);
        self.traffic.settle(scene)
    }

    fn ask(&mut self) -> Result<Duration> {
        let answered = self.client.ask(self.traffic.next())?;
        ensure!(answered.status == 200, "{} answered {}", self.traffic.variant.name, answered.status);
        Ok(answered.taken)
    }
}
