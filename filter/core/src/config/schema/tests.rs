use std::collections::BTreeSet;

use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::overlays::overlays;
use super::*;
use crate::config::tests::sound;
use crate::config::{Problem, check};

fn refused(document: &Value) -> Vec<Problem> {
    validate(&schema(), document)
}

/// What the schema refuses, the parser must refuse, too: nobody's editor may warn of what is right.
fn agrees(schema: &Value, document: &Value) -> bool {
    let by_schema = validate(schema, document);
    let is_right = check(&document.to_string()).is_empty();
    assert!(!is_right || by_schema.is_empty(), "{document}\nis right, but the schema says: {by_schema:#?}");
    is_right || !by_schema.is_empty()
}

/// The names of the properties of each definition.
fn properties(schema: &Value) -> Vec<(String, BTreeSet<String>)> {
    let root = ("".to_owned(), schema);
    let definitions = schema["$defs"].as_object().unwrap().iter().map(|(name, schema)| (name.clone(), schema));
    let names = |schema: &Value| schema["properties"].as_object().unwrap().keys().cloned().collect();
    std::iter::once(root).chain(definitions).map(|(name, schema)| (name, names(schema))).collect()
}

#[test]
fn every_field_and_every_object_is_described_and_nothing_else_is_allowed() {
    let schema = schema();
    for (definition, names) in properties(&schema) {
        let path = if definition.is_empty() { String::new() } else { format!("/$defs/{definition}") };
        let object = schema.pointer(&path).unwrap();
        assert!(object["description"].is_string(), "{definition}");
        // Members of a key set that nobody knows are ignored (RFC 7517 §5).
        assert!(object["additionalProperties"] == json!(false) || definition == "Jwks", "{definition}");
        for name in names {
            let text = object["properties"][&name]["description"].as_str().unwrap_or_default();
            assert!(text.ends_with('.'), "{definition}.{name}: {text:?}");
        }
    }
}

#[test]
fn what_is_added_to_the_types_is_about_fields_that_they_have() {
    let schema = schema();
    for (definition, overlay) in overlays() {
        let path = if definition.is_empty() { String::new() } else { format!("/$defs/{definition}") };
        let object = schema.pointer(&path).unwrap_or_else(|| panic!("no definition {definition}"));
        for name in overlay["properties"].as_object().unwrap().keys() {
            let is_of_type = object["properties"][name]["description"].is_string();
            assert!(is_of_type, "{definition}.{name} is in no type");
        }
        for name in overlay["required"].as_array().into_iter().flatten() {
            assert!(object["properties"].get(name.as_str().unwrap()).is_some(), "{definition}.{name}");
        }
    }
}

/// Every keyword of a schema, except those that only tell people something.
fn keywords(schema: &Value, found: &mut BTreeSet<String>) {
    let Some(members) = schema.as_object() else { return };
    for (keyword, value) in members {
        match keyword.as_str() {
            "$schema" | "$id" | "title" | "description" | "default" => continue,
            "$defs" | "properties" => value.as_object().unwrap().values().for_each(|schema| keywords(schema, found)),
            "anyOf" | "oneOf" | "allOf" => value.as_array().unwrap().iter().for_each(|schema| keywords(schema, found)),
            "dependentRequired" => {}
            _ => keywords(value, found),
        }
        found.insert(keyword.clone());
    }
}

#[test]
fn each_keyword_of_the_schema_refuses_something_here() {
    let mut found = BTreeSet::new();
    keywords(&schema(), &mut found);
    let one_of = json!([{"required": ["a"]}, {"required": ["b"]}]);
    let cases = [
        ("type", json!("string"), json!(1)),
        ("type", json!(["string", "integer"]), json!(1.5)),
        ("enum", json!(["a"]), json!("b")),
        ("const", json!(true), json!(false)),
        ("minimum", json!(1), json!(0)),
        ("maximum", json!(1), json!(2)),
        ("minLength", json!(1), json!("")),
        ("maxLength", json!(1), json!("ab")),
        ("minItems", json!(1), json!([])),
        ("maxItems", json!(1), json!([1, 2])),
        ("minProperties", json!(1), json!({})),
        ("maxProperties", json!(1), json!({"a": 1, "b": 1})),
        ("pattern", json!("^a"), json!("b")),
        ("required", json!(["a"]), json!({})),
        ("dependentRequired", json!({"a": ["b"]}), json!({"a": 1})),
        ("properties", json!({"a": false}), json!({"a": 1})),
        ("additionalProperties", json!(false), json!({"a": 1})),
        ("additionalProperties", json!({"type": "string"}), json!({"a": 1})),
        ("propertyNames", json!({"pattern": "^b"}), json!({"a": 1})),
        ("items", json!({"type": "string"}), json!(["a", 1])),
        ("anyOf", one_of.clone(), json!({})),
        ("oneOf", one_of.clone(), json!({})),
        ("oneOf", one_of, json!({"a": 1, "b": 1})),
        ("allOf", json!([true, {"type": "string"}]), json!(1)),
        ("not", json!({"required": ["a"]}), json!({"a": 1})),
        ("$ref", json!("#/nowhere"), json!(1)),
    ];
    for (keyword, wanted, value) in cases {
        let mut schema = json!({});
        schema[keyword] = wanted.clone();
        assert!(!validate(&schema, &value).is_empty(), "{keyword} {wanted} {value}");
        found.remove(keyword);
    }
    let conditional = json!({"if": {"required": ["a"]}, "then": {"required": ["b"]}});
    assert_eq!(validate(&conditional, &json!({"a": 1})).len(), 1);
    assert_eq!(validate(&conditional, &json!({})), []);
    found.retain(|keyword| keyword != "if" && keyword != "then" && keyword != "$defs");
    assert_eq!(found, BTreeSet::new(), "these are not known to the validator, or not tested");
}

#[test]
fn what_a_schema_says_of_other_types_it_does_not_say_of_this_one() {
    for (keyword, wanted) in [
        ("minLength", json!(9)),
        ("minItems", json!(9)),
        ("minProperties", json!(9)),
        ("minimum", json!(9)),
        ("pattern", json!("x")),
        ("required", json!(["a"])),
    ] {
        let mut schema = json!({});
        schema[keyword] = wanted;
        assert_eq!(validate(&schema, &json!(true)), [], "{keyword}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn wrong_rules_are_refused_by_both() {
    let mut seen = 0;
    for route in [
        json!({}),
        json!({"access": "open"}),
        json!({"access": "public", "tokens": {}}),
        json!({"access": "deny", "on_ban": "cut"}),
        json!({"access": "deny", "require": {"times": [{"days": ["mon"]}]}}),
        json!({"access": "protected", "match": {"path": "/a", "prefix": "/b"}}),
        json!({"access": "protected", "match": {"path": "a"}}),
        json!({"access": "protected", "match": {"host": "Example.com"}}),
        json!({"access": "protected", "match": {"methods": []}}),
        json!({"access": "protected", "match": {"methods": ["get"]}}),
        json!({"access": "protected", "match": {"methods": ["CONNECT"]}}),
        json!({"access": "protected", "match": {"headers": [{"name": "x"}]}}),
        json!({"access": "protected", "match": {"headers": [{"name": "X", "present": true}]}}),
        json!({"access": "protected", "match": {"headers": [{"name": "x", "present": true, "equals": "a"}]}}),
        json!({"access": "protected", "match": {"headers": [{"name": "x", "prefix": ""}]}}),
        json!({"access": "protected", "require": {}}),
        json!({"access": "protected", "require": {"any": []}}),
        json!({"access": "protected", "require": {"scopes": {}}}),
        json!({"access": "protected", "require": {"scopes": {"all": ["a"], "any": ["b"]}}}),
        json!({"access": "protected", "require": {"roles": {"any": []}}}),
        json!({"access": "protected", "require": {"providers": {"all": ["tokens"]}}}),
        json!({"access": "protected", "require": {"claims": [{"claim": "a"}]}}),
        json!({"access": "protected", "require": {"claims": [{"equals": 1}]}}),
        json!({"access": "protected", "require": {"claims": [{"claim": "a", "equals": [1]}]}}),
        json!({"access": "protected", "require": {"claims": [{"claim": "a", "exists": false}]}}),
        json!({"access": "protected", "require": {"claims": [{"claim": "a", "any_of": []}]}}),
        json!({"access": "protected", "require": {"addresses": {}}}),
        json!({"access": "protected", "require": {"times": [{}]}}),
        json!({"access": "protected", "require": {"times": [{"days": ["monday"]}]}}),
        json!({"access": "protected", "require": {"times": [{"from": "9:00"}]}}),
        json!({"access": "protected", "require": {"times": [{"utc_offset": "JST"}]}}),
        json!({"access": "protected", "require": {"times": [{"after": "tomorrow"}]}}),
        json!({"access": "protected", "require": {"max_token_age_s": 0}}),
        json!({"access": "protected", "answers": {"shape": "xml"}}),
        json!({"access": "protected", "answers": {"sign_in": "http://x"}}),
        json!({"access": "protected", "answers": {"custom": {"User": {}}}}),
        json!({"access": "protected", "answers": {"custom": {"403": {"status": 200}}}}),
        json!({"access": "protected", "answers": {"custom": {"403": {"headers": {"X": "a"}}}}}),
        json!({"access": "protected", "cors_preflight": "yes"}),
        json!({"access": "protected", "identity_headers": [{"header": "x-a"}]}),
        json!({"access": "protected", "identity_headers": [{"header": "x-a", "value": "mail"}]}),
        json!({"access": "protected", "identity_headers": [{"header": "x-a", "value": "email", "encoding": "json"}]}),
        json!({"access": "protected", "identity_headers": [{"header": "x-a", "value": "email", "claim": "b"}]}),
        json!({"access": "protected", "upstream_credential": []}),
        json!({"access": "protected", "upstream_credential": [{}]}),
        json!({"access": "protected", "upstream_credential": [{"secret_env": "X", "scheme": "a b"}]}),
        json!({"access": "protected", "also": [{"provider": "tokens"}]}),
        json!({"access": "protected", "providers": []}),
        json!({"access": "protected", "trusted_origins": ["https://a"]}),
        json!({"access": "protected", "sessions": "ignore", "trusted_origins": ["https://a"]}),
        json!({"access": "protected", "sessions": "accept", "trusted_origins": []}),
        json!({"access": "protected", "sessions": "accept", "trusted_origins": ["https://a/"]}),
        json!({"access": "protected", "sessions": "accept", "trusted_origins": ["null"]}),
        json!({"access": "protected", "shadow": "yes"}),
        json!({"access": "protected", "tokens": {"from": [{"scheme": "Bearer"}]}}),
        json!({"access": "protected", "tokens": {"from": [{"header": "x", "scheme": "a", "prefix": "b"}]}}),
    ] {
        let mut config = sound();
        config["routes"] = json!([route.clone()]);
        config["routes"][0]["name"] = json!("r");
        assert!(!check(&config.to_string()).is_empty(), "the parser takes {route}");
        assert!(!refused(&config).is_empty(), "the schema takes {route}");
        seen += 1;
    }
    assert!(seen > 40);
}

/// Every place in a document, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                places(value, &at, found);
                found.push(at);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                let at = format!("{at}/{index}");
                places(value, &at, found);
                found.push(at);
            }
        }
        _ => {}
    }
}

#[test]
fn what_the_schema_refuses_of_any_damage_to_a_good_configuration_the_parser_refuses() {
    let damages = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1),
        json!(1.5),
        json!(99_999_999),
        json!(""),
        json!(" "),
        json!("x"),
        json!("/"),
        json!("X y"),
        json!([]),
        json!([""]),
        json!([{}]),
        json!(["x"]),
        json!({}),
        json!({"x": 1}),
        json!({"all": ["x"]}),
    ];
    let (mut tried, mut agreed) = (0, 0);
    let (schema, mut done) = (schema(), BTreeSet::new());
    let examples = crate::config::tests::documented();
    assert!(examples.len() > 10);
    for example in examples {
        let mut found = Vec::new();
        places(&example, "", &mut found);
        // Most examples are alike but for one place.
        found.retain(|place| done.insert((place.clone(), example.pointer(place).unwrap().to_string())));
        for place in &found {
            for damage in &damages {
                let mut damaged = example.clone();
                *damaged.pointer_mut(place).unwrap() = damage.clone();
                tried += 1;
                agreed += usize::from(agrees(&schema, &damaged));
            }
            let mut added = example.clone();
            if let Some(object) = added.pointer_mut(place).and_then(Value::as_object_mut) {
                object.insert("surprise".into(), json!(1));
                agrees(&schema, &added);
            }
        }
    }
    // What depends on two places, only the parser sees; but most of it the schema sees as well.
    assert!(agreed * 10 > tried * 9, "{agreed} of {tried}");
}

#[test]
fn every_configuration_of_the_documentation_is_right_for_both() {
    for example in crate::config::tests::documented() {
        assert_eq!(refused(&example), [], "{example:#}");
        assert_eq!(check(&example.to_string()), [], "{example:#}");
    }
}
