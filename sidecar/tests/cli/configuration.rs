//! `sekisho config check`.

use super::*;

fn check(text: &str, more: &[&str]) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, text).expect("a file");
    run(bare(&[&["config", "check", file.to_str().expect("a path")], more].concat()))
}

#[test]
fn good_settings_are_called_good() {
    let ended = check("listen:\n  ops: 127.0.0.1:9402\nredis:\n  host: localhost\n", &[]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.contains("good sidecar settings"), "{}", ended.out);
}

#[test]
fn every_problem_of_the_settings_is_listed_with_its_place() {
    let broken = "listen:\n  ops: nowhere\nmesh:\n  feed_hold_ms: soon\nnonsense: 1\n";
    let ended = check(broken, &[]);
    assert_eq!(ended.code, 2);
    for place in ["listen.ops: ", "mesh.feed_hold_ms: ", "nonsense"] {
        assert!(ended.err.contains(place), "{place} is missing in: {}", ended.err);
    }
    let json = check(broken, &["--json"]).json();
    assert_eq!((&json["ok"], json["problems"].as_array().map(Vec::len)), (&false.into(), Some(3)));
    assert_eq!(check("a: [", &[]).code, 2, "no YAML at all");
}

#[test]
fn every_problem_of_a_filter_configuration_is_listed_with_its_place() {
    let ended = check(r#"{"mesh": {"staleness_ms": "soon"}, "routes": [{"match": {"prefix": "no-slash"}}]}"#, &[]);
    assert_eq!(ended.code, 2, "{}", ended.out);
    assert!(ended.err.lines().all(|line| line.contains(": ")), "{}", ended.err);
    assert_eq!(check("{", &[]).code, 2);
}

#[test]
fn the_example_for_envoy_is_good() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/envoy.yaml");
    let ended = run(bare(&["config", "check", example.to_str().expect("a path")]));
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.contains("Envoy"), "{}", ended.out);
}

#[test]
fn the_examples_for_istio_and_envoy_gateway_are_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy");
    for file in ["istio/wasmplugin.yaml", "gateway/extension-policy.yaml"] {
        let example = folder.join(file);
        let ended = run(bare(&["config", "check", example.to_str().expect("a path")]));
        assert_eq!(ended.code, 0, "{file}: {}", ended.err);
        assert!(ended.out.contains("Kubernetes"), "{}", ended.out);
    }
    let clusters = run(bare(&["config", "check", folder.join("istio/envoyfilter.yaml").to_str().expect("a path")]));
    assert_eq!(clusters.code, 2, "it holds no configuration of the filter, and nobody is told that one is good");
}

#[test]
fn the_schema_is_printed() {
    let ended = run(bare(&["config", "schema"]));
    assert_eq!((ended.code, ended.json()["title"].as_str()), (0, Some("Configuration of the Sekisho filter")));
}

#[test]
fn a_file_that_is_not_there_is_a_problem_like_any_other() {
    let ended = run(bare(&["config", "check", "/nowhere/at/all"]));
    assert_eq!(ended.code, 2);
    assert!(ended.err.starts_with("/nowhere/at/all: cannot be read"), "{}", ended.err);
}
