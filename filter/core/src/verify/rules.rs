//! What must be true of a token whose signature is right, and whom it then belongs to.

use std::rc::Rc;

use sekisho_protocol::activity::Method;
use sekisho_protocol::digest::DigestKey;
use sekisho_protocol::feed::Kind;
use sekisho_protocol::{Digest, Email, Subject};

use super::Invalid;
use super::claims::Claims;
use super::json::Value;
use super::provider::{ClaimValue, Domains, EmailRule, Rules};
use crate::identity::Identity;

/// What tokens are usually called (RFC 7519 §5.1, RFC 9068 §2.1). Something else is a token for another
/// purpose, however well it is signed (RFC 8725 §2.8).
const USUAL_TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// When a token ends.
struct End {
    /// Unix seconds: it is not believed longer than this without being looked at.
    expires_at: u64,
    /// Unix seconds from which on it is refused.
    refused_from: u64,
}

impl Rules {
    /// Whether a token may call itself so; `kind` is without `application/`.
    pub(super) fn accepts_type(&self, kind: Option<&str>) -> bool {
        match (&self.types, kind) {
            (None, None) => true,
            (None, Some(kind)) => USUAL_TYPES.iter().any(|known| known.eq_ignore_ascii_case(kind)),
            (Some(_), None) => false,
            (Some(types), Some(kind)) => types.iter().any(|known| known.eq_ignore_ascii_case(kind)),
        }
    }

    /// Whom a token of `issuer` belongs to, if everything about it is as it must be.
    pub(super) fn accept(
        &self,
        claims: &Claims<'_>,
        issuer: &str,
        provider: &Rc<str>,
        digest_key: &DigestKey,
        now_s: u64,
    ) -> Result<Identity, Invalid> {
        if !claims.is_for(&self.audiences)? {
            return Err(Invalid::Audience);
        }
        let issued_at = claims.moment("iat")?;
        let end = self.end(claims, issued_at, now_s)?;
        self.check_claims(claims)?;
        let email = self.email.as_ref().and_then(|rule| rule.email(claims));
        if email.is_none() && self.email.as_ref().is_some_and(|rule| rule.required) {
            return Err(Invalid::NoEmail);
        }
        let subject = match &email {
            Some(email) => Subject::from(email.clone()),
            None => self.subject(claims, issuer)?,
        };
        let token_id = claims.short_text("jti")?;
        let digest = |kind, name: &str| Digest::of(digest_key, kind, name);
        Ok(Identity {
            subject_digest: digest(Kind::Ban, subject.as_str()),
            not_before_digest: digest(Kind::NotBefore, subject.as_str()),
            token_digest: token_id.as_deref().map(|id| digest(Kind::Token, id)),
            sign_in_digest: self.recent_sign_in.then(|| digest(Kind::SignIn, subject.as_str())),
            subject,
            email,
            method: Method::Jwt,
            token_id,
            token_name: claims.short_text("token_name")?,
            scopes: claims.scopes()?,
            provider: Rc::clone(provider),
            issued_at,
            // What is no moment is none: only rules that ask for one care.
            signed_in_at: claims.moment("auth_time").ok().flatten(),
            expires_at: end.expires_at,
            refused_from: end.refused_from,
        })
    }

    /// Clocks may differ by the leeway, each time.
    fn end(&self, claims: &Claims<'_>, issued_at: Option<u64>, now_s: u64) -> Result<End, Invalid> {
        let expires_at = claims.moment("exp")?.ok_or(Invalid::Expired)?;
        let mut end = End { expires_at, refused_from: expires_at.saturating_add(self.leeway_s) };
        if now_s >= end.refused_from {
            return Err(Invalid::Expired);
        }
        let latest = now_s.saturating_add(self.leeway_s);
        if [claims.moment("nbf")?, issued_at].into_iter().flatten().any(|moment| moment > latest) {
            return Err(Invalid::NotYetValid);
        }
        if let Some(max_lifetime_s) = self.max_lifetime_s {
            let issued_at = issued_at.ok_or(Invalid::Lifetime)?;
            if expires_at.saturating_sub(issued_at) > max_lifetime_s {
                return Err(Invalid::Lifetime);
            }
        }
        if let Some(max_age_s) = self.max_age_s {
            // It may have exactly that age, so it is too old one second later.
            let too_old_at = issued_at.ok_or(Invalid::Age)?.saturating_add(max_age_s).saturating_add(1);
            end.expires_at = end.expires_at.min(too_old_at);
            end.refused_from = end.refused_from.min(too_old_at.saturating_add(self.leeway_s));
            if now_s >= end.refused_from {
                return Err(Invalid::Age);
            }
        }
        Ok(end)
    }

    fn check_claims(&self, claims: &Claims<'_>) -> Result<(), Invalid> {
        let present = self.required_claims.iter().all(|name| claims.get(name).is_some());
        let equal = self.claim_values.iter().all(|(name, accepted)| match claims.get(name) {
            Some(Value::List(values)) => values.iter().any(|value| accepted.iter().any(|known| known.equals(value))),
            Some(value) => accepted.iter().any(|known| known.equals(value)),
            None => false,
        });
        if present && equal { Ok(()) } else { Err(Invalid::Claims) }
    }

    /// Who the token belongs to at its issuer: not an address, so an issuer can speak for nobody else's.
    fn subject(&self, claims: &Claims<'_>, issuer: &str) -> Result<Subject, Invalid> {
        let name = claims.text(&self.subject_claim)?.filter(|name| !name.is_empty()).ok_or(Invalid::Subject)?;
        Subject::external(issuer, name).map_err(|_| Invalid::Subject)
    }
}

impl ClaimValue {
    fn equals(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Text(known), Value::Text(text)) => known == text,
            (Self::Number(known), Value::Whole(number)) => u64::try_from(*known) == Ok(*number),
            (Self::Number(known), Value::Negative(number)) => known == number,
            (Self::Bool(known), Value::Bool(value)) => known == value,
            _ => false,
        }
    }
}

impl EmailRule {
    /// The address, if there is one that the provider vouches for and may vouch for (rule E5).
    fn email(&self, claims: &Claims<'_>) -> Option<Email> {
        let email = Email::parse(claims.get(&self.claim)?.as_text()?).ok()?;
        // Some write it as text.
        let verified = match claims.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::Text(verified)) => verified == "true",
            _ => false,
        };
        ((verified || !self.verified) && self.covers(&email)).then_some(email)
    }

    /// Whether the provider is authoritative for the address.
    fn covers(&self, email: &Email) -> bool {
        match &self.domains {
            Domains::All => true,
            Domains::Only(domains) => domains.iter().any(|domain| domain == email.domain()),
        }
    }
}
