//! Sessions of oauth2-proxy: which cookies are looked at, what is asked about them, and what becomes of them beside a
//! session of our own. The cookies are those that `tests/peers/oauth2_proxy.py` made.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

const VECTORS: &str = include_str!("../../../../../../tests/peers/vectors/oauth2_proxy_cookies.json");
const SESSION: &str = "_oauth2_proxy-411806e7e4e9e34910c6c7415eedae7d.AAAAAAAAAAAAAAAAAAAAAA";

fn vectors() -> Value {
    serde_json::from_str(VECTORS).unwrap()
}

/// A world in which oauth2-proxy's sessions count and that is in the moment of the vectors.
fn world() -> World {
    with_both(|_| ())
}

fn with_both(change: impl FnOnce(&mut Value)) -> World {
    let mut world = with(|config| {
        config["sessions"] = json!({"oauth2_proxy": {"forward_on": ["proxy"]}});
        let proxy = json!({"name": "proxy", "match": {"prefix": "/oauth2"}, "access": "public"});
        config["routes"].as_array_mut().unwrap().insert(0, proxy);
        change(config);
    });
    world.now.unix_s = vectors()["now"].as_u64().unwrap();
    world
}

/// The ticket and the cookie of a vector.
fn vector(name: &str) -> (String, String) {
    let vectors = vectors();
    let vector = vectors["cookies"].as_array().unwrap().iter().find(|vector| vector["name"] == name).unwrap();
    let text = |field: &str| vector[field].as_str().unwrap_or_default().to_owned();
    (text("ticket"), text("cookie"))
}

fn get_with(world: &mut World, path: &str, cookie: &str) -> (RequestId, Step) {
    get(world, path, &[("cookie", &format!("a=1; _oauth2_proxy={cookie}"))])
}

/// Asks with a cookie that nobody knows yet.
fn ask(world: &mut World, cookie: &str, call: u32) -> SessionQuestion {
    let (_, step) = get_with(world, "/", cookie);
    dispatch_any(world, step, call)
}

fn dispatch_any(world: &mut World, step: Step, call: u32) -> SessionQuestion {
    let Step::AskForSession(question, _) = step else { panic!("expected a question, got {step:?}") };
    world.worker.session_dispatched(&question, CallId(call));
    question
}

fn of_ann(world: &World) -> LiveSession {
    let now = world.now.unix_s;
    let id = Some(SESSION.to_owned());
    LiveSession { id, method: Method::Oauth2Proxy, signed_in_at: now - 10, ends_at: now + 1_000, ..live() }
}

fn of_bob(world: &World) -> LiveSession {
    let email = Email::parse("bob@example.com").unwrap();
    LiveSession { subject: email.clone().into(), email: Some(email), ..of_ann(world) }
}

fn lives(session: LiveSession) -> SessionStanding {
    SessionStanding::Live(Box::new(session))
}

/// A world that knows Ann's session by this cookie.
fn knowing(cookie: &str) -> World {
    let mut world = world();
    ask(&mut world, cookie, 1);
    let standing = lives(of_ann(&world));
    assert_eq!(code(&answer(&mut world, 1, 1, standing)[0].1), "allow");
    world
}

fn own(world: &World) -> String {
    format!("__Host-sekisho={}", cookie_on(world, HOST))
}

#[test]
fn every_cookie_of_the_vectors_is_asked_about_if_and_only_if_oauth2_proxy_would_take_it() {
    let vectors = vectors();
    for vector in vectors["cookies"].as_array().unwrap() {
        let mut world = world();
        let (_, step) = get_with(&mut world, "/", vector["cookie"].as_str().unwrap());
        match vector["ticket"].as_str() {
            Some(ticket) => {
                let question = dispatch_any(&mut world, step, 1);
                assert_eq!(question.ticket.as_ref().unwrap().expose(), ticket, "{vector}");
            }
            None => assert_eq!(code(&step), "credential_missing", "{vector}"),
        }
    }
}

#[test]
fn a_session_is_asked_about_once_and_is_called_what_the_sidecar_calls_it() {
    let (_, cookie) = vector("a cookie of now");
    let mut world = knowing(&cookie);
    let (_, step) = get_with(&mut world, "/group", &cookie);
    assert_eq!(set(&step, "x-forwarded-email"), Some(ANN));
    assert_eq!(set(&step, "x-sekisho-method"), Some("oauth2_proxy"));
    assert_eq!(set(&step, "x-sekisho-token-id"), Some(SESSION));
    assert_eq!(set(&step, "cookie"), Some("a=1"));
    world.wait(60);
    world.feed(FeedBody::Delta { from: 1, version: 1, changes: vec![] });
    assert_eq!(code(&get_with(&mut world, "/", &cookie).1), "session");
}

#[test]
fn somebody_elses_cookie_is_a_question_of_its_own_however_well_one_is_known() {
    let (anns, anns_cookie) = vector("a cookie of now");
    let (bobs, bobs_cookie) = vector("one of somebody else");
    let mut world = knowing(&anns_cookie);
    let question = ask(&mut world, &bobs_cookie, 2);
    assert_eq!(question.ticket.as_ref().unwrap().expose(), bobs);
    assert_ne!(anns, bobs);
    let standing = lives(of_bob(&world));
    let step = answer(&mut world, 2, 1, standing).remove(0).1;
    assert_eq!(set(&step, "x-forwarded-email"), Some("bob@example.com"));
    let (_, step) = get_with(&mut world, "/group", &anns_cookie);
    assert_eq!(set(&step, "x-forwarded-email"), Some(ANN), "and she is still herself");
}

#[test]
fn the_tickets_secret_is_in_the_question_alone() {
    let (ticket, cookie) = vector("a cookie of now");
    let mut world = world();
    let question = ask(&mut world, &cookie, 1);
    let secret = ticket.rsplit('.').next().unwrap();
    assert!(!question.id.contains(secret) && question.id.len() == 43);
    assert!(serde_json::to_string(&question).unwrap().contains(secret));
    let standing = lives(of_ann(&world));
    answer(&mut world, 1, 1, standing);
    for shown in [format!("{question:?}"), format!("{:?}", world.worker)] {
        assert!(!shown.contains(secret) && !shown.contains(&ticket), "{shown}");
    }
    // Nor is it in what keeps the session: no key has its bytes, whether as text or as they are printed.
    let encoded = cookie.split('|').next().unwrap();
    let printed = format!("{:?}", encoded.as_bytes());
    assert!(!format!("{:?}", world.worker).contains(printed.trim_matches(['[', ']'])));
}

#[test]
fn a_cookie_ends_by_itself_whatever_is_known_of_its_session() {
    let (_, cookie) = vector("one that is as old as may be");
    let mut world = knowing(&cookie);
    assert_eq!(code(&get_with(&mut world, "/", &cookie).1), "allow");
    world.wait(1);
    assert_eq!(code(&get_with(&mut world, "/", &cookie).1), "credential_missing");
}

#[test]
fn the_signature_of_a_cookie_is_no_session_of_ours() {
    let (_, cookie) = vector("a cookie of now");
    let mut world = knowing(&cookie);
    let signature = base64::prelude::BASE64_URL_SAFE.decode(cookie.rsplit('|').next().unwrap()).unwrap();
    let pairs: [(&[u8], Vec<u8>); 4] = [
        (b":method", b"GET".to_vec()),
        (b":authority", HOST.into()),
        (b":path", b"/".to_vec()),
        (b"cookie", [b"__Host-sekisho=".as_slice(), &signature].concat()),
    ];
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|(name, value)| (*name, &**value)).collect();
    let head = Head::read(&pairs, &world.policy.forgeable);
    let id = world.id();
    let step = world.worker.on_request(&world.policy, id, &head, world.now);
    assert_eq!(code(&step), "credential_missing");
}

#[test]
fn only_a_rule_that_leads_to_oauth2_proxy_sends_its_cookie_on() {
    let (_, cookie) = vector("a cookie of now");
    let mut world = knowing(&cookie);
    let both = format!("{}; _oauth2_proxy={cookie}; b=2", own(&world));
    let (_, step) = get(&mut world, "/oauth2/start", &[("cookie", &both)]);
    assert_eq!(set(&step, "cookie"), Some(format!("_oauth2_proxy={cookie}; b=2").as_str()));
    let (_, step) = get(&mut world, "/public", &[("cookie", &both)]);
    assert_eq!(set(&step, "cookie"), Some("b=2"));
}

#[test]
fn e4_of_two_sessions_of_one_user_our_own_counts_and_of_two_users_none_does() {
    let (_, cookie) = vector("a cookie of now");
    for is_known in [true, false] {
        for is_same in [true, false] {
            let mut world = if is_known { knowing(&cookie) } else { world() };
            let both = format!("{}; _oauth2_proxy={cookie}", own(&world));
            let (_, step) = get(&mut world, "/", &[("cookie", &both)]);
            let question = dispatch_any(&mut world, step, 7);
            assert_eq!(question.ticket, None, "our own is asked about first");
            let ends_at = world.now.unix_s + 1_000;
            let ours = LiveSession { ends_at, ..if is_same { live() } else { of_bob(&world) } };
            let ours = LiveSession { id: None, method: Method::Session, ..ours };
            let mut step = answer(&mut world, 7, 1, lives(ours)).remove(0).1;
            if !is_known {
                let question = dispatch_any(&mut world, step, 8);
                assert!(question.ticket.is_some());
                let theirs = lives(of_ann(&world));
                step = answer(&mut world, 8, 1, theirs).remove(0).1;
            }
            if is_same {
                assert_eq!(set(&step, "x-sekisho-method"), Some("session"));
            } else {
                assert_eq!((status(&step), code(&step)), (400, "several_credentials"));
            }
        }
    }
}

#[test]
fn e4_a_token_beside_it_must_be_of_the_same_user() {
    let (_, cookie) = vector("a cookie of now");
    let mut world = world();
    ask(&mut world, &cookie, 1);
    let standing = lives(of_bob(&world));
    answer(&mut world, 1, 1, standing);
    let mut anns = claims();
    for (name, moment) in [("iat", 0), ("nbf", 0), ("exp", 100)] {
        anns[name] = json!(world.now.unix_s + moment);
    }
    let (authorization, cookies) = (format!("Bearer {}", token(&anns)), format!("_oauth2_proxy={cookie}"));
    let (_, step) = get(&mut world, "/", &[("authorization", &authorization), ("cookie", &cookies)]);
    assert_eq!(code(&step), "several_credentials");
}

#[test]
fn what_holds_no_more_says_nothing_about_the_other_and_is_not_asked_about_with_each_request() {
    let (_, cookie) = vector("a cookie of now");
    for standing in [SessionStanding::Unknown, SessionStanding::Ended] {
        let mut world = world();
        let both = format!("{}; _oauth2_proxy={cookie}", own(&world));
        let (_, step) = get(&mut world, "/", &[("cookie", &both)]);
        dispatch_any(&mut world, step, 1);
        let ours = LiveSession { ends_at: world.now.unix_s + 1_000, ..live() };
        let step = answer(&mut world, 1, 1, lives(ours)).remove(0).1;
        dispatch_any(&mut world, step, 2);
        assert_eq!(code(&answer(&mut world, 2, 1, standing)[0].1), "allow");
        for _ in 0..3 {
            assert_eq!(code(&get(&mut world, "/", &[("cookie", &both)]).1), "allow");
        }
        world.wait(10);
        world.feed(FeedBody::Delta { from: 1, version: 1, changes: vec![] });
        let (_, step) = get(&mut world, "/", &[("cookie", &both)]);
        assert!(dispatch_any(&mut world, step, 3).ticket.is_some(), "but again after a while");
    }
}

#[test]
fn what_is_known_and_barred_says_nothing_about_the_other_either() {
    let (_, cookie) = vector("a cookie of now");
    for of_bob_is_ours in [true, false] {
        let mut world = knowing(&cookie);
        let both = format!("{}; _oauth2_proxy={cookie}", own(&world));
        let (_, step) = get(&mut world, "/", &[("cookie", &both)]);
        dispatch_any(&mut world, step, 2);
        let ends_at = world.now.unix_s + 1_000;
        let ours = LiveSession { id: None, method: Method::Session, ..of_bob(&world) };
        assert_eq!(code(&answer(&mut world, 2, 1, lives(ours))[0].1), "several_credentials");
        let ended = if of_bob_is_ours { id(&SECRET) } else { SESSION.to_owned() };
        let digest = world.digest(Kind::Session, &ended);
        world.change(Effect::Put(Entry::Session(Bar { digest, until: ends_at })));
        let (_, step) = get(&mut world, "/", &[("cookie", &both)]);
        let expected = if of_bob_is_ours { ANN } else { "bob@example.com" };
        assert_eq!(set(&step, "x-forwarded-email"), Some(expected));
    }
}

#[test]
fn an_ended_session_is_refused_under_the_name_that_the_sidecar_gave_it() {
    let (_, cookie) = vector("a cookie of now");
    let mut world = knowing(&cookie);
    let (digest, until) = (world.digest(Kind::Session, SESSION), world.now.unix_s + 1_000);
    assert_eq!(world.change(Effect::Put(Entry::Session(Bar { digest, until }))).len(), 1, "its stream is cut");
    let (_, step) = get_with(&mut world, "/", &cookie);
    let Step::Check(request, ..) = step else { panic!("expected a check, got {step:?}") };
    assert_eq!((request.method, request.token_id.as_deref()), (Method::Oauth2Proxy, Some(SESSION)));
}

#[test]
fn a_name_that_cannot_be_a_header_is_no_answer() {
    let (_, cookie) = vector("a cookie of now");
    for id in ["", "a b", "a\n", "a/b", &"a".repeat(129)] {
        let mut world = world();
        ask(&mut world, &cookie, 1);
        let standing = lives(LiveSession { id: Some(id.to_owned()), ..of_ann(&world) });
        assert_eq!(code(&answer(&mut world, 1, 1, standing)[0].1), "check_unavailable", "{id:?}");
    }
}

#[test]
fn without_the_setting_nobody_looks_at_the_cookie() {
    let (_, cookie) = vector("a cookie of now");
    let mut world = with_both(|config| config["sessions"] = json!({}));
    let (_, step) = get_with(&mut world, "/", &cookie);
    assert_eq!(code(&step), "credential_missing");
    let (_, step) = get_with(&mut world, "/public", &cookie);
    assert!(matches!(&step, Step::Allow(passage) if passage.edits.settings().count() == 0), "{step:?}");
}
