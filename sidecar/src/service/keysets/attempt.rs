//! One attempt to fetch a set, by whoever has the turn: fetch, judge, put on record, announce.

use std::time::Duration;

use tokio::time::timeout;

use super::origin::{Document, Effort, Fetched};
use super::{Inner, State, Tended, Turn, chance};
use crate::domain::keyset::set::{Selection, select};
use crate::domain::keyset::source::{Place, Source};
use crate::domain::keyset::{KeysetRecord, Origin, schedule};
use crate::service::clock::now_ms;
use crate::service::error::StoreError;
use crate::service::metrics::FetchOutcome;

/// What a turn may take beside the fetching: a turn lasts longer than anything that is done in it, so that turns
/// never overlap.
const TURN_MARGIN: Duration = Duration::from_secs(4);

/// Why an attempt is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// It is time.
    Due,
    /// This sidecar's file was changed.
    FileChanged,
    /// The question with this id was asked.
    Asked(String),
}

impl Inner {
    /// One attempt. If it is only time for one and somebody else is at it, nothing happens.
    pub(super) async fn attempt(&self, tended: &Tended, source: &Source, why: &Why) -> Result<(), StoreError> {
        let life = source.timeout + TURN_MARGIN;
        let turn = if *why == Why::Due {
            let Some(turn) = self.store.take_turn(&tended.name, life).await? else { return Ok(()) };
            turn
        } else {
            self.publisher.take_turn(&tended.name, life, life).await?
        };
        let done = self.attempt_in_turn(tended, source, why, &turn).await;
        self.publisher.end_turn(turn).await;
        done
    }

    async fn attempt_in_turn(
        &self,
        tended: &Tended,
        source: &Source,
        why: &Why,
        turn: &Turn,
    ) -> Result<(), StoreError> {
        let announced = self.publisher.announced(&tended.name).await?;
        let present = self.look_alone(tended).await?.record;
        let current = present.clone().filter(|record| record.revision >= announced);
        let before = current.or_else(|| tended.copy(announced)).or(present).unwrap_or_default();
        // Somebody else may have been faster.
        if *why == Why::Due && !is_due(source, &before, announced, &tended.state(), now_ms()) {
            return Ok(());
        }
        let known = if is_of(&before, &source.place) { before.origin.clone() } else { Origin::default() };
        let effort = if matches!(why, Why::Asked(_)) { Effort::KeysOnly } else { Effort::Whole };
        let fetching = timeout(source.timeout, self.origin.fetch(&source.place, &known, effort));
        let fetched = match fetching.await {
            Ok(fetched) => fetched.map_err(|unfetched| unfetched.0),
            Err(_) => Err(format!("timed out: no answer within {} ms", source.timeout.as_millis())),
        };
        let (after, left_out) = folded(&before, source, why, fetched, announced);
        self.publisher.write(turn, &after).await?;
        tended.remember(&after);
        self.tell(tended, &before, &after, left_out);
        if after.revision > announced {
            self.publisher.announce(&tended.name, after.revision).await?;
        }
        tended.state().is_settled = true;
        Ok(())
    }

    /// Counts an attempt, and logs what it changed: once when a source begins to fail, and when it works again.
    fn tell(&self, tended: &Tended, before: &KeysetRecord, after: &KeysetRecord, left_out: Vec<String>) {
        let (source, has_changed) = (tended.name.as_str(), before.revision != after.revision);
        self.metrics.keyset_fetch(
            source,
            match &after.origin.failure {
                Some(_) => FetchOutcome::Failed,
                None if has_changed => FetchOutcome::Changed,
                None => FetchOutcome::Unchanged,
            },
        );
        match (&before.origin.failure, &after.origin.failure) {
            (None, Some(failure)) => {
                tracing::warn!(
                    source,
                    failure,
                    keys = after.keys.len(),
                    "keys cannot be fetched; the last good ones stay"
                );
            }
            (Some(_), None) => tracing::info!(source, keys = after.keys.len(), "keys can be fetched again"),
            _ => {}
        }
        if has_changed {
            tracing::info!(source, revision = after.revision, keys = after.keys.len(), "the keys have changed");
        }
        let mut state = tended.state();
        if after.origin.failure.is_none() && state.left_out != left_out {
            for key in &left_out {
                tracing::warn!(source, key, "a key cannot be used, and is left out");
            }
            state.left_out = left_out;
        }
    }
}

/// Whether it is time for an attempt.
pub(super) fn is_due(source: &Source, record: &KeysetRecord, announced: u64, state: &State, now_ms: u64) -> bool {
    let is_behind = record.revision < announced && record.origin.failure.is_none();
    // What a file says is looked at in another way.
    let is_over = now_ms >= record.origin.refresh_at_ms || matches!(source.place, Place::File(_));
    is_moved(source, record, state) || is_behind || is_over
}

/// Whether the configuration was changed since the record was made. Asked once after a start: while sidecars with
/// another configuration still run, they must not overwrite each other every second.
pub(super) fn is_moved(source: &Source, record: &KeysetRecord, state: &State) -> bool {
    !state.is_settled && !is_of(record, &source.place)
}

/// Whether the record is about what is at `place`.
fn is_of(record: &KeysetRecord, place: &Place) -> bool {
    record.origin.place.as_ref().is_none_or(|known| *known == place.identity())
}

/// The record after an attempt, and what was left out of the set.
fn folded(
    before: &KeysetRecord,
    source: &Source,
    why: &Why,
    fetched: Result<Fetched, String>,
    announced: u64,
) -> (KeysetRecord, Vec<String>) {
    let (mut record, now_ms, mut left_out) = (before.clone(), now_ms(), Vec::new());
    let is_moved = !is_of(before, &source.place);
    if is_moved {
        record.origin = Origin::default();
    }
    record.origin.place = Some(source.place.identity());
    if let Why::Asked(question) = why {
        record.origin.answered = Some(question.clone());
    }
    // Keys from elsewhere are nothing that this source ever vouched for.
    let mut kept = if is_moved { Vec::new() } else { before.keys.clone() };
    let judged = fetched.and_then(|fetched| match fetched {
        Fetched::Unchanged { max_age } => Ok((None, max_age)),
        Fetched::Document(document) => match select(&document.body) {
            Ok(selection) => Ok((Some((selection, document.clone())), document.max_age)),
            Err(error) => {
                kept = error.spared(std::mem::take(&mut kept));
                Err(document.location.map_or_else(|| error.to_string(), |at| format!("{at}: {error}")))
            }
        },
    });
    match judged {
        Ok((set, max_age)) => {
            match set {
                None => record.replace_keys(before.keys.clone(), announced, now_ms),
                Some((selection, document)) => {
                    left_out = selection.told();
                    take(&mut record, selection, document, *why == Why::FileChanged, announced, now_ms);
                }
            }
            record.origin.succeeded(now_ms, schedule::after_success(max_age, source.refresh, chance()));
        }
        Err(failure) => {
            if kept.len() < before.keys.len() {
                record.replace_keys(kept, announced, now_ms);
                // What had it is not what is on record any more.
                record.origin.etag = None;
            }
            record.origin.failed(now_ms, failure, chance());
        }
    }
    (record, left_out)
}

/// Takes a set over, unless it is from a file that is older than the one on record: each sidecar has its own.
fn take(
    record: &mut KeysetRecord,
    selection: Selection,
    document: Document,
    is_change: bool,
    announced: u64,
    now_ms: u64,
) {
    let (known, found) = (record.origin.modified_at_ms, document.modified_at_ms);
    let is_older = found.is_some() && found <= known && record.revision > 0;
    if is_older && !is_change && !record.has_just(&selection.keys) {
        return;
    }
    record.replace_keys(selection.keys, announced, now_ms);
    record.origin.left_out = selection.left_out_count;
    record.origin.location = document.location;
    record.origin.etag = document.etag;
    // A change to an older file is a change: the others' files are older than it from now on.
    record.origin.modified_at_ms = found.max(known.filter(|_| is_older).map(|known| known.saturating_add(1)));
}
