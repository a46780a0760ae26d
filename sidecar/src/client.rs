//! What this program asks of others, over HTTP and of files.

pub mod gateway;
pub mod keys;
pub mod oidc;
pub mod web;
pub mod webhooks;

/// The innermost cause: the outer ones only say that there was a request.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() }
}
