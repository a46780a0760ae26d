use serde_json::json;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::identity::tests::ann;

fn token(claims: &Value) -> Vec<u8> {
    format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string())).into_bytes()
}

fn claim(path: &str) -> ClaimPath {
    ClaimPath::parse(path).unwrap()
}

/// The answer to one question about Ann's token with these claims.
fn answer(test: TokenTest, claims: &Value) -> bool {
    let mut questions = Questions::default();
    let bit = questions.ask(test);
    let names =
        ProviderNames { provider: ann().provider, roles: claim("/realm_access/roles"), groups: claim("groups") };
    questions.complete(vec![names]).answer(&token(claims), &ann()).is(bit)
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn scopes_roles_groups_and_providers_are_compared_whole() {
    let claims = json!({"realm_access": {"roles": ["editor", "viewer"]}, "groups": "staff"});
    for (test, expected) in [
        (TokenTest::Scopes(Names::All(texts(&["api:read", "api:write"]))), true),
        (TokenTest::Scopes(Names::All(texts(&["api:read", "admin"]))), false),
        (TokenTest::Scopes(Names::Any(texts(&["api:read", "admin"]))), true),
        (TokenTest::Scopes(Names::Any(texts(&["api", "api:rea"]))), false),
        (TokenTest::Roles(Names::All(texts(&["viewer", "editor"]))), true),
        (TokenTest::Roles(Names::Any(texts(&["admin"]))), false),
        (TokenTest::Groups(Names::Any(texts(&["staff"]))), true),
        (TokenTest::Groups(Names::Any(texts(&["sta"]))), false),
        (TokenTest::Provider(texts(&["other"])), false),
        (TokenTest::Provider(vec![ann().provider.to_string()]), true),
    ] {
        assert_eq!(answer(test.clone(), &claims), expected, "{test:?}");
    }
}

#[test]
fn a_claim_is_found_by_its_name_or_by_a_pointer_and_compared_with_its_type() {
    let claims = json!({
        "department": "sales", "https://example.com/tier": 2, "a.b": {"c/d": [{"e": true}]}, "none": null,
        "list": ["x", 1], "text": "x,y"
    });
    let one_of = |value: Value| ClaimTest::OneOf(vec![value]);
    for (path, test, expected) in [
        ("department", one_of(json!("sales")), true),
        ("department", one_of(json!("Sales")), false),
        ("department", ClaimTest::OneOf(vec![json!("hr"), json!("sales")]), true),
        ("https://example.com/tier", one_of(json!(2)), true),
        ("https://example.com/tier", one_of(json!("2")), false),
        ("/a.b/c~1d/0/e", one_of(json!(true)), true),
        ("/a.b/c~1d/1/e", ClaimTest::Exists, false),
        ("a.b", ClaimTest::Exists, true),
        ("none", ClaimTest::Exists, false),
        ("missing", ClaimTest::Exists, false),
        ("list", ClaimTest::Contains(json!("x")), true),
        ("list", ClaimTest::Contains(json!("1")), false),
        ("list", one_of(json!("x")), false),
        ("text", ClaimTest::Contains(json!("x")), false),
    ] {
        let asked = TokenTest::Claim(claim(path), test);
        assert_eq!(answer(asked.clone(), &claims), expected, "{asked:?}");
    }
}

#[test]
fn what_is_neither_a_name_nor_a_pointer_is_refused() {
    for path in ["", "/a~b", "/a~2", "/~"] {
        assert!(ClaimPath::parse(path).is_err(), "{path:?}");
    }
}

#[test]
fn the_same_question_has_one_number_and_many_questions_have_room() {
    let mut questions = Questions::default();
    let ask = |n: usize| TokenTest::Claim(ClaimPath::Name(format!("c{n}")), ClaimTest::Exists);
    let bits: Vec<_> = (0..200).map(|n| questions.ask(ask(n))).collect();
    assert_eq!(questions.ask(ask(7)), bits[7]);
    let facts = questions.complete(vec![]).answer(&token(&json!({"c0": 1, "c130": 1})), &ann());
    let yes: Vec<_> = (0..200).filter(|n| facts.is(bits[*n])).collect();
    assert_eq!(yes, [0, 130]);
}

#[test]
fn answers_belong_to_their_questions() {
    let mut one = Questions::default();
    one.ask(TokenTest::Scopes(Names::Any(texts(&["a"]))));
    let mut other = Questions::default();
    other.ask(TokenTest::Scopes(Names::Any(texts(&["b"]))));
    let (one, other) = (one.complete(vec![]), other.complete(vec![]));
    let facts = one.answer(&token(&json!({})), &ann());
    assert!(one.are_answered_by(&facts) && !other.are_answered_by(&facts));
    assert!(Questions::default().are_answered_by(&facts), "who asks nothing is content with anything");
}

#[test]
fn a_claim_is_kept_as_the_text_that_was_asked_for() {
    let mut questions = Questions::default();
    let team = questions.ask_for_text(claim("/org/team"), Encoding::Plain);
    let roles = questions.ask_for_text(claim("roles"), Encoding::Json);
    assert_eq!(questions.ask_for_text(claim("/org/team"), Encoding::Plain), team);
    let facts = questions.complete(vec![]).answer(&token(&json!({"org": {"team": "blue"}})), &ann());
    assert_eq!((facts.value(team), facts.value(roles)), (Some("blue"), None));
}
