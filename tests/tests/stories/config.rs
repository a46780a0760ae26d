//! A broken configuration is refused with every problem that it has, each as `path: message`.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use e2e::world::Sidecars;
use e2e::{Plan, components, envoy};
use serde_json::{Value, json};

/// What is changed, how, and the paths of all problems that come of it.
type Case = (&'static str, fn(&mut Value), &'static [&'static str]);

const FILTER: &[Case] = &[
    ("nothing", |p| *p = json!({}), &["mesh", "providers", "routes"]),
    ("a misspelt part", |p| p["rouets"] = json!([]), &["rouets"]),
    ("a misspelt field", |p| p["routes"][0]["acces"] = "public".into(), &["routes[0].acces"]),
    ("numbers out of range", mesh_numbers, &["mesh.staleness_ms", "mesh.check_timeout_ms", "mesh.max_checks"]),
    ("one cluster for two uses", |p| p["mesh"]["check_cluster"] = "sekisho_feed".into(), &["mesh.check_cluster"]),
    ("a text for a number", |p| p["mesh"]["staleness_ms"] = "3s".into(), &["mesh.staleness_ms"]),
    ("an empty provider", |p| p["providers"][0] = json!({}), EMPTY_PROVIDER),
    ("no audience", |p| p["providers"][0]["audiences"] = json!([]), &["providers[0].audiences"]),
    ("an empty issuer", |p| p["providers"][0]["issuers"] = json!(["sekisho", ""]), &["providers[0].issuers"]),
    ("leeway of an hour", |p| p["providers"][0]["leeway_s"] = 3600.into(), &["providers[0].leeway_s"]),
    ("the same provider twice", |p| twice(&mut p["providers"]), &["providers"]),
    (
        "an identity without a key",
        |p| remove(&mut p["identities"][1], "hs256_secret_env"),
        &["identities[1]", "routes[6].identity"],
    ),
    (
        "an identity with two keys",
        |p| p["identities"][1]["key"] = "mesh".into(),
        &["identities[1]", "routes[6].identity"],
    ),
    ("an upstream with the app's key", app_key_for_upstream, &["identities[1].key"]),
    ("the app with an upstream's key", upstream_key_for_app, &["identities[0].hs256_secret_env"]),
    (
        "a host with a port",
        |p| p["routes"][0]["match"]["host"] = "sekisho.localhost:8080".into(),
        &["routes[0].match.host"],
    ),
    (
        "a host in upper case",
        |p| p["routes"][1]["match"]["host"] = "Sekisho.localhost".into(),
        &["routes[1].match.host"],
    ),
    (
        "prefixes that match nothing",
        prefixes,
        &["routes[0].match.path", "routes[4].match.prefix", "routes[5].match.prefix"],
    ),
    ("words that are none", words, &["routes[1].on_unavailable", "routes[4].access", "routes[5].answers.shape"]),
    ("a public route with an identity", |p| p["routes"][5]["identity"] = "upstream".into(), &["routes[5].identity"]),
    ("an identity that nobody is", |p| p["routes"][6]["identity"] = "upstraem".into(), &["routes[6].identity"]),
    ("the same route twice", |p| twice(&mut p["routes"]), &["routes"]),
    ("99 trusted hops", |p| p["trusted_hops"] = 99.into(), &["trusted_hops"]),
    (
        "a bit of everything",
        everything,
        &["mesh.max_checks", "providers[0].issuers", "routes[4].access", "trusted_hops", "x"],
    ),
];

const EMPTY_PROVIDER: &[&str] =
    &["providers[0].name", "providers[0].issuers", "providers[0].audiences", "providers[0]"];

const SIDECAR: &[(&str, &str, &[&str])] = &[
    ("no YAML", "listen: [", &[]),
    ("misspelt names", "lisen: {mesh: '127.0.0.1:1'}\nmesh: {secrets: x}", &["lisen", "mesh.secrets"]),
    (
        "addresses that are none",
        "listen: {mesh: here, app: '1.2.3.4', ops: '::1:x'}",
        &["listen.mesh", "listen.app", "listen.ops"],
    ),
    ("short secrets", "mesh: {secret: short}\ntokens: {jwt_secret: short}", &["mesh.secret", "tokens.jwt_secret"]),
    (
        "not a number",
        "mesh: {feed_hold_ms: soon}\ntokens: {max_expires_in_s: 0}",
        &["mesh.feed_hold_ms", "tokens.max_expires_in_s"],
    ),
    ("a URL of something else", "redis: {url: 'http://localhost'}", &["redis.url"]),
    (
        "people who are none",
        "admins: {super_admin: root, domains: '*.example.com'}",
        &["admins.super_admin", "admins.domains"],
    ),
    ("a format that is none", "log: {format: xml}", &["log.format"]),
];

fn mesh_numbers(policy: &mut Value) {
    policy["mesh"]["staleness_ms"] = 10.into();
    policy["mesh"]["check_timeout_ms"] = 3_600_000.into();
    policy["mesh"]["max_checks"] = 0.into();
}

fn app_key_for_upstream(policy: &mut Value) {
    remove(&mut policy["identities"][1], "hs256_secret_env");
    policy["identities"][1]["key"] = "mesh".into();
}

fn upstream_key_for_app(policy: &mut Value) {
    remove(&mut policy["identities"][0], "key");
    policy["identities"][0]["hs256_secret_env"] = "SEKISHO_UPSTREAM_IDENTITY_KEY".into();
}

fn prefixes(policy: &mut Value) {
    policy["routes"][0]["match"]["path"] = "health".into();
    policy["routes"][4]["match"]["prefix"] = "/public/../x".into();
    policy["routes"][5]["match"]["prefix"] = "//".into();
}

fn words(policy: &mut Value) {
    policy["routes"][1]["on_unavailable"] = "maybe".into();
    policy["routes"][4]["access"] = "open".into();
    policy["routes"][5]["answers"]["shape"] = "xml".into();
}

fn everything(policy: &mut Value) {
    policy["x"] = 1.into();
    policy["mesh"]["max_checks"] = (-1).into();
    policy["providers"][0]["issuers"] = "sekisho".into();
    policy["routes"][4]["access"] = Value::Null;
    policy["trusted_hops"] = "none".into();
}

fn twice(list: &mut Value) {
    if let Some(list) = list.as_array_mut() {
        list.extend(list.first().cloned());
    }
}

fn remove(object: &mut Value, name: &str) {
    if let Some(object) = object.as_object_mut() {
        object.remove(name);
    }
}

#[test]
fn every_problem_of_a_filters_configuration_is_listed_as_path_and_message() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let valid = users_policy()?;
    for (what, change, paths) in FILTER {
        let mut policy = valid.clone();
        change(&mut policy);
        expect_problems(what, &check(folder.path(), "filter.json", &policy.to_string())?, paths);
    }
    let cut = valid.to_string().replace('}', "");
    expect_problems("no JSON", &check(folder.path(), "filter.json", &cut)?, &["(document)"]);
    Ok(())
}

#[test]
fn every_problem_of_a_sidecars_configuration_is_listed_as_path_and_message() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (what, yaml, paths) in SIDECAR {
        expect_problems(what, &check(folder.path(), "sidecar.yaml", yaml)?, paths);
    }
    Ok(())
}

#[test]
fn what_users_run_has_no_problems() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let yaml = std::fs::read_to_string(components::envoy_configuration()?)?;
    for (name, text) in [
        ("envoy.yaml", yaml),
        ("filter.json", users_policy()?.to_string()),
        ("sidecar.yaml", "log: {format: json}\n".to_owned()),
    ] {
        let output = check(folder.path(), name, &text)?;
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
    }
    Ok(())
}

#[test]
fn a_problem_inside_a_whole_envoy_configuration_is_found() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let yaml = std::fs::read_to_string(components::envoy_configuration()?)?;
    let broken = yaml.replace(r#""staleness_ms": 3000"#, r#""staleness_ms": 3"#);
    let filter =
        "static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.config";
    let path = format!("{filter}.configuration: mesh.staleness_ms");
    expect_problems("envoy.yaml", &check(folder.path(), "envoy.yaml", &broken)?, &[&path]);
    Ok(())
}

#[test]
fn problems_are_listed_for_programs_too() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("filter.json");
    std::fs::write(&file, "{}")?;
    let output = Command::new(components::sidecar()?).args(["config", "check", "--json"]).arg(&file).output()?;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
    let text = answer.to_string();
    for path in ["mesh", "providers", "routes"] {
        assert!(text.contains(&format!(r#""path":"{path}""#)), "{text}");
    }
    Ok(())
}

#[test]
fn envoy_refuses_to_start_with_a_broken_configuration_and_says_everything() {
    let broken = Plan { sidecars: Sidecars::Absent, policy: everything, ..Plan::default() };
    let started = e2e::story::runtime().block_on(broken.start());
    let Err(error) = started else { panic!("Envoy started") };
    let said = format!("{error:?}");
    for path in ["mesh.max_checks: ", "providers[0].issuers: ", "routes[4].access: ", "trusted_hops: ", "x: "] {
        assert!(said.contains(path), "{path} is not in {said}");
    }
}

/// The filter's configuration in `envoy/envoy.yaml`.
fn users_policy() -> Result<Value> {
    let yaml = std::fs::read_to_string(components::envoy_configuration()?)?;
    envoy::configuration::policy_of(&yaml)
}

fn check(folder: &Path, name: &str, text: &str) -> Result<Output> {
    let file = folder.join(name);
    std::fs::write(&file, text)?;
    let output = Command::new(components::sidecar()?).args(["config", "check"]).arg(&file).output()?;
    if output.status.code().is_none() {
        bail!("{output:?}");
    }
    Ok(output)
}

/// Exit code 2 and a line for each path.
fn expect_problems(what: &str, output: &Output, paths: &[&str]) {
    assert_eq!(output.status.code(), Some(2), "{what}: {output:?}");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let listed: Vec<&str> = said.lines().map(str::trim).collect();
    for path in paths {
        let line = format!("{path}: ");
        assert!(listed.iter().any(|listed| listed.starts_with(&line)), "{what}: no line `{line}…` in:\n{said}");
    }
    let with_path = listed.iter().filter(|line| line.contains(": ")).count();
    assert!(with_path >= paths.len().max(1), "{what}:\n{said}");
}
