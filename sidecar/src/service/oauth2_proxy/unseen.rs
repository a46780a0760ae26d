//! Sessions of oauth2-proxy whose ticket nobody has shown yet. Whose they are is sealed, but they can be counted and deleted.

use super::Oauth2Proxy;
use crate::domain::error::Failure;
use crate::domain::feed::Stamp;
use crate::domain::time::UnixSeconds;

/// A session of which only its key is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// Its key.
    pub key: String,
    /// When it ends; none if Redis never forgets it.
    pub ends_at: Option<UnixSeconds>,
}

/// Where a walk over them goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnseenCursor {
    /// Which prefix.
    pub prefix: usize,
    /// Where among its keys.
    pub at: u64,
}

/// What became of a session that was to be deleted by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeletedByKey {
    /// It is deleted, and filters were never told of it.
    Unseen,
    /// Somebody had shown it, and it was ended: as part of a change that is to be followed up to this write.
    Ended(Stamp),
    /// There is none.
    Missing,
}

impl Oauth2Proxy {
    /// Some sessions that nobody has shown yet, from `cursor` on, in no order, and where to go on. A step may find none. A
    /// walk shows each that is there all the while at least once.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn unseen(&self, cursor: UnseenCursor) -> Result<(Vec<Unseen>, Option<UnseenCursor>), Failure> {
        let Some(prefix) = self.rules.prefixes.get(cursor.prefix) else { return Ok((Vec::new(), None)) };
        let (found, next) = self.store.unseen(prefix, cursor.at).await?;
        // What another prefix has shown before is not shown again.
        let earlier = self.rules.prefixes.get(..cursor.prefix).unwrap_or_default();
        let now = UnixSeconds::now();
        let is_new = |key: &str| self.rules.is_listed(key) && !earlier.iter().any(|prefix| key.starts_with(prefix));
        let unseen = found.into_iter().filter(|(key, _)| is_new(key));
        let unseen = unseen.map(|(key, left)| Unseen { key, ends_at: left.map(|left| now.plus(left / 1_000)) });
        let next = match next {
            0 => UnseenCursor { prefix: cursor.prefix + 1, at: 0 },
            at => UnseenCursor { at, ..cursor },
        };
        Ok((unseen.collect(), (next.prefix < self.rules.prefixes.len()).then_some(next)))
    }

    /// What the keys of sessions begin with that are listed.
    #[must_use]
    pub fn patterns(&self) -> Vec<String> {
        self.rules.prefixes.iter().map(|prefix| format!("{prefix}*")).collect()
    }

    /// Deletes a session by its key, and nothing else: no lock, no key that does not look like a session's, and no value
    /// of another type. One that was shown is ended with all that belongs to it.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn delete_by_key(&self, key: &str) -> Result<DeletedByKey, Failure> {
        if !self.rules.is_listed(key) {
            return Ok(DeletedByKey::Missing);
        }
        if let Some(seen) = self.store.seen(key).await?
            && let (Some(session), false) = self.kept.look_up(&seen.id).await.map(|(f, _)| (f.session, f.is_ended))?
        {
            let stamp = self.sessions.end(&session).await?;
            // Also of whoever signed in anew with this ticket, and whom nobody has seen since.
            self.store.delete_text(key).await?;
            return Ok(DeletedByKey::Ended(stamp));
        }
        Ok(if self.store.delete_text(key).await? { DeletedByKey::Unseen } else { DeletedByKey::Missing })
    }
}
