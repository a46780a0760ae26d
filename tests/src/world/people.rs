//! People who sign in: the provider of a world, and its place in the configurations.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::World;
use crate::Browser;
use crate::browser::Page;
use crate::folder::Folder;
use crate::peers::SignInProvider;
use crate::peers::sign_in::Setup;
use crate::sidecar::Sidecar;

/// Where people sign in, unless a plan names other hosts.
pub const HOST: &str = "people.localhost";
/// The cookie of a session, where there is no TLS.
pub const COOKIE: &str = "sekisho";

/// How people sign in.
#[derive(Debug, Clone, Copy)]
pub struct People {
    /// What their provider is like.
    pub setup: Setup,
    /// The hosts on which they do; the provider tells the first one of logouts.
    pub hosts: &'static [&'static str],
    /// Settings of the sidecars besides the usual ones, or instead of them.
    pub settings: &'static [(&'static str, &'static str)],
}

impl Default for People {
    fn default() -> Self {
        Self { setup: Setup::default(), hosts: &[HOST], settings: &[] }
    }
}

impl People {
    /// Starts their provider, to which they come through the listener at `edge`.
    pub(super) async fn start(self, folder: &Folder, edge: u16) -> Result<SignInProvider> {
        SignInProvider::start(folder.path(), &self.origins(edge), self.setup).await
    }

    /// Tells a sidecar how people sign in.
    pub(super) fn tell(self, sidecar: &mut Sidecar, provider: &SignInProvider, edge: u16) {
        for (name, value) in provider.settings() {
            sidecar.set(name, value);
        }
        sidecar.set("SEKISHO_SIGN_IN_ORIGINS", self.origins(edge).join(","));
        for (name, value) in [("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "*"), ("SEKISHO_SIGN_IN_INSECURE", "1")] {
            sidecar.set(name, value.to_owned());
        }
        for (name, value) in self.settings {
            sidecar.set(name, (*value).to_owned());
        }
    }

    fn origins(self, edge: u16) -> Vec<String> {
        self.hosts.iter().map(|host| format!("http://{host}:{edge}")).collect()
    }
}

/// Adds `/console`, to which people come with a session, and which sends browsers to sign in.
pub(super) fn with_console(policy: &mut Value) {
    let console = json!({
        "name": "console", "match": {"prefix": "/console"}, "access": "protected", "sessions": "accept",
        "answers": {"sign_in": "/oauth2/start"}, "identity": "upstream",
    });
    if let Some(routes) = policy["routes"].as_array_mut() {
        // The app's own rules stay first.
        let last = routes.iter().rposition(|route| route["match"]["host"].is_string()).map_or(0, |last| last + 1);
        routes.insert(last, console);
    }
}

impl World {
    /// The provider at which people sign in.
    ///
    /// # Errors
    /// The plan wants none.
    pub fn sign_in_provider(&self) -> Result<&SignInProvider> {
        self.people.as_ref().context("nobody signs in in this world")
    }

    /// The address of a page on the host where people sign in.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        self.on(HOST, path)
    }

    /// The address of a page on a host of this world.
    #[must_use]
    pub fn on(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.envoy.edge().port())
    }

    /// Signs somebody in on their way to `/console/page`, where they land.
    ///
    /// # Errors
    /// They land elsewhere.
    pub async fn sign_in(&self, browser: &mut Browser, email: &str) -> Result<Page> {
        browser.sign_in_at(self.sign_in_provider()?, &self.at("/console/page"), email).await
    }
}
