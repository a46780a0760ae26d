//! What follows when a token that was exchanged is revoked: by its owner, whose wish concerns what came of it, too; or
//! because its grace time is over, after which whoever comes with it has a copy.
//!
//! All of it is done in an order in which whoever dies leaves in line what is still to be done, and others do it.

use std::sync::Arc;

use sekisho_protocol::feed::Kind;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::Tokens;
use super::refresh::Tie;
use crate::domain::audit::{Action, By, Event};
use crate::domain::error::Failure;
use crate::domain::feed::Stamp;
use crate::domain::token::{StoredToken, TokenId, TokenRecord};
use crate::failpoint::{FailPoint, reach};
use crate::service::audit::Deed;
use crate::service::change::Change;
use crate::service::error::StoreError;

/// Most tokens that one step looks after.
const STEP: usize = 100;
/// Most families of which one step looks after, while nobody else gets them.
const FAMILIES_STEP: usize = 10;
/// Most that wait to be looked at: a filter worker comes with each token once. It is a few megabytes at worst.
const SHOWN_MAX: usize = 65_536;
/// Most of them that are looked at together.
const SHOWN_STEP: usize = 500;

/// Takes notice of revoked tokens that somebody came with. The filters are not to wait for what follows from that.
#[derive(Clone)]
pub struct Shown {
    sender: mpsc::Sender<String>,
    receiver: Arc<Mutex<mpsc::Receiver<String>>>,
}

impl Default for Shown {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(SHOWN_MAX);
        Self { sender, receiver: Arc::new(Mutex::new(receiver)) }
    }
}

impl Shown {
    /// Those that wait, once there are any.
    pub async fn next(&self) -> Vec<String> {
        let mut ids = Vec::new();
        self.receiver.lock().await.recv_many(&mut ids, SHOWN_STEP).await;
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// A revoked token was shown.
    pub fn notice(&self, token_id: &str) {
        if self.sender.try_send(token_id.to_owned()).is_err() {
            tracing::warn!(
                token.id = token_id,
                "nobody looks whether this revoked token had been exchanged: too many wait"
            );
        }
    }
}

impl Tokens {
    /// Revokes tokens whose grace time is over; how many there were.
    ///
    /// # Errors
    /// [`Failure::Unavailable`]; what was not done is tried again.
    pub async fn retire_exchanged(&self) -> Result<usize, Failure> {
        let ids = self.exchanges.to_retire(STEP).await?;
        let mut failed = Ok(());
        for id in &ids {
            failed = failed.and(self.retire(id).await);
        }
        failed.map(|()| ids.len())
    }

    async fn retire(&self, id: &str) -> Result<(), Failure> {
        if let Some(StoredToken { record, is_revoked }) = self.store.find(&TokenId::parse(id)?).await? {
            // Who comes with a token that somebody else revoked before proves nothing by that.
            if !is_revoked || self.was_retired(id).await? {
                // First: filters ask once about a token that they know to be revoked.
                self.exchanges.mark_retired(id).await?;
                reach(FailPoint::ExchangeMarked);
                self.write_revocation(record).await?;
            }
        }
        Ok(self.exchanges.retired(id).await?)
    }

    async fn was_retired(&self, id: &str) -> Result<bool, StoreError> {
        let found = self.exchanges.exchanged(&[id.to_owned()]).await?;
        Ok(found.into_iter().flatten().any(|exchanged| exchanged.is_retired))
    }

    /// Somebody came with these revoked tokens: opens a case for each that had been exchanged.
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn shown(&self, ids: &[String]) -> Result<(), StoreError> {
        for (id, exchanged) in ids.iter().zip(self.exchanges.exchanged(ids).await?) {
            let Some(exchanged) = exchanged.filter(|exchanged| exchanged.is_retired) else { continue };
            if self.exchanges.open_case(&exchanged.family).await? {
                tracing::warn!(token.id = id, family = exchanged.family, "a token was shown after its exchange");
            }
        }
        Ok(())
    }

    /// Revokes the families whose cases are open, and all that was generated with their tokens; how many there were.
    ///
    /// # Errors
    /// [`Failure::Unavailable`]; what was not done is tried again.
    pub async fn close_cases(&self) -> Result<usize, Failure> {
        let families = self.exchanges.open_cases(FAMILIES_STEP).await?;
        let mut failed = Ok(());
        for family in &families {
            failed = failed.and(self.revoke_family(family).await);
        }
        failed.map(|()| families.len())
    }

    /// Returns when everything is written. That filters apply it is waited for apart, so that the next family need not.
    async fn revoke_family(&self, family: &str) -> Result<(), Failure> {
        if self.exchanges.is_closed(family).await? {
            return Ok(self.exchanges.close_case(family).await?);
        }
        self.exchanges.seal(family, &Tie::ALL).await?;
        reach(FailPoint::FamilyMarked);
        let tokens = self.members(family, &Tie::ALL).await?;
        let target = tokens.first().map(|token| token.record.user_email.clone());
        let deed = Deed { action: Action::TokenReused, by: By::system("refresh"), target };
        let (written, is_written) = oneshot::channel();
        let (this, of) = (self.clone(), family.to_owned());
        let change = async move {
            let (count, stamp) = this.write_revocations(tokens).await?;
            reach(FailPoint::FamilyRevoked);
            this.exchanges.close_case(&of).await?;
            let _ = written.send(());
            let change = match stamp {
                Some(stamp) => Some(this.changes.follow(stamp).await),
                None => None,
            };
            Ok((count, change))
        };
        let family = family.to_owned();
        let tell = move |(count, change): &(usize, Option<Change>), event: &mut Event| {
            event.tell("family", family.as_str());
            event.tell("count", *count);
            if let Some(change) = change {
                change.tell(event);
            }
        };
        let changes = self.changes.clone();
        let carried_out = tokio::spawn(async move { changes.carry_out(deed, change, tell).await.map(|_| ()) });
        match is_written.await {
            Ok(()) => Ok(()),
            Err(_) => carried_out.await.unwrap_or_else(|error| Err(Failure::Internal { cause: error.to_string() })),
        }
    }

    /// The tokens on record that have these ties to a family.
    async fn members(&self, family: &str, ties: &[Tie]) -> Result<Vec<StoredToken>, StoreError> {
        let (mut tokens, mut at) = (Vec::new(), Some(0));
        while let Some(cursor) = at {
            let (ids, next) = self.exchanges.members(family, ties, cursor).await?;
            tokens.extend(self.store.find_each(&ids).await?);
            at = next;
        }
        tokens.sort_unstable_by(|a, b| a.record.token_id.cmp(&b.record.token_id));
        tokens.dedup_by(|a, b| a.record.token_id == b.record.token_id);
        Ok(tokens)
    }

    /// Revokes those of these tokens that are not revoked; how many, and where the feed stands with the last of them.
    async fn write_revocations(&self, tokens: Vec<StoredToken>) -> Result<(usize, Option<Stamp>), Failure> {
        let (mut count, mut stamp) = (0, None);
        for token in tokens.into_iter().filter(|token| !token.is_revoked) {
            stamp = Some(self.write_revocation(token.record).await?);
            count += 1;
        }
        Ok((count, stamp))
    }

    /// Revokes a token and what came of it by exchanges: where the feed stands then, and how many successors it had.
    pub(super) async fn revoke_with_successors(&self, record: TokenRecord) -> Result<(Stamp, usize), Failure> {
        let id = record.token_id.clone();
        self.exchanges.begin_revocation(&id).await?;
        let stamp = self.write_revocation(record).await?;
        // On record first: an exchange that is noted after this look finds its token revoked, and gives nothing away.
        let (count, last) = match self.family_of_exchanged(&id).await? {
            Some(family) => self.end_exchanges(&family).await?,
            None => (0, None),
        };
        self.exchanges.end_revocation(&id).await?;
        Ok((last.unwrap_or(stamp), count))
    }

    /// Where the feed stood when a token was revoked with all that came of it, if nothing of that is left to be done.
    pub(super) async fn revoked_before(&self, token: &StoredToken) -> Result<Option<Stamp>, StoreError> {
        let id = &token.record.token_id;
        if !token.is_revoked {
            return Ok(None);
        }
        // Whoever revoked it may have died before it was in the feed, or before its successors were.
        let Some(stamp) = self.feed.stamp(Kind::Token, id).await? else { return Ok(None) };
        let is_whole = match self.family_of_exchanged(id).await? {
            Some(family) => self.exchanges.is_sealed(&family, Tie::Exchanged).await?,
            None => true,
        };
        Ok(is_whole.then_some(stamp))
    }

    /// The family of a token, if it was exchanged.
    async fn family_of_exchanged(&self, id: &str) -> Result<Option<String>, StoreError> {
        let found = self.exchanges.exchanged(&[id.to_owned()]).await?;
        Ok(found.into_iter().flatten().next().map(|exchanged| exchanged.family))
    }

    /// Revokes all that come from one another by exchanges. What was generated with them is not touched.
    async fn end_exchanges(&self, family: &str) -> Result<(usize, Option<Stamp>), Failure> {
        self.exchanges.seal(family, &[Tie::Exchanged]).await?;
        let tokens = self.members(family, &[Tie::Exchanged]).await?;
        self.write_revocations(tokens).await
    }

    /// Revokes tokens with what came of them that somebody began to revoke, who then died; how many there were.
    ///
    /// # Errors
    /// [`Failure::Unavailable`]; what was not done is tried again.
    pub async fn finish_revocations(&self) -> Result<usize, Failure> {
        let ids = self.exchanges.begun_revocations(STEP).await?;
        let mut failed = Ok(());
        for id in &ids {
            failed = failed.and(self.finish_revocation(id).await);
        }
        failed.map(|()| ids.len())
    }

    async fn finish_revocation(&self, id: &str) -> Result<(), Failure> {
        match self.store.find(&TokenId::parse(id)?).await? {
            Some(token) => self.revoke_with_successors(token.record).await.map(|_| ()),
            None => Ok(self.exchanges.end_revocation(id).await?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_token_is_left_out_when_many_are_shown_at_once() {
        let shown = Shown::default();
        for n in 0..5_000 {
            shown.notice(&format!("t{n}"));
            shown.notice(&format!("t{n}"));
        }
        let (mut seen, mut steps) = (std::collections::BTreeSet::new(), 0);
        while seen.len() < 5_000 {
            seen.extend(shown.next().await);
            steps += 1;
        }
        assert_eq!(steps, 20);
    }
}
