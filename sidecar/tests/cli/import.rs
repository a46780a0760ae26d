//! `sekisho import`.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

const CFG: &str = "cookie_secret = \"a secret for cookies!\"\nsession_store_type = \"redis\"\nclient_secret = \"the client's\"\n\
    oidc_issuer_url = \"https://idp.x\"\nclient_id = \"c\"\nset_xauthrequest = true\n\
    email_domains = [\"*\"]\nredirect_url = \"https://llm.x/oauth2/callback\"\n";
const ENV: &str =
    "JWT_SECRET=a token secret for tests, 32 bytes or more\nADMIN_DOMAINS=x.org\nOPENAI_API_KEY=sk-hunter2\n";

/// A folder with both files, and the command over them.
fn import(more: &[&str]) -> (tempfile::TempDir, Command) {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = [("oauth2_proxy.cfg", CFG), (".env", ENV)].map(|(name, text)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    });
    let secrets = folder.path().join("secrets").display().to_string();
    let more: Vec<_> = more.iter().map(|word| if *word == "FOLDER" { secrets.as_str() } else { *word }).collect();
    let command = bare(&[&["import", paths[0].as_str(), &paths[1]], &more[..]].concat());
    (folder, command)
}

#[test]
fn the_old_files_become_settings_and_no_secret_is_shown() {
    let (_folder, command) = import(&[]);
    let ended = run(command);
    assert_eq!(ended.code, 0, "{}", ended.err);
    for line in [
        "SEKISHO_OIDC_ISSUER=https://idp.x",
        "SEKISHO_OAUTH2_PROXY=1",
        "ADMIN_DOMAINS=x.org",
        "\"sessions\": {",
        "# JWT_SECRET: is a secret: --secrets FOLDER writes it into a file, --show-secrets prints it",
        "# set_xauthrequest: not taken over",
        "# OPENAI_API_KEY: not taken over",
    ] {
        assert!(ended.out.lines().any(|found| found == line), "{line} is missing in: {}", ended.out);
    }
    for secret in ["a secret for cookies!", "the client's", "a token secret", "hunter2"] {
        assert!(!ended.out.contains(secret), "{}", ended.out);
    }
}

#[test]
fn secrets_go_into_files_of_their_own_that_nobody_else_can_read_and_overwrite_nothing() {
    let (folder, mut command) = import(&["--json", "--secrets", "FOLDER"]);
    let text = |output: Output| (output.status.code(), String::from_utf8(output.stdout).expect("text"));
    let (code, out) = text(command.output().expect("the binary runs"));
    let printed: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(code, Some(0), "{out}");
    let secrets = folder.path().join("secrets");
    for (name, content) in [
        ("OAUTH2_PROXY_COOKIE_SECRET", "a secret for cookies!"),
        ("SEKISHO_OIDC_CLIENT_SECRET", "the client's"),
        ("JWT_SECRET", "a token secret for tests, 32 bytes or more"),
    ] {
        let path = secrets.join(name);
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), content);
        assert_eq!(path.metadata().expect("a file").permissions().mode() & 0o777, 0o600, "{name}");
    }
    let path = |name: &str| Value::from(secrets.join(name).display().to_string());
    assert_eq!(printed["sidecar"]["JWT_SECRET_FILE"], path("JWT_SECRET"));
    assert_eq!(printed["envoy"]["OAUTH2_PROXY_COOKIE_SECRET"], path("OAUTH2_PROXY_COOKIE_SECRET"));
    assert_eq!(printed["sessions"]["oauth2_proxy"]["expire_s"], 604_800);
    let again = run(command);
    assert_eq!(again.code, 1, "{}", again.out);
    assert!(again.out.contains("take it away first"), "{}", again.out);
}

#[test]
fn whoever_insists_gets_to_see_secrets() {
    let (_folder, command) = import(&["--show-secrets"]);
    let ended = run(command);
    assert!(ended.out.contains("SEKISHO_OIDC_CLIENT_SECRET='the client'\\''s'"), "{}", ended.out);
    let (_folder, command) = import(&["--show-secrets", "--secrets", "FOLDER"]);
    assert_eq!(run(command).code, 2);
}

#[test]
fn a_file_of_another_kind_is_told_by_its_line_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "a = 1\nclient_secret: hunter2\n").expect("a file");
    let ended = run(bare(&["import", file.to_str().expect("a path")]));
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("line 2 is wrong") && !ended.err.contains("hunter2"), "{}", ended.err);
}

#[test]
fn what_is_printed_for_a_sidecar_are_settings_that_it_takes() {
    let (_folder, command) = import(&["--json", "--show-secrets"]);
    let printed = run(command).json();
    let variables = printed["sidecar"].as_object().expect("an object");
    assert!(variables.keys().all(|name| config::is_setting(name)), "{variables:?}");
    let look_up = |name: &str| match name {
        "SEKISHO_MESH_SECRET" => Some(MESH_SECRET.to_owned()),
        name => variables.get(name).and_then(Value::as_str).map(str::to_owned),
    };
    let settings = config::Settings::parse(None, &look_up).expect("settings");
    assert_eq!(settings.oauth2_proxy().map(|rules| rules.cookie.as_str()), Some("_oauth2_proxy"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("filter.json");
    let filter = serde_json::json!({
        "mesh": {}, "sessions": printed["sessions"],
        "providers": [{"name": "t", "issuers": ["i"], "audiences": ["a"], "hs256_secret_env": "JWT_SECRET"}],
        "routes": [{"name": "oauth2-proxy", "match": {"prefix": "/oauth2"}, "access": "public"},
                   {"name": "all", "access": "protected", "sessions": "accept"}],
    });
    std::fs::write(&file, filter.to_string()).expect("a file");
    let checked = run(bare(&["config", "check", file.to_str().expect("a path")]));
    assert_eq!(checked.code, 0, "{}", checked.err);
}
