//! The proxy's statistics: counters, gauges and histograms, shared by all of its workers.

use std::collections::HashMap;

use sekisho_core::metrics::{ROWS_MAX, Sample, Value};

use crate::host::{self, HostResult, MetricKind};

/// The numbers of the statistics that this VM has written to. They are made once and stay for as long as the proxy
/// lives, so there is a bound: what a later configuration names beyond it is not counted.
#[derive(Default)]
pub(crate) struct Statistics(HashMap<String, u32>);

impl Statistics {
    /// Writes a sample down. Nobody is refused or let in by it, so what fails is left out.
    pub(crate) fn write(&mut self, sample: Sample) {
        let kind = match sample.value {
            Value::Count(_) => MetricKind::Counter,
            Value::Set(_) => MetricKind::Gauge,
            Value::Observe(_) => MetricKind::Histogram,
        };
        let Some(metric) = self.number(kind, sample.name) else { return };
        let _: HostResult<()> = match sample.value {
            Value::Count(count) => host::add_to_metric(metric, i64::try_from(count).unwrap_or(i64::MAX)),
            Value::Set(value) | Value::Observe(value) => host::record_metric(metric, value),
        };
    }

    fn number(&mut self, kind: MetricKind, name: String) -> Option<u32> {
        if let Some(known) = self.0.get(&name) {
            return Some(*known);
        }
        if self.0.len() >= ROWS_MAX {
            return None;
        }
        let metric = host::define_metric(kind, &name).ok()?;
        self.0.insert(name, metric);
        Some(metric)
    }
}
