//! Asks the identity provider from time to time whether it would still let the owner of a session in.
//!
//! Nobody waits for the answer: a session goes on until the provider says no, and while it can't be asked. One sidecar asks
//! at a time, since a provider that rotates refresh tokens takes one that is shown twice for stolen (RFC 9700 §4.14.2).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

use super::SignIn;
use super::provider::{ProviderError, Renewed};
use super::refusal::INVALID_GRANT;
use crate::domain::audit::By;
use crate::domain::error::Failure;
use crate::domain::session::{Session, SessionId};
use crate::domain::sign_in::Testimony;
use crate::domain::sign_in::grant::Grant;
use crate::domain::time::UnixSeconds;

/// Most sessions of which the provider is asked at a time.
const AT_A_TIME: usize = 16;
/// After so long a turn ends by itself, if the sidecar whose turn it is died.
const TURN_LIFE: Duration = Duration::from_secs(15);
/// How often it is renewed meanwhile.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// A provider that could not be asked is asked again after so many seconds.
const AGAIN_AFTER_S: u64 = 30;
/// How often it is tried to write down what came of it: the session may be used in between.
const WRITES_MAX: usize = 5;
/// What it does in the audit trail.
const JOB: &str = "session-refresh";

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// The session goes on.
    GoesOn,
    /// It was ended.
    Ended,
    /// There was nothing to ask, or another sidecar asks.
    NotDue,
    /// The provider could not be asked; it will be later.
    Later,
}

/// Sessions whose turn it is, told by whoever noticed.
#[derive(Debug)]
pub struct Due {
    /// The sessions.
    pub sessions: mpsc::Receiver<SessionId>,
}

/// A session that this sidecar asks about, until this is dropped, however that ends.
struct UnderWay {
    id: SessionId,
    all: Arc<Mutex<HashSet<SessionId>>>,
}

impl UnderWay {
    /// None if it is asked about already.
    fn begin(all: &Arc<Mutex<HashSet<SessionId>>>, id: SessionId) -> Option<Self> {
        let is_first = all.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        is_first.then(|| Self { id, all: Arc::clone(all) })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl SignIn {
    /// Asks for each session that `due` names, until nobody can name one any more.
    pub async fn refresh_all(self, mut due: Due) {
        let (room, under_way) = (Arc::new(Semaphore::new(AT_A_TIME)), Arc::new(Mutex::new(HashSet::new())));
        while let Some(id) = due.sessions.recv().await {
            // Many requests notice it at the same moment.
            let Some(turn) = UnderWay::begin(&under_way, id) else { continue };
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            let this = self.clone();
            tokio::spawn(async move {
                if let Err(error) = this.refresh(&turn.id, UnixSeconds::now()).await {
                    tracing::warn!(%error, "a session's owner could not be asked about");
                }
                drop(permit);
            });
        }
    }

    /// Asks the provider about one session, if that is due and nobody else does.
    ///
    /// # Errors
    /// [`Failure::Unavailable`]: it is due still.
    pub async fn refresh(&self, id: &SessionId, now: UnixSeconds) -> Result<Refreshed, Failure> {
        let owner = uuid::Uuid::new_v4().to_string();
        if !self.grants.take_turn(id, &owner, TURN_LIFE).await? {
            return Ok(Refreshed::NotDue);
        }
        // To its end, whatever becomes of the turn: the provider may have given another refresh token already, and
        // takes who shows the old one for a thief.
        let asking = self.ask(id, now);
        tokio::pin!(asking);
        let done = loop {
            tokio::select! {
                done = &mut asking => break done,
                () = sleep(RENEW_EVERY) => match self.grants.renew_turn(id, &owner, TURN_LIFE).await {
                    Ok(true) => {}
                    Ok(false) => tracing::warn!("another sidecar may ask about a session, too: its turn was over"),
                    Err(error) => tracing::warn!(%error, "the turn to ask about a session could not be renewed"),
                },
            }
        };
        self.grants.end_turn(id, &owner).await?;
        done
    }

    async fn ask(&self, id: &SessionId, now: UnixSeconds) -> Result<Refreshed, Failure> {
        // Only now: whoever had the turn before may have asked.
        let Some(session) = self.find(Some(id)).await?.filter(|session| session.is_refresh_due(now)) else {
            return Ok(Refreshed::NotDue);
        };
        let Some(mut grant) = self.grant(id).await?.filter(|grant| grant.refresh_token.is_some()) else {
            self.write(session, |session| session.refresh_at = None).await?;
            return Ok(Refreshed::GoesOn);
        };
        let said = match self.provider.renew(&grant).await {
            // The one refusal that is about this grant (RFC 6749 §5.2); all others are about us, or the provider.
            Err(ProviderError::Refused(code)) if code == INVALID_GRANT => {
                return self.end_refused(&session, &code).await;
            }
            Err(error) => Err(error),
            Ok(Renewed { refresh_token, said }) => {
                // Before anything else can fail: the old one may be of no use any more.
                if refresh_token.is_some() {
                    grant.refresh_token = refresh_token;
                    self.keep_grant(&session, &grant, now).await?;
                }
                said
            }
        };
        match said {
            Ok((said, id_token)) => self.go_on(session, grant, said, id_token, now).await,
            Err(error) => {
                tracing::warn!(%error, "the identity provider could not be asked about a session; it goes on");
                self.write(session, |session| session.refresh_at = Some(now.plus(AGAIN_AFTER_S))).await?;
                Ok(Refreshed::Later)
            }
        }
    }

    async fn go_on(
        &self,
        session: Session,
        mut grant: Grant,
        said: Testimony,
        id_token: Option<String>,
        now: UnixSeconds,
    ) -> Result<Refreshed, Failure> {
        if !grant.is_of(&said) {
            return self.end_refused(&session, "it speaks of somebody else").await;
        }
        let is_whole = id_token.is_some();
        if is_whole {
            grant.id_token = id_token;
            self.keep_grant(&session, &grant, now).await?;
        }
        let claims = match self.terms.admission.again(&session.subject, &session.claims, &said, is_whole) {
            Ok(claims) => claims,
            Err(error) => return self.end_refused(&session, &error.to_string()).await,
        };
        let next = self.terms.refresh_s.map(|after| now.plus(after));
        let amend = |session: &mut Session| {
            session.claims.clone_from(&claims);
            session.refresh_at = next;
        };
        self.write(session, amend).await?;
        Ok(Refreshed::GoesOn)
    }

    async fn end_refused(&self, session: &Session, why: &str) -> Result<Refreshed, Failure> {
        tracing::info!(
            why,
            session.id = session.id.as_str(),
            "the identity provider would not let the owner of a session in again"
        );
        self.sessions.end_on_order(session.clone(), By::system(JOB)).await?;
        Ok(Refreshed::Ended)
    }

    /// Writes a change of a session down, unless it is not there any more.
    async fn write(&self, mut session: Session, amend: impl Fn(&mut Session)) -> Result<(), Failure> {
        for _ in 0..WRITES_MAX {
            let mut amended = session.clone();
            amend(&mut amended);
            if self.sessions.amend(&session, &amended).await? {
                return Ok(());
            }
            let Some(newer) = self.find(Some(&session.id)).await? else { return Ok(()) };
            session = newer;
        }
        Err(Failure::Unavailable { cause: "the session is changed all the time".into() })
    }
}
