//! What is counted, exactly: by every worker, with labels.

use anyhow::{Result, ensure};
use e2e::link::Link;
use e2e::wire::RawRequest;
use e2e::{User, World, poll, story};

use super::watched::{SOON, WATCHED, counted, cut_a_stream, until_counted};
use crate::ordering::over_relay;

const REQUESTS: &str = "sekisho_filter_requests";
const CALLOUTS: &str = "sekisho_filter_callouts";

#[test]
fn requests_are_counted_by_route_decision_reason_provider_and_cache_over_all_workers() {
    story(&WATCHED, async |world| {
        let User { token, .. } = world.user();
        let expired = token.clone().claim("exp", e2e::token::now() - 3600);
        let request = |bearer: Option<String>| {
            let request = RawRequest::new("GET", "/counted/x");
            bearer.iter().fold(request, |request, bearer| request.header("authorization", bearer)).bytes()
        };
        let connections = world.connections_by_worker(1).await?;
        assert_eq!(connections.len(), 2, "one for each worker");
        for (_, mut connection) in connections {
            for (bearer, status, times) in
                [(Some(token.bearer()), 200, 3), (None, 401, 2), (Some(expired.bearer()), 401, 1)]
            {
                for _ in 0..times {
                    assert_eq!(connection.send(&request(bearer.clone())).await?.status, status);
                }
            }
        }
        let all = ("route", "counted_decision_x");
        let expected: [(u64, &[(&str, &str)]); 6] = [
            (2, &[all, ("decision", "allow"), ("reason", "none"), ("provider", "tokens"), ("cache", "miss")]),
            (4, &[all, ("decision", "allow"), ("reason", "none"), ("provider", "tokens"), ("cache", "hit")]),
            (
                4,
                &[all, ("decision", "deny"), ("reason", "credential_missing"), ("provider", "none"), ("cache", "none")],
            ),
            (2, &[all, ("decision", "deny"), ("reason", "token_expired"), ("provider", "none"), ("cache", "miss")]),
            (12, &[all, ("freshness", "fresh")]),
            (12, &[all]),
        ];
        until_counted(world, REQUESTS, &expected).await?;
        let page = counted(world).await?;
        let labels: Vec<_> = page.labels(REQUESTS).into_iter().collect();
        assert_eq!(labels, ["cache", "decision", "freshness", "provider", "reason", "route"]);
        Ok(())
    });
}

#[test]
fn callouts_are_counted_by_their_end_and_carry_the_trace_of_the_request() {
    story(&WATCHED, async |world| {
        let relay = over_relay(world).await?;
        let [banned, other] = [world.user(), world.user()];
        for user in [&banned, &other] {
            world.ban_until_acknowledged(&world.a, user).await?;
        }
        let before = counted(world).await?;
        let of = |ending: &'static str| [("to", "check"), ("ending", ending)];
        let (answered, refused) = (before.sum(CALLOUTS, &of("answered"))?, before.sum(CALLOUTS, &of("refused"))?);

        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let request = RawRequest::new("GET", "/asked/x").header("authorization", banned.token.bearer());
        let request = request.header("traceparent", trace).header("tracestate", "vendor=1");
        assert_eq!(world.raw(&request.bytes()).await?.status, 401);
        let asked = relay.answers(&banned.email);
        ensure!(asked.len() == 1, "{asked:?}");
        let traced = ["traceparent", "tracestate"].map(|name| asked.first().and_then(|asked| asked.header(name)));
        assert_eq!(traced, [Some(trace), Some("vendor=1")]);
        assert!(asked.iter().all(|asked| asked.header("x-request-id").is_some()), "{asked:?}");
        until_counted(world, CALLOUTS, &[(answered + 1, &of("answered"))]).await?;
        until_waited(world, answered + 1).await?;

        world.links.check.iter().flatten().for_each(Link::close);
        let answer = world.get("/asked/y", &other.token).await?;
        assert_eq!(answer.status, 503, "{answer:?}");
        until_counted(world, CALLOUTS, &[(answered + 1, &of("answered")), (refused + 1, &of("refused"))]).await?;
        let unconfirmed: (u64, &[(&str, &str)]) =
            (1, &[("route", "asked"), ("decision", "error"), ("reason", "check_unconfirmed")]);
        until_counted(world, REQUESTS, &[unconfirmed]).await?;
        lead_back(world);
        Ok(())
    });
}

/// Waits until the histograms show so many answered checks, and that requests waited for them.
async fn until_waited(world: &World, checks: u64) -> Result<()> {
    poll::until("the times are recorded", SOON, async || {
        let page = counted(world).await?;
        let timed = page.sum("sekisho_filter_callout_ms_count", &[("to", "check")])?;
        let held = page.sum("sekisho_filter_held_ms_count", &[])?;
        ensure!(timed >= checks && held >= checks, "{timed} checks timed, {held} requests held");
        Ok(())
    })
    .await
}

fn lead_back(world: &World) {
    for links in &world.links.check {
        for (link, sidecar) in links.iter().zip([&world.a, &world.b]) {
            link.lead_to(sidecar.ports().mesh);
            link.heal();
        }
    }
}

#[test]
fn verifications_cuts_and_the_state_of_each_worker_are_counted() {
    story(&WATCHED, async |world| {
        let before = counted(world).await?;
        let cut: &[(&str, &str)] = &[("route", "asked"), ("reason", "stream_cut")];
        let by = [("algorithm", "HS256"), ("by", "wasm")];
        let (verified, cuts) =
            (before.sum("sekisho_filter_verifications", &by)?, before.sum("sekisho_filter_cuts", cut)?);
        cut_a_stream(world).await?;
        until_counted(world, "sekisho_filter_verifications", &[(verified + 1, &by)]).await?;
        until_counted(world, "sekisho_filter_cuts", &[(cuts + 1, cut)]).await?;
        poll::until("every worker tells of its state", SOON, async || {
            let page = counted(world).await?;
            let fresh = page.sum("sekisho_filter_vm_seconds", &[("freshness", "fresh")])?;
            let version = page.sum("sekisho_filter_feed_version", &[])?;
            let ages = page.sum("sekisho_filter_feed_age_ms_count", &[])?;
            ensure!(fresh >= 3 && version > 0 && ages >= 3, "{fresh} seconds, version {version}, {ages} ages");
            Ok(())
        })
        .await
    });
}
