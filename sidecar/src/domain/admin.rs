//! Who may administer, and how much, by configuration. Others are added at run time; a service asks for those.

use std::collections::BTreeSet;
use std::fmt;

use sekisho_protocol::Email;
use serde::{Deserialize, Serialize};

/// What somebody may do. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything, and changes nothing.
    Auditor,
    /// Changes everything but who administers, what signs, and what concerns a super administrator.
    Admin,
    /// Changes everything. Only the configuration makes one.
    SuperAdmin,
}

impl Role {
    /// The stable word for answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auditor => "auditor",
            Self::Admin => "admin",
            Self::SuperAdmin => "super_admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auditor => "an auditor",
            Self::Admin => "an administrator",
            Self::SuperAdmin => "a super administrator",
        })
    }
}

/// A role that somebody can be given at run time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GivenRole {
    /// Reads everything, and changes nothing.
    Auditor,
    /// Changes everything but who administers, what signs, and what concerns a super administrator.
    #[default]
    Admin,
}

impl From<GivenRole> for Role {
    fn from(given: GivenRole) -> Self {
        match given {
            GivenRole::Auditor => Self::Auditor,
            GivenRole::Admin => Self::Admin,
        }
    }
}

/// Those whom the configuration names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdminRules {
    super_admins: BTreeSet<Email>,
    admins: BTreeSet<Email>,
    domains: BTreeSet<String>,
    auditors: BTreeSet<Email>,
}

impl AdminRules {
    /// Super administrators, administrators and auditors by address. Everybody of `domains` is an administrator.
    #[must_use]
    pub fn new(
        super_admins: impl IntoIterator<Item = Email>,
        admins: impl IntoIterator<Item = Email>,
        domains: impl IntoIterator<Item = String>,
        auditors: impl IntoIterator<Item = Email>,
    ) -> Self {
        let fold = |domain: String| domain.trim().trim_start_matches('@').to_ascii_lowercase();
        Self {
            super_admins: super_admins.into_iter().collect(),
            admins: admins.into_iter().collect(),
            domains: domains.into_iter().map(fold).filter(|domain| !domain.is_empty()).collect(),
            auditors: auditors.into_iter().collect(),
        }
    }

    /// The role that the configuration gives; the highest of several.
    #[must_use]
    pub fn role(&self, email: &Email) -> Option<Role> {
        // A domain means exactly itself, no subdomain, and what stands behind the last `@`.
        let by_domain = || self.domains.contains(email.domain()).then_some(Role::Admin);
        self.named().find(|(named, _)| *named == email).map(|(_, role)| role).max(by_domain())
    }

    /// Everybody whom it names by address, with their highest role.
    pub fn named(&self) -> impl Iterator<Item = (&Email, Role)> {
        let supers = self.super_admins.iter().map(|email| (email, Role::SuperAdmin));
        let admins = self.admins.difference(&self.super_admins).map(|email| (email, Role::Admin));
        let is_higher = |email: &&Email| self.super_admins.contains(*email) || self.admins.contains(*email);
        let auditors = self.auditors.iter().filter(move |email| !is_higher(email));
        supers.chain(admins).chain(auditors.map(|email| (email, Role::Auditor)))
    }

    /// The super administrators.
    #[must_use]
    pub fn super_admins(&self) -> &BTreeSet<Email> {
        &self.super_admins
    }

    /// The domains of which everybody is an administrator.
    #[must_use]
    pub fn domains(&self) -> &BTreeSet<String> {
        &self.domains
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(text: &str) -> Email {
        Email::parse(text).unwrap()
    }

    fn rules() -> AdminRules {
        AdminRules::new(
            [email("root@a.org"), email("second@a.org")],
            [email("Ann@b.org"), email("second@a.org")],
            ["@Ops.example".into(), String::new()],
            [email("eve@b.org"), email("ann@b.org"), email("eve@ops.example")],
        )
    }

    #[test]
    fn a_role_is_given_by_address_or_domain_and_the_highest_counts() {
        for (who, expected) in [
            ("ROOT@a.org", Some(Role::SuperAdmin)),
            ("second@a.org", Some(Role::SuperAdmin)),
            ("ann@B.org", Some(Role::Admin)),
            ("anybody@ops.EXAMPLE", Some(Role::Admin)),
            ("eve@ops.example", Some(Role::Admin)),
            ("eve@b.org", Some(Role::Auditor)),
            ("anybody@sub.ops.example", None),
            ("ops.example@evil.org", None),
            ("\"x@ops.example\"@evil.org", None),
            ("bob@a.org", None),
        ] {
            assert_eq!(rules().role(&email(who)), expected, "{who}");
        }
        assert_eq!(AdminRules::default().role(&email("ann@b.org")), None);
    }

    #[test]
    fn everybody_is_named_once_with_their_highest_role() {
        let rules = rules();
        let named: Vec<(&str, Role)> = rules.named().map(|(email, role)| (email.as_str(), role)).collect();
        let expected = [
            ("root@a.org", Role::SuperAdmin),
            ("second@a.org", Role::SuperAdmin),
            ("ann@b.org", Role::Admin),
            ("eve@b.org", Role::Auditor),
            ("eve@ops.example", Role::Auditor),
        ];
        assert_eq!(named, expected);
    }

    #[test]
    fn a_higher_role_may_do_what_a_lower_one_may() {
        assert!(Role::SuperAdmin > Role::Admin && Role::Admin > Role::Auditor);
    }
}
