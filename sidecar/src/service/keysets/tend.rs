//! Sees to it that the record of a source is there, is current and is announced: once a second, on every sidecar.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::attempt::{Why, is_due, is_moved};
use super::origin::{Effort, Fetched};
use super::publish::TURN_LIFE;
use super::{Inner, Keysets, Look, Tended, Turn};
use crate::domain::error::Failure;
use crate::domain::keyset::set::select;
use crate::domain::keyset::source::{Place, Source};
use crate::domain::keyset::{KeysetRecord, Origin, SourceName};
use crate::service::clock::now_ms;
use crate::service::error::StoreError;

/// So long whoever asks for a refresh waits for an attempt that is under way: longer than any takes.
const TURN_WAIT: Duration = Duration::from_secs(15);

impl Keysets {
    /// One round of care for a source.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn tend(&self, source: &SourceName) -> Result<(), StoreError> {
        match self.0.tended.get(source) {
            Some(tended) => self.0.tend(tended).await,
            None => Ok(()),
        }
    }

    /// Lets the life of a source's keys be over: the sidecars fetch them within a second.
    ///
    /// # Errors
    /// [`Failure::Invalid`]: no such source; [`Failure::Unavailable`].
    pub async fn refresh(&self, source: &SourceName) -> Result<(), Failure> {
        let this = &self.0;
        if this.tended.get(source).is_none_or(|tended| tended.source.is_none()) {
            return Err(Failure::invalid("name", format!("`{source}` is none of the key_sources")));
        }
        let turn = this.publisher.take_turn(source, TURN_WAIT, TURN_LIFE).await?;
        let done = this.let_expire(&turn).await;
        this.publisher.end_turn(turn).await;
        Ok(done?)
    }
}

impl Inner {
    async fn let_expire(&self, turn: &Turn) -> Result<(), StoreError> {
        // Without a record an attempt is due anyway.
        let Some(mut record) = self.store.look(&turn.source).await?.record else { return Ok(()) };
        record.origin.refresh_at_ms = 0;
        self.publisher.write(turn, &record).await
    }

    /// One round; those who want one at the same time share it.
    pub(super) async fn tend(self: &Arc<Self>, tended: &Arc<Tended>) -> Result<(), StoreError> {
        let (this, source) = (Arc::clone(self), Arc::clone(tended));
        let round = async move {
            let done = this.round(&source).await;
            if let Some(copy) = source.copy(0) {
                this.metrics.keyset(source.name.as_str(), copy.keys.len(), copy.age(now_ms()));
            }
            done
        };
        tended.rounds.join(|| round).await
    }

    async fn round(&self, tended: &Tended) -> Result<(), StoreError> {
        let mut look = self.look_alone(tended).await?;
        if self.put_back(tended, &look).await? {
            look = self.look_alone(tended).await?;
        }
        let (record, announced) = (look.record.unwrap_or_default(), self.announced(tended));
        if let Some(source) = &tended.source {
            if matches!(source.place, Place::File(_)) {
                self.tend_file(tended, source, &record, announced).await?;
            } else if is_due(source, &record, announced, &tended.state(), now_ms()) {
                self.attempt(tended, source, &Why::Due).await?;
            } else {
                tended.state().is_settled = true;
            }
        }
        self.announce_again(tended, record.revision).await?;
        Ok(())
    }

    /// Writes back what the store lost of a record, if this sidecar remembers it: whether it did.
    async fn put_back(&self, tended: &Tended, look: &Look) -> Result<bool, StoreError> {
        let present = look.record.as_ref().map_or(0, |record| record.revision);
        let Some(copy) = tended.copy(present.saturating_add(1)) else { return Ok(false) };
        let Some(turn) = self.store.take_turn(&tended.name, TURN_LIFE).await? else { return Ok(false) };
        // Whoever had the turn before may have put a newer one there.
        let done = match self.store.look(&tended.name).await {
            Ok(look) if look.record.as_ref().is_none_or(|record| record.revision < copy.revision) => {
                tracing::info!(
                    source = tended.name.as_str(),
                    revision = copy.revision,
                    "keys that Redis lost are written back"
                );
                self.publisher.write(&turn, &copy).await
            }
            other => other.map(|_| ()),
        };
        self.publisher.end_turn(turn).await;
        done.map(|()| true)
    }

    /// Announces what is on record and was not announced: whoever wrote the record may have died before (rule P8).
    async fn announce_again(&self, tended: &Tended, revision: u64) -> Result<(), StoreError> {
        let is_loaded = self.mirror.stamp().is_some();
        // This sidecar's copy of the feed may be a moment behind the store.
        if is_loaded && revision > self.announced(tended) && revision > self.publisher.announced(&tended.name).await? {
            self.publisher.announce(&tended.name, revision).await?;
        }
        Ok(())
    }

    /// Looks at this sidecar's file. What it says counts if it was changed, or is newer than what is on record.
    async fn tend_file(
        &self,
        tended: &Tended,
        source: &Source,
        record: &KeysetRecord,
        announced: u64,
    ) -> Result<(), StoreError> {
        let reading =
            timeout(source.timeout, self.origin.fetch(&source.place, &Origin::default(), Effort::Whole)).await;
        let mut gives_away = false;
        let read = match reading {
            Ok(Ok(Fetched::Document(document))) => select(&document.body).map(|set| (set, document)).map_err(|error| {
                gives_away = error.spared(record.keys.clone()).len() < record.keys.len();
                error.to_string()
            }),
            Ok(Ok(Fetched::Unchanged { .. })) => return Ok(()),
            Ok(Err(unfetched)) => Err(unfetched.0),
            Err(_) => Err("it cannot be read in time".to_owned()),
        };
        let (set, document) = match read {
            Ok(read) => read,
            Err(why) => {
                // Other sidecars may have a better file: this one speaks up only while there is none at all, about a
                // key that is given away, and about keys from where the source was before.
                let is_first = record.revision == 0 && record.origin.failure.is_none();
                let is_news = is_first || gives_away || is_moved(source, record, &tended.state());
                tended.file_trouble(Some(why));
                return if is_news { self.attempt(tended, source, &Why::Due).await } else { Ok(()) };
            }
        };
        tended.file_trouble(None);
        let was_changed = tended.state().file.as_ref().is_some_and(|before| *before != document.body);
        let is_newer = document.modified_at_ms > record.origin.modified_at_ms;
        let is_first = record.revision == 0 || is_moved(source, record, &tended.state());
        let is_other = !record.has_just(&set.keys) && (was_changed || is_newer || is_first);
        if is_other || record.origin.failure.is_some() || record.revision < announced {
            let why = if was_changed { Why::FileChanged } else { Why::Due };
            self.attempt(tended, source, &why).await?;
        }
        tended.state().file = Some(document.body);
        Ok(())
    }
}

impl Tended {
    /// Logs that the file cannot be used, and that it can again, once each.
    fn file_trouble(&self, trouble: Option<String>) {
        let mut state = self.state();
        match (&state.trouble, &trouble) {
            (before, Some(why)) if before.as_ref() != Some(why) => {
                tracing::warn!(source = self.name.as_str(), why, "the file with the keys cannot be used");
            }
            (Some(_), None) => tracing::info!(source = self.name.as_str(), "the file with the keys can be used again"),
            _ => {}
        }
        state.trouble = trouble;
    }
}
