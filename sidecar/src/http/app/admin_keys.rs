//! `/api/admin/keys`: the keys of our own with which tokens are signed. Administrators see them; only the super
//! admin changes them.

use axum::Json as JsonBody;
use axum::extract::State;
use sekisho_protocol::keyset::Jwk;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::error::Failure;
use crate::domain::signing::ring::{Ring, When};
use crate::domain::signing::{Algorithm, HS256, Kid, SigningKey, Successor};
use crate::domain::time::UnixSeconds;
use crate::http::app::Api;
use crate::http::app::answer::{AdminRefusals, Answer, BodyRefusals, Changed, Effect, Problem, ValueRefusals};
use crate::http::app::caller::{Reader, SuperAdmin};
use crate::http::app::request::{Json, PathPart, Query};
use crate::service::change::Change;
use crate::service::keysets::overview::Overview;
use crate::service::signing_keys::{Announced, Patience, Rotated};

mod sources;

use sources::SourceInfo;

/// Lists the signing keys, the oldest first, and the identity providers with the keys that they publish.
#[utoipa::path(get, path = "/api/admin/keys", tag = "keys",
    responses((status = 200, description = "The keys", body = KeyList), AdminRefusals))]
pub(super) async fn list(State(api): State<Api>, _: Reader) -> Answer<JsonBody<KeyList>> {
    let ring = api.signing_keys.ring().await.map_err(Failure::from)?;
    let sources = api.keysets.overview().await.map_err(Failure::from)?;
    Ok(JsonBody(KeyList::new(&ring, sources)))
}

/// Makes a key. It is published at once and waits to sign.
#[utoipa::path(post, path = "/api/admin/keys", tag = "keys", request_body = AddRequest,
    responses((status = 200, description = "Made, and every filter knows it", body = AddedKey),
        (status = 202, description = "Made, but some filters lag", body = AddedKey),
        (status = 409, description = "No encryption key, or too many keys", body = Problem, content_type = "application/problem+json"),
        AdminRefusals, BodyRefusals))]
pub(super) async fn add(
    State(api): State<Api>,
    admin: SuperAdmin,
    Json(request): Json<AddRequest>,
) -> Answer<Changed<AddedKey>> {
    let added = api.signing_keys.add(request.algorithm.parse()?, admin.by(), api.now()).await?;
    Ok(Changed::new(&added.change, AddedKey::new(&added, admin.name())))
}

/// Lets the next key sign, or a new one, once every filter knows it. What signed before goes on verifying.
#[utoipa::path(post, path = "/api/admin/keys/rotate", tag = "keys", request_body = RotateRequest,
    responses((status = 200, description = "Another key signs", body = RotatedKeys),
        (status = 202, description = "Some filters lag. With `signing` false nothing has changed yet: call again; the same key is taken", body = RotatedKeys),
        (status = 409, description = "Somebody else changed the keys meanwhile, no encryption key, or `JWT_SECRET` signs already", body = Problem, content_type = "application/problem+json"),
        AdminRefusals, BodyRefusals))]
pub(super) async fn rotate(
    State(api): State<Api>,
    admin: SuperAdmin,
    Json(request): Json<RotateRequest>,
) -> Answer<Changed<RotatedKeys>> {
    let rotated = api.signing_keys.rotate(request.successor()?, request.patience(), admin.by(), api.now()).await?;
    Ok(Changed::new(&rotated.change, RotatedKeys::new(&rotated, admin.name())))
}

/// Retires a key: no token of it is accepted any more.
#[utoipa::path(delete, path = "/api/admin/keys/{kid}", tag = "keys",
    params(("kid" = String, Path, description = "The key's id"), RetireQuery),
    responses((status = 200, description = "Retired, and every filter refuses its tokens", body = RetiredKey),
        (status = 202, description = "Retired, but some filters lag", body = RetiredKey),
        (status = 404, description = "No such key", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It signs, or tokens of it are valid", body = Problem, content_type = "application/problem+json"),
        AdminRefusals, ValueRefusals))]
pub(super) async fn retire(
    State(api): State<Api>,
    admin: SuperAdmin,
    PathPart(kid): PathPart,
    Query(query): Query<RetireQuery>,
) -> Answer<Changed<RetiredKey>> {
    let kid = Kid::parse(&kid)?;
    let when = if query.now { When::Now } else { When::Unneeded };
    let change = api.signing_keys.retire(kid.clone(), when, admin.by(), api.now()).await?;
    Ok(Changed::new(&change, RetiredKey::new(&change, &kid, admin.name())))
}

/// What a new key should be.
#[derive(Deserialize, ToSchema)]
pub(super) struct AddRequest {
    /// `EdDSA` or `ES256`.
    #[schema(pattern = "^(EdDSA|ES256)$")]
    algorithm: String,
}

/// What should sign.
#[derive(Deserialize, ToSchema)]
pub(super) struct RotateRequest {
    /// `EdDSA` or `ES256`: the key that has waited for longest, or a new one. `HS256`: no key, but `JWT_SECRET`.
    /// Without it: the key that has waited for longest; if none waits, a new one like that which signs now.
    #[schema(pattern = "^(EdDSA|ES256|HS256)$")]
    algorithm: Option<String>,
    /// Whether not to wait until every filter knows the key.
    #[serde(default)]
    now: bool,
}

impl RotateRequest {
    fn successor(&self) -> Result<Successor, Failure> {
        self.algorithm.as_deref().map_or(Ok(Successor::Next), str::parse)
    }

    fn patience(&self) -> Patience {
        if self.now { Patience::None } else { Patience::UntilKnown }
    }
}

/// When a key should go.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RetireQuery {
    /// Whether to retire it although tokens of it are valid: they are refused from then on.
    #[serde(default)]
    now: bool,
}

/// The signing keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyList {
    signs: Signer,
    keys: Vec<KeyInfo>,
    count: usize,
    /// The identity providers whose keys verify tokens, too, by name.
    sources: Vec<SourceInfo>,
}

/// What signs new tokens.
#[derive(Serialize, ToSchema)]
struct Signer {
    /// `EdDSA`, `ES256`, or `HS256`: then it is `JWT_SECRET`.
    algorithm: &'static str,
    /// The key's id; `null` if it is `JWT_SECRET`.
    kid: Option<String>,
}

impl Signer {
    fn new(key: Option<&SigningKey>) -> Self {
        Self { algorithm: key.map_or(HS256, |key| key.algorithm.name()), kid: key.map(|key| key.kid.to_string()) }
    }
}

impl KeyList {
    fn new(ring: &Ring, sources: Vec<Overview>) -> Self {
        Self {
            signs: Signer::new(ring.signing()),
            keys: ring.keys().iter().map(KeyInfo::from).collect(),
            count: ring.keys().len(),
            sources: sources.into_iter().map(SourceInfo::from).collect(),
        }
    }
}

/// A signing key.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyInfo {
    kid: String,
    algorithm: Algorithm,
    /// `next`, `signing` or `verifying`.
    state: &'static str,
    created_at: u64,
    /// `null` if it never did.
    signing_since: Option<u64>,
    /// `null` if it does, or never did.
    signed_until: Option<u64>,
    /// When the last token ends that it signed; `null` if it signed none.
    tokens_end: Option<u64>,
    /// Its public part (RFC 7517).
    #[schema(value_type = Object)]
    public_key: Jwk,
}

impl From<&SigningKey> for KeyInfo {
    fn from(key: &SigningKey) -> Self {
        let (since, until) = key.state.signed();
        Self {
            kid: key.kid.to_string(),
            algorithm: key.algorithm,
            state: key.state.word(),
            created_at: key.created_at.get(),
            signing_since: since.map(UnixSeconds::get),
            signed_until: until.map(UnixSeconds::get),
            tokens_end: key.tokens_end.map(UnixSeconds::get),
            public_key: key.public.clone(),
        }
    }
}

/// A key that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct AddedKey {
    message: &'static str,
    key: KeyInfo,
    added_by: String,
    #[serde(flatten)]
    effect: Effect,
}

impl AddedKey {
    fn new(added: &Announced, added_by: String) -> Self {
        let effect = Effect::from(&added.change);
        Self { message: "Key added successfully", key: KeyInfo::from(&added.key), added_by, effect }
    }
}

/// What signs now.
#[derive(Serialize, ToSchema)]
pub(super) struct RotatedKeys {
    message: &'static str,
    /// Whether another key signs now. If not, some filters do not know it yet.
    signing: bool,
    /// The key that signs, or waits to; `null` if `JWT_SECRET` signs.
    key: Option<KeyInfo>,
    rotated_by: String,
    #[serde(flatten)]
    effect: Effect,
}

impl RotatedKeys {
    fn new(rotated: &Rotated, rotated_by: String) -> Self {
        Self {
            message: if rotated.signs { "Keys rotated successfully" } else { "Key published, but not signing yet" },
            signing: rotated.signs,
            key: rotated.key.as_ref().map(KeyInfo::from),
            rotated_by,
            effect: Effect::from(&rotated.change),
        }
    }
}

/// A key that is gone.
#[derive(Serialize, ToSchema)]
pub(super) struct RetiredKey {
    message: &'static str,
    kid: String,
    retired_by: String,
    #[serde(flatten)]
    effect: Effect,
}

impl RetiredKey {
    fn new(change: &Change, kid: &Kid, retired_by: String) -> Self {
        let effect = Effect::from(change);
        Self { message: "Key retired successfully", kid: kid.to_string(), retired_by, effect }
    }
}
