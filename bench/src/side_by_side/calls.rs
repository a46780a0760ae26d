//! How often a request crosses the border between Envoy and the filter's VM. Envoy's own trace log says so: a line
//! for each call of the host into the VM, one for each call of the VM to its host, and one for each return.

use anyhow::{Context, Result, ensure};
use bench::figures::{Target, count};
use e2e::poll;

use crate::client::Client;
use crate::crossings::{Crossings, read};
use crate::scene::Scene;
use crate::tokens::{Algorithm, Minted};
use crate::traffic::request_for;
use crate::variant::{self, Variant};

/// Requests of each kind. The last one is counted: by then, what is remembered is remembered.
const REQUESTS: usize = 3;
/// The kind whose calls `same_calls` imitates.
const CACHED: &str = "cached";
/// The same on a route whose upstream gets no assertion.
const CACHED_PLAIN: &str = "cached_plain";
/// The most that a cached assertion, and what is counted, may cost.
const CALLS_MAX: f64 = 1.0;

/// A kind of request.
struct Kind {
    name: &'static str,
    listener: &'static str,
    path: &'static str,
    /// One for each of the requests.
    tokens: Vec<Option<String>>,
    status: u16,
}

/// Counts, and prints what it counted.
///
/// # Errors
/// Envoy tells nothing, an answer is not the expected one, or `same_calls` makes more or fewer calls than a cached
/// request, so that it would be no floor under its cost.
pub(crate) async fn run(scene: &Scene) -> Result<Vec<(&'static str, Crossings)>> {
    scene.envoy.order("/logging?wasm=trace").await?;
    let mut counted = Vec::new();
    for kind in kinds(scene) {
        let crossings = of(scene, &kind).await.with_context(|| format!("the calls of {}", kind.name))?;
        count(&format!("host_calls_{}", kind.name), crossings.host_calls);
        count(&format!("callbacks_{}", kind.name), crossings.callbacks);
        counted.push((kind.name, crossings));
    }
    scene.envoy.order("/logging?wasm=info").await?;
    let of = |name| counted.iter().find(|(kind, _)| *kind == name).map(|(_, crossings)| crossings);
    ensure!(
        of(variant::SAME_CALLS) == of(CACHED),
        "{} makes other calls than a cached request: see bench/empty-filter/src/cached.rs",
        variant::SAME_CALLS
    );
    Ok(counted)
}

/// What was counted, held against the most that it may be.
pub(crate) fn targets(counted: &[(&'static str, Crossings)]) -> Vec<Target> {
    let calls = |name| counted.iter().find(|(kind, _)| *kind == name).map(|(_, crossings)| crossings.host_calls);
    let of_metrics = counted.iter().map(|(_, crossings)| crossings.metric_calls).max().unwrap_or_default();
    let target = |name: &str, value: usize| Target::new(name, value as f64, CALLS_MAX, "calls");
    let mut targets = vec![target("calls_of_metrics", of_metrics)];
    if let (Some(cached), Some(plain)) = (calls(CACHED), calls(CACHED_PLAIN)) {
        targets.push(target("calls_of_a_cached_assertion", cached.saturating_sub(plain)));
    }
    targets
}

fn kinds(scene: &Scene) -> Vec<Kind> {
    let of = |algorithm| scene.tokens.of(algorithm);
    let fresh = |minted: &Minted| minted.all().take(REQUESTS).map(|token| Some(token.to_owned())).collect();
    let same = |token: &str| vec![Some(token.to_owned()); REQUESTS];
    let nobody = || vec![None; REQUESTS];
    let forged = of(Algorithm::Rs256).forged().take(REQUESTS).map(Some).collect();
    let kind = |name, listener, tokens, status| Kind { name, listener, path: "/models", tokens, status };
    vec![
        Kind { path: "/public", ..kind("public", variant::CACHED, nobody(), 200) },
        kind(variant::SAME_CALLS, variant::SAME_CALLS, same(of(Algorithm::Hs256).first()), 200),
        kind(CACHED, variant::CACHED, same(of(Algorithm::Hs256).first()), 200),
        kind(CACHED_PLAIN, variant::PLAIN_HS256, same(of(Algorithm::Hs256).first()), 200),
        kind("cached_told", variant::TOLD, same(of(Algorithm::Hs256).first()), 200),
        kind("cached_rules_100", variant::RULES_100, same(of(Algorithm::Hs256).first()), 200),
        kind("cold_hs256", variant::COLD_HS256, fresh(of(Algorithm::Hs256)), 200),
        kind("cold_rs256", variant::COLD_RS256, fresh(of(Algorithm::Rs256)), 200),
        kind("cold_es256", variant::COLD_ES256, fresh(of(Algorithm::Es256)), 200),
        kind("no_token", variant::CACHED, nobody(), 401),
        kind("forged_rs256", variant::COLD_RS256, forged, 401),
        kind("banned", variant::CACHED, same(of(Algorithm::Hs256).banned()), 401),
    ]
}

async fn of(scene: &Scene, kind: &Kind) -> Result<Crossings> {
    let number = Variant::number_of(kind.listener).context("no such listener")?;
    let mut client = Client::open(scene.listener(number))?;
    let before = scene.envoy.output().await.len();
    for token in &kind.tokens {
        let status = client.ask(&request_for(kind.path, token.as_deref()))?.status;
        ensure!(status == kind.status, "answered {status}");
    }
    poll::until("the last request is over", poll::START, async || {
        let log = scene.envoy.output().await;
        let requests = read(log.get(before..).unwrap_or_default());
        ensure!(requests.len() >= kind.tokens.len(), "{} are", requests.len());
        requests.last().copied().context("none is")
    })
    .await
}
