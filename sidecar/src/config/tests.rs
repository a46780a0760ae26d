//! Settings: what is taken, from where, and how what is wrong is told.

use super::*;

const MESH: &str = "a mesh secret of at least thirty-two bytes";
const JWT: &str = "a token secret of at least thirty-two bytes";

fn parse(yaml: Option<&str>, env: &[(&str, &str)]) -> Result<Settings, Problems> {
    Settings::parse(yaml, &|name| {
        let found = env.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn with_secrets(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    [&[("SEKISHO_MESH_SECRET", MESH), ("JWT_SECRET", JWT)], more].concat()
}

fn told(result: Result<Settings, Problems>) -> Vec<String> {
    result.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn two_secrets_are_enough() {
    let settings = parse(None, &with_secrets(&[])).unwrap();
    assert_eq!(settings.listen().mesh.to_string(), "127.0.0.1:9400");
    assert_eq!(settings.listen().app.to_string(), "127.0.0.1:9401");
    assert_eq!(settings.listen().ops.to_string(), "127.0.0.1:9402");
    assert_eq!(settings.redis_url().expose(), b"redis://127.0.0.1:6379");
    assert_eq!(settings.mesh().feed_hold, Duration::from_secs(1));
    assert_eq!(settings.mesh().acknowledgement_timeout, Duration::from_secs(2));
    assert_eq!((settings.tokens().max_expires_in_s, settings.tokens().default_expires_in_s), (7_776_000, 2_592_000));
    assert_eq!((settings.sessions().idle_s, settings.sessions().lifetime_s), (3_600, 86_400));
    assert_eq!((settings.tokens().issuer.as_str(), settings.tokens().audience.as_str()), ("sekisho", "litellm-api"));
    assert_eq!(settings.doctor().sidecars, ["http://127.0.0.1:9402"]);
}

#[test]
fn the_old_gateways_variables_mean_what_they_meant() {
    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let env = [
        ("SEKISHO_MESH_SECRET", MESH),
        ("JWT_SECRET", JWT),
        ("REDIS_HOST", "redis.internal"),
        ("REDIS_PORT", "6380"),
        ("SUPER_ADMIN_EMAIL", "Root@x.org"),
        ("ADMIN_EMAILS", "ann@x.org, Bob@x.org"),
        ("ADMIN_DOMAINS", "x.org,Ops.example"),
        ("CLEANUP_LOG_RETENTION_DAYS", "7"),
        ("REDIS_ENCRYPTION_KEY", KEY),
    ];
    let settings = parse(None, &env).unwrap();
    let addresses = |emails: &[Email]| emails.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(settings.tokens().jwt_secret.expose(), JWT.as_bytes());
    assert_eq!(settings.redis_url().expose(), b"redis://redis.internal:6380");
    assert_eq!(addresses(&settings.admins().super_admins), ["root@x.org"]);
    assert_eq!(addresses(&settings.admins().emails), ["ann@x.org", "bob@x.org"]);
    assert_eq!(settings.admins().domains, ["x.org", "ops.example"]);
    assert_eq!(settings.cleanup().log_retention_days, 7);
    assert_eq!(settings.encryption_key().map(Secret::expose), Some(&(0..32).collect::<Vec<u8>>()[..]));
    let url = ("REDIS_URL", "redis://user:password@redis.internal:6381/2");
    let with_url = parse(None, &[&env[..2], &[url]].concat()).unwrap();
    assert_eq!(with_url.redis_url().expose(), url.1.as_bytes());
    assert_eq!(with_url.cleanup().log_retention_days, 30);
}

#[test]
fn a_missing_secret_is_told_with_the_command_that_makes_one() {
    let problems = told(parse(None, &[]));
    assert_eq!(
        problems,
        [
            "SEKISHO_MESH_SECRET: is missing; make one with `openssl rand -base64 48`",
            "JWT_SECRET: is missing; make one with `openssl rand -base64 48`",
        ]
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let yaml = "
listen: { mesh: here, side: 1 }
redis: { port: 0 }
admins: { emails: [ann, bob@x.org] }
tokens: { jwt_secret: short }
nonsense: true
";
    let env = [("SEKISHO_FEED_HOLD_MS", "soon"), ("SEKISHO_LOG_FORMAT", "xml"), ("SEKISHO_MESH_SECRET", MESH)];
    assert_eq!(
        told(parse(Some(yaml), &env)),
        [
            "listen.side: is not a setting of the sidecar",
            "nonsense: is not a setting of the sidecar",
            "listen.mesh: `here` is not an address and port such as 127.0.0.1:9400",
            "SEKISHO_FEED_HOLD_MS: `soon` is not a whole number from 50 to 2000",
            "redis.port: `0` is not a whole number from 1 to 65535",
            "tokens.jwt_secret: has 5 bytes, fewer than 32; make one with `openssl rand -base64 48`",
            "admins.emails: `ann`: an e-mail address has the form name@domain",
            "SEKISHO_LOG_FORMAT: `xml` is neither text nor json",
        ]
    );
}

#[test]
fn oauth2_proxys_sessions_count_only_where_that_is_switched_on_and_as_it_is_told() {
    assert_eq!(parse(None, &with_secrets(&[])).unwrap().oauth2_proxy(), None);
    let usual = parse(None, &with_secrets(&[("SEKISHO_OAUTH2_PROXY", "1")])).unwrap();
    let rules = usual.oauth2_proxy().unwrap();
    assert_eq!((rules.cookie.as_str(), rules.expire_s, rules.ends_with_tokens), ("_oauth2_proxy", 604_800, true));
    assert_eq!((rules.prefixes.len(), rules.prefixes[0].as_str()), (6, "_oauth2_proxy-"));
    let yaml = "oauth2_proxy: { enabled: true, cookie: __Secure-sso.x, expire_s: 3600, outlives_tokens: true,
        email_domains: ['@X.org'], patterns: ['session:*'] }";
    let own = parse(Some(yaml), &with_secrets(&[])).unwrap();
    let rules = own.oauth2_proxy().unwrap();
    assert_eq!(
        (rules.expire_s, rules.ends_with_tokens, &rules.email_domains[..]),
        (3_600, false, &["x.org".into()][..])
    );
    assert_eq!(rules.prefixes, ["__Secure-sso.x-", "session:"]);
}

#[test]
fn broken_settings_are_refused() {
    for (variable, value, expected) in [
        ("SEKISHO_MESH_SECRET", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "can be guessed"),
        ("SEKISHO_MESH_SECRET", JWT, "must not be the same as JWT_SECRET"),
        ("SEKISHO_ACK_TIMEOUT_MS", "0", "from 50 to 30000"),
        ("SEKISHO_ALLOW_SHORT_JWT_SECRET", "maybe", "neither 1 nor 0"),
        ("REDIS_URL", "http://user:hunter2@host", "must begin with redis://"),
        ("REDIS_HOST", "a b", "is not a host name"),
        ("MAX_EXPIRES_IN", "-1", "is not a whole number"),
        ("SUPER_ADMIN_EMAIL", "a@x.org,b", "`b`"),
        ("SEKISHO_AUDITOR_EMAILS", "eve", "`eve`"),
        ("ADMIN_DOMAINS", "*.example.com", "is not a domain"),
        ("SEKISHO_OAUTH2_PROXY", "maybe", "neither 1 nor 0"),
        ("SEKISHO_OAUTH2_PROXY_COOKIE", "a b", "must consist of letters"),
        (
            "SEKISHO_OAUTH2_PROXY_COOKIE",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "64 bytes",
        ),
        ("SEKISHO_OAUTH2_PROXY_EXPIRE_SECONDS", "0", "from 60 to 34560000"),
        ("SEKISHO_OAUTH2_PROXY_EMAIL_DOMAINS", "example.com,*", "`*` is not a domain"),
        ("SEKISHO_OAUTH2_PROXY_PATTERNS", "*", "is not a text of at least 4 bytes and a `*`"),
        ("SEKISHO_OAUTH2_PROXY_PATTERNS", "session:?*", "is not a text of at least 4 bytes and a `*`"),
        ("SEKISHO_OAUTH2_PROXY_PATTERNS", "sekisho:session:*", "names what is no session"),
        ("SEKISHO_OAUTH2_PROXY_PATTERNS", "toke*", "names what is no session"),
        ("SEKISHO_LOG", "a=b=c", "is no filter"),
        ("SEKISHO_ENVOY_ADMIN", "localhost:9901", "is not an http URL"),
        ("SEKISHO_NODE", "a\nb", "no control characters"),
        ("SEKISHO_MESH_SECRET_FILE", "/etc/hostname", "not both"),
        ("REDIS_URL_FILE", "/nowhere", "cannot read `/nowhere`"),
    ] {
        let mut env = with_secrets(&[]);
        env.insert(0, (variable, value));
        let problems = told(parse(None, &env)).join("\n");
        assert!(problems.contains(expected), "{variable}={value}: {problems}");
        assert!(!problems.contains("hunter2"), "a password was told: {problems}");
    }
}

#[test]
fn the_environment_wins_over_the_file() {
    let yaml = format!(
        "node: from-file\nmesh:\n  secret: {MESH}\n  feed_hold_ms: 500\nadmins:\n  domains: [X.org, '@y.org']\n"
    );
    let settings =
        parse(Some(&yaml), &[("JWT_SECRET", JWT), ("SEKISHO_NODE", "from-env"), ("ADMIN_EMAILS", "")]).unwrap();
    assert_eq!(settings.node(), "from-env");
    assert_eq!(settings.mesh().feed_hold, Duration::from_millis(500));
    assert_eq!(settings.admins().domains, ["x.org", "y.org"]);
}

#[test]
fn a_secret_may_come_from_a_file_without_its_last_line_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, format!("{MESH}\n")).unwrap();
    let env = [("JWT_SECRET", JWT), ("SEKISHO_MESH_SECRET_FILE", path.to_str().unwrap())];
    assert!(parse(None, &env).unwrap().mesh().secret.matches(MESH.as_bytes()));
}

#[test]
fn a_short_token_secret_is_taken_only_from_old_installations() {
    let env = [("SEKISHO_MESH_SECRET", MESH), ("JWT_SECRET", "short")];
    assert_eq!(told(parse(None, &env)).len(), 1);
    let settings = parse(None, &[&env[..], &[("SEKISHO_ALLOW_SHORT_JWT_SECRET", "1")]].concat()).unwrap();
    assert!(settings.tokens().jwt_secret_is_short);
}

#[test]
fn an_encryption_key_is_64_hex_digits_and_never_told() {
    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
    assert_eq!(parse(None, &with_secrets(&[])).unwrap().encryption_key(), None);
    let settings = parse(None, &with_secrets(&[("REDIS_ENCRYPTION_KEY", KEY)])).unwrap();
    let expected: Vec<u8> = (0..32).collect();
    assert_eq!(settings.encryption_key().map(Secret::expose), Some(&expected[..]));
    let yaml = format!("redis: {{ encryption_key: '{KEY}' }}");
    assert_eq!(parse(Some(&yaml), &with_secrets(&[])).unwrap().encryption_key(), settings.encryption_key());
    for (bad, expected) in [
        ("0001020304", "is not 64 hex digits"),
        ("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fff", "is not 64 hex digits"),
        ("+001+203+405+607+809+a0b+c0d+e0f+011+213+415+617+819+a1b+c1d+e1f", "is not 64 hex digits"),
        ("é00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1", "is not 64 hex digits"),
        ("0000000000000000000000000000000000000000000000000000000000000000", "can be guessed"),
    ] {
        let problems = told(parse(None, &with_secrets(&[("REDIS_ENCRYPTION_KEY", bad)])));
        assert_eq!(problems.len(), 1, "{bad}: {problems:?}");
        assert!(problems[0].contains(expected) && problems[0].contains("`openssl rand -hex 32`"), "{problems:?}");
        assert!(!problems[0].contains(bad), "{problems:?}");
    }
}

#[test]
fn other_encryption_keys_are_a_list_that_needs_a_present_key() {
    let hex = |byte: u8| (byte..byte + 32).map(|byte| format!("{byte:02x}")).collect::<String>();
    let parse_with = |present: Option<&str>, others: &str| {
        let look_up = |name: &str| match name {
            "SEKISHO_MESH_SECRET" => Some(MESH.to_owned()),
            "JWT_SECRET" => Some(JWT.to_owned()),
            "SEKISHO_OTHER_ENCRYPTION_KEYS" => Some(others.to_owned()),
            "REDIS_ENCRYPTION_KEY" => present.map(str::to_owned),
            _ => None,
        };
        Settings::parse(None, &look_up)
    };
    let (a, b, c) = (hex(1), hex(2), hex(3));
    for (others, expected) in
        [("", 0), (" ,\n", 0), (b.as_str(), 1), (&format!("{b},{c}"), 2), (&format!("\n{b} ,\r\n{c}\n"), 2)]
    {
        let settings = parse_with(Some(&a), others).unwrap();
        assert_eq!(settings.other_encryption_keys().len(), expected, "{others:?}");
    }
    let nine: Vec<String> = (2..11).map(hex).collect();
    for (present, others, expected) in [
        (None, b.clone(), "needs REDIS_ENCRYPTION_KEY"),
        (Some(&a), a.to_uppercase(), "key 1 is the same as REDIS_ENCRYPTION_KEY"),
        (Some(&a), format!("{b},{c},{b}"), "key 3 is there twice"),
        (Some(&a), format!("{b},0011"), "key 2 is not 64 hex digits"),
        (Some(&a), "00".repeat(32), "key 1 can be guessed"),
        (Some(&a), nine.join(","), "has 9 keys, more than 8"),
    ] {
        let problems = told(parse_with(present.map(String::as_str), &others));
        assert_eq!(problems.len(), 1, "{expected}: {problems:?}");
        assert!(problems[0].starts_with("SEKISHO_OTHER_ENCRYPTION_KEYS: "), "{problems:?}");
        assert!(problems[0].contains(expected) && !problems[0].contains(&others), "{problems:?}");
    }
    let yaml = format!("redis: {{ encryption_key: '{a}', other_encryption_keys: ['{b}', '{c}'] }}");
    assert_eq!(parse(Some(&yaml), &with_secrets(&[])).unwrap().other_encryption_keys().len(), 2);
}

#[test]
fn a_file_is_checked_without_secrets_but_not_with_bad_ones() {
    assert!(Settings::check_file("node: a\n").is_empty());
    assert_eq!(Settings::check_file("mesh: { secret: short }\n").iter().count(), 1);
    assert_eq!(Settings::check_file("a: [").iter().count(), 1);
    assert_eq!(Settings::check_file("- a\n- b\n").iter().count(), 1);
}

#[test]
fn sources_of_keys_are_read_from_either_place() {
    let yaml = "
key_sources:
  - { name: google, issuer: https://accounts.google.com }
  - name: partner
    jwks_uri: http://127.0.0.1:8080/keys?of=us
    allow_http: true
    refresh_s: 60
    refetch_interval_s: 1
    timeout_ms: 500
  - { name: batch, file: /etc/sekisho/batch.jwks.json }
";
    let json = r#"[{"name":"google","issuer":"https://accounts.google.com"},
        {"name":"partner","jwks_uri":"http://127.0.0.1:8080/keys?of=us","allow_http":true,"refresh_s":60,"refetch_interval_s":1,"timeout_ms":500},
        {"name":"batch","file":"/etc/sekisho/batch.jwks.json"}]"#;
    let of_file = parse(Some(yaml), &with_secrets(&[])).unwrap();
    let of_env = parse(Some("key_sources: [nonsense]"), &with_secrets(&[("SEKISHO_KEY_SOURCES", json)])).unwrap();
    assert_eq!(of_file.key_sources(), of_env.key_sources());
    let shown: Vec<String> =
        of_file.key_sources().iter().map(|source| format!("{} {}", source.name, source.place)).collect();
    assert_eq!(
        shown,
        [
            "google issuer https://accounts.google.com",
            "partner http://127.0.0.1:8080/keys",
            "batch file /etc/sekisho/batch.jwks.json"
        ]
    );
    let numbers =
        |source: &Source| (source.refresh.as_secs(), source.refetch_interval.as_secs(), source.timeout.as_millis());
    let numbers: Vec<_> = of_file.key_sources().iter().map(numbers).collect();
    assert_eq!(numbers, [(3_600, 10, 3_000), (60, 1, 500), (3_600, 10, 3_000)]);
}

#[test]
fn everything_that_is_wrong_with_sources_of_keys_is_told_at_once() {
    let yaml = "
key_sources:
  - issuer: https://a.org
  - { name: sekisho, issuer: https://a.org }
  - { name: a b, issuer: http://a.org, surprise: 1 }
  - { name: two, issuer: https://a.org, file: /a }
  - { name: none }
  - { name: dup, jwks_uri: https://a.org/k }
  - { name: dup, jwks_uri: https://a.org/k }
  - { name: n, jwks_uri: 'https://u:hunter2@a.org/k', refresh_s: 4, refetch_interval_s: 0, timeout_ms: soon, allow_http: 1 }
  - { name: q, issuer: 'https://a.org/?x=1' }
  - { name: u, issuer: a.org }
  - text
";
    let problems = told(parse(Some(yaml), &with_secrets(&[])));
    assert_eq!(
        problems,
        [
            "key_sources[0].name: is missing: what filters call the source",
            "key_sources[1].name: `sekisho` is the source of the keys with which Sekisho signs itself",
            "key_sources[2].surprise: is not a setting of a source; there are name, issuer, jwks_uri, file, allow_http, refresh_s, refetch_interval_s, timeout_ms",
            "key_sources[2].name: a source's name has 1 to 128 ASCII letters, digits, `.`, `_` or `-`",
            "key_sources[2].issuer: `http://a.org` is not an https URL; `allow_http: true` takes it nevertheless",
            "key_sources[3]: needs exactly one of `issuer`, `jwks_uri` and `file`",
            "key_sources[4]: needs exactly one of `issuer`, `jwks_uri` and `file`",
            "key_sources[6].name: `dup` is the name of another source",
            "key_sources[7].allow_http: must be true or false",
            "key_sources[7].jwks_uri: must hold no user, no password and no fragment",
            "key_sources[7].refresh_s: `4` is not a whole number from 5 to 86400",
            "key_sources[7].refetch_interval_s: `0` is not a whole number from 1 to 3600",
            "key_sources[7].timeout_ms: `\"soon\"` is not a whole number from 100 to 10000",
            "key_sources[8].issuer: an issuer has no query",
            "key_sources[9].issuer: `a.org` is not an https URL",
            "key_sources[10]: is not a source with a `name`",
        ]
    );
    let env = with_secrets(&[("SEKISHO_KEY_SOURCES", r#"[{"name":"a","file":"x","y":1}]"#)]);
    assert!(told(parse(None, &env))[0].starts_with("SEKISHO_KEY_SOURCES[0].y: is not a setting"));
    for text in ["google", "{}", "7"] {
        let problems = told(parse(None, &[&with_secrets(&[])[..], &[("SEKISHO_KEY_SOURCES", text)]].concat()));
        assert!(problems[0].starts_with("SEKISHO_KEY_SOURCES: is not a list such as"), "{problems:?}");
    }
}

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

#[test]
fn the_examples_in_the_docs_are_right() {
    let docs = [include_str!("../../../docs/sidecar.md"), include_str!("../../../docs/webhooks.md")].concat();
    let examples: Vec<&str> = docs.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 3);
    for example in examples {
        assert_eq!(Settings::check_file(example).to_string(), "", "{example}");
    }
}

#[test]
fn a_clean_up_has_a_schedule_unless_it_is_switched_off() {
    for (text, expected) in [("", Some("0 3 * * *")), ("off", None), ("30 2 * * SUN", Some("30 2 * * SUN"))] {
        let settings = parse(None, &with_secrets(&[("SEKISHO_CLEANUP_SCHEDULE", text)])).unwrap();
        assert_eq!(settings.cleanup().schedule.as_ref().map(|schedule| schedule.as_str()), expected, "{text}");
        assert_eq!(settings.cleanup().log_retention_days, 30);
    }
    let env = with_secrets(&[("SEKISHO_CLEANUP_SCHEDULE", "nightly"), ("CLEANUP_LOG_RETENTION_DAYS", "0")]);
    let problems = told(parse(None, &env));
    assert!(problems[0].starts_with("SEKISHO_CLEANUP_SCHEDULE: `nightly` is neither off nor a cron"), "{problems:?}");
    assert_eq!(problems[1], "CLEANUP_LOG_RETENTION_DAYS: `0` is not a whole number from 1 to 3650");
}

/// What signing in needs.
const SIGN_IN: [(&str, &str); 4] = [
    ("SEKISHO_OIDC_ISSUER", "https://login.example.com"),
    ("SEKISHO_OIDC_CLIENT_ID", "sekisho"),
    ("SEKISHO_SIGN_IN_ORIGINS", "https://app.example.com, https://chat.example.com:8443"),
    ("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "@Example.com, example.org"),
];

#[test]
fn people_sign_in_where_an_issuer_is_named_and_it_is_said_who_may() {
    assert!(parse(None, &with_secrets(&[])).unwrap().sign_in().is_none());
    let settings = parse(None, &with_secrets(&SIGN_IN)).unwrap();
    let sign_in = settings.sign_in().unwrap();
    assert_eq!(sign_in.registration.scopes, ["email", "profile"]);
    assert!(sign_in.registration.client_secret.is_none() && !sign_in.registration.allow_http);
    assert_eq!(
        sign_in.origins.iter().map(|origin| origin.host()).collect::<Vec<_>>(),
        ["app.example.com", "chat.example.com"]
    );
    assert_eq!(sign_in.admission.domains, ["example.com", "example.org"]);
    assert!(sign_in.admission.verified && !sign_in.admission.everybody);
    assert_eq!((sign_in.refresh_s, sign_in.leaves_provider, sign_in.logout_revokes), (Some(900), true, false));
    let more = [
        ("SEKISHO_SESSION_REFRESH_SECONDS", "0"),
        ("SEKISHO_SIGN_OUT_HERE_ONLY", "1"),
        ("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "*"),
    ];
    let settings = parse(None, &with_secrets(&[&more[..], &SIGN_IN[..3]].concat())).unwrap();
    let sign_in = settings.sign_in().unwrap();
    assert_eq!((sign_in.refresh_s, sign_in.leaves_provider, sign_in.admission.everybody), (None, false, true));
}

#[test]
fn what_is_wrong_with_signing_in_is_listed_with_what_to_do() {
    let changed = |name: &'static str, value: &'static str| {
        let mut all = with_secrets(&SIGN_IN);
        all.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            all.push((name, value));
        }
        told(parse(None, &all))
    };
    for (name, value, expected) in [
        ("SEKISHO_OIDC_ISSUER", "", "SEKISHO_OIDC_CLIENT_ID: says nothing without SEKISHO_OIDC_ISSUER"),
        (
            "SEKISHO_OIDC_ISSUER",
            "http://login.example.com",
            "SEKISHO_OIDC_ISSUER: `http://login.example.com` is no issuer",
        ),
        ("SEKISHO_OIDC_ISSUER", "https://login.example.com/?x", "is no issuer"),
        ("SEKISHO_OIDC_CLIENT_ID", "", "SEKISHO_OIDC_CLIENT_ID: is missing"),
        ("SEKISHO_SIGN_IN_ORIGINS", "", "SEKISHO_SIGN_IN_ORIGINS: is missing"),
        ("SEKISHO_SIGN_IN_ORIGINS", "https://app.example.com/path", "is no origin"),
        ("SEKISHO_SIGN_IN_ORIGINS", "http://app.example.com", "must be https"),
        (
            "SEKISHO_SIGN_IN_ORIGINS",
            "https://a.example.com,https://a.example.com:8443",
            "names a host that is named already",
        ),
        ("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "", "SEKISHO_SIGN_IN_ALLOWED_DOMAINS: is missing"),
        ("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "*,example.com", "`*` is everybody"),
        ("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "exa mple", "is not a domain"),
        ("SEKISHO_OIDC_PROMPT", "none", "SEKISHO_OIDC_PROMPT: `none` is none of"),
        ("SEKISHO_OIDC_EMAIL_VERIFIED", "maybe", "is neither required nor ignored"),
        ("SEKISHO_SIGN_IN_INSECURE", "1", "must be http"),
    ] {
        let problems = changed(name, value);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{name}={value}: {problems:?}");
    }
}
