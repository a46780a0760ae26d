//! Where tokens are read, and what an upstream gets to see of them.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// A world that reads tokens where `tokens` says.
fn world(tokens: Value) -> World {
    let mut world = World::new();
    let mut config = sound();
    config["tokens"] = tokens;
    world.policy = Rc::new(Policy::parse(&config.to_string(), &environment).unwrap());
    world
}

fn send(world: &mut World, headers: &[(&str, &str)]) -> Step {
    let id = world.id();
    let target = [(":method", "GET"), (":authority", "localhost")];
    let has_path = headers.iter().any(|(name, _)| *name == ":path");
    let path = [(":path", "/v1")].into_iter().filter(|_| !has_path);
    let all: Vec<_> = target.into_iter().chain(path).chain(headers.iter().copied()).collect();
    world.send(id, &all)
}

fn removed(step: &Step) -> Vec<&str> {
    let Step::Allow(Passage { edits, .. }) = step else { panic!("not allowed: {step:?}") };
    edits.remove.iter().map(|name| std::str::from_utf8(name).unwrap()).collect()
}

#[test]
fn e4_a_token_ends_here_in_whichever_header_and_spelling_it_came() {
    let mut world = world(json!({"from": [{"header": "x-token", "prefix": "tok:"}, {"header": "authorization"}]}));
    let token = ann();
    let step = send(&mut world, &[("x-token", &format!("tok:{token}")), ("x_token", "other"), ("x-tokens", "1")]);
    assert_eq!(removed(&step), ["x-token", "x_token"]);
    let step = send(&mut world, &[("authorization", &format!("Bearer {token}"))]);
    assert_eq!(removed(&step), ["authorization"]);
}

#[test]
fn e7_a_token_is_cut_out_of_the_cookies_and_the_others_stay() {
    let mut world = world(json!({"from": [{"cookie": "jwt"}]}));
    let token = ann();
    let step = send(&mut world, &[("cookie", "a=1"), ("cookie", &format!("jwt={token}; b=2"))]);
    assert_eq!((removed(&step), set(&step, "cookie")), (vec!["cookie"], Some("a=1; b=2")));
    let step = send(&mut world, &[("cookie", &format!("jwt={token}"))]);
    assert_eq!((removed(&step), set(&step, "cookie")), (vec!["cookie"], None));
    let step = send(&mut world, &[("authorization", &format!("Bearer {token}")), ("cookie", "a=1")]);
    assert_eq!(code(&step), "credential_missing", "nobody reads that header here");
}

#[test]
fn a_token_in_the_query_leaves_the_target_whatever_becomes_of_the_request() {
    let world = world(json!({"from": [{"query": "access_token"}]}));
    let clean = |host: &str, path: &str| {
        let pairs: &[(&[u8], &[u8])] =
            &[(b":method", b"GET"), (b":authority", host.as_bytes()), (b":path", path.as_bytes())];
        let head = Head::read(pairs, &world.policy.forgeable);
        flow::clean_target(&world.policy, &head).map(|target| String::from_utf8(target).unwrap())
    };
    for (host, path, expected) in [
        ("localhost", "/v1?access_token=a.b.c&x=1", Some("/v1?x=1")),
        ("localhost", "/v1?x=1", None),
        // Not even a request that is refused at once is logged with it.
        ("localhost", "/v1//x?access_token=a.b.c", Some("/v1//x")),
        ("", "/v1?access_token=a.b.c", Some("/v1")),
        // A public route's parameters are its own.
        ("app.example", "/health?access_token=a.b.c", None),
    ] {
        assert_eq!(clean(host, path).as_deref(), expected, "{host} {path}");
    }
}

#[test]
fn a_token_in_the_query_is_verified_and_one_in_two_places_must_be_the_same() {
    let mut world = world(json!({"from": [{"query": "access_token"}, {"header": "authorization"}]}));
    let (token, other) = (
        ann(),
        token(&{
            let mut other = claims();
            other["jti"] = json!("t-2");
            other
        }),
    );
    let target = format!("/v1?access_token={token}");
    let step = send(&mut world, &[(":path", &target)]);
    assert_eq!(set(&step, "x-forwarded-email"), Some(ANN));
    let step = send(&mut world, &[(":path", &target), ("authorization", &format!("Bearer {token}"))]);
    assert_eq!(set(&step, "x-forwarded-email"), Some(ANN));
    let step = send(&mut world, &[(":path", &target), ("authorization", &format!("Bearer {other}"))]);
    assert_eq!((status(&step), code(&step)), (400, "several_credentials"));
}

#[test]
fn a_token_and_its_payload_go_on_only_where_the_operator_said_so() {
    let mut world = world(json!({"forward": true, "payload_header": "x-jwt-payload"}));
    let token = ann();
    let headers = [("authorization", format!("Bearer {token}")), ("x_jwt_payload", "forged".into())];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let step = send(&mut world, &headers);
    assert_eq!(removed(&step), ["x_jwt_payload"], "the credential stays, and nobody forges a payload");
    assert_eq!(set(&step, "x-jwt-payload"), token.split('.').nth(1));
}

#[test]
fn a_route_may_read_tokens_elsewhere() {
    let mut world = World::new();
    let mut config = sound();
    config["routes"][3]["tokens"] = json!({"from": [{"header": "x-token"}]});
    world.policy = Rc::new(Policy::parse(&config.to_string(), &environment).unwrap());
    let token = ann();
    assert_eq!(status(&send(&mut world, &[("x-token", &token)])), 200);
    assert_eq!(code(&send(&mut world, &[("authorization", &format!("Bearer {token}"))])), "credential_missing");
    let elsewhere = [(":path", "/open"), ("authorization", &format!("Bearer {token}"))];
    assert_eq!(status(&send(&mut world, &elsewhere)), 200);
}
