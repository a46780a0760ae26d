//! What counts are kept apart by.

use std::fmt::{self, Write};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::service::mesh::Condition;

/// What a poll was answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PollAnswer {
    /// Changes.
    Delta,
    /// A page of a snapshot.
    Page,
    /// Nothing new.
    Empty,
    /// No answer: not loaded.
    None,
}

impl EncodeLabelValue for PollAnswer {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        encoder.write_str(match self {
            Self::Delta => "delta",
            Self::Page => "page",
            Self::Empty => "empty",
            Self::None => "none",
        })
    }
}

/// How an attempt to fetch the keys of a source ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FetchOutcome {
    /// The keys are others than before.
    Changed,
    /// They are the same.
    Unchanged,
    /// They could not be fetched, or cannot be used.
    Failed,
}

impl EncodeLabelValue for FetchOutcome {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        encoder.write_str(match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct FetchLabels {
    pub(super) source: String,
    pub(super) outcome: FetchOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SourceLabels {
    pub(super) source: String,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckOutcome {
    /// Nothing bars the request.
    Allow,
    /// It is barred.
    Deny,
    /// Nothing could be said.
    CannotTell,
}

impl EncodeLabelValue for CheckOutcome {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        encoder.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::CannotTell => "cannot_tell",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PollLabels {
    pub(super) answer: PollAnswer,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CheckLabels {
    pub(super) outcome: CheckOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SessionLabels {
    pub(super) standing: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReportLabels {
    pub(super) new: bool,
}

/// How waiting for acknowledgements ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum AcknowledgementResult {
    Complete,
    Incomplete,
}

impl EncodeLabelValue for AcknowledgementResult {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        encoder.write_str(match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
        })
    }
}

impl EncodeLabelValue for Condition {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        encoder.write_str(self.word())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AcknowledgementLabels {
    pub(super) result: AcknowledgementResult,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct WorkerLabels {
    pub(super) state: Condition,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabels {
    pub(super) route: String,
    pub(super) outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct VerificationLabels {
    pub(super) algorithm: &'static str,
    pub(super) by: &'static str,
}
