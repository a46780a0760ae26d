//! Why a token is not valid: one stable code and one sentence each.

/// Why a token is not valid. The texts are shown to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Invalid {
    /// Above [`super::TOKEN_MAX_BYTES`].
    #[error("token is too long")]
    TooLong,
    /// Not three parts of base64url with JSON objects in them, or claims of wrong types.
    #[error("token is malformed")]
    Malformed,
    /// Five parts: a JWE (RFC 7516).
    #[error("encrypted tokens are not supported")]
    Encrypted,
    /// Not an algorithm of the provider or of the key that is named.
    #[error("algorithm is not accepted")]
    Algorithm,
    /// `alg` is `none`.
    #[error("unsigned tokens are not accepted")]
    Unsigned,
    /// `crit`: extensions that must be understood (RFC 7515 §4.1.11); this verifier understands none.
    #[error("header parameter crit is not supported")]
    Critical,
    /// `jwk`, `jku`, `x5u` or `x5c`: a token that says which key it is to be believed by.
    #[error("a token must not bring its own key")]
    EmbeddedKey,
    /// `b64` (RFC 7797).
    #[error("header parameter b64 is not supported")]
    Unencoded,
    /// `zip`.
    #[error("compressed tokens are not supported")]
    Compressed,
    /// `cty` says that there is another token in it (RFC 7519 §5.2).
    #[error("nested tokens are not supported")]
    Nested,
    /// A `typ` that the provider does not accept (RFC 8725 §3.11).
    #[error("token type is not accepted")]
    Type,
    /// Base64url with padding, stray bits or characters that do not belong there.
    #[error("token is not canonical base64url")]
    Encoding,
    /// A member that is there twice, at any depth: two readers could choose differently.
    #[error("token has a repeated member")]
    Repeated,
    /// JSON that nests too deeply.
    #[error("token nests too deeply")]
    Nesting,
    /// A time that is no whole number of seconds between 1970 and the year 9999.
    #[error("a time in the token is not a whole number of seconds")]
    Time,
    /// A `kid` that is no text, holds control characters or has more than 256 bytes.
    #[error("key id is not a text of at most 256 bytes")]
    KeyId,
    /// No key, or more keys than are tried, could have signed it.
    #[error("signing key is not known")]
    Key,
    /// Nobody that the configuration names.
    #[error("issuer is not accepted")]
    Issuer,
    /// The signature does not belong to the text.
    #[error("signature is invalid")]
    Signature,
    /// For somebody else.
    #[error("audience is not accepted")]
    Audience,
    /// `exp` has passed, or there is none.
    #[error("token has expired")]
    Expired,
    /// `nbf` or `iat` lies in the future.
    #[error("token is not valid yet")]
    NotYetValid,
    /// Issued longer ago than the provider allows, or it does not say when.
    #[error("token is too old")]
    Age,
    /// Valid for longer than the provider allows, or it does not say since when.
    #[error("token lifetime is too long")]
    Lifetime,
    /// A claim that the provider's tokens must have is missing, or has another value.
    #[error("a required claim is missing or has another value")]
    Claims,
    /// No usable subject.
    #[error("subject is missing")]
    Subject,
    /// No usable e-mail address, which this provider's tokens must have.
    #[error("e-mail address is missing")]
    NoEmail,
}

impl Invalid {
    /// Stable, for logs, metrics and problem details.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong => "token_too_long",
            Self::Malformed => "token_malformed",
            Self::Encrypted => "token_encrypted",
            Self::Algorithm => "token_algorithm",
            Self::Unsigned => "token_unsigned",
            Self::Critical => "token_critical",
            Self::EmbeddedKey => "token_embedded_key",
            Self::Unencoded => "token_unencoded",
            Self::Compressed => "token_compressed",
            Self::Nested => "token_nested",
            Self::Type => "token_type",
            Self::Encoding => "token_encoding",
            Self::Repeated => "token_repeated_member",
            Self::Nesting => "token_nesting",
            Self::Time => "token_time",
            Self::KeyId => "token_key_id",
            Self::Key => "token_key",
            Self::Issuer => "token_issuer",
            Self::Signature => "token_signature",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::Age => "token_age",
            Self::Lifetime => "token_lifetime",
            Self::Claims => "token_claims",
            Self::Subject => "token_without_subject",
            Self::NoEmail => "token_without_email",
        }
    }
}
