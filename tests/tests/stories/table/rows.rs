//! The tables as they are written.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use e2e::components::repository;
use e2e::token::now;
use e2e::wire::RawRequest;
use e2e::world::Keys;
use serde::Deserialize;
use serde_json::{Value, json};

/// A policy and what it makes of requests.
pub(super) struct Table {
    /// Its file's name.
    pub(super) name: String,
    /// The whole configuration of the filter.
    pub(super) policy: Value,
    /// The requests.
    pub(super) rows: Vec<Row>,
}

/// A request and what becomes of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    #[serde(default = "get")]
    pub(super) method: String,
    #[serde(default = "localhost")]
    pub(super) host: String,
    /// The target as the client writes it.
    pub(super) path: String,
    /// Up to how many bytes the target is filled up.
    #[serde(default)]
    pub(super) padded_to: usize,
    #[serde(default)]
    pub(super) headers: Vec<(String, String)>,
    /// The name of a token, which is sent as `Authorization: Bearer …`.
    pub(super) token: Option<String>,
    /// To the listener that users run, with Envoy's own normalisation, or to the one without.
    #[serde(default)]
    pub(super) edge: bool,
    /// What Envoy makes of host and target before any filter sees them.
    pub(super) filter_sees: Option<(String, String)>,
    /// Envoy itself refuses it, with this status: what else is expected is what the core would say.
    pub(super) by_envoy: Option<u16>,

    pub(super) status: u16,
    #[serde(default = "none")]
    pub(super) code: String,
    #[serde(default = "unmatched")]
    pub(super) rule: String,
    /// Which part of the configuration decided.
    pub(super) at: Option<String>,
    /// Headers of the answer.
    #[serde(default)]
    pub(super) answer: BTreeMap<String, String>,
    /// Headers at the upstream; null: not there.
    #[serde(default)]
    pub(super) upstream: BTreeMap<String, Option<String>>,
    /// The path at the upstream, if it is another one than the filter sees.
    pub(super) upstream_path: Option<String>,
}

fn get() -> String {
    "GET".to_owned()
}

fn localhost() -> String {
    "localhost".to_owned()
}

fn none() -> String {
    "none".to_owned()
}

fn unmatched() -> String {
    "(unmatched)".to_owned()
}

/// What all tables have in common: whom the filter believes, and who is who.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Common {
    policy: Value,
    issuers: BTreeMap<String, Issuer>,
    tokens: BTreeMap<String, Made>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Issuer {
    secret_env: String,
    claims: Value,
}

/// A token: claims besides those of its issuer, and moments in seconds from now.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    of: String,
    #[serde(default)]
    claims: BTreeMap<String, Value>,
    #[serde(default)]
    moments: BTreeMap<String, i64>,
    /// Signed with a secret that nobody knows.
    #[serde(default)]
    forged: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    policy: BTreeMap<String, Value>,
    requests: Vec<Row>,
}

fn read<T: serde::de::DeserializeOwned>(name: &str) -> Result<T> {
    let path = repository().join("tests/tables").join(name);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| name.to_owned())
}

impl Table {
    /// All of them.
    pub(super) fn all() -> Result<Vec<Self>> {
        let common: Common = read("common.json")?;
        let tokens = common.tokens()?;
        let mut tables = Vec::new();
        for entry in fs::read_dir(repository().join("tests/tables"))? {
            let file = entry?.file_name().to_string_lossy().into_owned();
            let Some(name) = file.strip_suffix(".json").filter(|name| *name != "common") else { continue };
            let Written { policy: own, requests: mut rows } = read(&file)?;
            let mut policy = common.policy.clone();
            policy.as_object_mut().context("the common policy is no object")?.extend(own);
            for row in &mut rows {
                row.complete(&tokens)?;
            }
            tables.push(Self { name: name.to_owned(), policy, rows });
        }
        tables.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(tables)
    }
}

impl Common {
    fn tokens(&self) -> Result<BTreeMap<String, String>> {
        let secrets: BTreeMap<_, _> = Keys::default().of_envoy().into_iter().collect();
        let make = |(name, made): (&String, &Made)| {
            let issuer = self.issuers.get(&made.of).with_context(|| format!("nobody is called {}", made.of))?;
            let secret = secrets.get(&issuer.secret_env).with_context(|| issuer.secret_env.clone())?;
            let secret = if made.forged { "nobody knows this secret, which is long enough" } else { secret };
            let mut claims = issuer.claims.clone();
            claims["jti"] = name.as_str().into();
            for (claim, seconds) in [("iat", -10), ("exp", 3_600)] {
                claims[claim] = json!(now().saturating_add_signed(seconds));
            }
            for (claim, seconds) in &made.moments {
                claims[claim] = json!(now().saturating_add_signed(*seconds));
            }
            for (claim, value) in &made.claims {
                claims[claim] = value.clone();
            }
            let header = r#"{"typ":"JWT","alg":"HS256"}"#;
            Ok((name.clone(), e2e::token::compact(secret.as_bytes(), header, &claims.to_string())))
        };
        self.tokens.iter().map(make).collect()
    }
}

impl Row {
    /// Fills in what is written in short: padding, and tokens by their names (`{ann}` in a header or a target).
    fn complete(&mut self, tokens: &BTreeMap<String, String>) -> Result<()> {
        let filling = self.padded_to.saturating_sub(self.path.len());
        self.path.extend(std::iter::repeat_n('a', filling));
        let named = |text: &str| {
            tokens.iter().fold(text.to_owned(), |text, (name, token)| text.replace(&format!("{{{name}}}"), token))
        };
        self.path = named(&self.path);
        for (_, value) in &mut self.headers {
            *value = named(value);
        }
        if let Some(name) = &self.token {
            let token = tokens.get(name).with_context(|| format!("no token is called {name}"))?;
            self.headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        }
        // Who sends it may know why it is decided as it is.
        self.headers.push(("x-sekisho-explain".to_owned(), Keys::default().upstream));
        Ok(())
    }

    /// As the filter sees them: the host and the target.
    pub(super) fn seen(&self) -> (&str, &str) {
        self.filter_sees.as_ref().map_or((&self.host, &self.path), |(host, path)| (host, path))
    }

    pub(super) fn path_for_upstream(&self) -> &str {
        self.upstream_path.as_deref().unwrap_or(self.seen().1)
    }

    /// As bytes.
    pub(super) fn request(&self) -> Vec<u8> {
        let request = RawRequest::to_host(&self.method, &self.path, &self.host);
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value)).bytes()
    }
}
