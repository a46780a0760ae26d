//! The figures of each variant.

use bench::figures::figure;

use crate::rounds::Course;
use crate::statistics::{Difference, Times, median};
use crate::variant::BARE;

/// What one variant takes, in microseconds for each request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// From sending a request to the whole answer.
    pub(crate) times: Times,
    /// More time than without anything in front of the upstream.
    pub(crate) added_time: f64,
    /// More of the processor in Envoy.
    pub(crate) added_envoy: f64,
    /// More of the processor in the servers that were asked.
    pub(crate) added_servers: f64,
    /// More of the processor in Redis.
    pub(crate) added_redis: f64,
    /// Requests per second over one connection.
    pub(crate) per_second_alone: f64,
    /// Requests per second over many.
    pub(crate) per_second_crowded: f64,
}

impl Row {
    /// More of the processor in Envoy and in the servers together.
    pub(crate) fn added_cpu(&self) -> f64 {
        self.added_envoy + self.added_servers
    }

    /// Prints its figures.
    pub(crate) fn print(&self) {
        let figures = [
            ("mean", self.times.mean, "µs"),
            ("p50", self.times.p50, "µs"),
            ("p99", self.times.p99, "µs"),
            ("sigma", self.times.sigma, "µs"),
            ("added_time", self.added_time, "µs"),
            ("added_cpu_envoy", self.added_envoy, "µs"),
            ("added_cpu_server", self.added_servers, "µs"),
            ("added_cpu_redis", self.added_redis, "µs"),
            ("per_second_1", self.per_second_alone, "1/s"),
            ("per_second_32", self.per_second_crowded, "1/s"),
        ];
        for (name, value, unit) in figures {
            figure(&format!("{}_{name}", self.name), value, unit);
        }
    }
}

/// The figures of all. `crowded` has the requests per second over many connections, in the order of the courses.
pub(crate) fn of(courses: &[Course], crowded: &[Vec<f64>]) -> Vec<Row> {
    let Some(bare) = of_name(courses, BARE) else { return Vec::new() };
    let row = |(course, crowded): (&Course, &Vec<f64>)| Row {
        name: course.variant.name,
        times: Times::of(&course.times),
        added_time: difference(course, bare, |slice| slice.time_us).median,
        added_envoy: difference(course, bare, |slice| slice.envoy_us).median,
        added_servers: difference(course, bare, |slice| slice.servers_us).median,
        added_redis: difference(course, bare, |slice| slice.redis_us).median,
        per_second_alone: median(&course.slices.iter().map(|slice| 1_000_000.0 / slice.wall_us).collect::<Vec<_>>()),
        per_second_crowded: median(crowded),
    };
    courses.iter().zip(crowded).map(row).collect()
}

/// By how much one variant exceeds another one in the same rounds.
pub(crate) fn difference(these: &Course, those: &Course, of: fn(&crate::rounds::Slice) -> f64) -> Difference {
    Difference::between(these.slices.iter().map(of), those.slices.iter().map(of))
}

/// The course of one variant.
pub(crate) fn of_name<'a>(courses: &'a [Course], name: &str) -> Option<&'a Course> {
    courses.iter().find(|course| course.variant.name == name)
}
