//! The answer to a poll as it goes on the wire: a [`FeedReply`] whose page, if it has one, is encoded
//! already.
//!
//! [`FeedReply`]: sekisho_protocol::feed::FeedReply

use std::sync::Arc;
use std::time::Duration;

use sekisho_protocol::feed::{Change, FeedBody};
use sekisho_protocol::{Epoch, PROTOCOL};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::pages::CutPage;
use crate::domain::feed::Version;
use crate::service::metrics::PollAnswer;

/// The answer to a poll.
#[derive(Debug, Clone, Serialize)]
pub struct Reply {
    protocol: u16,
    epoch: Epoch,
    age_ms: u64,
    recorded: bool,
    body: Body,
}

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Body {
    Changes(FeedBody),
    Page(Encoded),
}

/// A [`FeedBody::Page`] as JSON, shared by all answers that carry it.
#[derive(Debug, Clone)]
pub(super) struct Encoded(pub(super) Arc<RawValue>);

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Reply {
    /// Changes behind `from`; `age` is none if there are more than these. Then this answer alone must not make
    /// anybody fresh: a ban that the replica was not waited for may be among what is to come.
    pub(super) fn changes(
        epoch: Epoch,
        from: Version,
        changes: Vec<Change>,
        age: Option<Duration>,
        recorded: bool,
    ) -> Self {
        let version = changes.last().map_or(from.get(), |last| last.version);
        let body = Body::Changes(FeedBody::Delta { from: from.get(), version, changes });
        Self { protocol: PROTOCOL, epoch, age_ms: age.map_or(u64::MAX, millis), recorded, body }
    }

    /// A page of a snapshot.
    pub(super) fn page(page: CutPage, age: Duration, recorded: bool) -> Self {
        Self { protocol: PROTOCOL, epoch: page.stamp.epoch, age_ms: millis(age), recorded, body: Body::Page(page.json) }
    }

    /// What kind of answer it is.
    pub(super) fn kind(&self) -> PollAnswer {
        match &self.body {
            Body::Changes(FeedBody::Delta { changes, .. }) if changes.is_empty() => PollAnswer::Empty,
            Body::Changes(_) => PollAnswer::Delta,
            Body::Page(_) => PollAnswer::Page,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
