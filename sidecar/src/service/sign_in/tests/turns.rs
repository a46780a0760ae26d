//! One sidecar asks the provider about a session at a time, however long that takes.

use std::time::Duration;

use async_trait::async_trait;
use sekisho_protocol::Subject;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::*;
use crate::domain::seal::Sealed;
use crate::domain::sign_in::grant::ProviderName;
use crate::service::error::StoreError;

/// Grants that nobody gets to read before the turn to ask has been renewed.
struct Slow {
    grants: Arc<dyn GrantStore>,
    renewed: Notify,
}

#[async_trait]
impl GrantStore for Slow {
    async fn keep(
        &self,
        session: &Session,
        grant: &Sealed,
        names: &[ProviderName],
        life: Duration,
    ) -> Result<(), StoreError> {
        self.grants.keep(session, grant, names, life).await
    }

    async fn get(&self, id: &SessionId) -> Result<Option<Sealed>, StoreError> {
        self.renewed.notified().await;
        self.grants.get(id).await
    }

    async fn called(&self, name: &ProviderName) -> Result<Vec<SessionId>, StoreError> {
        self.grants.called(name).await
    }

    async fn subject(&self, name: &ProviderName) -> Result<Option<Subject>, StoreError> {
        self.grants.subject(name).await
    }

    async fn note_logout(&self, name: &ProviderName, at: UnixSeconds, life: Duration) -> Result<(), StoreError> {
        self.grants.note_logout(name, at, life).await
    }

    async fn logged_out(&self, names: &[ProviderName]) -> Result<Option<UnixSeconds>, StoreError> {
        self.grants.logged_out(names).await
    }

    async fn hear(&self, heard: &ProviderName, life: Duration) -> Result<bool, StoreError> {
        self.grants.hear(heard, life).await
    }

    async fn remember(&self, heard: &ProviderName, life: Duration) -> Result<(), StoreError> {
        self.grants.remember(heard, life).await
    }

    async fn unhear(&self, heard: &ProviderName) -> Result<(), StoreError> {
        self.grants.unhear(heard).await
    }

    async fn take_turn(&self, id: &SessionId, owner: &str, life: Duration) -> Result<bool, StoreError> {
        self.grants.take_turn(id, owner, life).await
    }

    async fn renew_turn(&self, id: &SessionId, owner: &str, life: Duration) -> Result<bool, StoreError> {
        let is_ones_own = self.grants.renew_turn(id, owner, life).await?;
        if is_ones_own {
            self.renewed.notify_one();
        }
        Ok(is_ones_own)
    }

    async fn end_turn(&self, id: &SessionId, owner: &str) -> Result<(), StoreError> {
        self.grants.end_turn(id, owner).await
    }
}

#[tokio::test]
async fn a_turn_is_renewed_while_asking_takes_long_and_nobody_else_asks_meanwhile() {
    let world = World::start().await;
    let session = world.ann().await;
    world.issuer.says_again(Some(&json!({"groups": ["support"]})));
    world.make_due(&session).await;
    let slow = Slow { grants: Arc::clone(&world.sign_in().grants), renewed: Notify::new() };
    let (asker, id) = (SignIn { grants: Arc::new(slow), ..world.sign_in().clone() }, session.id.clone());
    let mut asking = tokio::spawn(async move { asker.refresh(&id, UnixSeconds::now()).await.unwrap() });
    let turn = format!("sekisho:grant:{}:turn", session.id);
    let mut redis = world.redis.client().shared();
    let taken = async {
        while !redis::cmd("EXISTS").arg(&turn).query_async::<bool>(&mut redis).await.unwrap() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), taken).await.expect("the turn is taken");
    let other = world.sidecars[1].sign_in.as_ref().unwrap();
    let ended = timeout(Duration::from_secs(30), async {
        loop {
            tokio::select! {
                outcome = &mut asking => return outcome.unwrap(),
                () = sleep(Duration::from_millis(50)) => {}
            }
            assert_eq!(other.refresh(&session.id, UnixSeconds::now()).await.unwrap(), Refreshed::NotDue);
        }
    });
    assert_eq!(ended.await.expect("the turn is renewed"), Refreshed::GoesOn);
    assert_eq!(world.issuer.refreshes(), 1);
    assert!(!redis::cmd("EXISTS").arg(&turn).query_async::<bool>(&mut redis).await.unwrap(), "and free again");
    world.end().await;
}
