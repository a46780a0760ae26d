//! What the documentation says about configurations is what the parser reads.

use std::collections::BTreeMap;

use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::authorize::{Lack, Unmet};
use crate::config::check;
use crate::denial::{CODES, Denial, Inability, Malformed, Refusal};
use crate::path::Unusual;
use crate::verify::Invalid;

const FILTER: &str = include_str!("../../../../../docs/filter.md");
const ROUTES: &str = include_str!("../../../../../docs/routes.md");
const TOKENS: &str = include_str!("../../../../../docs/tokens.md");
const IDENTITY: &str = include_str!("../../../../../docs/identity.md");
const FROM_JWT_AUTHN: &str = include_str!("../../../../../docs/from-jwt-authn.md");
const FROM_ISTIO: &str = include_str!("../../../../../docs/from-istio.md");

/// What stands between "```json" and "```" in a page.
fn blocks(page: &str) -> Vec<&str> {
    page.split("```json\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

/// The fields in the cells of a page's tables, each with what they are fields of: the last word of code in
/// the headline before.
fn cells(page: &str) -> Vec<(&str, &str)> {
    let mut of = "";
    let mut found = Vec::new();
    for line in page.lines() {
        if let Some(headline) = line.strip_prefix("## ") {
            of = headline.split('`').skip(1).step_by(2).last().unwrap_or_default();
        }
        if line.starts_with('|') {
            let spans = line.split('`').skip(1).step_by(2);
            found.extend(spans.filter(|span| span.starts_with('"') && span.contains(':')).map(|span| (of, span)));
        }
    }
    found
}

fn fields(text: &str) -> Value {
    serde_json::from_str(&format!("{{{text}}}")).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn extend(value: &mut Value, fields: Value) {
    value.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
}

/// The whole configuration that the documentation begins with.
fn whole() -> Value {
    serde_json::from_str(blocks(FILTER)[0]).unwrap()
}

/// A configuration with the fields of a cell in their place.
fn with_cell(of: &str, text: &str) -> Value {
    let mut config = whole();
    let fields = fields(text);
    match of {
        "providers" => {
            let mut provider = json!({"name": "other", "issuers": ["https://other.example"], "audiences": ["api"]});
            extend(&mut provider, fields);
            let has_key = ["jwks", "key_source", "hs256_secret_env"].iter().any(|name| provider.get(name).is_some());
            if !has_key {
                provider["key_source"] = json!("other");
            }
            config["providers"] = json!([provider]);
        }
        "routes" => {
            let mut route = json!({"name": "row", "access": "protected"});
            extend(&mut route, fields);
            config["client_address"] = json!("connection");
            config["routes"] = json!([route]);
        }
        "require" => {
            config["client_address"] = json!("connection");
            let matched = json!({"template": "/tenants/{tenant}/{*rest}"});
            config["routes"] = json!([{"name": "row", "match": matched, "access": "protected", "require": fields}]);
        }
        _ => extend(&mut config, fields),
    }
    config
}

/// Every configuration of the documentation.
pub(crate) fn documented() -> Vec<Value> {
    let mut configurations = vec![whole()];
    for page in [FILTER, ROUTES, TOKENS, IDENTITY, FROM_JWT_AUTHN, FROM_ISTIO] {
        for block in blocks(page) {
            if block.starts_with('{') {
                configurations.push(serde_json::from_str(block).unwrap_or_else(|error| panic!("{error}: {block}")));
            } else {
                let mut config = whole();
                extend(&mut config, fields(block));
                configurations.push(config);
            }
        }
    }
    for page in [FROM_JWT_AUTHN, FROM_ISTIO] {
        let cells = cells(page);
        assert!(cells.len() >= 15, "{cells:?}");
        configurations.extend(cells.into_iter().map(|(of, text)| with_cell(of, text)));
    }
    configurations
}

#[test]
fn the_examples_of_the_documentation_are_right() {
    let configurations = documented();
    assert!(configurations.len() > 50, "{}", configurations.len());
    for config in configurations {
        assert_eq!(check(&config.to_string()), [], "{config:#}");
    }
}

#[cfg(feature = "schema")]
#[test]
fn every_field_of_the_schema_is_in_an_example_of_the_documentation() {
    use std::collections::BTreeSet;

    /// Notes which fields of which definition a document has.
    fn walk(root: &Value, schema: &Value, value: &Value, of: &str, seen: &mut BTreeSet<(String, String)>) {
        if let Some(path) = schema["$ref"].as_str() {
            let target = root.pointer(path.trim_start_matches('#')).unwrap();
            return walk(root, target, value, path.rsplit('/').next().unwrap(), seen);
        }
        for (index, element) in value.as_array().into_iter().flatten().enumerate() {
            walk(root, &schema["items"], element, &format!("{of}[{index}]"), seen);
        }
        for (name, member) in value.as_object().into_iter().flatten() {
            if schema["properties"].get(name).is_some() {
                seen.insert((of.to_owned(), name.clone()));
                walk(root, &schema["properties"][name], member, of, seen);
            } else {
                walk(root, &schema["additionalProperties"], member, of, seen);
            }
        }
    }

    let schema = crate::config::schema();
    let mut seen = BTreeSet::new();
    for config in documented() {
        walk(&schema, &schema, &config, "", &mut seen);
    }
    let definitions = schema["$defs"].as_object().unwrap().iter().map(|(name, schema)| (name.as_str(), schema));
    let mut missing = Vec::new();
    for (definition, schema) in std::iter::once(("", &schema)).chain(definitions) {
        let names = schema["properties"].as_object().unwrap().keys();
        missing.extend(names.map(|name| (definition.to_owned(), name.clone())).filter(|field| !seen.contains(field)));
    }
    assert_eq!(missing, [], "no page has an example with these");
}

/// The codes of the table in docs/filter.md, with their status.
fn codes() -> BTreeMap<&'static str, u16> {
    let rows = FILTER.lines().filter(|line| line.starts_with("| `"));
    let mut codes = BTreeMap::new();
    for row in rows {
        let columns: Vec<_> = row.split('|').map(str::trim).collect();
        if let Some(status) = columns.get(2).and_then(|column| column.parse().ok()) {
            codes.extend(columns[1].split('`').skip(1).step_by(2).map(|code| (code, status)));
        }
    }
    codes
}

#[test]
fn every_code_of_a_refusal_is_in_the_documentation_with_its_status() {
    let unmet = |what| Refusal::Denied(Denial::Unmet(Unmet { at: "routes[0].require".into(), what }));
    let mut refusals = vec![
        Refusal::Denied(Denial::Missing),
        Refusal::Denied(Denial::NotBearer),
        Refusal::Denied(Denial::Invalid(Invalid::Expired)),
        Refusal::Denied(Denial::Revoked),
        Refusal::Denied(Denial::SessionEnded),
        Refusal::Denied(Denial::SignInNeeded),
        Refusal::Denied(Denial::Banned { until: 1 }),
        Refusal::Denied(Denial::NotAccepted),
        Refusal::Denied(Denial::CrossSite),
        Refusal::Denied(Denial::Closed),
    ];
    refusals.extend(
        [
            Lack::Scope("a".into()),
            Lack::Role,
            Lack::Group,
            Lack::Claim,
            Lack::Provider,
            Lack::Address,
            Lack::AddressUnknown,
            Lack::Time,
            Lack::TokenAge,
            Lack::SignIn(1),
            Lack::Excluded,
        ]
        .map(unmet),
    );
    let (of_check, of_keys) = (
        [Inability::Unconfirmed, Inability::Unavailable, Inability::Overloaded],
        [Inability::Keys, Inability::Busy, Inability::Cut, Inability::Host],
    );
    refusals.extend(of_check.into_iter().chain(of_keys).map(Refusal::CannotTell));
    let malformed =
        [Malformed::SeveralCredentials, Malformed::Path(Unusual::Form), Malformed::Target, Malformed::Header];
    refusals.extend(malformed.map(Refusal::Malformed));
    let documented = codes();
    for refusal in &refusals {
        let status = crate::answer::Answers::default().to(refusal, None, None, 0).status;
        assert_eq!(documented.get(refusal.code()), Some(&status), "{}", refusal.code());
    }
    // And none was left out above.
    let sources = [include_str!("../../denial.rs"), include_str!("../../authorize.rs")];
    let known: Vec<_> = refusals.iter().map(Refusal::code).collect();
    // An operator's own answer may be for each of these, and for nothing else.
    assert!(CODES.iter().all(|code| documented.contains_key(code)), "{CODES:?} {documented:?}");
    assert!(known.iter().all(|code| CODES.contains(code)), "{known:?}");
    for code in
        sources.iter().flat_map(|source| source.split("=> \"").skip(1)).filter_map(|rest| rest.split('"').next())
    {
        let is_code = code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(!is_code || known.contains(&code), "{code} is not in this test");
    }
}

#[test]
fn every_reason_for_refusing_a_token_is_in_the_documentation() {
    let source = include_str!("../../verify/invalid.rs");
    let reasons: Vec<_> = source.split('"').filter(|text| text.starts_with("token_")).collect();
    assert!(reasons.len() > 25, "{reasons:?}");
    let documented = codes();
    for code in reasons {
        assert!(TOKENS.contains(&format!("`{code}`")), "{code} is not in docs/tokens.md");
        assert_eq!(documented.get(code), Some(&401), "{code} is not in docs/filter.md");
        assert!(CODES.contains(&code), "{code} is not in `CODES`");
    }
}
