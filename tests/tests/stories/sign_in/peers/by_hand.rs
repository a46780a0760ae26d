//! A client of an OpenID provider, by hand.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use e2e::browser::page::encoded;
use e2e::folder::Folder;
use e2e::peers::sign_in::{CLIENT_ID, CLIENT_SECRET, Setup, SignInProvider};
use e2e::story::runtime;
use e2e::upstream::{Recorder, serve};
use e2e::{Answer, Browser};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

/// A client, its provider, and what reached it.
pub(super) struct ByHand {
    pub(super) provider: SignInProvider,
    pub(super) origin: String,
    pub(super) reached: Recorder,
    client: Client,
    setup: Setup,
    folder: Folder,
}

/// A browser that came back with a code.
pub(super) struct Callback {
    pub(super) code: String,
    pub(super) verifier: String,
    nonce: String,
}

/// What a code is worth.
#[derive(Debug, Deserialize)]
pub(super) struct Tokens {
    pub(super) access_token: String,
    pub(super) id_token: String,
    pub(super) refresh_token: Option<String>,
    pub(super) expires_in: u64,
    #[serde(skip)]
    pub(super) nonce: String,
}

impl Tokens {
    pub(super) fn refresh(&self) -> Result<&String> {
        self.refresh_token.as_ref().context("no refresh token")
    }
}

impl ByHand {
    pub(super) async fn start(setup: Setup) -> Result<Self> {
        let folder = Folder::create()?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let origin = format!("http://localhost:{}", listener.local_addr()?.port());
        let reached = Recorder::remembering();
        runtime().spawn(serve(listener, reached.clone()));
        let provider = SignInProvider::start(folder.path(), std::slice::from_ref(&origin), setup).await?;
        Ok(Self { provider, origin, reached, client: Client::new(), setup, folder })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where a browser is sent, with `changes` to its parameters; an empty one is left out.
    pub(super) fn authorization_url(&self, changes: &[(&str, &str)]) -> Result<String> {
        let callback = format!("{}/oauth2/callback", self.origin);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier_of("state")));
        let usual = [
            ("client_id", CLIENT_ID),
            ("response_type", "code"),
            ("redirect_uri", &callback),
            ("scope", "openid email profile groups offline_access"),
            ("prompt", "consent"),
            ("state", "state"),
            ("nonce", "nonce"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let value =
            |name, usual| changes.iter().find(|(changed, _)| *changed == name).map_or(usual, |(_, value)| *value);
        let parameters = usual.map(|(name, usual)| (name, value(name, usual)));
        let parameters = parameters.iter().filter(|(_, value)| !value.is_empty());
        Ok(Url::parse_with_params(&format!("{}/auth", self.provider.issuer()), parameters)?.into())
    }

    /// Walks a browser to the provider and back.
    pub(super) async fn callback(&self, browser: &mut Browser, email: &str) -> Result<Callback> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (state, nonce) = (format!("state-{number}"), format!("nonce-{number}"));
        let verifier = verifier_of(&state);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let changes = [("state", state.as_str()), ("nonce", &nonce), ("code_challenge", &challenge)];
        let mut page = browser.open(&self.authorization_url(&changes)?).await?;
        if page.form_with(&[("login", "")]).is_ok() {
            page = browser.submit(&page, &[("login", email)]).await?;
        }
        ensure!(page.url.as_str().starts_with(&self.origin), "{:?}", page.steps);
        let parameter =
            |name: &str| page.url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into());
        ensure!(parameter("state") == Some(state), "{}", page.url);
        ensure!(parameter("iss") == Some(self.provider.issuer()), "{}", page.url);
        Ok(Callback { code: parameter("code").with_context(|| page.url.to_string())?, verifier, nonce })
    }

    /// Walks a browser to the provider and back, and gets the tokens.
    pub(super) async fn sign_in(&self, browser: &mut Browser, email: &str) -> Result<Tokens> {
        let callback = self.callback(browser, email).await?;
        let answer = self.exchange(&callback.code, &callback.verifier).await?.json_with(200)?;
        Ok(Tokens { nonce: callback.nonce, ..serde_json::from_value(answer)? })
    }

    pub(super) async fn exchange(&self, code: &str, verifier: &str) -> Result<Answer> {
        let callback = format!("{}/oauth2/callback", self.origin);
        let fields = [("code", code), ("redirect_uri", callback.as_str()), ("code_verifier", verifier)];
        self.token("authorization_code", &fields).await
    }

    pub(super) async fn refresh(&self, token: &str) -> Result<Answer> {
        self.token("refresh_token", &[("refresh_token", token)]).await
    }

    async fn token(&self, grant: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let mut fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        fields.push(("grant_type".to_owned(), grant.to_owned()));
        let mut request = self.client.post(format!("{}/token", self.provider.issuer()));
        if self.setup.client_auth == "client_secret_basic" {
            // RFC 6749 §2.3.1: each part as in a form.
            let part = |text: &str| encoded(&[(text.to_owned(), String::new())]).trim_end_matches('=').to_owned();
            let both = STANDARD.encode(format!("{}:{}", part(CLIENT_ID), part(CLIENT_SECRET)));
            request = request.header("authorization", format!("Basic {both}"));
        } else {
            fields.push(("client_id".to_owned(), CLIENT_ID.to_owned()));
            fields.push(("client_secret".to_owned(), CLIENT_SECRET.to_owned()));
        }
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(encoded(&fields));
        answer_of(request).await
    }

    pub(super) async fn user_info(&self, access_token: &str) -> Result<Answer> {
        let request = self.client.get(format!("{}/me", self.provider.issuer()));
        answer_of(request.header("authorization", format!("Bearer {access_token}"))).await
    }

    /// The claims of a token of the provider, verified with the keys that it publishes now.
    pub(super) async fn verify(&self, token: &str) -> Result<Value> {
        let keys = self.client.get(format!("{}/jwks", self.provider.issuer()));
        let keys: JwkSet = serde_json::from_value(answer_of(keys).await?.json_with(200)?)?;
        let kid = decode_header(token)?.kid.context("no kid")?;
        let Some(key) = keys.find(&kid) else { bail!("no key is called {kid}") };
        let algorithm = key.common.key_algorithm.context("no alg")?.to_string().parse()?;
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[self.provider.issuer()]);
        validation.set_audience(&[CLIENT_ID]);
        Ok(decode::<Value>(token, &DecodingKey::from_jwk(key)?, &validation)?.claims)
    }
}

async fn answer_of(request: reqwest::RequestBuilder) -> Result<Answer> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    Ok(Answer { status, headers: Vec::new(), body: response.text().await? })
}

/// Long enough (RFC 7636 §4.1), and another one for each state.
fn verifier_of(state: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(state))
}
