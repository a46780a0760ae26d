//! Carries a call with an `Idempotency-Key` out once, however often it is sent
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! It counts for POST; the other methods that the API takes are idempotent by themselves (RFC 9110 §9.2.2). A caller whom nobody
//! vouches for, or who may make no admin call, is refused by the handler, so nothing is remembered, nor told again.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use zeroize::Zeroizing;

use crate::domain::admin::Role;
use crate::domain::caller::Caller;
use crate::domain::error::Failure;
use crate::domain::idempotency::{Fingerprint, IdempotencyKey, KeptAnswer, Slot};
use crate::http::app::Api;
use crate::http::app::answer::Refused;
use crate::http::app::manners::throttle;
use crate::service::idempotency::{Begun, Claim};

/// The request's header.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says of an answer that it was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Whose calls need a role, which is looked up for each: an answer is told again to those only who still have it.
const FOR_ADMINS: &str = "/api/admin/";

/// Carries a call out, or tells its answer again.
pub async fn once(State(api): State<Api>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(KEY) {
        return next.run(request).await;
    }
    let Ok(caller) = api.verifier.verify(request.headers(), api.now()) else { return next.run(request).await };
    let is_for_admins = request.uri().path().starts_with(FOR_ADMINS);
    let role = if is_for_admins { Some(api.admins.authorize(&caller, Role::Auditor).await) } else { None };
    match role.transpose() {
        Ok(role) => carried_out(&api, &caller, role, request, next)
            .await
            .unwrap_or_else(|failure| Refused(failure).into_response()),
        // Nothing is done without a memory of it, and nobody is told what they may not know any more.
        Err(failure) if failure.status() >= 500 => Refused(failure).into_response(),
        Err(_) => next.run(request).await,
    }
}

async fn carried_out(
    api: &Api,
    caller: &Caller,
    role: Option<Role>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let key = only_key(request.headers())?;
    let (parts, body) = request.into_parts();
    let body = read(Request::from_parts(parts.clone(), body)).await?;
    let target = parts.uri.path_and_query().map_or(parts.uri.path(), |target| target.as_str());
    let fingerprint = Fingerprint::of(caller, role, parts.method.as_str(), target, &body);
    let request = Request::from_parts(parts, Body::from(body));
    let (calls, slot) = (api.idempotency.clone(), Slot::new(caller, &key));
    // A client that goes away while it waits is one that will send the call again: it runs to its end.
    let running = tokio::spawn(async move {
        match calls.begin(slot, &fingerprint).await? {
            Begun::Answered(answer) => replayed(&answer),
            Begun::Mine(claim) => Ok(run(claim, request, next).await),
        }
    });
    running.await.map_err(|error| Failure::Internal { cause: error.to_string() })?
}

fn only_key(headers: &HeaderMap) -> Result<IdempotencyKey, Failure> {
    let mut keys = headers.get_all(KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) => IdempotencyKey::parse(key.as_bytes()),
        _ => Err(Failure::invalid("Idempotency-Key", "must come once")),
    }
}

async fn read(request: Request) -> Result<Bytes, Failure> {
    Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::TooLarge,
        _ => Failure::Body(rejection.body_text()),
    })
}

async fn run(claim: Claim, request: Request, next: Next) -> Response {
    let (parts, body) = claim.hold(next.run(request)).await.into_parts();
    // Our own handler made it, whole and in memory.
    let body = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => {
            claim.release().await;
            return Refused(Failure::Internal { cause: error.to_string() }).into_response();
        }
    };
    if KeptAnswer::is_final(parts.status.as_u16(), parts.headers.contains_key(header::RETRY_AFTER)) {
        let body = Zeroizing::new(body.to_vec());
        claim.keep(&KeptAnswer { status: parts.status.as_u16(), headers: texts(&parts.headers), body }).await;
    } else {
        claim.release().await;
    }
    Response::from_parts(parts, Body::from(body))
}

/// The headers of an answer, without what was true of that moment only.
fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| Some((name.to_string(), value.to_str().ok()?.to_owned()));
    let lasting = headers.iter().filter(|(name, _)| !throttle::FIELDS.contains(name));
    lasting.filter_map(text).collect()
}

fn replayed(kept: &KeptAnswer) -> Result<Response, Failure> {
    let status = StatusCode::from_u16(kept.status).map_err(|_| Failure::IdempotencyAnswerLost)?;
    let mut answer = (status, Body::from(kept.body.to_vec())).into_response();
    let headers = answer.headers_mut();
    for (name, value) in &kept.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(answer)
}
