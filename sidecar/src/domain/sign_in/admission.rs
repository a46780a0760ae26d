//! Whom of those that the identity provider lets in we let in, too, and as whom.

use sekisho_protocol::{Email, Subject};
use serde_json::{Map, Value};

use super::Testimony;

/// Most bytes of the claims that a session keeps, as JSON: filters take 8 KiB of base64url.
pub const CLAIMS_MAX_BYTES: usize = 6 * 1024;
/// What rules and upstreams may ask about, where a provider says it.
const CLAIMS: [&str; 6] = ["groups", "roles", "acr", "amr", "name", "preferred_username"];

/// Who may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Admission {
    /// Whether everybody may whom the provider lets in.
    pub everybody: bool,
    /// Those with an address of one of these domains, in lower case.
    pub domains: Vec<String>,
    /// Those with one of these addresses.
    pub emails: Vec<Email>,
    /// Whether an address counts only if the provider says that it verified it (rule E5).
    pub verified: bool,
    /// One of these contexts, if there are any (`acr`, OpenID Connect Core §2).
    pub acr: Vec<String>,
    /// One of these methods at least, if there are any (`amr`, RFC 8176).
    pub amr: Vec<String>,
    /// Further claims that a session keeps.
    pub claims: Vec<String>,
}

/// Somebody who may come in.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// The key of everything that is theirs.
    pub subject: Subject,
    /// Their address, if the provider vouches for it.
    pub email: Option<Email>,
    /// What is kept of what the provider said.
    pub claims: Map<String, Value>,
}

/// Why somebody may not come in whom the provider lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// Neither their address nor its domain may.
    #[error("the address is not among those that may sign in")]
    Address,
    /// The provider does not say that the address is theirs.
    #[error("the provider does not vouch for the address")]
    Unverified,
    /// They would have to show more than they did, such as a second factor.
    #[error("the provider did not say that they signed in as strongly as is wanted")]
    TooWeak,
    /// Nobody could be told apart by what the provider said.
    #[error("what the provider says of them can't be kept: a name that is none, or claims that are too long")]
    Unusable,
}

impl Admission {
    /// Who the testimony is about, if they may come in.
    ///
    /// # Errors
    /// They may not.
    pub fn admit(&self, said: &Testimony) -> Result<Person, NotAdmitted> {
        let shown = said.text("email").and_then(|text| Email::parse(text).ok());
        let is_vouched_for = !self.verified || said.claims.get("email_verified") == Some(&Value::Bool(true));
        let email = shown.clone().filter(|_| is_vouched_for);
        if !self.everybody && !email.as_ref().is_some_and(|email| self.lets_in(email)) {
            let would = shown.is_some_and(|email| self.lets_in(&email));
            return Err(if would { NotAdmitted::Unverified } else { NotAdmitted::Address });
        }
        if !self.is_strong(said) {
            return Err(NotAdmitted::TooWeak);
        }
        let claims = self.kept(said);
        if Value::Object(claims.clone()).to_string().len() > CLAIMS_MAX_BYTES {
            return Err(NotAdmitted::Unusable);
        }
        let subject = match &email {
            Some(email) => email.clone().into(),
            None => Subject::external(&said.issuer, &said.sub).map_err(|_| NotAdmitted::Unusable)?,
        };
        Ok(Person { subject, email, claims })
    }

    /// What is kept of somebody who came in before, now that the provider was asked about them again. How strongly they
    /// signed in stands; all else only unless the testimony `is_whole`, as that of an ID token: of somebody who left their
    /// last group, many providers say nothing of groups.
    ///
    /// # Errors
    /// They may not come in any more, or are known by another address now.
    pub fn again(
        &self,
        subject: &Subject,
        before: &Map<String, Value>,
        said: &Testimony,
        is_whole: bool,
    ) -> Result<Map<String, Value>, NotAdmitted> {
        let mut said = said.clone();
        for name in ["acr", "amr"] {
            if let Some(value) = before.get(name) {
                said.claims.insert(name.to_owned(), value.clone());
            }
        }
        let is_named = said.claims.contains_key("email");
        let rule = Self { everybody: self.everybody || !is_named, ..self.clone() };
        let person = rule.admit(&said)?;
        if is_named && person.subject != *subject {
            return Err(NotAdmitted::Address);
        }
        let mut claims = if is_whole { Map::new() } else { before.clone() };
        claims.extend(person.claims);
        if Value::Object(claims.clone()).to_string().len() > CLAIMS_MAX_BYTES {
            return Err(NotAdmitted::Unusable);
        }
        Ok(claims)
    }

    fn lets_in(&self, email: &Email) -> bool {
        self.emails.contains(email) || self.domains.iter().any(|domain| domain == email.domain())
    }

    fn is_strong(&self, said: &Testimony) -> bool {
        let has_context = said.text("acr").is_some_and(|acr| self.acr.iter().any(|wanted| wanted == acr));
        let methods = said.claims.get("amr").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let has_method = methods.iter().any(|method| self.amr.iter().any(|wanted| method == wanted));
        (self.acr.is_empty() || has_context) && (self.amr.is_empty() || has_method)
    }

    fn kept(&self, said: &Testimony) -> Map<String, Value> {
        let names = CLAIMS.into_iter().chain(self.claims.iter().map(String::as_str));
        names
            .filter_map(|name| said.claims.get_key_value(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(claims: Value) -> Testimony {
        let Value::Object(claims) = claims else { panic!("{claims}") };
        Testimony { issuer: "https://idp".into(), sub: "u1".into(), sid: None, claims }
    }

    fn example_com() -> Admission {
        Admission {
            domains: vec!["example.com".into()],
            emails: vec![Email::parse("guest@elsewhere.org").unwrap()],
            verified: true,
            ..Admission::default()
        }
    }

    #[test]
    fn who_has_an_address_that_may_sign_in_and_is_vouched_for_comes_in() {
        for (claims, expected) in [
            (json!({"email": "Ann@Example.com", "email_verified": true}), Ok("ann@example.com")),
            (json!({"email": "guest@elsewhere.org", "email_verified": true}), Ok("guest@elsewhere.org")),
            (json!({"email": "eve@elsewhere.org", "email_verified": true}), Err(NotAdmitted::Address)),
            (json!({"email": "ann@sub.example.com", "email_verified": true}), Err(NotAdmitted::Address)),
            (json!({"email": "ann@notexample.com", "email_verified": true}), Err(NotAdmitted::Address)),
            (json!({"email": "ann@evil.org@example.com", "email_verified": true}), Ok("ann@evil.org@example.com")),
            (json!({"email": "ann@example.com", "email_verified": false}), Err(NotAdmitted::Unverified)),
            (json!({"email": "ann@example.com", "email_verified": "true"}), Err(NotAdmitted::Unverified)),
            (json!({"email": "ann@example.com"}), Err(NotAdmitted::Unverified)),
            (json!({"email": ["ann@example.com"], "email_verified": true}), Err(NotAdmitted::Address)),
            (json!({"email": "ann", "email_verified": true}), Err(NotAdmitted::Address)),
            (json!({"email_verified": true}), Err(NotAdmitted::Address)),
            (json!({}), Err(NotAdmitted::Address)),
        ] {
            let admitted = example_com().admit(&said(claims.clone())).map(|person| person.subject.to_string());
            assert_eq!(admitted.as_deref().map_err(|error| *error), expected, "{claims}");
        }
    }

    #[test]
    fn an_address_that_nobody_vouches_for_is_no_identity_even_where_everybody_may_come_in() {
        let everybody = Admission { everybody: true, verified: true, ..Admission::default() };
        let claims = json!({"email": "ann@example.com", "email_verified": false});
        let person = everybody.admit(&said(claims.clone())).unwrap();
        assert_eq!((person.subject.as_str(), person.email), ("https://idp|u1", None));
        let trusting = Admission { verified: false, ..everybody };
        assert_eq!(trusting.admit(&said(claims)).unwrap().subject.as_str(), "ann@example.com");
    }

    #[test]
    fn a_second_factor_can_be_asked_for() {
        let rule = |acr: &[&str], amr: &[&str]| Admission {
            everybody: true,
            acr: acr.iter().map(ToString::to_string).collect(),
            amr: amr.iter().map(ToString::to_string).collect(),
            ..Admission::default()
        };
        for (rule, claims, is_admitted) in [
            (rule(&["mfa", "phr"], &[]), json!({"acr": "phr"}), true),
            (rule(&["mfa"], &[]), json!({"acr": "pwd"}), false),
            (rule(&["mfa"], &[]), json!({}), false),
            (rule(&["mfa"], &[]), json!({"acr": ["mfa"]}), false),
            (rule(&[], &["otp", "hwk"]), json!({"amr": ["pwd", "hwk"]}), true),
            (rule(&[], &["otp"]), json!({"amr": ["pwd"]}), false),
            (rule(&[], &["otp"]), json!({"amr": "otp"}), false),
            (rule(&[], &["otp"]), json!({}), false),
            (rule(&["mfa"], &["otp"]), json!({"acr": "mfa", "amr": ["pwd"]}), false),
            (rule(&["mfa"], &["otp"]), json!({"acr": "mfa", "amr": ["otp"]}), true),
        ] {
            let admitted = rule.admit(&said(claims.clone()));
            assert_eq!(admitted.is_ok(), is_admitted, "{rule:?} {claims}");
            assert!(is_admitted || admitted == Err(NotAdmitted::TooWeak));
        }
    }

    #[test]
    fn who_is_asked_about_again_stays_as_long_as_they_may_come_in_under_the_same_address() {
        let rule = Admission { acr: vec!["mfa".into()], ..example_com() };
        let (subject, before) =
            (Subject::try_from("ann@example.com".to_owned()).unwrap(), json!({"acr": "mfa", "groups": ["a"]}));
        let before = before.as_object().unwrap();
        let again = |claims| rule.again(&subject, before, &said(claims), false).map(Value::Object);
        assert_eq!(again(json!({})), Ok(json!({"acr": "mfa", "groups": ["a"]})), "what is not repeated stands");
        let whole = rule.again(&subject, before, &said(json!({"acr": "pwd", "name": "Ann"})), true).map(Value::Object);
        assert_eq!(whole, Ok(json!({"acr": "mfa", "name": "Ann"})), "but not beside all that is said");
        let named = json!({"email": "ann@example.com", "email_verified": true, "groups": ["b"], "acr": "pwd"});
        assert_eq!(again(named), Ok(json!({"acr": "mfa", "groups": ["b"]})));
        for claims in [
            json!({"email": "ann@elsewhere.org", "email_verified": true}),
            json!({"email": "ann@example.com", "email_verified": false}),
            json!({"email": "bob@example.com", "email_verified": true}),
            json!({"email": null}),
        ] {
            assert!(again(claims.clone()).is_err(), "{claims}");
        }
    }

    #[test]
    fn a_session_keeps_what_rules_ask_about_and_what_else_is_named_and_nothing_more() {
        let rule = Admission { everybody: true, claims: vec!["team".into()], ..Admission::default() };
        let person = rule
            .admit(&said(json!({"groups": ["a"], "team": 7, "secret": "x", "at_hash": "y", "acr": "mfa", "sub": "u1"})))
            .unwrap();
        assert_eq!(Value::Object(person.claims), json!({"groups": ["a"], "team": 7, "acr": "mfa"}));
        let many: Vec<String> = (0..400).map(|n| format!("a-group-number-{n}")).collect();
        assert_eq!(rule.admit(&said(json!({"groups": many}))), Err(NotAdmitted::Unusable));
    }
}
