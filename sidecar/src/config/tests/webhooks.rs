//! Who is told of events.

use super::*;

#[test]
fn of_webhooks_everything_that_is_wrong_is_told_and_no_secret() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let good = format!("{{name: ops, url: \"https://ops.example/hook\", secret: {secret}}}");
    let yaml = format!(
        r#"
webhooks:
  - {good}
  - {good}
  - {{name: "a b", url: "http://hooks.example/T0/very-secret", format: slack, secret: whsec_very-secret}}
  - {{name: c, url: "very-secret", secret: whsec_very-secret, secret_file: /nowhere}}
  - {{name: d, url: "https://ann:very-secret@d.example/", events: [ban.*, bans], per_minute: 0, timeout_ms: 1}}
  - {{name: e, url_file: /nowhere, secret: very-secret, format: generic}}
  - {{name: f, format: teams, events: all, color: red}}
  - 7
"#
    );
    let problems = told(parse(Some(&yaml), &with_secrets(&[])));
    assert!(problems.iter().all(|problem| !problem.contains("very-secret")), "{problems:#?}");
    let starts = [
        "webhooks[2].name: a webhook's name has 1 to 64",
        "webhooks[2].url: is not an https URL; `allow_http: true`",
        "webhooks[2].secret: is of no use",
        "webhooks[3].url: is not an https URL",
        "webhooks[3].secret_file: set either `secret` or `secret_file`, not both",
        "webhooks[4].url: must hold no user",
        "webhooks[4].secret: is missing; make one with",
        "webhooks[4].events: `bans` names no event; there are ban.given, ",
        "webhooks[4].per_minute: `0` is not a whole number from 1 to 600",
        "webhooks[4].timeout_ms: `1` is not a whole number from 100 to 30000",
        "webhooks[5].url_file: cannot read `/nowhere`",
        "webhooks[5].secret: must be whsec_",
        "webhooks[6].color: is not a setting of a webhook; there are name, url",
        "webhooks[6].url: is missing",
        "webhooks[6].format: `teams` is neither generic nor slack",
        "webhooks[6].events: must be a list of texts",
        "webhooks[7]: is not a webhook with a `name`",
    ];
    let expected = ["webhooks[1].name: `ops` is the name of another webhook"].into_iter().chain(starts);
    let pairs: Vec<_> = problems.iter().zip(expected).collect();
    assert!(pairs.iter().all(|(problem, start)| problem.starts_with(start)), "{pairs:#?}");
    assert_eq!((problems.len(), pairs.len()), (18, 18), "{problems:#?}");
}

#[test]
fn webhooks_have_sensible_defaults_and_secrets_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let (url, secret) = (folder.path().join("url"), folder.path().join("secret"));
    std::fs::write(&url, "https://hooks.example/T0/hidden\n").unwrap();
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\r\n").unwrap();
    let list = serde_json::json!([
        {"name": "chat", "url_file": url, "format": "slack", "events": ["*"]},
        {"name": "ops", "url": "http://ops.example", "allow_http": true, "secret_file": secret, "per_minute": 600},
    ]);
    let text = list.to_string();
    let settings = Settings::parse(None, &|name| match name {
        "SEKISHO_WEBHOOKS" => Some(text.clone()),
        "SEKISHO_MESH_SECRET" => Some(MESH.to_owned()),
        "JWT_SECRET" => Some(JWT.to_owned()),
        _ => None,
    })
    .unwrap();
    let [chat, ops] = settings.webhooks() else { panic!("{:?}", settings.webhooks()) };
    assert_eq!((chat.target.host().as_str(), chat.format.word(), chat.per_minute), ("hooks.example", "slack", 60));
    assert_eq!(chat.target.expose().path(), "/T0/hidden");
    assert_eq!((ops.format.word(), ops.timeout, ops.events.is_none()), ("generic", Duration::from_secs(5), true));
    assert!(!format!("{settings:?}").contains("hidden") && !format!("{settings:?}").contains("MfKQ"));
}
