//! The provider at which people sign in: npm's oidc-provider, set up and commanded by a story
//! (`tests/peers/sign_in_provider.mjs`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use super::provider::Fault;
use crate::process::{Process, Slot};
use crate::{Answer, components, poll, ports};

mod forgery;
mod logout;
mod person;

pub use forgery::{Forgery, Signature};
pub use logout::{About, Delivered, LogoutToken};
pub use person::Person;

/// How the client is called, with what RFC 6749 §2.3.1 wants encoded before it goes into a header.
pub const CLIENT_ID: &str = "urn:sekisho:stories";
/// Its secret, likewise.
pub const CLIENT_SECRET: &str = "known to + every: story% of 32 bytes";
/// How long it may take to obey.
const PATIENCE: Duration = Duration::from_secs(15);

/// What of a provider stays as it is.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// With which algorithm it signs.
    pub algorithm: &'static str,
    /// How its client proves who it is (`token_endpoint_auth_method`).
    pub client_auth: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self { algorithm: "RS256", client_auth: "client_secret_basic" }
    }
}

/// What can go wrong by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Its description.
    Discovery,
    /// Its keys.
    Jwks,
    /// Where browsers are sent.
    Authorization,
    /// Codes for tokens, at the token endpoint.
    Exchange,
    /// Refresh tokens for tokens, at the token endpoint.
    Refresh,
    /// What it says of somebody.
    UserInfo,
    /// Where browsers sign out.
    EndSession,
}

impl Endpoint {
    fn word(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Jwks => "jwks",
            Self::Authorization => "authorization",
            Self::Exchange => "exchange",
            Self::Refresh => "refresh",
            Self::UserInfo => "userinfo",
            Self::EndSession => "end_session",
        }
    }
}

/// Who gets refresh tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshTokens {
    /// Who asks for `offline_access` with `prompt=consent`.
    WhenAskedFor,
    /// Everybody.
    Always,
    /// Nobody.
    Never,
}

/// One request to an endpoint.
#[derive(Debug, Clone, Deserialize)]
pub struct Visit {
    /// Which one, as [`Endpoint`] says it.
    pub what: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// With which parameters, if a browser was sent.
    #[serde(default)]
    pub parameters: Value,
}

/// A session at the provider, of which the client knows.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub struct AtProvider {
    /// Whose it is.
    pub sub: String,
    /// How it is called in ID tokens.
    pub sid: String,
}

/// A provider that runs, until the story ends.
pub struct SignInProvider {
    folder: PathBuf,
    port: u16,
    control: u16,
    client: Client,
    process: Slot,
}

impl SignInProvider {
    /// Starts one whose client is Sekisho at each of `origins` (`http://host:port`), and waits until it serves. Back-channel
    /// logout goes to the first of them.
    ///
    /// # Errors
    /// It is not installed, or does not become ready.
    pub async fn start(folder: &Path, origins: &[String], setup: Setup) -> Result<Self> {
        components::peers()?;
        let provider = Self {
            folder: folder.to_owned(),
            port: ports::free()?,
            control: ports::free()?,
            client: Client::builder().timeout(PATIENCE).build()?,
            process: Slot::new("the provider at which people sign in"),
        };
        let mut process = Process::start("sign-in-provider", folder, provider.command(origins, setup)?).await?;
        poll::until("the provider serves", poll::START, async || {
            process.still_runs()?;
            provider.visits().await
        })
        .await?;
        provider.process.put(process).await;
        Ok(provider)
    }

    fn command(&self, origins: &[String], setup: Setup) -> Result<Command> {
        let mut command = Command::new(components::node());
        command.arg(components::repository().join("tests/peers/sign_in_provider.mjs"));
        command.args(["--port", &self.port.to_string(), "--control", &self.control.to_string()]);
        command.arg("--secrets").arg(Self::secrets_file(&self.folder));
        command.args(["--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET]);
        command.args(["--client-auth", setup.client_auth, "--algorithm", setup.algorithm]);
        for origin in origins {
            command.arg("--redirect").arg(format!("{origin}/oauth2/callback"));
            for path in ["/", "/oauth2/sign_in", "/oauth2/signed_out"] {
                command.arg("--after-sign-out").arg(format!("{origin}{path}"));
            }
        }
        let first = origins.first().context("a provider without a client")?;
        command.arg("--backchannel").arg(format!("{first}/oauth2/backchannel_logout"));
        Ok(command)
    }

    fn secrets_file(folder: &Path) -> PathBuf {
        folder.join("sign-in-secrets")
    }

    /// Every code and every token that a provider in `folder` has given out, and its client's secret, if there is such a provider.
    #[must_use]
    pub fn secrets_in(folder: &Path) -> Vec<String> {
        let given = std::fs::read_to_string(Self::secrets_file(folder));
        given.map(|given| given.lines().chain([CLIENT_SECRET]).map(str::to_owned).collect()).unwrap_or_default()
    }

    /// Its name, which is also where its description is found.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What a sidecar is told of it.
    #[must_use]
    pub fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("SEKISHO_OIDC_ISSUER", self.issuer()),
            ("SEKISHO_OIDC_CLIENT_ID", CLIENT_ID.to_owned()),
            ("SEKISHO_OIDC_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
        ]
    }

    /// From now on it says this of somebody. Gives their claims.
    ///
    /// # Errors
    /// It does not obey.
    pub async fn describe(&self, person: &Person) -> Result<Value> {
        self.order("person", person.order()).await
    }

    /// From now on it signs this address in without asking for a name, or asks again.
    ///
    /// # Errors
    /// It does not obey.
    pub async fn log_in_as(&self, email: Option<&str>) -> Result<()> {
        self.set(json!({"login_as": email})).await
    }

    /// From now on access tokens live so long.
    ///
    /// # Errors
    /// It does not obey.
    pub async fn access_tokens_live(&self, ttl: Duration) -> Result<()> {
        self.set(json!({"access_ttl_s": ttl.as_secs()})).await
    }

    /// Who gets refresh tokens from now on, and whether each is worth one refresh only.
    ///
    /// # Errors
    /// It does not obey.
    pub async fn refresh_tokens(&self, who: RefreshTokens, rotate: bool) -> Result<()> {
        let word = match who {
            RefreshTokens::WhenAskedFor => "offline_access",
            RefreshTokens::Always => "always",
            RefreshTokens::Never => "never",
        };
        self.set(json!({"refresh_tokens": word, "rotate": rotate})).await
    }

    /// From now on everything but the subject is told by the userinfo endpoint alone, or in ID tokens as well.
    ///
    /// # Errors
    /// It does not obey.
    pub async fn tell_claims_by_userinfo_alone(&self, alone: bool) -> Result<()> {
        self.set(json!({"claims_in": if alone { "userinfo" } else { "id_token" }})).await
    }

    async fn set(&self, settings: Value) -> Result<()> {
        self.order("settings", settings).await.map(drop)
    }

    /// From now on its ID tokens are forged so, or right again.
    ///
    /// # Errors
    /// It does not obey.
    pub async fn forge_id_tokens(&self, forgery: Option<&Forgery>) -> Result<()> {
        self.order("wrong", json!({"id_token": forgery.map(Forgery::order)})).await.map(drop)
    }

    /// From now on these parameters of callbacks are others, or missing where there is no value. None: all is right again.
    ///
    /// # Errors
    /// It does not obey.
    pub async fn forge_callbacks(&self, parameters: &[(&str, Option<&str>)]) -> Result<()> {
        let parameters: serde_json::Map<String, Value> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        self.order("wrong", json!({"callback": parameters})).await.map(drop)
    }

    /// From now on the answers of `endpoint` go wrong, or are right again.
    ///
    /// # Errors
    /// It does not obey.
    pub async fn behave(&self, endpoint: Endpoint, fault: Option<Fault>) -> Result<()> {
        let order = json!({"what": endpoint.word(), "how": fault.map(Fault::into_order)});
        self.order("behave", order).await.map(drop)
    }

    /// The next answer of `endpoint` goes wrong.
    ///
    /// # Errors
    /// It does not obey.
    pub async fn behave_once(&self, endpoint: Endpoint, fault: Fault) -> Result<()> {
        let order = json!({"what": endpoint.word(), "how": fault.into_order(), "times": 1});
        self.order("behave", order).await.map(drop)
    }

    /// Nobody listens at its address any more.
    ///
    /// # Errors
    /// It does not obey.
    pub async fn go_down(&self) -> Result<()> {
        self.order("down", json!({})).await.map(drop)
    }

    /// It listens again, and knows what it knew.
    ///
    /// # Errors
    /// It does not obey.
    pub async fn come_back(&self) -> Result<()> {
        self.order("up", json!({})).await.map(drop)
    }

    /// A new key signs from now on; the old ones stay published.
    ///
    /// # Errors
    /// It does not obey.
    pub async fn rotate_keys(&self) -> Result<()> {
        self.order("rotate", json!({})).await.map(drop)
    }

    /// Takes back what somebody has allowed: their next refresh fails with `invalid_grant`.
    ///
    /// # Errors
    /// It does not obey, or there was nothing to be taken back.
    pub async fn revoke(&self, email: &str) -> Result<()> {
        let answer = self.order("revoke", json!({"email": email})).await?;
        ensure!(answer["grants"].as_u64() > Some(0), "{email} has allowed nothing");
        Ok(())
    }

    /// Asks somebody for their name again at their next sign-in.
    ///
    /// # Errors
    /// It does not obey.
    pub async fn forget(&self, email: &str) -> Result<()> {
        self.order("forget", json!({"email": email})).await.map(drop)
    }

    /// The sessions of somebody, the newest last.
    ///
    /// # Errors
    /// It does not obey.
    pub async fn sessions_of(&self, email: &str) -> Result<Vec<AtProvider>> {
        Ok(serde_json::from_value(self.order("sessions", json!({"email": email})).await?)?)
    }

    /// Makes a logout token and delivers it by the back channel.
    ///
    /// # Errors
    /// Nobody takes it.
    pub async fn log_out(&self, token: &LogoutToken) -> Result<Delivered> {
        Ok(serde_json::from_value(self.order("logout", token.order()).await?)?)
    }

    /// Delivers the same token once more.
    ///
    /// # Errors
    /// Nobody takes it.
    pub async fn log_out_again(&self, delivered: &Delivered) -> Result<Delivered> {
        Ok(serde_json::from_value(self.order("logout-again", json!({"token": delivered.token})).await?)?)
    }

    /// The requests so far, in order.
    ///
    /// # Errors
    /// It does not obey.
    pub async fn visits(&self) -> Result<Vec<Visit>> {
        let request = self.client.get(format!("http://127.0.0.1:{}/visits", self.control));
        Ok(serde_json::from_value(Answer::of(request.send().await?).await?.json_with(200)?)?)
    }

    /// How many requests to `endpoint` there were so far.
    ///
    /// # Errors
    /// It does not obey.
    pub async fn visits_to(&self, endpoint: Endpoint) -> Result<usize> {
        Ok(self.visits().await?.iter().filter(|visit| visit.what == endpoint.word()).count())
    }

    async fn order(&self, what: &str, body: Value) -> Result<Value> {
        let request = self.client.post(format!("http://127.0.0.1:{}/{what}", self.control)).json(&body);
        let answer = Answer::of(request.send().await?).await?;
        ensure!(answer.status == 200, "the provider does not {what} {body}: {answer:?}");
        answer.json()
    }
}
