//! Takes in what the filters saw. A report is applied at most once (it carries a sequence number),
//! and what is counted from it is bounded: names of routes and outcomes come from outside.

use std::sync::Arc;

use async_trait::async_trait;
use sekisho_protocol::activity::ActivityReport;

use crate::service::error::StoreError;
use crate::service::metrics::Metrics;

/// Whether a report was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was applied.
    Applied,
    /// It, or a later one of the same replica, was applied before.
    Repeated,
}

/// Keeps what verified subjects did.
#[async_trait]
pub trait ActivityStore: Send + Sync {
    /// Applies a report, if it is new.
    async fn take(&self, report: &ActivityReport) -> Result<Taken, StoreError>;
}

/// Takes reports.
#[derive(Clone)]
pub struct Activities {
    store: Arc<dyn ActivityStore>,
    metrics: Metrics,
}

impl Activities {
    /// Takes reports into `store`.
    #[must_use]
    pub fn new(store: Arc<dyn ActivityStore>, metrics: Metrics) -> Self {
        Self { store, metrics }
    }

    /// Takes one report.
    ///
    /// # Errors
    /// The store cannot be reached; the filter sends the report again.
    pub async fn take(&self, report: &ActivityReport) -> Result<Taken, StoreError> {
        let taken = self.store.take(report).await?;
        self.metrics.report(report, taken);
        Ok(taken)
    }
}
