//! Deciding without refusing, and telling why: shadow mode, filter state, explanations, traces.

use super::*;
use crate::decision::Decision;

#[test]
fn a_shadow_decides_counts_and_refuses_nobody() {
    let mut world = world(
        json!([{"name": "s", "match": {"prefix": "/s"}, "access": "protected", "shadow": true, "identity": "llm",
                "upstream_credential": [{"secret_env": "JWT"}]}]),
        json!({}),
    );
    let step = ask(&mut world, "GET", "/s", &[("x-sekisho-subject", "eve")]);
    assert_eq!(removed(&step), ["x-sekisho-subject"], "what could be forged goes all the same");
    let Step::Allow(Passage { edits, state, .. }) = &step else { unreachable!() };
    assert_eq!(*state, Some(State { route: "s".into(), decision: Decision::ShadowDeny, reason: "credential_missing" }));
    assert_eq!(edits.settings().count(), 0, "nobody vouches for it, and it gets no credential");
    let (_, step) = world.get("/s", &ann());
    assert!(set(&step, "authorization").is_some() && set(&step, "x-sekisho-identity").is_some());
    assert_eq!(world.ban(ANN, FOREVER), [], "what it admitted is not cut");
    let names: Vec<_> = world.worker.samples(PROMISE, 0, world.now).into_iter().map(|sample| sample.name).collect();
    assert!(
        names.contains(
            &"sekisho.filter.requests.route=s.decision=shadow_deny.reason=credential_missing.provider=none.cache=none\
              .freshness=fresh"
                .into()
        ),
        "{names:?}"
    );
}

#[test]
fn a_filter_in_shadow_refuses_nothing_at_all() {
    let mut world = world(json!([{"name": "d", "match": {"prefix": "/d"}, "access": "deny"}]), json!({"shadow": true}));
    for (path, route, reason) in
        [("/d", "d", "route_closed"), ("/a//b", "(unmatched)", "unusual_path"), ("/v1", "llm", "credential_missing")]
    {
        let step = ask(&mut world, "GET", path, &[]);
        let Step::Allow(Passage { state, .. }) = step else { panic!("{path}: {step:?}") };
        assert_eq!(state, Some(State { route: route.into(), decision: Decision::ShadowDeny, reason }), "{path}");
    }
}

#[test]
fn the_filter_state_of_what_passes_is_set_only_where_it_is_asked_for() {
    let all = State { route: "llm".into(), decision: Decision::Allow, reason: "none" };
    for (more, expected) in [(json!({}), None), (json!({"filter_state": "all"}), Some(all))] {
        let mut world = world(json!([]), more);
        let (_, step) = world.get("/v1", &ann());
        let Step::Allow(passage) = step else { panic!("{step:?}") };
        assert_eq!(passage.state, expected);
    }
}

#[test]
fn only_whoever_holds_the_key_is_told_why() {
    let mut world = world(json!([]), json!({"explain": {"key_env": "LLM"}}));
    let key = "l".repeat(32);
    let token = format!("Bearer {}", ann());
    let line = |lines: &[crate::decision::Line], name: &str| {
        lines.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    for shown in ["", "l", &"m".repeat(32)] {
        let headers = [("authorization", token.as_str()), ("x-sekisho-explain", shown)];
        let Step::Allow(passage) = ask(&mut world, "GET", "/v1", &headers) else { panic!() };
        assert!(passage.lines.is_empty(), "{shown}");
    }
    let headers = [("authorization", token.as_str()), ("x-sekisho-explain", key.as_str())];
    let step = ask(&mut world, "GET", "/v1", &headers);
    assert!(removed(&step).contains(&"x-sekisho-explain".to_owned()), "the key ends here");
    let Step::Allow(passage) = step else { unreachable!() };
    for (name, expected) in [
        ("x-sekisho-decision", "allow"),
        ("x-sekisho-route", "llm"),
        ("x-sekisho-rule", "routes[3]"),
        ("x-sekisho-credential", "jwt; provider=tokens"),
        ("x-sekisho-cache", "hit"),
        ("x-sekisho-decided-by", "denylist"),
    ] {
        assert_eq!(line(&passage.lines, name).as_deref(), Some(expected), "{name}");
    }
    assert!(line(&passage.lines, "x-sekisho-version").unwrap().contains("/1; age_ms=0; configuration="));
    let Step::Answer(answer) = ask(&mut world, "GET", "/v1", &[("x-sekisho-explain", key.as_str())]) else { panic!() };
    assert_eq!(line(&answer.headers, "x-sekisho-decided-by").as_deref(), Some("extract"));
    let Step::Answer(answer) = ask(&mut world, "GET", "/v1", &[]) else { panic!() };
    assert_eq!(line(&answer.headers, "x-sekisho-decision"), None);
}

#[test]
fn questions_carry_the_trace_of_the_request_because_of_which_they_are_asked() {
    let mut world = World::new();
    world.wait(10);
    let token = format!("Bearer {}", ann());
    let headers = [("authorization", token.as_str()), ("traceparent", "00-a-b-01"), ("x-request-id", "r-1")];
    let Step::Check(_, _, Some(trace)) = ask(&mut world, "GET", "/v1", &headers) else { panic!("expected a check") };
    let trace: Vec<_> = trace.iter().map(|(name, value)| (*name, &**value)).collect();
    assert_eq!(trace, [(&b"traceparent"[..], &b"00-a-b-01"[..]), (b"x-request-id", b"r-1")]);
}

#[test]
fn a_shadow_vouches_for_nothing_that_was_not_verified() {
    let tokens = json!({"from": [{"header": "authorization"}, {"query": "t"}], "payload_header": "x-payload"});
    let mut world = world(
        json!([{"name": "s", "match": {"prefix": "/s"}, "access": "protected", "shadow": true, "tokens": tokens}]),
        json!({}),
    );
    for (path, token) in [("/s", "x.eyJzdWIiOiJhZG1pbiJ9.x"), ("/s?t=x.%0d%0ax-sekisho-subject:%20admin.x", "")] {
        let token = format!("Bearer {token}");
        let headers = [("authorization", token.as_str())];
        let step = ask(&mut world, "GET", path, if token.len() > 10 { &headers } else { &[] });
        assert_eq!(set(&step, "x-payload"), None, "{path}");
    }
    let (_, step) = world.get("/s", &ann());
    assert!(set(&step, "x-payload").is_some(), "what was verified may be said");
}
