//! Rule E7: which cookies of ours upstreams get to see, and whose answers may set them.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// Asks with a session and two sign-ins under way.
fn ask(world: &mut World, path: &str, more: &[(&str, &str)]) -> Step {
    let cookie = format!("a=1; __Host-sekisho-x=1; __Host-sekisho={}", cookie_on(world, HOST));
    let all: Vec<_> =
        [("cookie", cookie.as_str()), ("cookie", "__Host-sekisho-y=2")].iter().chain(more).copied().collect();
    get(world, path, &all).1
}

fn is_guarded(step: &Step) -> bool {
    let Step::Allow(passage) = step else { panic!("not allowed: {step:?}") };
    passage.guard != Guard::Nothing
}

/// Rules for the app API that are told apart from those of other upstreams by their identity alone.
fn worlds_with_the_app_at(path: &'static str) -> World {
    let mut world = with(|config| {
        config["routes"][2]["identity"] = json!("app");
        config["routes"][5]["identity"] = json!("llm");
    });
    get_asking(&mut world, path, 1);
    answer(&mut world, 1, 1, is_live());
    world
}

#[test]
fn e7_the_app_api_alone_sees_sign_ins_under_way_and_nobody_sees_a_session() {
    let mut world = worlds_with_the_app_at("/");
    let authorization = format!("Bearer {}", ann());
    for (path, more, expected) in [
        ("/optional", &[][..], "a=1; __Host-sekisho-x=1; __Host-sekisho-y=2"),
        ("/", &[], "a=1"),
        ("/group", &[], "a=1"),
        ("/public", &[], "a=1"),
        ("/tokens", &[("authorization", authorization.as_str())], "a=1"),
    ] {
        let step = ask(&mut world, path, more);
        assert_eq!(set(&step, "cookie"), Some(expected), "{path}");
    }
    // Nobody's: as in a first sign-in.
    let (_, step) = get(&mut world, "/optional", &[("cookie", "__Host-sekisho-x=1")]);
    let Step::Allow(passage) = &step else { panic!("{step:?}") };
    assert!(!passage.edits.remove.iter().any(|name| **name == *b"cookie"), "what it has stays as it is");
    let (_, step) = get(&mut world, "/public", &[("cookie", "__Host-sekisho-x=1")]);
    let Step::Allow(passage) = &step else { panic!("{step:?}") };
    assert!(passage.edits.remove.iter().any(|name| **name == *b"cookie"));
}

#[test]
fn e7_tokens_in_cookies_and_our_own_are_taken_away_together() {
    let mut world = with(|config| config["routes"][1]["tokens"] = json!({"from": [{"cookie": "jwt"}]}));
    let cookie = format!("jwt={}; b=2", ann());
    assert_eq!(set(&ask(&mut world, "/tokens", &[("cookie", &cookie)]), "cookie"), Some("a=1; b=2"));
}

#[test]
fn e7_every_upstream_but_the_app_api_is_kept_from_setting_our_cookies() {
    let mut world = worlds_with_the_app_at("/");
    for (path, expected) in [("/optional", false), ("/", true), ("/group", true), ("/public", true)] {
        assert_eq!(is_guarded(&ask(&mut world, path, &[])), expected, "{path}");
    }
    let mut world = World::new();
    let (_, step) = world.get("/open", &ann());
    assert!(!is_guarded(&step), "there are no sessions: nothing to look for");
}
