//! Assertions: the signed JWTs by which an upstream believes who asks. Each has one audience and lives for 30 s at
//! most (rule E6), so one is made for a credential every quarter of a minute, and kept in between.

use std::rc::Rc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sekisho_protocol::identity::{ISSUER, IdentityClaims, MAX_LIFETIME_S};

use super::Identity;
use super::key::AssertionKey;
use crate::denial::Inability;
use crate::verify::budget::Allowance;

/// Whom an assertion is for: the one audience that may believe it, and the key it verifies with.
#[derive(Debug)]
pub struct Target {
    /// How routes name it.
    pub name: String,
    /// Its `aud`.
    pub audience: String,
    key: AssertionKey,
}

/// A signed assertion, and until when it is worth sending.
#[derive(Debug, Clone)]
struct Assertion {
    jwt: Rc<str>,
    target: Rc<Target>,
    renew_at_s: u64,
}

/// Seconds before its end at which an assertion is made anew: it must outlive the way to the
/// upstream, a queue there and a small difference of clocks.
const RENEW_BEFORE_END_S: u64 = 15;

/// Seconds after that for which it is sent on if none can be made anew, since slow cryptography has no budget left
/// (rule E9): a flood of forged tokens should not keep those out who were let in before.
const GRACE_S: u64 = 10;

impl Target {
    /// A target whose assertions `key` signs.
    #[must_use]
    pub fn new(name: String, audience: String, key: AssertionKey) -> Self {
        Self { name, audience, key }
    }

    /// Whether its assertions cost nothing worth counting.
    pub(super) fn is_quick(&self) -> bool {
        self.key.cost_us() == 0
    }

    /// Signs an assertion about `identity` (RFC 7515 §3.1).
    pub(super) fn sign(&self, identity: &Identity, allowance: &mut Allowance<'_>) -> Result<Rc<str>, Inability> {
        if !allowance.spend(self.key.cost_us()) {
            return Err(Inability::Busy);
        }
        // No identity that was verified can bring it about that this cannot be written.
        self.jwt(identity, allowance.now.unix_s).map(Rc::from).ok_or(Inability::Host)
    }

    fn jwt(&self, identity: &Identity, now_s: u64) -> Option<String> {
        let claims = IdentityClaims {
            iss: ISSUER.into(),
            aud: self.audience.clone(),
            sub: identity.subject.clone(),
            email: identity.email.as_ref().map(ToString::to_string),
            method: identity.method,
            token_id: identity.token_id.clone(),
            token_issued_at: identity.issued_at,
            token_name: identity.token_name.clone(),
            scopes: identity.scopes.clone(),
            iat: now_s,
            exp: now_s + MAX_LIFETIME_S,
        };
        let mut jwt = self.key.header().to_owned();
        BASE64_URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(&claims).ok()?, &mut jwt);
        let mut signature = String::from(".");
        self.key.sign(&jwt, &mut signature)?;
        jwt.push_str(&signature);
        Some(jwt)
    }
}

/// The assertions of one credential, at most one for each audience (rule E6).
#[derive(Debug, Clone, Default)]
pub struct Assertions(Vec<Assertion>);

impl Assertions {
    /// Most audiences for which one credential keeps an assertion.
    const MAX: usize = 8;

    /// The assertion about `identity` for `target`, from the cache if it is young enough.
    ///
    /// # Errors
    /// [`Inability::Busy`] if the allowance is used up, [`Inability::Host`] only if it cannot be made at all.
    pub fn get(
        &mut self,
        target: &Rc<Target>,
        identity: &Identity,
        allowance: &mut Allowance<'_>,
    ) -> Result<Rc<str>, Inability> {
        let now_s = allowance.now.unix_s;
        // Compared by address: after a configuration push, the same name may have another key.
        let kept = self.0.iter().find(|kept| Rc::ptr_eq(&kept.target, target));
        if let Some(kept) = kept.filter(|kept| now_s < kept.renew_at_s) {
            return Ok(Rc::clone(&kept.jwt));
        }
        let jwt = match target.sign(identity, allowance) {
            Err(Inability::Busy) => {
                let usable = kept.filter(|kept| now_s < kept.renew_at_s + GRACE_S);
                return usable.map(|kept| Rc::clone(&kept.jwt)).ok_or(Inability::Busy);
            }
            signed => signed?,
        };
        let renew_at_s = now_s + MAX_LIFETIME_S - RENEW_BEFORE_END_S;
        self.0.retain(|kept| now_s < kept.renew_at_s && !Rc::ptr_eq(&kept.target, target));
        if self.0.len() < Self::MAX {
            // Most have one target.
            self.0.reserve_exact(1);
            self.0.push(Assertion { jwt: Rc::clone(&jwt), target: Rc::clone(target), renew_at_s });
        }
        Ok(jwt)
    }
}

#[cfg(test)]
mod tests;
