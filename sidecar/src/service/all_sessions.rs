//! Everybody's sessions in one list: our own, those of oauth2-proxy that somebody has shown, and behind them those that
//! nobody has shown yet, whose owners are not known.

use sekisho_protocol::Subject;

use crate::domain::audit::{Action, By, Event};
use crate::domain::error::Failure;
use crate::domain::page::{Page, Window};
use crate::domain::session::Session;
use crate::domain::session_order::Wanted;
use crate::domain::time::UnixSeconds;
use crate::domain::unseen_session::{Place, Unseen};
use crate::service::audit::Deed;
use crate::service::change::{Change, Changes};
use crate::service::oauth2_proxy::Oauth2Proxy;
use crate::service::oauth2_proxy::unseen::ByKey;
use crate::service::sessions::Sessions;

/// The use cases.
#[derive(Clone)]
pub struct AllSessions {
    sessions: Sessions,
    oauth2_proxy: Option<Oauth2Proxy>,
    changes: Changes,
}

/// A session, as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Listed {
    /// Whose it is, too.
    Known(Box<Session>),
    /// Nobody has shown it yet.
    Unseen(Unseen),
}

impl Listed {
    /// What it is called in lists.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Known(session) => session.id.as_str(),
            Self::Unseen(unseen) => &unseen.key,
        }
    }

    /// Whose it is, if that is known.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Known(session) => Some(&session.subject),
            Self::Unseen(_) => None,
        }
    }

    /// The one with this owner.
    #[must_use]
    pub fn known(session: Session) -> Self {
        Self::Known(Box::new(session))
    }
}

/// A session that was ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// What it was.
    pub session: Listed,
    /// What the change came to.
    pub change: Change,
}

impl AllSessions {
    /// These sessions, and those of an oauth2-proxy. What is ordered is recorded and followed by `changes`.
    #[must_use]
    pub fn new(sessions: Sessions, oauth2_proxy: Option<Oauth2Proxy>, changes: Changes) -> Self {
        Self { sessions, oauth2_proxy, changes }
    }

    /// A part of them. A search, or a user's list, has none whose owner is not known.
    ///
    /// # Errors
    /// As [`Sessions::list`].
    pub async fn list(&self, wanted: &Wanted, window: &Window) -> Result<Page<Listed>, Failure> {
        let Some(proxy) = self.oauth2_proxy.as_ref().filter(|_| !wanted.is_filtered()) else {
            return Ok(self.sessions.list(wanted, window).await?.map(Listed::known));
        };
        let begun = window.after.as_deref().map(Place::of_cursor).transpose()?.flatten();
        let (mut page, place) = match begun {
            Some(place) => (Page { rows: Vec::new(), next: None, limit: window.limit }, place),
            None => (self.sessions.list(wanted, window).await?.map(Listed::known), Place::default()),
        };
        if page.next.is_none() {
            let (unseen, next) = proxy.unseen(place, window.limit - page.rows.len()).await?;
            page.rows.extend(unseen.into_iter().map(Listed::Unseen));
            page.next = next.map(|place| place.cursor());
        }
        Ok(page)
    }

    /// How many there are in all whose owners are known.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn count(&self, now: UnixSeconds) -> Result<usize, Failure> {
        self.sessions.count(now).await
    }

    /// What the keys of oauth2-proxy's sessions look like that are listed.
    #[must_use]
    pub fn patterns(&self) -> Vec<String> {
        self.oauth2_proxy.as_ref().map(Oauth2Proxy::patterns).unwrap_or_default()
    }

    /// The session that is called so in lists, or that oauth2-proxy keeps under this key.
    ///
    /// # Errors
    /// As [`Sessions::find`].
    pub async fn find(&self, key: &str, now: UnixSeconds) -> Result<Listed, Failure> {
        match (self.sessions.find(key, now).await, &self.oauth2_proxy) {
            (Err(Failure::SessionNotFound { .. }), Some(proxy)) => Ok(match proxy.find_by_key(key).await? {
                ByKey::Seen(session) => Listed::Known(session),
                ByKey::Unseen(unseen) => Listed::Unseen(unseen),
            }),
            (found, _) => found.map(Listed::known),
        }
    }

    /// Ends a session for good.
    ///
    /// # Errors
    /// As [`Sessions::end_on_order`]; [`Failure::SessionNotFound`] if it ended meanwhile.
    pub async fn end_on_order(&self, session: Listed, by: By) -> Result<Ended, Failure> {
        match (session, &self.oauth2_proxy) {
            (Listed::Known(session), _) => {
                let ended = self.sessions.end_on_order(*session, by).await?;
                Ok(Ended { session: Listed::known(ended.session), change: ended.change })
            }
            (Listed::Unseen(unseen), Some(proxy)) => self.delete_on_order(proxy.clone(), unseen, by).await,
            (Listed::Unseen(unseen), None) => Err(Failure::SessionNotFound { key: unseen.key }),
        }
    }

    async fn delete_on_order(&self, proxy: Oauth2Proxy, unseen: Unseen, by: By) -> Result<Ended, Failure> {
        // Whose it is nobody knows.
        let deed = Deed::new(Action::SessionEnded, by, &unseen.key);
        let this = self.clone();
        let change = async move {
            if !proxy.delete_unseen(&unseen.key).await? {
                return Err(Failure::SessionNotFound { key: unseen.key });
            }
            let stamp = this.sessions.present().await?;
            Ok(Ended { session: Listed::Unseen(unseen), change: this.changes.follow(stamp).await })
        };
        let tell = |ended: &Ended, event: &mut Event| {
            event.tell("session_key", ended.session.key());
            ended.change.tell(event);
        };
        self.changes.carry_out(deed, change, tell).await
    }
}
