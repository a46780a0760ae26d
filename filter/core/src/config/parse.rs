//! Raw → [`Policy`], collecting every problem on the way.

use std::hash::Hasher as _;
use std::rc::Rc;

use sekisho_protocol::keys;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::field::{Field, FromValue as _, Problems};
use super::limits;
use super::raw::{RawExplain, RawMesh, RawPolicy, RawTokens};
use super::raw_route::{RawAnswers, RawIdentityHeader};
use super::routes::Common;
use super::{Environment, FilterState, HostUse, Mesh, Policy, Problem, answers, places, upstream};
use crate::answer::Answers;
use crate::authorize::address::AddressSource;
use crate::authorize::facts::{ClaimPath, ProviderNames, Questions};
use crate::credential::places::Places;
use crate::head::Forgeable;
use crate::identity::assertion::Target;
use crate::identity::headers::{self, IdentityHeader};
use crate::route::{Mode, Route, RouteTable};
use crate::secret::Secret;
use crate::session;
use crate::verify::cache::KeySet;
use crate::verify::{Invalid, Provider, json};

/// Most different headers that all rules together set: each name of a request is compared with them.
const HEADERS_MAX: usize = 128;
/// Most regular expressions of all rules together: a path may have to be tried on each.
const REGEXES_MAX: usize = 32;
/// Most levels of objects and lists: requirements may be nested.
const NESTING_MAX: usize = 48;
/// Fewest bytes of the key of those who may ask why: below this it could be guessed.
const EXPLAIN_KEY_MIN_BYTES: usize = 16;
/// Most providers, identities and routes, each: every list has a bound.
pub(super) const LIST_MAX: usize = 1_000;
/// How a configuration names the sources of client addresses.
pub(super) const ADDRESS_SOURCES: &[(&str, Option<AddressSource>)] =
    &[("connection", Some(AddressSource::Connection)), ("x-forwarded-for", Some(AddressSource::ForwardedFor))];

pub(super) fn policy(text: &str, environment: Environment<'_>) -> Result<Policy, Vec<Problem>> {
    let raw = read(text).map_err(|message| vec![Problem { path: "(document)".into(), message }])?;
    let mut parser = Parser { problems: Problems::default(), environment };
    let policy = parser.policy(raw);
    match policy {
        Some(policy) if parser.problems.0.is_empty() => Ok(Policy { fingerprint: fingerprint(text), ..policy }),
        _ => Err(parser.problems.0),
    }
}

/// Of two members of one name the parser would see the last, and whoever reads the file perhaps the first.
fn read(text: &str) -> Result<RawPolicy, String> {
    json::check(text.as_bytes(), NESTING_MAX).map_err(|invalid| match invalid {
        Invalid::Repeated => "has two members of the same name in one object".to_owned(),
        Invalid::Nesting => format!("is nested more than {NESTING_MAX} levels deep"),
        _ => match serde_json::from_str::<Value>(text) {
            Err(error) => format!("is not a JSON object: {error}"),
            Ok(_) => "is not a JSON object".to_owned(),
        },
    })?;
    let value = serde_json::from_str(text).map_err(|error| format!("is not a JSON object: {error}"))?;
    RawPolicy::from_value(value)
}

/// Changes with every byte of the text.
fn fingerprint(text: &str) -> u64 {
    let digest = Sha256::digest(text.as_bytes());
    digest.first_chunk::<8>().map_or(0, |start| u64::from_be_bytes(*start))
}

fn key_set(mesh: &Mesh, providers: &[Provider]) -> KeySet {
    let mut hasher = mesh.digest_key.hasher();
    for provider in providers {
        provider.fingerprint(&mut hasher);
    }
    KeySet(hasher.finish())
}

fn names_of(provider: &Provider) -> ProviderNames {
    ProviderNames {
        provider: Rc::clone(&provider.name),
        roles: provider.roles_claim.clone(),
        groups: provider.groups_claim.clone(),
    }
}

/// Sidecars write what they know as an ID token does.
fn names_of_sessions() -> ProviderNames {
    let claim = |name: &str| ClaimPath::Name(name.to_owned());
    let (roles, groups) = (claim(limits::ROLES_CLAIM), claim(limits::GROUPS_CLAIM));
    ProviderNames { provider: session::PROVIDER.into(), roles, groups }
}

/// The headers that rules set besides our own. The upstream's own credential is not among them: on another rule
/// the same header may be the client's.
fn headers_set(routes: &RouteTable) -> Vec<Box<[u8]>> {
    let payload = routes.iter().flat_map(Route::places).filter_map(|places| places.payload_header.as_deref());
    let headers = routes.iter().filter_map(Route::protected).flat_map(|protected| &*protected.headers);
    let mut names: Vec<Box<[u8]>> = Vec::new();
    for name in payload.chain(headers.map(|header| &*header.name)).map(str::as_bytes) {
        // One more than there may be is enough to see.
        if names.len() <= HEADERS_MAX && !names.iter().any(|known| **known == *name) {
            names.push(name.into());
        }
    }
    names
}

pub(super) struct Parser<'a> {
    pub(super) problems: Problems,
    pub(super) environment: Environment<'a>,
}

impl Parser<'_> {
    fn policy(&mut self, raw: RawPolicy) -> Option<Policy> {
        self.problems.unknown("", &raw.unknown);
        let mesh = self.problems.required("mesh", raw.mesh).and_then(|mesh| self.mesh(mesh));
        let missing = "names no provider: without one no token could be accepted";
        self.problems.named("providers", &raw.providers, missing);
        let providers = self.list("providers", raw.providers, Self::provider);
        // What keys are derived from is checked above; a wrong mesh is a problem already.
        let mesh_secret = mesh.as_ref().map(|mesh| &mesh.secret);
        let identities =
            self.list("identities", raw.identities, |parser, path, raw| parser.identity(path, raw, mesh_secret));
        self.names(&providers, &identities);
        let trusted_hops = self.problems.number("trusted_hops", raw.trusted_hops, limits::TRUSTED_HOPS);
        let client_address = self.client_address(raw.client_address);
        let mut questions = Questions::default();
        let common = Common {
            identities,
            places: self.common_places(raw.tokens),
            answers: self.common_answers(raw.answers),
            headers: self.common_headers(&mut questions, raw.identity_headers),
            providers: providers.iter().map(|provider| Rc::clone(&provider.name)).collect(),
            knows_addresses: client_address.is_some(),
            has_sessions: !matches!(raw.sessions, Field::Absent),
        };
        self.problems.named("routes", &raw.routes, "names no route: every request would be refused");
        let routes =
            self.list("routes", raw.routes, |parser, path, raw| parser.route(path, raw, &common, &mut questions));
        self.unique("routes", "name", &mut routes.iter().map(|r| &*r.name));
        self.regexes(&routes);
        let routes = RouteTable::new(routes, self.unmatched(raw.unmatched, &common));
        let sessions = self.sessions(raw.sessions, mesh_secret, &providers, &routes);
        let verify_budget_ms = self.problems.number("verify_budget_ms", raw.verify_budget_ms, limits::VERIFY_BUDGET_MS);
        let host_crypto = self.problems.choice("host_crypto", raw.host_crypto, HostUse::Auto, HostUse::WORDS);
        let filter_state =
            self.problems.choice("filter_state", raw.filter_state, FilterState::Refusals, FilterState::WORDS);
        let ours = headers_set(&routes);
        if ours.len() > HEADERS_MAX {
            self.problems.push("routes", format_args!("set more than {HEADERS_MAX} different headers"));
        }
        let forgeable = Forgeable { trusted_hops, ours };
        self.tested_headers(&routes, &forgeable);
        let reads_queries = routes.iter().any(|route| route.parameters().next().is_some());
        let mesh = mesh?;
        Some(Policy {
            key_set: key_set(&mesh, &providers),
            reads_queries,
            forgeable,
            questions: questions.complete(
                providers.iter().map(names_of).chain(sessions.as_ref().map(|_| names_of_sessions())).collect(),
            ),
            sessions,
            mesh,
            providers,
            routes,
            client_address,
            verify_budget_ms,
            host_crypto,
            filter_state,
            mode: self.mode("shadow".into(), raw.shadow),
            fingerprint: 0,
            explain_key: self.explain(raw.explain),
            explains_all: false,
        })
    }

    /// A rule must not be chosen by what its upstream will never see.
    fn tested_headers(&mut self, routes: &RouteTable, forgeable: &Forgeable) {
        for route in routes.iter() {
            for name in route.matcher.headers.iter().map(|test| &test.name).filter(|name| forgeable.names(name)) {
                let name = String::from_utf8_lossy(name);
                let message = format!("`{name}` is taken away from every client's request: no upstream sees it");
                self.problems.push(format!("{}.match.headers", route.at), message);
            }
        }
    }

    fn regexes(&mut self, routes: &[Route]) {
        if routes.iter().filter(|route| route.matcher.is_dear()).count() > REGEXES_MAX {
            self.problems.push("routes", format_args!("have more than {REGEXES_MAX} regular expressions"));
        }
    }

    fn names(&mut self, providers: &[Provider], identities: &[Rc<Target>]) {
        self.unique("providers", "name", &mut providers.iter().map(|p| &*p.name));
        self.unique("providers", "issuer", &mut providers.iter().flat_map(|p| p.issuers.iter().map(String::as_str)));
        self.unique("identities", "name", &mut identities.iter().map(|t| t.name.as_str()));
        self.unique("identities", "audience", &mut identities.iter().map(|t| t.audience.as_str()));
    }

    fn client_address(&mut self, field: Field<String>) -> Option<AddressSource> {
        self.problems.choice("client_address", field, None, ADDRESS_SOURCES)
    }

    fn common_places(&mut self, field: Field<RawTokens>) -> Rc<Places> {
        let raw = self.problems.optional("tokens", field).unwrap_or_default();
        Rc::new(places::places(&mut self.problems, "tokens", raw))
    }

    fn common_answers(&mut self, field: Field<RawAnswers>) -> Rc<Answers> {
        let raw = self.problems.optional("answers", field).unwrap_or_default();
        Rc::new(answers::answers(&mut self.problems, "answers", raw))
    }

    fn common_headers(
        &mut self,
        questions: &mut Questions,
        field: Field<Vec<Field<RawIdentityHeader>>>,
    ) -> Rc<[IdentityHeader]> {
        match self.problems.optional("identity_headers", field) {
            Some(raw) => upstream::identity_headers(&mut self.problems, questions, "identity_headers", raw),
            None => headers::usual(),
        }
    }

    fn explain(&mut self, field: Field<RawExplain>) -> Option<Secret> {
        let raw = self.problems.optional("explain", field)?;
        self.problems.unknown("explain", &raw.unknown);
        let variable = match raw.key_env {
            Field::Absent => Some(limits::EXPLAIN_KEY_ENV.to_owned()),
            field => self.problems.text("explain.key_env", field),
        }?;
        self.secret("explain.key_env", &variable, EXPLAIN_KEY_MIN_BYTES)
    }

    pub(super) fn mode(&mut self, path: String, field: Field<bool>) -> Mode {
        let is_shadow = self.problems.optional(path, field).unwrap_or_default();
        if is_shadow { Mode::Shadow } else { Mode::Enforce }
    }

    fn mesh(&mut self, raw: RawMesh) -> Option<Mesh> {
        self.problems.unknown("mesh", &raw.unknown);
        let name = |problems: &mut Problems, path, field, default: &str| match field {
            Field::Absent => default.to_owned(),
            field => problems.text(path, field).unwrap_or_default(),
        };
        let feed_cluster = name(&mut self.problems, "mesh.feed_cluster", raw.feed_cluster, limits::FEED_CLUSTER);
        let check_cluster = name(&mut self.problems, "mesh.check_cluster", raw.check_cluster, limits::CHECK_CLUSTER);
        if feed_cluster == check_cluster {
            self.problems.push("mesh.check_cluster", "is the feed's cluster: a flood of checks would starve the feed");
        }
        let variable = name(&mut self.problems, "mesh.secret_env", raw.secret_env, limits::MESH_SECRET_ENV);
        let staleness_ms = self.problems.number("mesh.staleness_ms", raw.staleness_ms, limits::STALENESS_MS);
        let check_timeout_ms =
            self.problems.number("mesh.check_timeout_ms", raw.check_timeout_ms, limits::CHECK_TIMEOUT_MS);
        let max_checks = self.problems.number("mesh.max_checks", raw.max_checks, limits::MAX_CHECKS);
        let secret = self.secret("mesh.secret_env", &variable, keys::MESH_SECRET_MIN_BYTES)?;
        let digest_key = keys::digest_key(secret.expose());
        let max_checks = usize::try_from(max_checks).ok()?;
        Some(Mesh { feed_cluster, check_cluster, secret, digest_key, staleness_ms, check_timeout_ms, max_checks })
    }

    pub(super) fn list<R, T>(
        &mut self,
        path: &str,
        field: Field<Vec<Field<R>>>,
        mut parse: impl FnMut(&mut Self, &str, R) -> Option<T>,
    ) -> Vec<T> {
        let raw = self.problems.optional(path, field).unwrap_or_default();
        if raw.len() > LIST_MAX {
            self.problems.push(path, format_args!("has more than {LIST_MAX} elements"));
            return Vec::new();
        }
        let mut parsed = Vec::with_capacity(raw.len());
        for (index, element) in raw.into_iter().enumerate() {
            let at = format!("{path}[{index}]");
            let element = self.problems.required(&at, element);
            parsed.extend(element.and_then(|element| parse(self, &at, element)));
        }
        parsed
    }

    pub(super) fn texts(&mut self, path: String, field: Field<Vec<String>>) -> Option<Vec<String>> {
        let texts = self.problems.required(&path, field)?;
        if texts.is_empty() || texts.iter().any(String::is_empty) {
            self.problems.push(path, "is a list of at least one text, none of them empty");
            return None;
        }
        Some(texts)
    }

    pub(super) fn secret(&mut self, path: &str, variable: &str, min_bytes: usize) -> Option<Secret> {
        let Some(value) = (self.environment)(variable) else {
            self.problems.push(path, format_args!("the environment variable `{variable}` is not visible to the VM: set it for Envoy and name it in `vm_config.environment_variables.host_env_keys`"));
            return None;
        };
        if value.len() < min_bytes {
            self.problems.push(
                path,
                format_args!(
                    "`{variable}` has {} bytes, fewer than {min_bytes}: make one with `openssl rand -base64 48`",
                    value.len()
                ),
            );
            return None;
        }
        Some(Secret::new(value.into_bytes()))
    }

    fn unique(&mut self, path: &str, what: &str, names: &mut dyn Iterator<Item = &str>) {
        let mut seen = Vec::new();
        for name in names {
            if seen.contains(&name) {
                self.problems.push(path, format_args!("the {what} `{name}` is used twice"));
            } else {
                seen.push(name);
            }
        }
    }
}
