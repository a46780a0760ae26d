//! What an upstream is told and shown: `identity_headers` and `upstream_credential`.

use std::rc::Rc;

use super::field::{Field, Problems};
use super::parse::Parser;
use super::raw_route::{RawIdentityHeader, RawUpstreamCredential};
use super::require::{Known, Reader, claim_path};
use super::{limits, places};
use crate::authorize::facts::Questions;
use crate::authorize::facts::encoding::Encoding;
use crate::identity::headers::{HeaderValue, IdentityHeader};
use crate::secret::Secret;
use crate::upstream::UpstreamCredential;

/// Most headers of a rule.
pub(super) const HEADERS_MAX: usize = 32;
/// Most credentials of a rule.
pub(super) const CREDENTIALS_MAX: usize = 16;

/// Reads `identity_headers`.
pub(super) fn identity_headers(
    problems: &mut Problems,
    questions: &mut Questions,
    at: &str,
    raw: Vec<Field<RawIdentityHeader>>,
) -> Rc<[IdentityHeader]> {
    if raw.len() > HEADERS_MAX {
        problems.push(at, format_args!("has more than {HEADERS_MAX} headers"));
    }
    let mut headers: Vec<IdentityHeader> = Vec::new();
    for (index, raw) in raw.into_iter().take(HEADERS_MAX).enumerate() {
        let at = format!("{at}[{index}]");
        let raw = problems.required(&at, raw);
        let Some(header) = raw.and_then(|raw| identity_header(problems, questions, &at, raw)) else { continue };
        if headers.iter().any(|known| known.name == header.name) {
            problems.push(&at, format_args!("the header `{}` is set twice", header.name));
        }
        headers.push(header);
    }
    headers.into()
}

fn identity_header(
    problems: &mut Problems,
    questions: &mut Questions,
    at: &str,
    raw: RawIdentityHeader,
) -> Option<IdentityHeader> {
    problems.unknown(at, &raw.unknown);
    let name = problems.text(format_args!("{at}.header"), raw.header);
    if name.as_ref().is_some_and(|name| !may_be_set(name)) {
        problems.push(format_args!("{at}.header"), "is not the name, in lower case, of a header that may say who asks");
    }
    let at_encoding = format!("{at}.encoding");
    let has_encoding = !matches!(raw.encoding, Field::Absent);
    let encoding = problems.choice(&at_encoding, raw.encoding, Encoding::Plain, Encoding::WORDS);
    let value = match (raw.value, raw.claim) {
        (value, Field::Absent) => {
            if has_encoding {
                problems.push(at_encoding, "belongs to a `claim`");
            }
            problems.required(format_args!("{at}.value"), value).and_then(|word| {
                let found = HeaderValue::WORDS.iter().find(|(known, _)| *known == word).map(|(_, value)| *value);
                if found.is_none() {
                    let known: Vec<_> = HeaderValue::WORDS.iter().map(|(known, _)| format!("`{known}`")).collect();
                    problems
                        .push(format_args!("{at}.value"), format_args!("`{word}` is not one of {}", known.join(", ")));
                }
                found
            })
        }
        (Field::Absent, claim) => {
            let claim = claim_path(problems, &format!("{at}.claim"), claim);
            claim.map(|claim| HeaderValue::Claim(questions.ask_for_text(claim, encoding)))
        }
        _ => {
            problems.push(at, "has both `value` and `claim`");
            None
        }
    };
    Some(IdentityHeader { name: name?.into(), value: value? })
}

/// Names under which an upstream may be told who asks. `x-sekisho-identity` is the assertion's.
fn may_be_set(name: &str) -> bool {
    places::is_header(name) && name != "authorization" && name != sekisho_protocol::identity::HEADER
}

impl Parser<'_> {
    /// Reads `upstream_credential`; the first that fits a caller is shown.
    pub(super) fn upstream_credentials(
        &mut self,
        questions: &mut Questions,
        at: &str,
        raw: Vec<Field<RawUpstreamCredential>>,
        known: &Known<'_>,
    ) -> Vec<Rc<UpstreamCredential>> {
        if raw.is_empty() || raw.len() > CREDENTIALS_MAX {
            self.problems.push(at, format_args!("is a list of one to {CREDENTIALS_MAX} credentials"));
        }
        let mut credentials = Vec::new();
        let mut is_closed = false;
        for (index, raw) in raw.into_iter().take(CREDENTIALS_MAX).enumerate() {
            let at = format!("{at}[{index}]");
            let Some(raw) = self.problems.required(&at, raw) else { continue };
            self.problems.unknown(&at, &raw.unknown);
            if is_closed {
                self.problems.push(&at, "is never shown: the one before is for everybody");
            }
            let at_when = format!("{at}.when");
            let when = self.problems.optional(&at_when, raw.when);
            let when =
                when.map(|raw| Reader { problems: &mut self.problems, questions, known }.require(&at_when, raw, 0));
            is_closed |= when.is_none();
            let value = self.upstream_value(&at, raw.header, raw.scheme, raw.secret_env);
            credentials.extend(value.map(|(header, value)| Rc::new(UpstreamCredential { when, header, value })));
        }
        credentials
    }

    fn upstream_value(
        &mut self,
        at: &str,
        header: Field<String>,
        scheme: Field<String>,
        secret: Field<String>,
    ) -> Option<(String, Secret)> {
        let header =
            self.problems.optional(format_args!("{at}.header"), header).unwrap_or(limits::CREDENTIAL_HEADER.into());
        if !places::is_header(&header) || header.starts_with("x-sekisho-") {
            self.problems
                .push(format_args!("{at}.header"), "is not the name, in lower case, of a header for a credential");
        }
        let scheme = match scheme {
            Field::Absent if header == limits::CREDENTIAL_HEADER => Some("Bearer".to_owned()),
            field => self.problems.optional(format_args!("{at}.scheme"), field),
        };
        if scheme.as_ref().is_some_and(|scheme| !places::is_token(scheme)) {
            self.problems.push(format_args!("{at}.scheme"), "is not the name of an authentication scheme");
        }
        let at_secret = format!("{at}.secret_env");
        let variable = self.problems.text(&at_secret, secret)?;
        let secret = self.secret(&at_secret, &variable, 1)?;
        if !secret.expose().iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
            self.problems
                .push(at_secret, format_args!("`{variable}` holds what no header can: a line break, for instance"));
        }
        let mut value = scheme.map_or_else(Vec::new, |scheme| format!("{scheme} ").into_bytes());
        value.extend_from_slice(secret.expose());
        Some((header, Secret::new(value)))
    }
}
