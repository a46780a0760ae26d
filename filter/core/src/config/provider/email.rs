//! When a provider's e-mail addresses are identities (rule E5).

use std::mem::take;

use super::super::field::Field;
use super::super::parse::Parser;
use super::super::raw::RawProvider;
use crate::verify::provider::{Domains, EmailRule};

/// How a configuration names whether `email_verified` must be true.
pub(in super::super) const VERIFIED: &[(&str, bool)] = &[("required", true), ("ignored", false)];

impl Parser<'_> {
    pub(super) fn email(&mut self, path: &str, raw: &mut RawProvider) -> Option<EmailRule> {
        let (claim, domains) = (take(&mut raw.email_claim), take(&mut raw.email_domains));
        let (verified, required) = (take(&mut raw.email_verified), take(&mut raw.email_required));
        if matches!(claim, Field::Absent) {
            let fields = [
                ("email_domains", !matches!(domains, Field::Absent)),
                ("email_verified", !matches!(verified, Field::Absent)),
                ("email_required", !matches!(required, Field::Absent)),
            ];
            for (name, _) in fields.iter().filter(|(_, present)| *present) {
                self.problems.push(format_args!("{path}.{name}"), "says nothing without `email_claim`");
            }
            return None;
        }
        let claim = self.problems.text(format_args!("{path}.email_claim"), claim);
        let domains = self.email_domains(format!("{path}.email_domains"), domains);
        let verified = self.problems.choice(format_args!("{path}.email_verified"), verified, true, VERIFIED);
        let required = self.problems.optional(format_args!("{path}.email_required"), required).unwrap_or(false);
        Some(EmailRule { claim: claim?, domains: domains?, verified, required })
    }

    /// The domains in lower case.
    fn email_domains(&mut self, path: String, field: Field<Vec<String>>) -> Option<Domains> {
        if matches!(field, Field::Absent) {
            let wanted = "name the domains for whose addresses this provider is authoritative, or `[\"*\"]`";
            self.problems.push(path, format_args!("is missing: {wanted}"));
            return None;
        }
        let domains = self.texts(path.clone(), field)?;
        if domains == ["*"] {
            return Some(Domains::All);
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
        if let Some(domain) = domains.iter().find(|domain| !domain.bytes().all(plain)) {
            self.problems.push(path, format_args!("`{domain}` is no domain; `*` stands alone"));
            return None;
        }
        Some(Domains::Only(domains.iter().map(|domain| domain.to_ascii_lowercase()).collect()))
    }
}
