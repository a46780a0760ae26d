use super::*;
use crate::authorize::Unmet;
use crate::verify::Invalid;
use sekisho_protocol::feed::FOREVER;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[test]
fn refusals_of_the_llm_path_keep_the_old_words() {
    for (denial, message) in [
        (Denial::Missing, "Authorization header required"),
        (Denial::NotBearer, "Invalid Authorization header format"),
        (Denial::Revoked, "Invalid or expired token: Token has been revoked"),
        (Denial::Banned { until: 604_800 }, "Invalid or expired token: User is banned for 6 days 23 hours"),
        (Denial::Banned { until: FOREVER }, "Invalid or expired token: User is banned permanently"),
        (Denial::Invalid(Invalid::Expired), "Invalid or expired token: token has expired"),
    ] {
        let answer = Answer::denied(&denial, Shape::Llm, 1);
        assert_eq!((answer.status, header(&answer, "content-type")), (401, Some("application/json")));
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body, json!({"error": {"message": message, "type": "authentication_error"}}));
    }
}

#[test]
fn a_refusal_carries_the_challenge_of_rfc_6750() {
    let challenge =
        |denial: &Denial| header(&Answer::denied(denial, Shape::Llm, 0), "www-authenticate").map(str::to_owned);
    assert_eq!(challenge(&Denial::Missing).as_deref(), Some(r#"Bearer realm="sekisho""#));
    assert_eq!(
        challenge(&Denial::Revoked).as_deref(),
        Some(r#"Bearer realm="sekisho", error="invalid_token", error_description="Token has been revoked""#)
    );
}

#[test]
fn a_grpc_client_is_told_a_status_of_grpc_and_the_message_alone() {
    for (status, expected) in [(400, 3), (401, 16), (403, 7), (429, 8), (503, 14), (404, 2), (302, 2), (500, 2)] {
        let answer = Answer { status, ..Answer::unable(Inability::Host, Shape::Problem) };
        assert_eq!(answer.grpc_status(), expected, "{status}");
    }
    for shape in [Shape::Llm, Shape::Problem] {
        let answer = Answer::denied(&Denial::Missing, shape, 0);
        assert_eq!(answer.body_for(Framing::Grpc), "Authorization header required");
        assert_eq!(answer.body_for(Framing::Http), answer.body);
        let names = |framing| answer.headers_for(framing).map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(Framing::Grpc), ["cache-control", "www-authenticate"]);
        assert_eq!(names(Framing::Http), ["content-type", "cache-control", "www-authenticate"]);
    }
}

#[test]
fn a_grpc_client_is_told_what_an_operator_wrote_instead_cut_to_a_header() {
    for (body, expected) in [
        ("not here", "not here".to_owned()),
        ("{code}: {message}", "credential_missing: Authorization header required".to_owned()),
        ("関".repeat(400).as_str(), "関".repeat(341)),
    ] {
        let custom =
            Custom { when: When::Status(401), status: Some(404), headers: Vec::new(), body: Some(body.to_owned()) };
        let answers = Answers { custom: vec![custom], ..Answers::default() };
        let answer = answers.to(&Refusal::Denied(Denial::Missing), None, None, 0);
        assert_eq!((answer.grpc_status(), answer.body_for(Framing::Grpc)), (2, expected.as_str()));
    }
}

#[test]
fn an_inability_is_no_refusal() {
    let answer = Answer::unable(Inability::Unavailable, Shape::Problem);
    assert_eq!(answer.status, 503);
    assert_eq!(header(&answer, "retry-after"), Some("1"));
    assert_eq!(header(&answer, "www-authenticate"), None);
    assert_eq!(header(&answer, "content-type"), Some("application/problem+json"));
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&body["status"], &body["code"]), (&json!(503), &json!("check_unavailable")));
}

fn unmet(what: Lack) -> Denial {
    Denial::Unmet(Unmet { at: "routes[0].require".into(), what })
}

#[test]
fn what_is_forbidden_is_403_and_what_another_sign_in_would_mend_is_401() {
    for (denial, status, challenge) in [
        (Denial::Closed, 403, None),
        (unmet(Lack::Address), 403, None),
        (unmet(Lack::Scope("a b".into())), 403, Some(r#"error="insufficient_scope""#)),
        (unmet(Lack::Scope("a b".into())), 403, Some(r#"scope="a b""#)),
        (unmet(Lack::SignIn(60)), 401, Some(r#"error="insufficient_user_authentication""#)),
        (unmet(Lack::SignIn(60)), 401, Some(r#"max_age="60""#)),
        (unmet(Lack::TokenAge), 401, Some(r#"error="invalid_token""#)),
        (Denial::NotAccepted, 401, Some(r#"error="invalid_token""#)),
    ] {
        let answer = Answer::denied(&denial, Shape::Problem, 0);
        assert_eq!(answer.status, status, "{denial:?}");
        let given = header(&answer, "www-authenticate");
        assert_eq!(given.is_some(), challenge.is_some(), "{denial:?}");
        assert!(challenge.is_none_or(|part| given.unwrap().contains(part)), "{given:?}");
    }
}

#[test]
fn a_browser_is_sent_to_sign_in_only_if_that_helps() {
    let answers = Answers { sign_in: Some("/login".into()), ..Answers::default() };
    for (refusal, expected) in [
        (Refusal::from(Denial::Missing), 302),
        (Denial::Invalid(Invalid::Expired).into(), 302),
        (Denial::Revoked.into(), 302),
        (unmet(Lack::SignIn(60)).into(), 302),
        (Denial::Banned { until: FOREVER }.into(), 401),
        (unmet(Lack::Role).into(), 403),
        (Inability::Unavailable.into(), 503),
    ] {
        let answer = answers.to(&refusal, Some("/login?rd=/a"), None, 0);
        assert_eq!(answer.status, expected, "{refusal:?}");
        assert_eq!(header(&answer, "location"), (expected == 302).then_some("/login?rd=/a"));
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    }
    assert_eq!(answers.to(&Denial::Missing.into(), None, None, 0).status, 401, "a program is told");
}

#[test]
fn an_operator_may_write_the_answer() {
    let custom = |when, status, body: &str| Custom {
        when,
        status,
        headers: vec![("content-type".into(), "text/html".into()), ("x-why".into(), "rules".into())],
        body: Some(body.into()),
    };
    let closed = custom(When::Code("route_closed".into()), Some(404), "<p>{status} {code}: {message}</p>");
    let unauthorized = custom(When::Status(401), None, "{}");
    let answers = Answers { custom: vec![closed, unauthorized], ..Answers::default() };
    let answer = answers.to(&Denial::Closed.into(), None, None, 0);
    assert_eq!((answer.status, answer.body.as_str()), (404, "<p>404 route_closed: Nothing is served here</p>"));
    assert_eq!((header(&answer, "content-type"), header(&answer, "x-why")), (Some("text/html"), Some("rules")));
    assert_eq!(answer.headers.iter().filter(|(name, _)| name == "content-type").count(), 1);
    let answer = answers.to(&Denial::Missing.into(), None, None, 0);
    assert_eq!((answer.status, answer.body.as_str()), (401, "{}"));
    assert!(header(&answer, "www-authenticate").is_some(), "the challenge stays");
    assert_eq!(answers.to(&Inability::Unavailable.into(), None, None, 0).status, 503);
}
