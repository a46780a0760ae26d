//! A path that servers read in different ways is refused (rule E2), and none of them opens a
//! protected route by way of a public one.

use e2e::wire::RawRequest;
use e2e::{User, story};

use crate::CALM;

/// Paths with more than one reading. Sent to the listener without Envoy's normalisation, which
/// would hide some of them from the filter.
const UNUSUAL: &[&str] = &[
    "//v1/models",
    "/v1//models",
    "/v1/models//",
    "/./v1/models",
    "/v1/./models",
    "/v1/../v1/models",
    "/public/../v1/models",
    "/public/..",
    "/v1\\models",
    "/public\\..\\v1",
    "/v1/models;x=1",
    "/public/..;/v1/models",
    "/v1/models\u{1}",
    "/v1/mod\u{e9}ls",
    "/public%2f..%2fv1/models",
    "/v1%2Fmodels",
    "/v1%5cmodels",
    "/public/%2e%2e/v1/models",
    "/public/.%2e/v1/models",
    "/v1/models%3b",
    "/v1/models%00",
    "/v1/models%0d%0a",
    "/%761/models",
    "/v1/models%7e",
    "/v1/models%252f",
    "/v1/models%",
    "/v1/models%zz",
];

#[test]
fn e2_a_path_with_two_readings_is_refused_and_reaches_nobody() {
    story(&CALM, async |world| {
        let User { token, .. } = world.user();
        let before = world.upstream.with_path("unusual=1").len();
        for path in UNUSUAL {
            let target = format!("{path}?unusual=1");
            for request in [
                RawRequest::new("GET", &target),
                RawRequest::new("GET", &target).header("authorization", token.bearer()),
            ] {
                let answer = world.raw_to(world.envoy.bare(), &request.bytes()).await?;
                assert_eq!(answer.status, 400, "{path:?}: {answer:?}");
            }
        }
        assert_eq!(world.upstream.with_path("unusual=1").len(), before, "one of them reached the upstream");
        assert_eq!(world.envoy.vm_reloads().await?, 0);
        Ok(())
    });
}

#[test]
fn e2_the_refusal_of_a_path_says_what_is_wrong_with_it() {
    story(&CALM, async |world| {
        let answer = world.raw_to(world.envoy.bare(), &RawRequest::new("GET", "/a//b").bytes()).await?;
        let body = answer.json_with(400)?.to_string();
        assert!(body.contains("The request is refused: the path holds an empty segment"), "{body}");
        Ok(())
    });
}

#[test]
fn e2_an_ordinary_path_passes_as_it_is() {
    story(&CALM, async |world| {
        let User { token, .. } = world.user();
        for path in ["/v1/models", "/v1/models/", "/v1/a..b/...", "/v1/caf%C3%A9/%20x?q=//..;%2f", "/v1/models?"] {
            for listener in [world.envoy.edge(), world.envoy.bare()] {
                let request = RawRequest::new("GET", path).header("authorization", token.bearer());
                let received = world.raw_to(listener, &request.bytes()).await?.received()?;
                assert_eq!(received.path, path);
            }
        }
        Ok(())
    });
}

#[test]
fn e2_no_spelling_leads_from_a_public_route_into_a_protected_one() {
    story(&CALM, async |world| {
        for path in UNUSUAL {
            let answer = world.raw(&RawRequest::new("GET", path).bytes()).await?;
            // Envoy makes `//` and dot segments plain; what comes of it is judged like any path.
            let is_public = answer.status == 200 && answer.received()?.path.starts_with("/public");
            assert!(is_public || matches!(answer.status, 307 | 400 | 401), "{path:?}: {answer:?}");
        }
        for path in ["/publicity", "/public-notes", "/publi", "/Public/page", "/"] {
            assert_eq!(world.raw(&RawRequest::new("GET", path).bytes()).await?.status, 401, "{path}");
        }
        Ok(())
    });
}

#[test]
fn e2_connect_and_requests_without_a_path_are_refused() {
    story(&CALM, async |world| {
        let token = world.user().token.bearer();
        for request in [
            RawRequest::new("CONNECT", "localhost:443"),
            RawRequest::new("OPTIONS", "*"),
            RawRequest::new("GET", "v1/models"),
        ] {
            for listener in [world.envoy.edge(), world.envoy.bare()] {
                let answer = world.raw_to(listener, &request.clone().header("authorization", &token).bytes()).await?;
                assert!((400..500).contains(&answer.status), "{answer:?}");
            }
        }
        Ok(())
    });
}

#[test]
fn e2_the_host_is_matched_without_its_case_and_port() {
    story(&CALM, async |world| {
        for host in ["sekisho.localhost", "SEKISHO.localhost", "sekisho.localhost:8080", "Sekisho.Localhost:1"] {
            let answer = world.raw(&RawRequest::to_host("GET", "/health", host).bytes()).await?;
            assert_eq!(answer.json_with(200)?["status"], "healthy", "{host}");
        }
        Ok(())
    });
}
