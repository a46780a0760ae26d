//! Where an issuer publishes its keys: OpenID Connect Discovery 1.0 and RFC 8414.

use serde::Deserialize;
use url::Url;

/// Most bytes of a `jwks_uri`: it is put on record.
const URI_MAX_BYTES: usize = 2_048;

/// Why an issuer's metadata cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsuitable {
    /// Not what either standard describes.
    #[error("it is no metadata: a JSON object with texts `issuer` and `jwks_uri`")]
    Form,
    /// It is somebody else's (RFC 8414 §3.3): believed, one issuer could speak for another.
    #[error("it is the metadata of the issuer `{0}`, and the configured one must be the same to the letter")]
    Issuer(String),
    /// Its keys are nowhere.
    #[error("its `jwks_uri` is no URL, or has more than {URI_MAX_BYTES} bytes")]
    NoUrl,
    /// Its keys could be replaced on the way.
    #[error("its `jwks_uri` is not an https URL; `allow_http: true` takes it nevertheless")]
    Insecure,
}

/// Where an issuer's metadata may be, in the order in which to look.
#[must_use]
pub fn locations(issuer: &Url) -> [Url; 2] {
    let path = issuer.path().trim_end_matches('/');
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url
    };
    // OpenID Connect Discovery §4.1 appends, RFC 8414 §3.1 puts its part between host and path.
    [
        at(format!("{path}/.well-known/openid-configuration")),
        at(format!("/.well-known/oauth-authorization-server{path}")),
    ]
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// Where the keys of `issuer` are, by its metadata.
///
/// # Errors
/// [`Unsuitable`].
pub fn jwks_uri(metadata: &[u8], issuer: &str, allow_http: bool) -> Result<Url, Unsuitable> {
    let metadata: Metadata = serde_json::from_slice(metadata).map_err(|_| Unsuitable::Form)?;
    if metadata.issuer != issuer {
        return Err(Unsuitable::Issuer(metadata.issuer.chars().take(200).flat_map(char::escape_debug).collect()));
    }
    location(&metadata.jwks_uri, allow_http)
}

/// A `jwks_uri`, if keys may be fetched from there.
///
/// # Errors
/// [`Unsuitable::NoUrl`], [`Unsuitable::Insecure`].
pub fn location(jwks_uri: &str, allow_http: bool) -> Result<Url, Unsuitable> {
    let uri = Some(jwks_uri).filter(|uri| uri.len() <= URI_MAX_BYTES).and_then(|uri| Url::parse(uri).ok());
    let uri = uri.ok_or(Unsuitable::NoUrl)?;
    match uri.scheme() {
        "https" => Ok(uri),
        "http" if allow_http => Ok(uri),
        _ => Err(Unsuitable::Insecure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_where_the_standards_say() {
        for (issuer, openid, oauth) in [
            (
                "https://a.org",
                "https://a.org/.well-known/openid-configuration",
                "https://a.org/.well-known/oauth-authorization-server",
            ),
            (
                "https://a.org/",
                "https://a.org/.well-known/openid-configuration",
                "https://a.org/.well-known/oauth-authorization-server",
            ),
            (
                "https://a.org:8443/realms/x",
                "https://a.org:8443/realms/x/.well-known/openid-configuration",
                "https://a.org:8443/.well-known/oauth-authorization-server/realms/x",
            ),
            (
                "https://a.org/x/",
                "https://a.org/x/.well-known/openid-configuration",
                "https://a.org/.well-known/oauth-authorization-server/x",
            ),
        ] {
            assert_eq!(locations(&Url::parse(issuer).unwrap()).map(String::from), [openid, oauth], "{issuer}");
        }
    }

    #[test]
    fn only_the_issuers_own_metadata_is_believed() {
        let metadata = |issuer: &str, uri: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"{uri}","x":1}}"#);
        let (own, keys) = ("https://a.org/", "https://keys.a.org/k");
        for (body, allow_http, expected) in [
            (metadata(own, keys), false, Ok(keys)),
            (metadata("https://a.org", keys), false, Err(Unsuitable::Issuer("https://a.org".into()))),
            (metadata("https://A.org/", keys), false, Err(Unsuitable::Issuer("https://A.org/".into()))),
            (metadata(own, "http://a.org/k"), false, Err(Unsuitable::Insecure)),
            (metadata(own, "http://a.org/k"), true, Ok("http://a.org/k")),
            (metadata(own, "file:///etc/passwd"), true, Err(Unsuitable::Insecure)),
            (metadata(own, "/k"), true, Err(Unsuitable::NoUrl)),
            (metadata(own, &format!("{keys}{}", "k".repeat(2_048))), false, Err(Unsuitable::NoUrl)),
            (r#"{"issuer":"https://a.org/"}"#.to_owned(), false, Err(Unsuitable::Form)),
            ("<html>".to_owned(), false, Err(Unsuitable::Form)),
        ] {
            let found = jwks_uri(body.as_bytes(), own, allow_http);
            assert_eq!(found.as_ref().map(Url::as_str).map_err(Clone::clone), expected, "{body}");
        }
    }
}
