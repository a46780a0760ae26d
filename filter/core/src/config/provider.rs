//! Raw → [`Provider`].

use std::rc::Rc;

use sekisho_protocol::LEEWAY_MAX_S;

use super::field::Field;
use super::parse::Parser;
use super::raw::RawProvider;
use crate::secret::Secret;
use crate::verify::Provider;
use crate::verify::algorithm::Algorithm;
use crate::verify::key::VerifyingKey;
use crate::verify::provider::{EmailRule, Rules};

impl Parser<'_> {
    pub(super) fn provider(&mut self, path: &str, raw: RawProvider) -> Option<Provider> {
        self.problems.unknown(path, &raw.unknown);
        let name = self.problems.text(format!("{path}.name"), raw.name);
        let issuers = self.texts(format!("{path}.issuers"), raw.issuers);
        let audiences = self.texts(format!("{path}.audiences"), raw.audiences);
        let leeway_s = self.problems.number(format!("{path}.leeway_s"), raw.leeway_s, 30, 0..=LEEWAY_MAX_S);
        let email_claim = match raw.email_claim {
            Field::Absent => Some("user_email".to_owned()),
            field => self.problems.text(format!("{path}.email_claim"), field),
        };
        let at = format!("{path}.hs256_secret_env");
        let key = self.problems.text(&at, raw.hs256_secret_env).and_then(|variable| self.jwt_secret(&at, &variable));
        let rules = Rules {
            audiences: audiences?,
            leeway_s: u64::from(leeway_s),
            max_age_s: None,
            max_lifetime_s: None,
            required_claims: Vec::new(),
            claim_values: Vec::new(),
            types: None,
            subject_claim: "sub".into(),
            email: Some(EmailRule { claim: email_claim?, domains: None, verified: false, required: true }),
        };
        let keys = vec![Rc::new(VerifyingKey::hmac(key?, Algorithm::Hs256))];
        Some(Provider { name: name?, issuers: issuers?, keys, source: None, algorithms: None, rules })
    }

    /// The secret of an installation that Sekisho takes over may be short, if its operator says so.
    fn jwt_secret(&mut self, path: &str, variable: &str) -> Option<Secret> {
        let allowed = (self.environment)("SEKISHO_ALLOW_SHORT_JWT_SECRET").as_deref() == Some("1");
        self.secret(path, variable, if allowed { 1 } else { Algorithm::Hs256.hash().size_bytes() })
    }
}
