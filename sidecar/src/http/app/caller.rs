//! Who calls: the extractors by which a handler says whom it serves.
//!
//! Only `x-sekisho-identity` counts, signed by the filter for this API with a key that no upstream
//! has. `x-forwarded-email` and its like are what anybody could send who reaches the listener.

use std::collections::HashSet;

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use jwt_simple::prelude::{Audiences, Duration, HS256Key, JWTClaims, MACLike, VerificationOptions};
use sekisho_protocol::activity::Method;
use sekisho_protocol::identity::{APP_AUDIENCE, HEADER, ISSUER, IdentityClaims, MAX_LIFETIME_S, TYPE};
use sekisho_protocol::{Subject, keys};
use serde::{Deserialize, Serialize};

use crate::domain::admin::Role;
use crate::domain::audit::{By, Origin};
use crate::domain::caller::{CLOCK_SKEW_S, Caller};
use crate::domain::error::Failure;
use crate::domain::time::UnixSeconds;
use crate::http::app::Api;
use crate::http::app::answer::Refused;
use crate::service::refusals::Call;

/// Longest assertion that is looked at: several times the longest that the filter signs.
const ASSERTION_MAX_BYTES: usize = 16 * 1024;

/// Verifies the filter's assertions.
pub struct Verifier {
    key: HS256Key,
}

/// The claims besides the registered ones.
#[derive(Serialize, Deserialize)]
struct OwnClaims {
    email: Option<String>,
    method: Method,
    token_id: Option<String>,
    token_issued_at: Option<u64>,
    token_name: Option<String>,
    scopes: Vec<String>,
}

impl Verifier {
    /// Verifies what filters of the mesh with this secret sign.
    #[must_use]
    pub fn new(mesh_secret: &[u8]) -> Self {
        Self { key: HS256Key::from_bytes(&keys::app_identity_key(mesh_secret)) }
    }

    /// The caller whom the headers of a request prove.
    ///
    /// # Errors
    /// [`Failure::Unauthenticated`], or [`Failure::RepeatedIdentity`].
    pub fn verify(&self, headers: &HeaderMap, now: UnixSeconds) -> Result<Caller, Failure> {
        let mut values = headers.get_all(HEADER).iter();
        let assertion = values.next().ok_or(Failure::Unauthenticated)?;
        if values.next().is_some() {
            return Err(Failure::RepeatedIdentity);
        }
        let assertion = assertion.to_str().map_err(|_| Failure::Unauthenticated)?;
        Ok(Caller::believe(self.claims(assertion, now)?, now)?.by_way_of(origin(headers)))
    }

    fn claims(&self, assertion: &str, now: UnixSeconds) -> Result<IdentityClaims, Failure> {
        let options = VerificationOptions {
            allowed_issuers: Some(HashSet::from([ISSUER.to_owned()])),
            allowed_audiences: Some(HashSet::from([APP_AUDIENCE.to_owned()])),
            time_tolerance: Some(Duration::from_secs(CLOCK_SKEW_S)),
            max_validity: Some(Duration::from_secs(MAX_LIFETIME_S + CLOCK_SKEW_S)),
            required_signature_type: Some(TYPE.to_owned()),
            max_token_length: Some(ASSERTION_MAX_BYTES),
            artificial_time: Some(Duration::from_secs(now.get())),
            ..VerificationOptions::default()
        };
        let verified = self.key.verify_token::<OwnClaims>(assertion, Some(options));
        // Why it failed would help only a forger; the filter's own log says what it signed.
        verified.ok().and_then(into_claims).ok_or(Failure::Unauthenticated)
    }
}

/// Where a request comes from.
#[must_use]
pub fn origin(headers: &HeaderMap) -> Origin<'_> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let hops = headers.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
    let last_hop = hops.and_then(|hops| hops.rsplit(',').next()).map(str::trim);
    Origin {
        request_id: text("x-request-id"),
        // What Envoy takes for the client, as far as it trusts hops before it; or else who came to it last.
        address: text("x-envoy-external-address").or(last_hop),
        user_agent: text("user-agent"),
    }
}

/// The assertion's claims, if all that it must have is there: the library takes a missing `exp` for
/// no end, and a set of audiences for each of them.
fn into_claims(claims: JWTClaims<OwnClaims>) -> Option<IdentityClaims> {
    let Some(Audiences::AsString(aud)) = claims.audiences else { return None };
    Some(IdentityClaims {
        iss: claims.issuer?,
        aud,
        sub: Subject::try_from(claims.subject?).ok()?,
        email: claims.custom.email,
        method: claims.custom.method,
        token_id: claims.custom.token_id,
        token_issued_at: claims.custom.token_issued_at,
        token_name: claims.custom.token_name,
        scopes: claims.custom.scopes,
        iat: claims.issued_at?.as_secs(),
        exp: claims.expires_at?.as_secs(),
    })
}

/// Anybody whom the filter vouches for.
pub struct SignedIn(pub Caller);

impl FromRequestParts<Api> for SignedIn {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        Ok(Self(api.verifier.verify(&parts.headers, api.now())?))
    }
}

/// Somebody who may administer, with a credential for that (rule E7), as what, and for what they came.
struct Authorized {
    caller: Caller,
    role: Role,
    call: Call,
}

impl Authorized {
    /// Who makes an admin call. Whoever may not make it is in the audit trail.
    async fn of(parts: &mut Parts, api: &Api, needed: Role) -> Result<Self, Refused> {
        let call = call(parts);
        let SignedIn(caller) = match SignedIn::from_request_parts(parts, api).await {
            Ok(caller) => caller,
            Err(Refused(failure)) => {
                let by = By::caller(NOBODY).by_way_of(origin(&parts.headers));
                api.refusals.note(by, call, &failure);
                return Err(Refused(failure));
            }
        };
        match api.admins.authorize(&caller, needed).await {
            Ok(role) => Ok(Self { caller, role, call }),
            Err(failure) => {
                api.refusals.note(caller.by().clone(), call, &failure);
                Err(Refused(failure))
            }
        }
    }
}

/// In the audit trail, whoever is not vouched for.
const NOBODY: &str = "unauthenticated";

/// The call that somebody makes.
fn call(parts: &Parts) -> Call {
    let template = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    Call { method: parts.method.to_string(), template: template.to_owned() }
}

/// Somebody who may read everything: an auditor, or an administrator. For every call that changes nothing.
pub struct Reader(Authorized);

impl Reader {
    /// Whether they are more than an auditor.
    pub fn may_change(&self) -> bool {
        self.0.role > Role::Auditor
    }
}

impl FromRequestParts<Api> for Reader {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        Authorized::of(parts, api, Role::Auditor).await.map(Self)
    }
}

/// An administrator, who may change things.
pub struct Admin(Authorized);

impl Admin {
    /// The administrator's name in answers and records.
    pub fn name(&self) -> String {
        self.0.caller.name().to_owned()
    }

    /// The administrator in audit events.
    pub fn by(&self) -> By {
        self.0.caller.by().clone()
    }

    /// Sees that they may change what concerns `target`.
    ///
    /// # Errors
    /// [`Failure::SuperAdminOnly`] if that is a super administrator, and they are none.
    pub fn must_outrank(&self, api: &Api, target: &Subject) -> Result<(), Failure> {
        let Authorized { caller, role, call } = &self.0;
        let outranked = api.admins.must_outrank(*role, caller.name(), target);
        if let Err(failure) = &outranked {
            api.refusals.note(caller.by().clone(), call.clone(), failure);
        }
        outranked
    }
}

impl FromRequestParts<Api> for Admin {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        Authorized::of(parts, api, Role::Admin).await.map(Self)
    }
}

/// A super administrator, who decides who administers and what signs.
pub struct SuperAdmin(Authorized);

impl SuperAdmin {
    /// The administrator's name in answers and records.
    pub fn name(&self) -> String {
        self.0.caller.name().to_owned()
    }

    /// The administrator in audit events.
    pub fn by(&self) -> By {
        self.0.caller.by().clone()
    }
}

impl FromRequestParts<Api> for SuperAdmin {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        Authorized::of(parts, api, Role::SuperAdmin).await.map(Self)
    }
}
