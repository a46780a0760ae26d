//! Who may administer, by configuration or added at run time, and never without the scope; and who may do what to whom.
//!
//! A super administrator is made by the configuration alone, so nobody can take the installation over, or lock its owners
//! out, over the API. The command line is the operator's, who may do everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use sekisho_protocol::{Email, Subject};

use crate::domain::admin::{AdminRules, GivenRole, Role};
use crate::domain::audit::{Action, By, Event};
use crate::domain::caller::Caller;
use crate::domain::error::Failure;
use crate::domain::page::{BOUND, Page, Window};
use crate::service::audit::Deed;
use crate::service::change::Changes;
use crate::service::error::StoreError;

/// Most people who are administrators or auditors by having been added.
pub const ADDED_MAX: usize = BOUND;

/// Keeps the administrators and auditors that were added at run time.
#[async_trait]
pub trait AdminStore: Send + Sync {
    /// The role that `email` was given, in whatever case it was written down; the highest, if there are several.
    async fn role(&self, email: &Email) -> Result<Option<Role>, StoreError>;

    /// Everybody who was added, with the highest role that they were given; at most [`ADDED_MAX`] of each role.
    async fn all(&self) -> Result<BTreeMap<Email, Role>, StoreError>;

    /// Gives `email` this role in place of another; false if there is no room.
    async fn add(&self, email: &Email, role: Role) -> Result<bool, StoreError>;

    /// Takes every role from `email` that it was given, in whatever case it was written down.
    async fn remove(&self, email: &Email) -> Result<(), StoreError>;
}

/// Why somebody may administer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// They were added.
    Added,
    /// The configuration names their address.
    Environment,
    /// The configuration names them as a super administrator.
    SuperAdmin,
}

impl Source {
    /// The stable word for answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Added => "redis",
            Self::Environment => "environment",
            Self::SuperAdmin => "super_admin",
        }
    }
}

/// Somebody who may administer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Who.
    pub email: Email,
    /// What they may do.
    pub role: Role,
    /// Why.
    pub source: Source,
}

impl Listed {
    /// Whether they can be removed at run time.
    #[must_use]
    pub fn is_removable(&self) -> bool {
        self.source == Source::Added
    }
}

/// Those who may administer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// A part of them, by address.
    pub page: Page<Listed>,
    /// How many there are altogether.
    pub total: usize,
    /// The domains of which everybody is an administrator besides.
    pub domains: Vec<String>,
}

/// The use cases.
#[derive(Clone)]
pub struct Admins {
    rules: AdminRules,
    store: Arc<dyn AdminStore>,
    changes: Changes,
}

impl Admins {
    /// Administrators named by `rules` and by `store`.
    #[must_use]
    pub fn new(rules: AdminRules, store: Arc<dyn AdminStore>, changes: Changes) -> Self {
        Self { rules, store, changes }
    }

    /// Lets somebody through who has at least the role `needed`, and a credential for administration (rule E7). The role is
    /// looked up for each call: one who lost it loses it now. What they have.
    ///
    /// # Errors
    /// [`Failure::AdminOnly`], which doesn't say which of the two is missing; [`Failure::SuperAdminOnly`] to other
    /// administrators; [`Failure::Unavailable`].
    pub async fn authorize(&self, caller: &Caller, needed: Role) -> Result<Role, Failure> {
        let refused = || Failure::AdminOnly { user: caller.name().to_owned() };
        // First what costs nothing: a stranger can't make the store work.
        if !caller.may_use_role() {
            return Err(refused());
        }
        let email = caller.email().map_err(|_| refused())?;
        let role = self.role(email).await?.ok_or_else(refused)?;
        match (role, needed) {
            (role, needed) if role >= needed => Ok(role),
            (Role::Admin, _) => Err(Failure::SuperAdminOnly { user: caller.name().to_owned() }),
            _ => Err(refused()),
        }
    }

    /// Lets somebody with this role change something that concerns `target`: a super administrator is a super
    /// administrator's business.
    ///
    /// # Errors
    /// [`Failure::SuperAdminOnly`].
    pub fn must_outrank(&self, role: Role, user: &str, target: &Subject) -> Result<(), Failure> {
        if role >= Role::SuperAdmin || !self.is_super(target) {
            return Ok(());
        }
        Err(Failure::SuperAdminOnly { user: user.to_owned() })
    }

    /// Those of whom one must not be banned over the API, if `target` is one of them: the super administrators.
    #[must_use]
    pub fn peers(&self, target: &Subject) -> Option<Vec<Subject>> {
        self.is_super(target).then(|| self.rules.super_admins().iter().cloned().map(Subject::from).collect())
    }

    /// Everybody who may administer, by address.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn list(&self, window: &Window) -> Result<Roster, Failure> {
        let added = self.store.all().await?.into_iter();
        let mut all: BTreeMap<Email, Listed> =
            added.map(|(email, role)| (email.clone(), Listed { email, role, source: Source::Added })).collect();
        for (email, role) in self.rules.named() {
            let source = if role == Role::SuperAdmin { Source::SuperAdmin } else { Source::Environment };
            // Whoever was given more than the configuration gives has it for having been added.
            if all.get(email).is_none_or(|added| added.role <= role) {
                all.insert(email.clone(), Listed { email: email.clone(), role, source });
            }
        }
        let total = all.len();
        let is_behind = |email: &Email| window.after.as_deref().is_none_or(|after| email.as_str() > after);
        let rows = all.into_values().filter(|listed| is_behind(&listed.email));
        let page = Page::cut(rows.take(window.limit.saturating_add(1)).collect(), window, |row| row.email.to_string());
        Ok(Roster { page, total, domains: self.rules.domains().iter().cloned().collect() })
    }

    /// Makes somebody an administrator or an auditor, in place of what they were made before.
    ///
    /// # Errors
    /// [`Failure::AlreadyAdmin`], [`Failure::TooManyAdmins`], [`Failure::Unavailable`].
    pub async fn add(&self, email: Email, given: GivenRole, by: By) -> Result<(), Failure> {
        let (this, role, deed) = (self.clone(), Role::from(given), Deed::new(Action::AdminAdded, by, &email));
        let change = async move {
            let configured = this.rules.role(&email).filter(|configured| *configured >= role);
            if let Some(configured) = configured {
                return Err(Failure::AlreadyAdmin { email, role: configured, is_configured: true });
            }
            if this.store.role(&email).await? == Some(role) {
                return Err(Failure::AlreadyAdmin { email, role, is_configured: false });
            }
            if !this.store.add(&email, role).await? {
                return Err(Failure::TooManyAdmins);
            }
            tracing::info!(user.email = %email, role = role.word(), "somebody may administer");
            Ok(())
        };
        self.changes.carry_out(deed, change, move |(), event: &mut Event| event.tell("role", role.word())).await
    }

    /// Takes from somebody what they were made; what is left to them by configuration.
    ///
    /// # Errors
    /// [`Failure::AdminByConfiguration`] if they were not added, and the configuration makes them what they are;
    /// [`Failure::AdminNotFound`]; [`Failure::Unavailable`].
    pub async fn remove(&self, email: Email, by: By) -> Result<Option<Role>, Failure> {
        let (this, deed) = (self.clone(), Deed::new(Action::AdminRemoved, by, &email));
        let change = async move {
            let left = this.rules.role(&email);
            match (this.store.role(&email).await?, left) {
                (None, None) => return Err(Failure::AdminNotFound { email }),
                (None, Some(role)) => return Err(Failure::AdminByConfiguration { email, role }),
                (Some(_), _) => this.store.remove(&email).await?,
            }
            tracing::info!(user.email = %email, "somebody may administer no more");
            Ok(left)
        };
        let tell = |left: &Option<Role>, event: &mut Event| event.tell("left", left.map(Role::word));
        self.changes.carry_out(deed, change, tell).await
    }

    async fn role(&self, email: &Email) -> Result<Option<Role>, StoreError> {
        match self.rules.role(email) {
            // Nothing that was added gives more.
            configured @ Some(Role::SuperAdmin | Role::Admin) => Ok(configured),
            configured => Ok(configured.max(self.store.role(email).await?)),
        }
    }

    fn is_super(&self, subject: &Subject) -> bool {
        let email = Email::parse(subject.as_str());
        email.is_ok_and(|email| self.rules.role(&email) == Some(Role::SuperAdmin))
    }
}
