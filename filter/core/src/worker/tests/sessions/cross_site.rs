//! Rule E7: a browser shows its session whoever made it send a request, so what changes something needs the proof that a
//! page of this host did.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

const OURS: (&str, &str) = ("origin", "https://shop.example");
const THEIRS: (&str, &str) = ("origin", "https://evil.example");

/// Asks with the session, whatever else is sent.
fn ask(world: &mut World, method: &str, path: &str, more: &[(&str, &str)]) -> (RequestId, Step) {
    let cookie = format!("__Host-sekisho={}", cookie_on(world, HOST));
    let target = [(":method", method), (":authority", HOST), (":path", path), ("cookie", &cookie)];
    let all: Vec<_> = target.into_iter().chain(more.iter().copied()).collect();
    let id = world.id();
    let step = world.send(id, &all);
    (id, step)
}

fn asking(world: &mut World, method: &str, path: &str, more: &[(&str, &str)]) -> &'static str {
    code(&ask(world, method, path, more).1)
}

#[test]
fn e7_a_session_alone_changes_nothing_without_the_proof_that_a_page_of_its_host_asks() {
    let mut world = knowing();
    for (more, expected) in [
        (&[][..], "cross_site"),
        (&[THEIRS], "cross_site"),
        (&[("sec-fetch-site", "cross-site")], "cross_site"),
        (&[("sec-fetch-site", "same-site"), OURS], "cross_site"),
        (&[("content-type", "application/grpc-web"), THEIRS], "cross_site"),
        (&[("origin", "null")], "cross_site"),
        (&[OURS, OURS], "cross_site"),
        (&[OURS], "allow"),
        (&[("sec-fetch-site", "same-origin")], "allow"),
        (&[("sec-fetch-site", "none")], "allow"),
    ] {
        assert_eq!(asking(&mut world, "POST", "/", more), expected, "{more:?}");
        assert_eq!(asking(&mut world, "GET", "/", more), "allow", "{more:?}");
        let handshake: Vec<_> =
            [("upgrade", "websocket"), ("connection", "Upgrade")].iter().chain(more).copied().collect();
        assert_eq!(asking(&mut world, "GET", "/", &handshake), expected, "a handshake: {more:?}");
    }
    let (_, step) = ask(&mut world, "DELETE", "/", &[]);
    let Step::Answer(answer) = &step else { panic!("{step:?}") };
    assert_eq!((answer.status, answer.headers.iter().any(|(name, _)| name == "www-authenticate")), (403, false));
}

#[test]
fn e7_a_forged_request_is_no_access() {
    let mut world = knowing();
    assert_eq!(asking(&mut world, "POST", "/", &[THEIRS]), "cross_site");
    world.wait(60);
    let report = world.worker.report(world.now).unwrap();
    assert_eq!(report.subjects.iter().map(|row| row.requests).sum::<u64>(), 1, "the one by which it is known");
}

#[test]
fn e7_an_answer_that_was_waited_for_admits_no_forged_request_either() {
    let mut world = world();
    let (_, step) = ask(&mut world, "POST", "/", &[THEIRS]);
    dispatch(&mut world, &step, 1);
    assert_eq!(code(&answer(&mut world, 1, 1, is_live())[0].1), "cross_site");
    for (standing, expected) in [
        (SessionStanding::Unknown, "credential_missing"),
        (SessionStanding::Ended, "session_ended"),
        (SessionStanding::Banned { until: START + 9, email: None }, "user_banned"),
    ] {
        let mut world = self::world();
        let (_, step) = ask(&mut world, "POST", "/", &[THEIRS]);
        dispatch(&mut world, &step, 1);
        assert_eq!(code(&answer(&mut world, 1, 1, standing)[0].1), expected, "that is told first");
    }
}

#[test]
fn e7_where_no_session_is_needed_a_forged_request_is_refused_while_it_holds() {
    for (standing, expected) in [(is_live(), "cross_site"), (SessionStanding::Ended, "allow")] {
        let mut world = world();
        let (_, step) = ask(&mut world, "POST", "/optional", &[THEIRS]);
        dispatch(&mut world, &step, 1);
        assert_eq!(code(&answer(&mut world, 1, 1, standing)[0].1), expected);
    }
}

#[test]
fn e7_a_token_that_no_browser_shows_by_itself_needs_no_proof() {
    let places = json!({"from": [{"header": "authorization"}, {"query": "t"}, {"cookie": "jwt"}]});
    let mut world = with(|config| config["tokens"] = places);
    get_asking(&mut world, "/", 1);
    answer(&mut world, 1, 1, is_live());
    let (header, query) = (format!("Bearer {}", ann()), format!("/?t={}", ann()));
    let cookie = format!("jwt={}", ann());
    assert_eq!(asking(&mut world, "POST", "/", &[("authorization", &header), THEIRS]), "allow");
    assert_eq!(asking(&mut world, "POST", &query, &[THEIRS]), "allow");
    assert_eq!(asking(&mut world, "POST", "/", &[("cookie", &cookie), ("authorization", &header)]), "allow");
    assert_eq!(asking(&mut world, "POST", "/", &[("cookie", &cookie)]), "cross_site");
    assert_eq!(asking(&mut world, "POST", "/", &[("cookie", &cookie), OURS]), "allow");
    assert_eq!(asking(&mut world, "POST", "/", &[("authorization", "Bearer a.b.c")]), "token_encoding");
}

#[test]
fn e7_a_token_in_a_cookie_needs_the_proof_though_the_session_stayed_behind() {
    let mut world = with(|config| config["tokens"] = json!({"from": [{"cookie": "jwt"}]}));
    let cookie = format!("jwt={}", ann());
    let mut asking = |method: &str, more: &[(&str, &str)]| {
        let target = [(":method", method), (":authority", HOST), (":path", "/"), ("cookie", &cookie)];
        let all: Vec<_> = target.into_iter().chain(more.iter().copied()).collect();
        let id = world.id();
        code(&world.send(id, &all))
    };
    assert_eq!(asking("POST", &[THEIRS]), "cross_site");
    assert_eq!(asking("POST", &[OURS]), "allow");
    assert_eq!(asking("GET", &[THEIRS]), "allow");
}

#[test]
fn e7_rules_say_whose_pages_they_trust() {
    let mut world = with(|config| {
        config["routes"][3]["trusted_origins"] = json!(["*"]);
        config["routes"][5]["trusted_origins"] = json!(["https://evil.example"]);
    });
    get_asking(&mut world, "/", 1);
    answer(&mut world, 1, 1, is_live());
    assert_eq!(asking(&mut world, "POST", "/", &[THEIRS]), "allow");
    assert_eq!(asking(&mut world, "POST", "/", &[]), "cross_site");
    assert_eq!(asking(&mut world, "POST", "/group", &[THEIRS]), "cross_site", "another rule");
    assert_eq!(asking(&mut world, "POST", "/open", &[]), "allow");
}

#[test]
fn a_shadow_lets_a_forged_request_pass_without_an_identity() {
    let mut world = with(|config| config["routes"][5]["shadow"] = json!(true));
    get_asking(&mut world, "/", 1);
    answer(&mut world, 1, 1, is_live());
    let (_, step) = ask(&mut world, "POST", "/", &[THEIRS]);
    assert_eq!((code(&step), set(&step, "x-forwarded-email")), ("allow", None));
}
