//! Who calls the app API: what the filter's signed assertion must say to be believed.

use sekisho_protocol::activity::Method;
use sekisho_protocol::identity::{APP_AUDIENCE, ISSUER, IdentityClaims, MAX_LIFETIME_S};
use sekisho_protocol::{Email, Subject};

use crate::domain::audit::{By, Origin, clean};
use crate::domain::error::Failure;
use crate::domain::session::SessionId;
use crate::domain::time::UnixSeconds;
use crate::domain::token::scope;

/// How far the clocks of filter and sidecar may differ, in seconds.
pub const CLOCK_SKEW_S: u64 = 5;

/// A caller whom the filter vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    subject: Subject,
    email: Option<Email>,
    method: Method,
    token_id: Option<String>,
    token_issued_at: Option<u64>,
    scopes: Vec<String>,
    by: By,
}

impl Caller {
    /// The caller of whom `claims` speak at `now`. The signature was verified before.
    ///
    /// # Errors
    /// [`Failure::Unauthenticated`] if the assertion is not for this API, not from the filter, out of
    /// its time, or lives longer than an assertion may (rule E6).
    pub fn believe(claims: IdentityClaims, now: UnixSeconds) -> Result<Self, Failure> {
        let ours = claims.iss == ISSUER && claims.aud == APP_AUDIENCE;
        let short = claims.exp > claims.iat && claims.exp - claims.iat <= MAX_LIFETIME_S;
        let now = now.get();
        let in_time = claims.iat <= now.saturating_add(CLOCK_SKEW_S) && now < claims.exp.saturating_add(CLOCK_SKEW_S);
        if !(ours && short && in_time) {
            return Err(Failure::Unauthenticated);
        }
        let email = match claims.email.as_deref().map(Email::parse) {
            Some(Err(_)) => return Err(Failure::Unauthenticated),
            Some(Ok(email)) => Some(email),
            None => None,
        };
        let (token_id, token_issued_at) = (claims.token_id, claims.token_issued_at);
        let by = By::caller(email.as_ref().map_or(claims.sub.as_str(), Email::as_str));
        let by = By { token_id: token_id.as_deref().and_then(clean), ..by };
        let method = claims.method;
        let scopes = if method == Method::Jwt { claims.scopes } else { scope::of_session() };
        Ok(Self { subject: claims.sub, email, method, token_id, token_issued_at, scopes, by })
    }

    /// The same caller, by way of this request.
    #[must_use]
    pub fn by_way_of(self, origin: Origin<'_>) -> Self {
        Self { by: self.by.by_way_of(origin), ..self }
    }

    /// The caller in audit events.
    #[must_use]
    pub fn by(&self) -> &By {
        &self.by
    }

    /// The address under which the caller's tokens are filed.
    ///
    /// # Errors
    /// [`Failure::NoEmail`] if the provider vouches for none.
    pub fn email(&self) -> Result<&Email, Failure> {
        self.email.as_ref().ok_or(Failure::NoEmail)
    }

    /// Who it is.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The key of the session with which the caller came; none if it is a token.
    #[must_use]
    pub fn session_key(&self) -> Option<&str> {
        self.token_id.as_deref().filter(|_| self.method != Method::Jwt)
    }

    /// The id of the token with which the caller came, if it has one.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// The id of the session of our own with which the caller came, if it is one.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        let id = self.token_id.as_deref().filter(|_| self.method == Method::Session)?;
        SessionId::parse(id).ok()
    }

    /// Whether the token with which the caller came is valid for somebody whose tokens are valid since `moment`.
    /// One that does not say when it was issued counts as older.
    #[must_use]
    pub fn is_from(&self, moment: UnixSeconds) -> bool {
        self.token_issued_at.is_some_and(|at| at >= moment.get())
    }

    /// When the caller signed in, if they came with a session: it stands where a token says when it was issued.
    #[must_use]
    pub fn signed_in(&self) -> Option<UnixSeconds> {
        self.token_issued_at.filter(|_| self.method != Method::Jwt).map(UnixSeconds)
    }

    /// What the caller's credential may be used for.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Whether the credential may be used to administer (rule E7): the role alone is not enough, so
    /// that an administrator's everyday token can't ban anybody when it is stolen. Sessions hold it: their cookie is
    /// shown to no upstream and to no script.
    #[must_use]
    pub fn may_use_role(&self) -> bool {
        self.scopes.iter().any(|scope| scope == scope::ADMIN)
    }

    /// The caller's name in answers and records.
    #[must_use]
    pub fn name(&self) -> &str {
        self.email.as_ref().map_or(self.subject.as_str(), Email::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn claims() -> IdentityClaims {
        IdentityClaims {
            iss: ISSUER.into(),
            aud: APP_AUDIENCE.into(),
            sub: Subject::try_from("Ann@X.org".to_owned()).unwrap(),
            email: Some("Ann@X.org".into()),
            method: Method::Jwt,
            token_id: None,
            token_issued_at: None,
            token_name: None,
            scopes: vec!["api:read".into()],
            iat: NOW,
            exp: NOW + 30,
        }
    }

    #[test]
    fn a_session_holds_what_a_person_at_a_browser_may_do_whatever_the_assertion_says() {
        let claims = IdentityClaims { method: Method::Session, token_id: Some("s1".into()), ..claims() };
        let caller = Caller::believe(claims.clone(), UnixSeconds(NOW)).unwrap();
        assert_eq!(caller.scopes(), ["api:read", "api:write", "admin"]);
        assert_eq!(caller.session_id().unwrap().as_str(), "s1");
        let token = IdentityClaims { method: Method::Jwt, ..claims };
        assert_eq!(Caller::believe(token, UnixSeconds(NOW)).unwrap().session_id(), None);
    }

    #[test]
    fn e6_an_assertion_is_believed_only_from_the_filter_for_this_api_and_in_its_time() {
        type Change = fn(&mut IdentityClaims);
        let cases: [(&str, Change, bool); 10] = [
            ("as it should be", |_| {}, true),
            ("another audience", |c| c.aud = "sample-upstream".into(), false),
            ("another issuer", |c| c.iss = "someone".into(), false),
            ("lives too long", |c| c.exp += 1, false),
            ("ends before it begins", |c| c.exp = c.iat, false),
            ("clock ahead by 5 s", |c| (c.iat, c.exp) = (NOW + 5, NOW + 35), true),
            ("clock ahead by 6 s", |c| (c.iat, c.exp) = (NOW + 6, NOW + 36), false),
            ("expired 4 s ago", |c| (c.iat, c.exp) = (NOW - 34, NOW - 4), true),
            ("expired 5 s ago", |c| (c.iat, c.exp) = (NOW - 35, NOW - 5), false),
            ("no e-mail address", |c| c.email = Some("ann".into()), false),
        ];
        for (what, change, expected) in cases {
            let mut claims = claims();
            change(&mut claims);
            assert_eq!(Caller::believe(claims, UnixSeconds(NOW)).is_ok(), expected, "{what}");
        }
    }

    #[test]
    fn e7_the_role_may_be_used_only_with_the_scope() {
        let mut claims = claims();
        assert!(!Caller::believe(claims.clone(), UnixSeconds(NOW)).unwrap().may_use_role());
        claims.scopes.push("admin".into());
        assert!(Caller::believe(claims, UnixSeconds(NOW)).unwrap().may_use_role());
    }

    #[test]
    fn the_key_of_a_session_is_that_of_whoever_came_with_one() {
        for (method, expected) in
            [(Method::Session, Some("s1")), (Method::Oauth2Proxy, Some("s1")), (Method::Jwt, None)]
        {
            let claims = IdentityClaims { method, token_id: Some("s1".into()), ..claims() };
            assert_eq!(Caller::believe(claims, UnixSeconds(NOW)).unwrap().session_key(), expected, "{method:?}");
        }
    }

    #[test]
    fn a_caller_is_called_by_the_folded_address_or_else_by_the_subject() {
        assert_eq!(Caller::believe(claims(), UnixSeconds(NOW)).unwrap().name(), "ann@x.org");
        let external =
            IdentityClaims { sub: Subject::external("https://idp", "Ann").unwrap(), email: None, ..claims() };
        let caller = Caller::believe(external, UnixSeconds(NOW)).unwrap();
        assert_eq!(caller.name(), "https://idp|Ann");
        assert_eq!(caller.email(), Err(Failure::NoEmail));
    }
}
