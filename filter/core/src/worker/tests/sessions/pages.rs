//! What a browser shows to whoever comes with a session that lets nobody in. Programs get what they always got.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

const BROWSER: &[(&str, &str)] =
    &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("accept-language", "fr, ja;q=0.8, en;q=0.2")];

/// The answer to a request whose session turns out to be this.
fn refused(world: &mut World, path: &str, more: &[(&str, &str)], standing: SessionStanding) -> Answer {
    let cookie = format!("__Host-sekisho={}", cookie_on(world, HOST));
    let all: Vec<_> = [("cookie", cookie.as_str())].iter().chain(more).copied().collect();
    let (_, step) = get(world, path, &all);
    dispatch(world, &step, 1);
    let Step::Answer(answer) = answer(world, 1, 1, standing).remove(0).1 else { panic!("it is let in") };
    answer
}

fn header<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    answer.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
}

fn banned() -> SessionStanding {
    SessionStanding::Banned { until: START + 90_000, email: Email::parse(ANN).ok() }
}

#[test]
fn a_banned_browser_is_told_for_how_long_on_a_page_and_a_program_in_json() {
    let answer = refused(&mut world(), "/", BROWSER, banned());
    assert_eq!((answer.status, answer.code), (403, "user_banned"));
    assert!(answer.body.starts_with("<!doctype html><html lang=\"ja\">"), "{}", answer.body);
    assert!(answer.body.contains("あと1日1時間で") && answer.body.contains(ANN), "{}", answer.body);
    assert_eq!(header(&answer, "content-type"), ["text/html; charset=utf-8"]);
    assert_eq!(header(&answer, "cache-control"), ["no-store"]);
    assert_eq!(header(&answer, "x-content-type-options"), ["nosniff"]);
    assert!(header(&answer, "content-security-policy")[0].starts_with("default-src 'none'; "));
    for program in [&[][..], &[("accept", "application/json")], &[("sec-fetch-mode", "cors"), ("accept", "text/html")]]
    {
        let answer = refused(&mut world(), "/", program, banned());
        assert_eq!(header(&answer, "content-type"), ["application/problem+json"], "{program:?}");
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((&body["error"], &body["banned_until_seconds"]), (&json!("Access denied"), &json!(90_000)));
    }
}

#[test]
fn a_session_that_is_known_and_barred_gets_the_page_too() {
    let mut world = knowing();
    world.ban(ANN, FOREVER);
    let cookie = format!("__Host-sekisho={}", cookie_on(&world, HOST));
    let all: Vec<_> = [("cookie", cookie.as_str())].iter().chain(BROWSER).copied().collect();
    let (request, step) = get(&mut world, "/", &all);
    let Step::Check(_, share, _) = step else { panic!("expected a check, got {step:?}") };
    world.worker.dispatched(request, CallId(5), share);
    let confirmed = world.answer(5, 2, CheckDecision::Deny(DenyReason::Banned { until: START + 90_000 })).remove(0).1;
    let (_, known) = get(&mut world, "/", &all);
    for step in [confirmed, known] {
        let Step::Answer(answer) = step else { panic!("{step:?}") };
        assert!(answer.status == 403 && answer.body.starts_with("<!doctype html>"), "{answer:?}");
    }
}

#[test]
fn a_browser_whose_session_was_ended_is_sent_to_sign_in_or_told_so() {
    let answer = refused(&mut world(), "/", BROWSER, SessionStanding::Ended);
    assert_eq!((answer.status, header(&answer, "location")), (302, vec!["/sign-in?rd=/"]));
    let answer = refused(&mut world(), "/group", BROWSER, SessionStanding::Ended);
    assert_eq!((answer.status, answer.code), (401, "session_ended"));
    assert!(answer.body.contains("セッションが終了しました"), "{}", answer.body);
    assert_eq!(header(&answer, "www-authenticate").len(), 1, "RFC 9110 §15.5.2");
    let answer = refused(&mut world(), "/group", &[("accept", "text/html")], SessionStanding::Ended);
    assert!(answer.body.contains("<html lang=\"en\">"), "{}", answer.body);
}

#[test]
fn what_an_operator_wrote_goes_before_a_page() {
    let custom = json!({"user_banned": {"status": 451, "body": "{message}"}});
    let mut world = with(|config| config["routes"][5]["answers"]["custom"] = custom);
    let answer = refused(&mut world, "/", BROWSER, banned());
    assert_eq!((answer.status, answer.body.as_str()), (451, "User is banned for 1 days 1 hours"));
    assert_eq!(header(&answer, "content-type"), ["application/problem+json"]);
    assert_eq!(header(&answer, "content-security-policy"), [""; 0]);
}
