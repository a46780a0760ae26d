//! Who is an administrator by configuration. Others are added at run time; a service asks for those.

use std::collections::BTreeSet;

use sekisho_protocol::Email;

/// The administrators that the configuration names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdminRules {
    super_admin: Option<Email>,
    emails: BTreeSet<Email>,
    domains: BTreeSet<String>,
}

impl AdminRules {
    /// One super administrator, more by address, and everybody of these domains.
    #[must_use]
    pub fn new(
        super_admin: Option<Email>,
        emails: impl IntoIterator<Item = Email>,
        domains: impl IntoIterator<Item = String>,
    ) -> Self {
        let fold = |domain: String| domain.trim().trim_start_matches('@').to_ascii_lowercase();
        Self {
            super_admin,
            emails: emails.into_iter().collect(),
            domains: domains.into_iter().map(fold).filter(|domain| !domain.is_empty()).collect(),
        }
    }

    /// Whether `email` is the super administrator.
    #[must_use]
    pub fn is_super(&self, email: &Email) -> bool {
        self.super_admin.as_ref() == Some(email)
    }

    /// Whether the configuration makes `email` an administrator. A domain means exactly itself, no
    /// subdomain, and what stands behind the last `@`.
    #[must_use]
    pub fn names(&self, email: &Email) -> bool {
        self.is_super(email) || self.emails.contains(email) || self.domains.contains(email.domain())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_administrator_is_named_by_address_or_domain() {
        let email = |text| Email::parse(text).unwrap();
        let rules =
            AdminRules::new(Some(email("root@a.org")), [email("Ann@b.org")], ["@Ops.example".into(), String::new()]);
        for (who, expected) in [
            ("ROOT@a.org", true),
            ("ann@B.org", true),
            ("anybody@ops.EXAMPLE", true),
            ("anybody@sub.ops.example", false),
            ("ops.example@evil.org", false),
            ("\"x@ops.example\"@evil.org", false),
            ("bob@a.org", false),
        ] {
            assert_eq!(rules.names(&email(who)), expected, "{who}");
        }
        assert!(!AdminRules::default().names(&email("ann@b.org")));
        assert!(rules.is_super(&email("Root@A.org")) && !rules.is_super(&email("ann@b.org")));
    }
}
