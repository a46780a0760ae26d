use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::config::Policy;
use crate::config::tests::{environment, sound};
use crate::head::Head;
use crate::path::Unusual;

mod names;
mod readings;

/// The name of the rule that applies to a GET, among rules with these matchers, called by their numbers.
fn found(rules: &[Value], host: &str, path: &str) -> Result<String, Malformed> {
    let rule = |matched: &Value| json!({"match": matched});
    found_among(&rules.iter().map(rule).collect::<Vec<_>>(), host, path)
}

/// The same among these rules, to which their names and who may pass are added.
fn found_among(rules: &[Value], host: &str, path: &str) -> Result<String, Malformed> {
    let policy = policy_of(rules);
    let head = Head { method: b"GET", path: path.as_bytes(), authority: host.as_bytes(), ..Head::default() };
    let id = policy.routes.find(&Target::of(&head, policy.routes.tolerated())?)?;
    Ok(policy.routes.get(id).name.to_string())
}

fn policy_of(rules: &[Value]) -> Policy {
    let route = |(index, rule): (usize, &Value)| {
        let mut rule = rule.clone();
        rule["name"] = json!(index.to_string());
        rule["access"] = json!("public");
        rule
    };
    let mut config = sound();
    config["routes"] = rules.iter().enumerate().map(route).collect();
    Policy::parse(&config.to_string(), &environment).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn the_first_rule_that_matches_applies() {
    let rules = [
        json!({"host": "app.example", "path": "/health"}),
        json!({"host": "app.example"}),
        json!({"prefix": "/v1/"}),
        json!({"prefix": "/admin"}),
        json!({"host": "*.example"}),
        json!({"template": "/u/{id}", "methods": ["POST"]}),
        json!({"template": "/u/{id}"}),
        json!({"regex": "/[a-z]{3}", "headers": [{"name": "x-a", "present": false}]}),
    ];
    for (host, path, expected) in [
        ("app.example", "/health", "0"),
        ("app.example", "/health/deep", "1"),
        ("other", "/health", "(unmatched)"),
        ("other", "/v1/chat", "2"),
        ("other", "/v1", "(unmatched)"),
        ("other", "/admin/users", "3"),
        ("other", "/administrator", "(unmatched)"),
        ("b.example", "/", "4"),
        ("other", "/u/7", "6"),
        ("other", "/abc", "7"),
        ("other", "/abcd", "(unmatched)"),
    ] {
        assert_eq!(found(&rules, host, path).unwrap(), expected, "{host}{path}");
    }
}

#[test]
fn a_path_too_long_for_a_rule_is_not_left_to_the_next_one() {
    let long = format!("/{}", "a".repeat(2_000));
    let rules = [json!({"regex": ".*/secret"}), json!({})];
    assert_eq!(found(&rules, "h", &long), Err(Malformed::Path(Unusual::TooLong)));
    let rules = [json!({"regex": "/b.*"}), json!({})];
    assert_eq!(found(&rules, "h", &long).as_deref(), Ok("1"), "it could not have matched");
}

#[test]
fn e2_a_path_of_several_readings_passes_only_if_all_lead_to_one_rule_that_does_not_mind() {
    let rules = [
        json!({"match": {"prefix": "/admin"}, "unusual_paths": ["parameters"]}),
        json!({"match": {"prefix": "/files/private"}}),
        json!({"match": {"prefix": "/files"}, "unusual_paths": ["encoded_slash", "empty_segment"]}),
        json!({"match": {"template": "/one/{name}"}, "unusual_paths": ["encoded_slash", "encoded_delimiter"]}),
        json!({"match": {"regex": "/re/[^/]*"}, "unusual_paths": ["encoded_slash"]}),
        json!({"match": {"prefix": "/strict"}}),
    ];
    for (path, expected) in [
        ("/files/a%2Fb", Ok("2")),
        ("/files/a%2fb//c", Ok("2")),
        ("/files/a/%2Fb", Ok("2")),
        ("/files//", Ok("2")),
        ("/files/a;x", Err(Unusual::Separator)),
        ("/files/a%3Fb", Err(Unusual::Escape)),
        ("/files%2Fprivate", Err(Unusual::Escape)),
        ("/files//private", Err(Unusual::EmptySegment)),
        ("/files/%2Fprivate", Err(Unusual::Escape)),
        ("/files/a%2F..%2Fprivate", Err(Unusual::Escape)),
        ("/files%2Fa", Err(Unusual::Escape)),
        ("//files/a", Err(Unusual::EmptySegment)),
        ("/admin;v=1/x", Err(Unusual::Separator)),
        ("/admin/x;v=1", Ok("0")),
        ("/admin/x;v=1/y;z", Ok("0")),
        ("/administrator;x", Err(Unusual::Separator)),
        ("/one/a%3Fb", Ok("3")),
        ("/one/%3Fb", Err(Unusual::Escape)),
        ("/one/a%2Fb", Err(Unusual::Escape)),
        ("/re/a%2Fb", Err(Unusual::Escape)),
        ("/strict/a%2Fb", Err(Unusual::Escape)),
        ("/elsewhere/a%2Fb", Err(Unusual::Escape)),
        ("/strict/a", Ok("5")),
    ] {
        let expected = expected.map(ToOwned::to_owned).map_err(Malformed::Path);
        assert_eq!(found_among(&rules, "h", path), expected, "{path}");
    }
}

#[test]
fn what_no_rule_names_is_denied_unless_the_configuration_says_otherwise() {
    let access = |unmatched: Option<&str>| {
        let mut config = sound();
        if let Some(word) = unmatched {
            config["unmatched"] = json!(word);
        }
        let policy = Policy::parse(&config.to_string(), &environment).unwrap();
        match policy.routes.get(RouteId::NONE).access {
            Access::Deny => "deny",
            Access::Public => "public",
            Access::Protected(_) => "protected",
            Access::Optional(_) => "optional",
        }
    };
    assert_eq!(access(None), "deny");
    for word in ["deny", "public", "protected"] {
        assert_eq!(access(Some(word)), word);
    }
}
