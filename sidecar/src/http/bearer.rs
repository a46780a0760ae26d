//! Whether a request carries the mesh secret (`Authorization: Bearer`, RFC 6750 §2.1).

use axum::http::{HeaderMap, header};

use crate::config::Secret;

/// Whether the one `Authorization` header holds `secret`. What is missing, repeated or wrong in any
/// way is the same *no*.
#[must_use]
pub fn carries(headers: &HeaderMap, secret: &Secret) -> bool {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Some((scheme, token)) = value.as_bytes().split_at_checked("Bearer ".len()) else { return false };
    scheme.eq_ignore_ascii_case(b"Bearer ") && secret.matches(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_exact_secret_opens() {
        let secret = Secret::new("s3cret");
        for (values, expected) in [
            (&["Bearer s3cret"][..], true),
            (&["bearer s3cret"], true), // RFC 9110 §11.1: the scheme is case-insensitive
            (&["Bearer s3cret "], false),
            (&["Bearer  s3cret"], false),
            (&["Bearer s3cre"], false),
            (&["Basic s3cret"], false),
            (&["s3cret"], false),
            (&["Bearer s3cret", "Bearer s3cret"], false),
            (&["Bearer s3cret, Bearer s3cret"], false),
            (&[], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            assert_eq!(carries(&headers, &secret), expected, "{values:?}");
        }
    }
}
