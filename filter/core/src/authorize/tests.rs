use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::*;
use crate::config::Policy;
use crate::config::tests::{environment, sound};
use crate::identity::tests::ann;
use crate::route::RouteId;

/// Monday, 5 January 2026, ten o'clock.
const NOW: u64 = 1_767_571_200 + 36_000;

struct Caller {
    identity: Option<Identity>,
    claims: Value,
    address: Option<&'static str>,
    path: &'static str,
    others: Vec<String>,
}

fn signed_in() -> Caller {
    let identity = Identity { issued_at: Some(NOW - 600), signed_in_at: Some(NOW - 7_200), ..ann() };
    let claims = json!({"roles": ["editor"], "groups": ["staff", "eu"], "department": "sales", "tenant": "acme", "tenants": ["acme"]});
    Caller { identity: Some(identity), claims, address: Some("10.0.0.7"), path: "/t/acme/x", others: vec![] }
}

fn nobody() -> Caller {
    Caller { identity: None, claims: json!({}), ..signed_in() }
}

fn policy(require: &Value) -> Policy {
    let mut config = sound();
    config["client_address"] = json!("connection");
    config["routes"] = json!([
        {"name": "r", "match": {"template": "/t/{tenant}/{*rest}"}, "access": "optional", "require": require}
    ]);
    Policy::parse(&config.to_string(), &environment).unwrap_or_else(|problems| panic!("{require}: {problems:?}"))
}

fn judge(require: &Value, caller: &Caller) -> Result<(), Unmet> {
    let policy = policy(require);
    let requirement = policy.routes.iter().next().unwrap().require.as_ref().unwrap();
    assert!(policy.routes.get(RouteId::NONE).require.is_none());
    let token = format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(caller.claims.to_string()));
    let facts = match &caller.identity {
        Some(identity) => policy.questions.answer(token.as_bytes(), identity),
        None => Facts::default(),
    };
    requirement.check(&Subject {
        identity: caller.identity.as_ref(),
        facts: Some(&facts),
        address: &|| caller.address.map(|text| text.parse().unwrap()),
        path: caller.path,
        others: &caller.others,
        now_s: NOW,
    })
}

fn holds(require: &Value, caller: &Caller) -> bool {
    judge(require, caller).is_ok()
}

#[test]
fn each_requirement_is_met_or_not() {
    for (require, expected) in [
        (json!({"scopes": {"all": ["api:read", "api:write"]}}), true),
        (json!({"scopes": {"all": ["api:read", "admin"]}}), false),
        (json!({"scopes": {"any": ["admin", "api:read"]}}), true),
        (json!({"roles": {"any": ["editor", "owner"]}}), true),
        (json!({"roles": {"all": ["editor", "owner"]}}), false),
        (json!({"groups": {"any": ["eu"]}}), true),
        (json!({"groups": {"any": ["us"]}}), false),
        (json!({"providers": {"any": ["tokens"]}}), true),
        (json!({"claims": [{"claim": "department", "equals": "sales"}]}), true),
        (json!({"claims": [{"claim": "department", "any_of": ["hr", "it"]}]}), false),
        (json!({"claims": [{"claim": "groups", "contains": "staff"}]}), true),
        (json!({"claims": [{"claim": "/groups/1", "equals": "eu"}]}), true),
        (json!({"claims": [{"claim": "missing", "exists": true}]}), false),
        (json!({"claims": [{"claim": "tenant", "equals_path": "tenant"}]}), true),
        (json!({"claims": [{"claim": "department", "equals_path": "tenant"}]}), false),
        (json!({"claims": [{"claim": "missing", "equals_path": "tenant"}]}), false),
        (json!({"claims": [{"claim": "tenants", "equals_path": "tenant"}]}), false),
        (json!({"addresses": {"allow": ["10.0.0.0/8"]}}), true),
        (json!({"addresses": {"block": ["10.0.0.7"]}}), false),
        (json!({"times": [{"days": ["mon"], "from": "09:00", "to": "17:30"}]}), true),
        (json!({"times": [{"days": ["tue"]}, {"before": "2026-01-05T11:00:00+00:30"}]}), true),
        (json!({"times": [{"after": "2026-02-01T00:00:00Z"}]}), false),
        (json!({"max_token_age_s": 600}), true),
        (json!({"max_token_age_s": 599}), false),
        (json!({"max_sign_in_age_s": 86_400}), true),
        (json!({"max_sign_in_age_s": 3_600}), false),
        (json!({"scopes": {"all": ["api:read"]}, "roles": {"any": ["owner"]}}), false),
        (json!({"any": [{"roles": {"any": ["owner"]}}, {"scopes": {"all": ["api:read"]}}]}), true),
        (json!({"all": [{"roles": {"any": ["editor"]}}, {"not": {"groups": {"any": ["us"]}}}]}), true),
        (json!({"not": {"groups": {"any": ["eu"]}}}), false),
        (json!({"not": {"not": {"groups": {"any": ["eu"]}}}}), true),
    ] {
        assert_eq!(holds(&require, &signed_in()), expected, "{require}");
    }
}

#[test]
fn whoever_shows_no_credential_has_nothing_that_a_credential_could_say() {
    for (require, expected) in [
        (json!({"scopes": {"any": ["api:read"]}}), false),
        (json!({"claims": [{"claim": "tenant", "equals_path": "tenant"}]}), false),
        (json!({"max_token_age_s": 600}), false),
        (json!({"not": {"max_token_age_s": 600}}), false),
        (json!({"not": {"roles": {"any": ["owner"]}}}), true),
        (json!({"addresses": {"allow": ["10.0.0.0/8"]}}), true),
        (json!({"any": [{"scopes": {"any": ["api:read"]}}, {"addresses": {"allow": ["10.0.0.0/8"]}}]}), true),
    ] {
        assert_eq!(holds(&require, &nobody()), expected, "{require}");
    }
}

#[test]
fn e3_an_unknown_address_lets_nobody_in_whatever_stands_around_it() {
    let lost = || Caller { address: None, ..signed_in() };
    for (require, expected) in [
        (json!({"addresses": {"allow": ["0.0.0.0/0", "::/0"]}}), false),
        (json!({"addresses": {"block": ["192.0.2.1"]}}), false),
        (json!({"not": {"addresses": {"allow": ["10.0.0.0/8"]}}}), false),
        (json!({"any": [{"addresses": {"allow": ["10.0.0.0/8"]}}, {"roles": {"any": ["owner"]}}]}), false),
        (json!({"not": {"any": [{"addresses": {"allow": ["10.0.0.0/8"]}}, {"roles": {"any": ["owner"]}}]}}), false),
        (json!({"any": [{"addresses": {"allow": ["10.0.0.0/8"]}}, {"roles": {"any": ["editor"]}}]}), true),
    ] {
        assert_eq!(holds(&require, &lost()), expected, "{require}");
    }
    let unmet = judge(&json!({"not": {"addresses": {"allow": ["10.0.0.0/8"]}}}), &lost()).unwrap_err();
    assert_eq!(unmet.what, Lack::AddressUnknown);
}

#[test]
fn a_moment_that_a_token_does_not_name_is_not_a_young_one() {
    let mut caller = signed_in();
    caller.identity = Some(Identity { issued_at: None, signed_in_at: None, ..ann() });
    for require in [
        json!({"max_token_age_s": 600}),
        json!({"max_sign_in_age_s": 600}),
        json!({"not": {"max_token_age_s": 600}}),
        json!({"not": {"max_sign_in_age_s": 600}}),
    ] {
        assert!(!holds(&require, &caller), "{require}");
    }
}

#[test]
fn what_is_unmet_is_named_with_its_place() {
    for (require, at, what) in [
        (json!({"scopes": {"all": ["x", "y"]}}), "scopes", Lack::Scope("x y".into())),
        (json!({"scopes": {"all": ["api:read"]}, "roles": {"any": ["owner"]}}), "roles", Lack::Role),
        (
            json!({"all": [{"scopes": {"all": ["api:read"]}}, {"groups": {"any": ["us"]}}]}),
            "all[1].groups",
            Lack::Group,
        ),
        (json!({"any": [{"roles": {"any": ["owner"]}}, {"groups": {"any": ["us"]}}]}), "any", Lack::Role),
        (json!({"not": {"groups": {"any": ["eu"]}}}), "not", Lack::Excluded),
        (json!({"claims": [{"claim": "x", "exists": true}]}), "claims[0]", Lack::Claim),
        (json!({"addresses": {"block": ["10.0.0.7"]}}), "addresses", Lack::Address),
        (json!({"times": [{"days": ["sun"]}]}), "times", Lack::Time),
        (json!({"max_token_age_s": 1}), "max_token_age_s", Lack::TokenAge),
        (json!({"max_sign_in_age_s": 60}), "max_sign_in_age_s", Lack::SignIn(60)),
        (json!({"not": {"providers": {"any": ["tokens"]}}}), "not", Lack::Excluded),
    ] {
        let unmet = judge(&require, &signed_in()).unwrap_err();
        assert_eq!((&*unmet.at, unmet.what), (&*format!("routes[0].require.{at}"), what), "{require}");
    }
}

#[test]
fn a_place_or_time_that_rules_a_request_out_does_so_before_its_token_is_known() {
    let ruled_out = |require: Value| {
        let policy = policy(&require);
        let requirement = policy.routes.iter().next().unwrap().require.as_ref().unwrap();
        let subject = Subject {
            identity: None,
            facts: None,
            address: &|| "192.0.2.1".parse().ok(),
            path: "/t/a/b",
            others: &[],
            now_s: NOW,
        };
        (requirement.looks_around(), requirement.ruled_out(&subject).is_some())
    };
    for (require, looks_around, expected) in [
        (json!({"addresses": {"allow": ["10.0.0.0/8"]}}), true, true),
        (json!({"addresses": {"allow": ["192.0.2.0/24"]}}), true, false),
        (json!({"addresses": {"allow": ["10.0.0.0/8"]}, "scopes": {"all": ["x"]}}), true, true),
        (json!({"any": [{"addresses": {"allow": ["10.0.0.0/8"]}}, {"scopes": {"all": ["x"]}}]}), true, false),
        (json!({"times": [{"days": ["sun"]}]}), true, true),
        (json!({"scopes": {"all": ["x"]}}), false, false),
        (json!({"not": {"scopes": {"all": ["x"]}}}), false, false),
        (json!({"max_token_age_s": 1}), false, false),
    ] {
        assert_eq!(ruled_out(require.clone()), (looks_around, expected), "{require}");
    }
}

#[test]
fn e2_what_a_name_stands_for_must_not_depend_on_the_reading() {
    let own = json!({"claims": [{"claim": "tenant", "equals_path": "tenant"}]});
    for (others, expected) in [
        (&["/t/acme/x/y"][..], true),
        (&["/t/acme/y", "/t/evil/y"], false),
        (&["/t"], false),
        (&["/t/acme;x/y"], false),
    ] {
        let caller = || Caller { others: others.iter().map(|path| (*path).to_owned()).collect(), ..signed_in() };
        assert_eq!(holds(&own, &caller()), expected, "{others:?}");
        assert!(!holds(&json!({"not": own}), &caller()), "not {others:?}");
    }
}
