//! A provider whose keys the sidecars fetch: its place in the configurations of a world.

use serde_json::{Value, json};

use crate::peers::Provider;
use crate::peers::provider::AUDIENCE;

/// How long nobody asks a provider again because of an unknown `kid`, in seconds.
pub const REFETCH_INTERVAL_S: u64 = 1;
/// How long an attempt to fetch keys may take, in milliseconds.
const TIMEOUT_MS: u64 = 1_000;
/// The name of the source, and of the provider in the filter's configuration.
const NAME: &str = "provider";

/// A provider that issues tokens in a world, and how the sidecars find its keys.
#[derive(Debug, Clone, Copy)]
pub struct KeySource {
    /// With which algorithm it signs.
    pub algorithm: &'static str,
    /// What the sidecars are told.
    pub found: Found,
    /// Whether it runs from the beginning.
    pub running: bool,
}

/// What the sidecars are told of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Who it is: its description says where the keys are.
    ByDiscovery,
    /// Where the keys are.
    ByJwksUri,
    /// In which file the keys are: [`Provider::write_keys`] puts them there.
    InFile,
}

impl KeySource {
    /// The sidecars' file of settings.
    #[must_use]
    pub fn settings(self, provider: &Provider) -> Value {
        let mut source = json!({
            "name": NAME, "allow_http": true, "refetch_interval_s": REFETCH_INTERVAL_S, "timeout_ms": TIMEOUT_MS,
        });
        match self.found {
            Found::ByDiscovery => source["issuer"] = provider.issuer().into(),
            Found::ByJwksUri => source["jwks_uri"] = provider.jwks_uri().into(),
            Found::InFile => source["file"] = provider.file().to_string_lossy().into(),
        }
        json!({"key_sources": [source]})
    }
}

/// Adds `provider` to those whose tokens the filter accepts.
pub(super) fn accept(policy: &mut Value, provider: &Provider) {
    if let Some(providers) = policy["providers"].as_array_mut() {
        providers.push(json!({
            "name": NAME, "issuers": [provider.issuer()], "audiences": [AUDIENCE], "key_source": NAME,
            "email_claim": "email", "email_domains": ["*"],
        }));
    }
}
