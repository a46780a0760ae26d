//! How we are known to an identity provider, and what we ask it for.

use std::fmt;

use zeroize::Zeroizing;

/// Our secret at a provider. Never printed, and wiped when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    /// The secret of this text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for whoever must show it to the provider. Never log or print it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}

/// How we are known to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The provider's issuer identifier.
    pub issuer: String,
    /// Our name there.
    pub client_id: String,
    /// Our secret there; none for a public client.
    pub client_secret: Option<ClientSecret>,
    /// What we ask to be told, `openid` apart.
    pub scopes: Vec<String>,
    /// `acr_values` (OpenID Connect Core §3.1.2.1), the most wanted first.
    pub acr: Vec<String>,
    /// `prompt` (OpenID Connect Core §3.1.2.1).
    pub prompt: Option<String>,
    /// Whether it may be asked without TLS.
    pub allow_http: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", ClientSecret::new("hunter2".into())), "ClientSecret(…)");
    }
}
