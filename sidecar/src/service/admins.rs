//! Who may administer: by configuration, or added at run time; and never without the scope.

use std::sync::Arc;

use async_trait::async_trait;
use sekisho_protocol::Email;

use crate::domain::admin::AdminRules;
use crate::domain::caller::Caller;
use crate::domain::error::Failure;
use crate::service::error::StoreError;

/// Keeps the administrators that were added at run time.
#[async_trait]
pub trait AdminStore: Send + Sync {
    /// Whether `email` was added, in whatever case it was written down.
    async fn is_added(&self, email: &Email) -> Result<bool, StoreError>;
}

/// The use cases.
#[derive(Clone)]
pub struct Admins {
    rules: AdminRules,
    store: Arc<dyn AdminStore>,
}

impl Admins {
    /// Administrators named by `rules` and by `store`.
    #[must_use]
    pub fn new(rules: AdminRules, store: Arc<dyn AdminStore>) -> Self {
        Self { rules, store }
    }

    /// Lets an administrator through who holds a credential for administration (rule E7). The role
    /// is looked up for each call: one who lost it loses it now.
    ///
    /// # Errors
    /// [`Failure::AdminOnly`], which doesn't say which of the two is missing; [`Failure::Unavailable`].
    pub async fn authorize(&self, caller: &Caller) -> Result<(), Failure> {
        let refused = || Failure::AdminOnly { user: caller.name().to_owned() };
        // First what costs nothing: a stranger can't make the store work.
        if !caller.may_use_role() {
            return Err(refused());
        }
        let email = caller.email().map_err(|_| refused())?;
        if self.rules.names(email) || self.store.is_added(email).await? { Ok(()) } else { Err(refused()) }
    }

    /// Lets the super administrator through, as [`Self::authorize`] does administrators.
    ///
    /// # Errors
    /// Those of [`Self::authorize`]; [`Failure::SuperAdminOnly`] to every other administrator.
    pub async fn authorize_super(&self, caller: &Caller) -> Result<(), Failure> {
        self.authorize(caller).await?;
        if caller.email().is_ok_and(|email| self.rules.is_super(email)) {
            return Ok(());
        }
        Err(Failure::SuperAdminOnly { user: caller.name().to_owned() })
    }
}
