//! An OpenID Connect provider, over HTTP.
//!
//! What it publishes about itself is fetched when it is first needed, kept for an hour, and used on if it can't be fetched
//! again. Nobody but its own issuer's metadata leads anywhere, and what it answers is bounded.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreTokenResponse};
use openidconnect::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, Nonce, OAuth2TokenResponse as _, PkceCodeVerifier,
    RedirectUrl, RefreshToken, RequestTokenError, Scope, TokenResponse as _,
};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::domain::sign_in::Testimony;
use crate::domain::sign_in::attempt::Attempt;
use crate::domain::sign_in::grant::{Grant, TOKEN_MAX_BYTES};
use crate::domain::sign_in::registration::Registration;
use crate::service::sign_in::provider::{Ask, Given, IdentityProvider, LogoutToken, ProviderError, Renewed};

mod http;
mod id_token;
mod logout_token;
mod metadata;

use http::Http;
use metadata::Published;

/// What a provider publishes is kept for so long.
const KEPT_FOR: Duration = Duration::from_secs(3_600);
/// A provider whose keys did not fit is asked again after so long.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// One of which nothing is known, and that could not be asked, after so long: till then nobody waits for it.
const AWAY_FOR: Duration = Duration::from_secs(1);

/// A provider.
pub struct OidcProvider {
    registration: Registration,
    http: Http,
    published: Mutex<Knowledge>,
}

/// What is known of it, and when and why it could not be asked last.
#[derive(Default)]
struct Knowledge {
    known: Option<Known>,
    failed: Option<(Instant, ProviderError)>,
}

/// What is known of it.
struct Known {
    published: Arc<Published>,
    fetched_at: Instant,
    asked_at: Instant,
}

impl OidcProvider {
    /// The provider of this registration.
    #[must_use]
    pub fn new(registration: Registration) -> Self {
        let http = Http::new(registration.allow_http);
        Self { registration, http, published: Mutex::default() }
    }

    /// What it publishes; fetched anew if `anew`, unless that was done just now.
    async fn published(&self, anew: bool) -> Result<Arc<Published>, ProviderError> {
        let mut knowledge = self.published.lock().await;
        let Knowledge { known, failed } = &mut *knowledge;
        if let Some(known) = known {
            let is_due = anew || known.fetched_at.elapsed() >= KEPT_FOR;
            if !is_due || known.asked_at.elapsed() < AGAIN_AFTER {
                return Ok(Arc::clone(&known.published));
            }
            known.asked_at = Instant::now();
        } else if let Some((_, error)) = failed.as_ref().filter(|(at, _)| at.elapsed() < AWAY_FOR) {
            return Err(error.clone());
        }
        match Published::fetch(&self.registration.issuer, &self.http).await {
            Ok(published) => {
                let published = Arc::new(published);
                let now = Instant::now();
                *known = Some(Known { published: Arc::clone(&published), fetched_at: now, asked_at: now });
                *failed = None;
                Ok(published)
            }
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                // The last that is known is good for longer than an outage.
                known.as_ref().map(|known| Arc::clone(&known.published)).ok_or(error)
            }
        }
    }

    fn client_id(&self) -> ClientId {
        ClientId::new(self.registration.client_id.clone())
    }

    fn secret(&self) -> Option<ClientSecret> {
        self.registration.client_secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()))
    }

    /// What the token endpoint's answer says of the person, and its ID token. `nonce` judges that of the latter.
    async fn said(
        &self,
        published: &Published,
        answer: &CoreTokenResponse,
        nonce: &(dyn Fn(Option<&str>) -> bool + Send + Sync),
        must_have_id_token: bool,
    ) -> Result<(Testimony, Option<String>), ProviderError> {
        let id_token = answer.id_token().map(ToString::to_string);
        let claims = match &id_token {
            Some(token) => self.verified(published, token, nonce).await?,
            None if must_have_id_token => return Err(ProviderError::Untrusted("there is no ID token".into())),
            None => Map::new(),
        };
        let claims = match published.userinfo() {
            Some(endpoint) => joined(claims, self.http.userinfo(endpoint, answer.access_token().secret()).await?)?,
            None => claims,
        };
        Ok((testimony(published.issuer(), claims)?, id_token.filter(is_kept)))
    }

    /// The claims of an ID token, verified; once more with newer keys if none of those that are known fits.
    async fn verified(
        &self,
        published: &Published,
        token: &str,
        nonce: &(dyn Fn(Option<&str>) -> bool + Send + Sync),
    ) -> Result<Map<String, Value>, ProviderError> {
        match id_token::verify(published, &self.client_id(), token, nonce) {
            Err(id_token::Unverified::NoSuchKey) => {
                let published = self.published(true).await?;
                Ok(id_token::verify(&published, &self.client_id(), token, nonce)?)
            }
            verified => Ok(verified?),
        }
    }
}

#[async_trait]
impl IdentityProvider for OidcProvider {
    async fn authorization(&self, ask: Ask<'_>) -> Result<Url, ProviderError> {
        let Ask { attempt, state, redirect_uri, other_account } = ask;
        let published = self.published(false).await?;
        let registration = &self.registration;
        let client = CoreClient::new(self.client_id(), published.issuer_url(), published.keys().clone())
            .set_auth_uri(published.authorization())
            .set_redirect_uri(RedirectUrl::from_url(redirect_uri.clone()));
        let (state, nonce) = (state.as_str().to_owned(), attempt.nonce.clone());
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .add_scopes(registration.scopes.iter().cloned().map(Scope::new))
            .add_extra_param("code_challenge", attempt.challenge())
            .add_extra_param("code_challenge_method", "S256");
        if !registration.acr.is_empty() {
            request = request.add_extra_param("acr_values", registration.acr.join(" "));
        }
        let other_account = other_account.then(|| "select_account".to_owned());
        if let Some(prompt) = other_account.or_else(|| registration.prompt.clone()) {
            request = request.add_extra_param("prompt", prompt);
        }
        Ok(request.url().0)
    }

    async fn check_issuer(&self, issuer: Option<&str>) -> Result<(), ProviderError> {
        let published = self.published(false).await?;
        match issuer {
            Some(issuer) if issuer == published.issuer() => Ok(()),
            Some(_) => Err(ProviderError::Untrusted("the answer is another issuer's".into())),
            None if published.names_itself() => {
                Err(ProviderError::Untrusted("the answer does not say whose it is".into()))
            }
            None => Ok(()),
        }
    }

    async fn redeem(&self, code: &str, attempt: &Attempt, redirect_uri: &Url) -> Result<Given, ProviderError> {
        let published = self.published(false).await?;
        let client = CoreClient::new(self.client_id(), published.issuer_url(), published.keys().clone())
            .set_token_uri(published.token())
            .set_auth_type(published.auth_type())
            .set_redirect_uri(RedirectUrl::from_url(redirect_uri.clone()));
        let client = match self.secret() {
            Some(secret) => client.set_client_secret(secret),
            None => client.set_auth_type(AuthType::RequestBody),
        };
        let http = self.http.caller();
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier.clone()))
            .request_async(&http)
            .await
            .map_err(refused)?;
        let (said, id_token) = self.said(&published, &answer, &|nonce| attempt.has_nonce(nonce), true).await?;
        Ok(Given { said, id_token, refresh_token: refresh_token(&answer) })
    }

    async fn renew(&self, grant: &Grant) -> Result<Renewed, ProviderError> {
        let Some(token) = &grant.refresh_token else {
            return Err(ProviderError::Refused("there is no refresh token".into()));
        };
        let published = self.published(false).await?;
        let client = CoreClient::new(self.client_id(), published.issuer_url(), published.keys().clone())
            .set_token_uri(published.token())
            .set_auth_type(published.auth_type());
        let client = match self.secret() {
            Some(secret) => client.set_client_secret(secret),
            None => client.set_auth_type(AuthType::RequestBody),
        };
        let (http, token) = (self.http.caller(), RefreshToken::new(token.clone()));
        let answer = client.exchange_refresh_token(&token).request_async(&http).await.map_err(refused)?;
        // A new ID token need not have a nonce (Core §12.2).
        let said = self.said(&published, &answer, &|_| true, published.userinfo().is_none()).await;
        Ok(Renewed { refresh_token: refresh_token(&answer), said })
    }

    async fn sign_out(&self, id_token: Option<&str>, back_to: &Url) -> Result<Option<Url>, ProviderError> {
        let published = self.published(false).await?;
        let Some(mut page) = published.end_session() else { return Ok(None) };
        {
            let mut query = page.query_pairs_mut();
            if let Some(id_token) = id_token {
                query.append_pair("id_token_hint", id_token);
            }
            query.append_pair("client_id", &self.registration.client_id);
            query.append_pair("post_logout_redirect_uri", back_to.as_str());
        }
        Ok(Some(page))
    }

    async fn read_logout(&self, token: &str) -> Result<LogoutToken, ProviderError> {
        let published = self.published(false).await?;
        let now = crate::domain::time::UnixSeconds::now();
        match logout_token::read(&published, &self.registration.client_id, token, now) {
            Err(id_token::Unverified::NoSuchKey) => {
                let published = self.published(true).await?;
                Ok(logout_token::read(&published, &self.registration.client_id, token, now)?)
            }
            read => Ok(read?),
        }
    }
}

/// The refresh token in an answer; none if there is none, or one that is too long.
fn refresh_token(answer: &CoreTokenResponse) -> Option<String> {
    answer.refresh_token().map(|token| token.secret().clone()).filter(is_kept)
}

#[expect(clippy::ptr_arg, reason = "what `Option::filter` gives")]
fn is_kept(token: &String) -> bool {
    token.len() <= TOKEN_MAX_BYTES
}

/// The claims of an ID token, and those that userinfo adds to them.
fn joined(mut claims: Map<String, Value>, told: Map<String, Value>) -> Result<Map<String, Value>, ProviderError> {
    // It may be about somebody else, if a token was swapped (Core §5.3.2).
    if claims.get("sub").is_some_and(|sub| told.get("sub") != Some(sub)) {
        return Err(ProviderError::Untrusted("userinfo is about somebody else".into()));
    }
    // That one address was verified says nothing about another one.
    let is_of_another = claims.contains_key("email") && claims.get("email") != told.get("email");
    for (name, value) in told.into_iter().filter(|(name, _)| !(is_of_another && name == "email_verified")) {
        claims.entry(name).or_insert(value);
    }
    Ok(claims)
}

/// What the claims say. The issuer is the one whose signature was verified, not the one that userinfo may name.
fn testimony(issuer: &str, mut claims: Map<String, Value>) -> Result<Testimony, ProviderError> {
    let text = |claims: &Map<String, Value>, name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let sub = text(&claims, "sub").filter(|sub| !sub.is_empty());
    let sub = sub.ok_or_else(|| ProviderError::Untrusted("there is no `sub`".into()))?;
    let sid = text(&claims, "sid");
    claims.remove("iss");
    Ok(Testimony { issuer: issuer.to_owned(), sub, sid, claims })
}

/// What a token endpoint's refusal means. Nothing of the answer is repeated but the code.
fn refused<E: std::error::Error + 'static>(
    error: RequestTokenError<E, openidconnect::StandardErrorResponse<openidconnect::core::CoreErrorResponseType>>,
) -> ProviderError {
    match error {
        RequestTokenError::ServerResponse(answer) => ProviderError::Refused(answer.error().as_ref().to_owned()),
        RequestTokenError::Request(error) => ProviderError::Unavailable(error.to_string()),
        RequestTokenError::Parse(error, _) if error.path().to_string().starts_with("id_token") => {
            ProviderError::Untrusted("its ID token is none".into())
        }
        RequestTokenError::Parse(error, _) => {
            ProviderError::Unavailable(format!("its answer is none of a token endpoint: {}", error.path()))
        }
        RequestTokenError::Other(cause) => ProviderError::Unavailable(cause),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn userinfo_adds_what_the_id_token_does_not_say_of_the_same_person_and_address() {
        let join = |claims: Value, told: Value| {
            let object = |value: Value| value.as_object().cloned().unwrap_or_default();
            joined(object(claims), object(told)).map(Value::Object)
        };
        for (claims, told, expected) in [
            (json!({"sub": "u"}), json!({"sub": "u", "email": "a@x", "email_verified": true}), Some(true)),
            (
                json!({"sub": "u", "email": "a@x"}),
                json!({"sub": "u", "email": "a@x", "email_verified": true}),
                Some(true),
            ),
            (json!({"sub": "u", "email": "a@x"}), json!({"sub": "u", "email": "b@x", "email_verified": true}), None),
            (json!({"sub": "u", "email": "a@x"}), json!({"sub": "u", "email_verified": true}), None),
            (
                json!({"sub": "u", "email": "a@x", "email_verified": false}),
                json!({"sub": "u", "email": "a@x", "email_verified": true}),
                Some(false),
            ),
            // At a refresh there may be no ID token.
            (json!({}), json!({"sub": "u", "email": "a@x", "email_verified": true}), Some(true)),
        ] {
            let claims = join(claims.clone(), told.clone()).unwrap_or_else(|error| panic!("{claims} {told}: {error}"));
            assert_eq!(claims["email"], "a@x", "{told}");
            assert_eq!(claims.get("email_verified").and_then(Value::as_bool), expected, "{told}");
        }
        for told in [json!({"sub": "other"}), json!({})] {
            assert!(join(json!({"sub": "u"}), told.clone()).is_err(), "{told}");
        }
    }
}
