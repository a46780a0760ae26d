//! Raw → [`Provider`].

pub(super) mod email;
pub(super) mod keys;

use std::mem::take;

use serde_json::Value;

use super::field::{Field, Members};
use super::limits;
use super::parse::Parser;
use super::raw::RawProvider;
use super::require::claim_path;
use crate::authorize::facts::ClaimPath;
use crate::verify::Provider;
use crate::verify::algorithm::Algorithm;
use crate::verify::provider::{ClaimValue, Rules};

impl Parser<'_> {
    pub(super) fn provider(&mut self, path: &str, mut raw: RawProvider) -> Option<Provider> {
        self.problems.unknown(path, &raw.unknown);
        let name = self.problems.text(format_args!("{path}.name"), take(&mut raw.name));
        let issuers = self.issuers(format!("{path}.issuers"), take(&mut raw.issuers));
        let algorithms = self.algorithms(&format!("{path}.algorithms"), take(&mut raw.algorithms));
        let (keys, source) = self.keys(path, &mut raw, algorithms.as_deref());
        let roles_claim =
            self.names_claim(format!("{path}.roles_claim"), take(&mut raw.roles_claim), limits::ROLES_CLAIM);
        let groups_claim =
            self.names_claim(format!("{path}.groups_claim"), take(&mut raw.groups_claim), limits::GROUPS_CLAIM);
        let rules = self.rules(path, raw);
        Some(Provider {
            name: name?.into(),
            issuers: issuers?,
            keys,
            source,
            algorithms,
            rules: rules?,
            roles_claim: roles_claim?,
            groups_claim: groups_claim?,
        })
    }

    fn names_claim(&mut self, path: String, field: Field<String>, usual: &str) -> Option<ClaimPath> {
        match field {
            Field::Absent => Some(ClaimPath::Name(usual.to_owned())),
            field => claim_path(&mut self.problems, &path, field),
        }
    }

    fn rules(&mut self, path: &str, mut raw: RawProvider) -> Option<Rules> {
        let email = self.email(path, &mut raw);
        let audiences = self.texts(format!("{path}.audiences"), raw.audiences);
        let leeway_s = self.problems.number(format_args!("{path}.leeway_s"), raw.leeway_s, limits::LEEWAY_S);
        let max_age_s = self.seconds(format!("{path}.max_age_s"), raw.max_age_s);
        let max_lifetime_s = self.seconds(format!("{path}.max_lifetime_s"), raw.max_lifetime_s);
        let required_claims = self.optional_texts(format!("{path}.required_claims"), raw.required_claims);
        let claim_values = self.claim_values(&format!("{path}.claim_values"), raw.claim_values);
        let recent_sign_in = self.problems.optional(format_args!("{path}.recent_sign_in"), raw.recent_sign_in);
        let types = self.optional_texts(format!("{path}.types"), raw.types);
        let subject_claim = match raw.subject_claim {
            Field::Absent => Some(limits::SUBJECT_CLAIM.to_owned()),
            field => self.problems.text(format_args!("{path}.subject_claim"), field),
        };
        Some(Rules {
            audiences: audiences?,
            leeway_s: u64::from(leeway_s),
            max_age_s,
            max_lifetime_s,
            required_claims: required_claims.unwrap_or_default(),
            claim_values,
            types: types.map(|types| types.iter().map(|name| short_type(name)).collect()),
            subject_claim: subject_claim?,
            email,
            recent_sign_in: recent_sign_in.unwrap_or_default(),
        })
    }

    /// `|` separates issuer and subject in bans: with it in an issuer, two persons could become one.
    fn issuers(&mut self, path: String, field: Field<Vec<String>>) -> Option<Vec<String>> {
        let issuers = self.texts(path.clone(), field)?;
        if let Some(issuer) = issuers.iter().find(|issuer| issuer.contains('|') || issuer.chars().any(char::is_control))
        {
            self.problems.push(path, format_args!("{issuer:?} holds `|` or a control character"));
            return None;
        }
        Some(issuers)
    }

    fn algorithms(&mut self, path: &str, field: Field<Vec<String>>) -> Option<Vec<Algorithm>> {
        let names = self.optional_texts(path.to_owned(), field)?;
        let mut algorithms = Vec::with_capacity(names.len());
        for name in names {
            match Algorithm::from_name(&name) {
                Some(algorithm) => algorithms.push(algorithm),
                None => {
                    let known: Vec<_> = Algorithm::ALL.iter().map(|known| format!("`{known}`")).collect();
                    self.problems.push(path, format_args!("`{name}` is not one of {}", known.join(", ")));
                }
            }
        }
        Some(algorithms)
    }

    fn claim_values(&mut self, path: &str, field: Field<Members<Value>>) -> Vec<(String, Vec<ClaimValue>)> {
        let mut claims = Vec::new();
        for (name, value) in self.problems.optional(path, field).unwrap_or_default().0 {
            let values = if let Value::Array(values) = value { values } else { vec![value] };
            let accepted: Vec<_> = values.iter().filter_map(claim_value).collect();
            if accepted.is_empty() || accepted.len() < values.len() {
                let wanted = "a text, a whole number, a truth value, or a list of such";
                self.problems.push(format_args!("{path}.{name}"), format_args!("is not {wanted}"));
            }
            claims.push((name, accepted));
        }
        claims
    }

    fn seconds(&mut self, path: String, field: Field<u64>) -> Option<u64> {
        self.problems.bounded(path, field, limits::TOKEN_SECONDS).map(u64::from)
    }

    pub(super) fn optional_texts(&mut self, path: String, field: Field<Vec<String>>) -> Option<Vec<String>> {
        if matches!(field, Field::Absent) {
            return None;
        }
        self.texts(path, field)
    }
}

fn claim_value(value: &Value) -> Option<ClaimValue> {
    match value {
        Value::String(text) => Some(ClaimValue::Text(text.clone())),
        Value::Number(number) => number.as_i64().map(ClaimValue::Number),
        Value::Bool(value) => Some(ClaimValue::Bool(*value)),
        _ => None,
    }
}

/// A media type as headers are compared with it.
fn short_type(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_prefix("application/").map_or_else(|| name.clone(), str::to_owned)
}
#[cfg(test)]
mod tests;
