//! Sessions of oauth2-proxy whose ticket nobody has shown yet. Whose they are is sealed, but they can be listed, in no order,
//! and deleted.

use std::time::Duration;

use tokio::time::sleep;

use super::Oauth2Proxy;
use crate::domain::error::Failure;
use crate::domain::session::Session;
use crate::domain::time::UnixSeconds;
use crate::domain::unseen_session::{Place, Unseen};

/// How often, and how many times at most, it is looked whether oauth2-proxy is done with a session: it holds a lock for 5 s.
const LOCK_LOOK_EVERY: Duration = Duration::from_millis(100);
const LOCK_LOOKS: usize = 60;
/// Steps that one call walks at most. It may find less than was asked for, and say where to go on.
const STEPS_MAX: usize = 100;

/// What is known of a session by its key alone.
#[derive(Debug, Clone, PartialEq)]
pub enum ByKey {
    /// Somebody has shown it.
    Seen(Box<Session>),
    /// Nobody has.
    Unseen(Unseen),
}

impl Oauth2Proxy {
    /// At most `most` sessions that nobody has shown yet, from `place` on, and where to go on. A walk shows each that is
    /// there all the while.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn unseen(&self, mut place: Place, most: usize) -> Result<(Vec<Unseen>, Option<Place>), Failure> {
        let prefixes = &self.rules.prefixes;
        let (mut rows, now) = (Vec::new(), UnixSeconds::now());
        for _ in 0..STEPS_MAX {
            let Some(prefix) = prefixes.get(place.prefix) else { return Ok((rows, None)) };
            let (mut found, next) = self.store.unseen(prefix, place.step).await?;
            // What another prefix has shown before is not shown again.
            let is_shown = |key: &str| prefixes.iter().take(place.prefix).any(|prefix| key.starts_with(prefix));
            found.retain(|(key, _)| *key > place.after && self.rules.is_listed(key) && !is_shown(key));
            found.sort();
            found.dedup();
            let (room, is_all) = (most - rows.len(), found.len() <= most - rows.len());
            rows.extend(found.into_iter().take(room).map(|(key, left)| Unseen::new(key, left, now)));
            if !is_all {
                place.after = rows.last().filter(|_| room > 0).map_or(place.after, |last| last.key.clone());
                return Ok((rows, Some(place)));
            }
            place = place.next(next);
        }
        let is_end = place.prefix >= prefixes.len();
        Ok((rows, (!is_end).then_some(place)))
    }

    /// What the keys of sessions begin with that are listed.
    #[must_use]
    pub fn patterns(&self) -> Vec<String> {
        self.rules.prefixes.iter().map(|prefix| format!("{prefix}*")).collect()
    }

    /// The session that oauth2-proxy keeps under a key.
    ///
    /// # Errors
    /// [`Failure::SessionNotFound`], also if another thing is there, or a lock; [`Failure::Unavailable`].
    pub async fn find_by_key(&self, key: &str) -> Result<ByKey, Failure> {
        let not_found = || Failure::SessionNotFound { key: key.to_owned() };
        if !self.rules.is_listed(key) {
            return Err(not_found());
        }
        let left_ms = self.store.text(key).await?.ok_or_else(not_found)?;
        if let Some(seen) = self.store.seen(key).await?
            && let (Some(session), false) = self.kept.look_up(&seen.id).await.map(|(f, _)| (f.session, f.is_ended))?
        {
            return Ok(ByKey::Seen(Box::new(session)));
        }
        Ok(ByKey::Unseen(Unseen::new(key.to_owned(), left_ms, UnixSeconds::now())))
    }

    /// Deletes a session that nobody has shown yet, as part of a change that is recorded and followed; whether it was there.
    /// Once more changes nothing.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn delete_unseen(&self, key: &str) -> Result<bool, Failure> {
        if !self.rules.is_listed(key) {
            return Ok(false);
        }
        let is_deleted = self.store.delete_text(key).await?;
        // oauth2-proxy may be writing it anew. While it does it holds a lock, for a few seconds at most.
        let lock = format!("{key}.lock");
        for _ in 0..LOCK_LOOKS {
            if !self.store.is_there(&lock).await? {
                break;
            }
            sleep(LOCK_LOOK_EVERY).await;
        }
        let is_deleted = self.store.delete_text(key).await? || is_deleted;
        // Somebody may have shown it just before. Then filters have to hear of it.
        self.settle_deleted(key).await?;
        Ok(is_deleted)
    }
}
