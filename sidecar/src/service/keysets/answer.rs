//! Answers filters that ask for keys. What is on record is answered at once; a filter that met a `kid` which is not
//! among them waits until the set was fetched anew, by one sidecar for the whole mesh.

use std::sync::Arc;
use std::time::Duration;

use sekisho_protocol::PROTOCOL;
use sekisho_protocol::keyset::{KeysReply, Standing};
use tokio::time::{Instant, sleep};

use super::attempt::Why;
use super::{Inner, Keysets, Look, Tended};
use crate::domain::keyset::source::Source;
use crate::domain::keyset::{KeysetRecord, SourceName};
use crate::service::error::StoreError;

/// No question waits longer: filters give up after 5 s.
const PATIENCE: Duration = Duration::from_millis(4_500);
/// How often it is looked whether another sidecar is done.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Our own keys are announced as they change, and a source that nobody knows has none: asking again is of no use.
const NO_USE: Duration = Duration::from_secs(10);

/// Why a question was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Too many wait already.
    #[error("too many questions for keys wait")]
    Busy,
    /// What is on record is older than what was announced, and nothing newer can be had now.
    #[error("the keys on record are older than those announced")]
    Outdated,
    /// The attempt that was waited for takes too long.
    #[error("the keys could not be fetched in time")]
    Late,
    /// The store cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to do about a question.
enum Next {
    /// Say what is on record.
    Answer,
    /// See to the record first.
    Tend,
    /// Have the set fetched, because of an unknown `kid`.
    Refetch,
    /// It was, and will not be again for so long.
    Spent(Duration),
}

impl Keysets {
    /// The keys of a source; those that are published now, if what is on record has no key named `kid`.
    ///
    /// # Errors
    /// [`Unanswered`]: nobody can tell now.
    pub async fn answer(&self, source: &SourceName, kid: Option<&str>) -> Result<KeysReply, Unanswered> {
        let this = &self.0;
        let Some(tended) = this.tended.get(source) else { return Ok(unknown()) };
        let Ok(_room) = this.room.try_acquire() else { return Err(Unanswered::Busy) };
        let deadline = Instant::now() + PATIENCE;
        let mut look = match this.look(tended).await {
            Ok(look) => look,
            Err(error) => return this.answer_from_memory(tended, kid).ok_or(Unanswered::Store(error)),
        };
        let mut is_ours = false;
        loop {
            let announced = this.announced(tended);
            match next(tended, &look, kid, announced) {
                Next::Answer => return Ok(reply(tended, &look)),
                // What was fetched after the question came decides it.
                Next::Spent(left) if is_ours || Instant::now() + left + tended.fetching() > deadline => {
                    return Ok(reply(tended, &look));
                }
                // What was fetched before does not: a key may be used as soon as it is published.
                Next::Spent(left) => {
                    sleep(left + Duration::from_millis(1)).await;
                    look = this.look(tended).await?;
                }
                Next::Refetch => (look, is_ours) = this.refetch(tended, deadline).await?,
                Next::Tend => {
                    this.tend(tended).await?;
                    look = this.look(tended).await?;
                    if matches!(next(tended, &look, kid, this.announced(tended)), Next::Tend) {
                        if Instant::now() >= deadline || is_failing(&look) {
                            return this.answer_from_memory(tended, kid).ok_or(Unanswered::Outdated);
                        }
                        sleep(LOOK_EVERY).await;
                    }
                }
            }
        }
    }
}

impl Inner {
    /// Has the set of a source fetched because of an unknown `kid`, unless it was a moment ago: what is on record
    /// then, and whether it was fetched after this call began. Those who want it at the same time share it.
    async fn refetch(
        self: &Arc<Self>,
        tended: &Arc<Tended>,
        deadline: Instant,
    ) -> Result<(Arc<Look>, bool), Unanswered> {
        let Some(source) = tended.source.clone() else { return Ok((self.look(tended).await?, false)) };
        let (this, asker, mut has_begun) = (Arc::clone(self), Arc::clone(tended), false);
        let landed = tended.refetches.join(|| {
            has_begun = true;
            async move { this.refetch_alone(&asker, &source, deadline).await }
        });
        let (look, is_ours) = landed.await?;
        if is_answered(&look) || look.question.is_none() || Instant::now() < deadline {
            return Ok((look, is_ours && has_begun));
        }
        Err(Unanswered::Late)
    }

    /// What is on record once an attempt was made, and whether it was made for the question of this call.
    async fn refetch_alone(
        &self,
        tended: &Tended,
        source: &Source,
        deadline: Instant,
    ) -> Result<(Arc<Look>, bool), StoreError> {
        let (question, is_ours) = self.store.ask(&tended.name, source.refetch_interval).await?;
        if is_ours {
            self.attempt(tended, source, &Why::Asked(question.id)).await?;
        }
        loop {
            let look = self.look_alone(tended).await?;
            if is_answered(&look) || look.question.is_none() || Instant::now() >= deadline {
                return Ok((Arc::new(look), is_ours));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// What this sidecar remembers, if it is as new as what was announced and has the key.
    fn answer_from_memory(&self, tended: &Tended, kid: Option<&str>) -> Option<KeysReply> {
        let copy = tended.copy(self.announced(tended))?;
        let has_it = kid.is_none_or(|kid| copy.has_kid(kid));
        has_it.then(|| reply(tended, &Look { record: Some(copy), question: None }))
    }
}

impl Tended {
    /// How long an attempt takes at most.
    fn fetching(&self) -> Duration {
        self.source.as_ref().map_or(Duration::ZERO, |source| source.timeout)
    }
}

fn next(tended: &Tended, look: &Look, kid: Option<&str>, announced: u64) -> Next {
    let record = look.record.as_ref().filter(|record| record.revision >= announced);
    let (Some(record), true) = (record, tended.source.is_some()) else {
        let is_told = record.is_some() || (announced == 0 && tended.source.is_none());
        return if is_told { Next::Answer } else { Next::Tend };
    };
    let is_unfetched = record.revision == 0;
    if is_unfetched && record.origin.failure.is_none() {
        return Next::Tend;
    }
    if kid.is_none_or(|kid| record.has_kid(kid)) {
        return Next::Answer;
    }
    match &look.question {
        Some(question) if is_answered(look) => Next::Spent(question.left),
        _ => Next::Refetch,
    }
}

/// Whether an attempt was made for the last question.
fn is_answered(look: &Look) -> bool {
    let answered = look.record.as_ref().and_then(|record| record.origin.answered.as_ref());
    look.question.as_ref().is_some_and(|question| answered == Some(&question.id))
}

fn is_failing(look: &Look) -> bool {
    look.record.as_ref().is_some_and(|record| record.origin.failure.is_some())
}

fn reply(tended: &Tended, look: &Look) -> KeysReply {
    let Some(record) = &look.record else { return unknown() };
    let asked = look.question.as_ref().map_or(Duration::ZERO, |question| question.left);
    let KeysetRecord { revision, keys, .. } = record;
    KeysReply {
        protocol: PROTOCOL,
        standing: record.standing(),
        revision: *revision,
        keys: keys.clone(),
        ask_again_ms: whole_ms(if tended.source.is_some() { asked } else { NO_USE }),
    }
}

fn unknown() -> KeysReply {
    let (protocol, standing) = (PROTOCOL, Standing::Unknown);
    KeysReply { protocol, standing, revision: 0, keys: Vec::new(), ask_again_ms: whole_ms(NO_USE) }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
