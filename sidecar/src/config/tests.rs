//! Settings: what is taken, from where, and how what is wrong is told.

use super::*;

mod key_sources;
mod oauth2_proxy;
mod sign_in;
mod webhooks;

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
