//! What a provider publishes about itself (OpenID Connect Discovery 1.0), and its keys.

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm,
    CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, AuthType, AuthUrl, IssuerUrl, ProviderMetadata, TokenUrl};
use serde::{Deserialize, Serialize};
use url::Url;

use super::http::Http;
use crate::service::sign_in::provider::ProviderError;

/// What the library does not know.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct More {
    /// RP-Initiated Logout 1.0 §2.1.
    end_session_endpoint: Option<Url>,
    /// RFC 9207 §3.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for More {}

type Metadata = ProviderMetadata<
    More,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What a provider publishes; all that is needed is there.
#[derive(Debug)]
pub(super) struct Published {
    metadata: Metadata,
    token: TokenUrl,
}

impl Published {
    pub(super) async fn fetch(issuer: &str, http: &Http) -> Result<Self, ProviderError> {
        let unusable = |cause: String| ProviderError::Unavailable(format!("its metadata can't be used: {cause}"));
        let issuer = IssuerUrl::new(issuer.to_owned()).map_err(|error| unusable(error.to_string()))?;
        let metadata = Metadata::discover_async(issuer, &http.caller()).await.map_err(|error| {
            // The outermost sentence alone would be "request failed".
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            unusable(cause)
        })?;
        let token = metadata.token_endpoint().cloned().ok_or_else(|| unusable("it has no token endpoint".into()))?;
        Ok(Self { metadata, token })
    }

    pub(super) fn issuer(&self) -> &str {
        self.metadata.issuer().as_str()
    }

    pub(super) fn issuer_url(&self) -> IssuerUrl {
        self.metadata.issuer().clone()
    }

    pub(super) fn keys(&self) -> &CoreJsonWebKeySet {
        self.metadata.jwks()
    }

    pub(super) fn authorization(&self) -> AuthUrl {
        self.metadata.authorization_endpoint().clone()
    }

    pub(super) fn token(&self) -> TokenUrl {
        self.token.clone()
    }

    pub(super) fn userinfo(&self) -> Option<&Url> {
        self.metadata.userinfo_endpoint().map(|endpoint| endpoint.url())
    }

    pub(super) fn end_session(&self) -> Option<Url> {
        self.metadata.additional_metadata().end_session_endpoint.clone()
    }

    /// Whether every answer of its says whose it is.
    pub(super) fn names_itself(&self) -> bool {
        self.metadata.additional_metadata().authorization_response_iss_parameter_supported
    }

    /// How it wants to be shown the secret: what every provider must take (Discovery §3), unless it says otherwise.
    pub(super) fn auth_type(&self) -> AuthType {
        let takes = |wanted: &CoreClientAuthMethod| {
            self.metadata.token_endpoint_auth_methods_supported().is_none_or(|methods| methods.contains(wanted))
        };
        let by_post_alone =
            !takes(&CoreClientAuthMethod::ClientSecretBasic) && takes(&CoreClientAuthMethod::ClientSecretPost);
        if by_post_alone { AuthType::RequestBody } else { AuthType::BasicAuth }
    }

    /// With what it may sign. Never with a secret that we share, and never not at all.
    pub(super) fn algorithms(&self) -> Vec<CoreJwsSigningAlgorithm> {
        use CoreJwsSigningAlgorithm as Alg;
        let good = [
            Alg::RsaSsaPkcs1V15Sha256,
            Alg::RsaSsaPkcs1V15Sha384,
            Alg::RsaSsaPkcs1V15Sha512,
            Alg::RsaSsaPssSha256,
            Alg::RsaSsaPssSha384,
            Alg::RsaSsaPssSha512,
            Alg::EcdsaP256Sha256,
            Alg::EcdsaP384Sha384,
            Alg::EdDsa,
        ];
        let said = self.metadata.id_token_signing_alg_values_supported();
        good.into_iter().filter(|algorithm| said.contains(algorithm)).collect()
    }
}
