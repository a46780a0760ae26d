//! The encryption keys: rotated, refused when they are the wrong ones, and shown by the doctor.

use super::*;
use testing::ENCRYPTION_KEY;

/// An installation: a Redis, and a folder for the database.
struct Installation {
    redis: RedisServer,
    data: tempfile::TempDir,
}

impl Installation {
    async fn new() -> Self {
        Self { redis: RedisServer::start().await, data: tempfile::tempdir().expect("a folder") }
    }

    /// A command with these keys; the first one seals.
    fn command(&self, keys: &[&str], arguments: &[&str]) -> Command {
        let mut command = on(&self.redis.url(), arguments);
        command.env("SEKISHO_DATA_DIR", self.data.path());
        if let Some((present, others)) = keys.split_first() {
            command.env("REDIS_ENCRYPTION_KEY", present).env("SEKISHO_OTHER_ENCRYPTION_KEYS", others.join(","));
        }
        command
    }

    fn run(&self, keys: &[&str], arguments: &[&str]) -> Ended {
        run(self.command(keys, arguments))
    }

    /// Has a sidecar with these keys open the database, and set a canary if it has one.
    fn serve(&self, keys: &[&str]) {
        let mut command = self.command(keys, &["serve"]);
        for listener in ["MESH", "APP", "OPS"] {
            command.env(format!("SEKISHO_{listener}_LISTEN"), "127.0.0.1:0");
        }
        let mut sidecar = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs");
        let deadline = Instant::now() + Duration::from_secs(10);
        while ["database", "database id", "encryption"].iter().any(|name| !self.is_ok(keys, name)) {
            assert!(Instant::now() < deadline, "the sidecar does not open the database");
        }
        sidecar.kill().and_then(|()| sidecar.wait()).expect("it ends");
    }

    /// Every file of the database.
    fn files(&self) -> usize {
        std::fs::read_dir(self.data.path()).expect("a folder").count()
    }

    /// What the doctor finds of `name`.
    fn finding(&self, keys: &[&str], name: &str) -> (String, String) {
        self.look(keys, name).expect("a verdict")
    }

    fn is_ok(&self, keys: &[&str], name: &str) -> bool {
        self.look(keys, name).is_some_and(|(status, _)| status == "ok")
    }

    fn look(&self, keys: &[&str], name: &str) -> Option<(String, String)> {
        let report = self.run(keys, &["doctor", "--json"]).json();
        let checks = report.get("checks").and_then(Value::as_array).expect("checks");
        let found = checks.iter().find(|check| check.get("name").is_some_and(|found| found == name))?;
        let text = |field: &str| found.get(field).and_then(Value::as_str).expect("a text").to_owned();
        Some((text("status"), text("detail")))
    }
}

/// Another key than [`ENCRYPTION_KEY`].
fn other() -> String {
    ENCRYPTION_KEY.chars().rev().collect()
}

#[tokio::test]
async fn a_key_is_rotated_and_the_doctor_follows() {
    let (old, new) = (ENCRYPTION_KEY, &*other());
    let installation = Installation::new().await;
    assert_eq!(installation.finding(&[], "database").0, "fail", "there is none");
    assert_eq!(installation.files(), 0, "the doctor makes none");
    let made = installation.run(&[old], &["keys", "rotate", "--algorithm", "ES256"]);
    assert_eq!(made.code, 0, "{}", made.err);
    installation.serve(&[old]);
    let first = installation.run(&[old], &["keys", "rotate-encryption", "--json"]).json();
    let old_id = first["present"].as_str().expect("an id").to_owned();
    assert_eq!((&first["places"][0]["resealed"], &first["unneeded"]), (&0.into(), &serde_json::json!([])));
    for (name, text) in [("database", "migrations"), ("database id", "as announced"), ("encryption", &*old_id)] {
        let (status, detail) = installation.finding(&[old], name);
        assert!(status == "ok" && detail.contains(text), "{name}: {status} {detail}");
    }

    let (status, detail) = installation.finding(&[new, old], "encryption");
    assert!(status == "warn" && detail.contains("rotate-encryption"), "{status} {detail}");
    let rotated = installation.run(&[new, old], &["keys", "rotate-encryption"]);
    assert_eq!(rotated.code, 0, "{}", rotated.err);
    assert!(rotated.out.contains("signing keys: 1 sealed anew, 1 of 1 under it"), "{}", rotated.out);
    assert!(rotated.out.contains(&format!("{old_id} is needed by nothing any more")), "{}", rotated.out);
    assert_eq!(installation.finding(&[new], "encryption").0, "ok");
    assert_eq!(installation.finding(&[new], "signing keys").0, "warn", "nothing is persisted, but it opens");
    assert_eq!(installation.run(&[new], &["token", "issue", "--email", "ann@x.org"]).code, 0);
    let all = [made.out, made.err, rotated.out, rotated.err].concat();
    assert!(!all.contains(old) && !all.contains(new));
}

#[tokio::test]
async fn the_wrong_key_is_refused_at_start_with_both_ids_and_what_to_do() {
    let (right, wrong) = (ENCRYPTION_KEY, &*other());
    let installation = Installation::new().await;
    installation.serve(&[right]);
    let right_id = installation.run(&[right], &["keys", "rotate-encryption", "--json"]).json();
    let right_id = right_id["present"].as_str().expect("an id");
    let mut command = installation.command(&[wrong], &["serve"]);
    for listener in ["MESH", "APP", "OPS"] {
        command.env(format!("SEKISHO_{listener}_LISTEN"), "127.0.0.1:0");
    }
    let refused = run(command);
    assert_eq!(refused.code, 1, "{}", refused.err);
    for text in [right_id, "SEKISHO_OTHER_ENCRYPTION_KEYS", "keys rotate-encryption --lost"] {
        assert!(refused.err.contains(text), "{}", refused.err);
    }
    for arguments in [&["rotate-encryption"][..], &["add", "--algorithm", "ES256"], &["rotate", "--algorithm", "ES256"]]
    {
        let refused = installation.run(&[wrong], &[&["keys"], arguments].concat());
        assert_eq!((refused.code, refused.err.contains(right_id)), (2, true), "{arguments:?}: {}", refused.err);
    }
    let keys = installation.run(&[right], &["keys", "list"]);
    assert!(!keys.out.contains("ES256"), "none is sealed under the wrong key: {}", keys.out);
    assert_eq!(installation.finding(&[wrong], "encryption").0, "fail");
    let (status, detail) = installation.finding(&[], "encryption");
    assert!(status == "warn" && detail.contains(right_id), "{status} {detail}");
    assert_eq!(installation.run(&[wrong], &["keys", "rotate-encryption", "--lost"]).code, 0);
    assert_eq!(installation.finding(&[wrong], "encryption").0, "ok");
}

#[tokio::test]
async fn a_rotation_needs_a_key() {
    let installation = Installation::new().await;
    installation.serve(&[]);
    let ended = installation.run(&[], &["keys", "rotate-encryption"]);
    assert_eq!((ended.code, ended.err.contains("openssl rand -hex 32")), (2, true), "{}", ended.err);
}

#[tokio::test]
async fn a_command_makes_no_database_and_announces_none() {
    let installation = Installation::new().await;
    let commands = [&["audit", "list"][..], &["audit", "verify"], &["webhook", "list"], &["keys", "rotate-encryption"]];
    for arguments in commands {
        let ended = installation.run(&[ENCRYPTION_KEY], arguments);
        assert_eq!(
            (ended.code, ended.err.contains("start `sekisho serve`")),
            (1, true),
            "{arguments:?}: {}",
            ended.err
        );
        assert_eq!(installation.files(), 0, "{arguments:?}");
    }
    let (status, detail) = installation.finding(&[ENCRYPTION_KEY], "database");
    assert!(status == "fail" && detail.contains("there is none yet"), "{detail}");
    // The sidecars have theirs somewhere else.
    installation.serve(&[ENCRYPTION_KEY]);
    let elsewhere = tempfile::tempdir().expect("a folder");
    for arguments in commands {
        let mut command = installation.command(&[ENCRYPTION_KEY], arguments);
        command.env("SEKISHO_DATA_DIR", elsewhere.path().join("data"));
        let ended = run(command);
        assert_eq!((ended.code, ended.err.contains("another database")), (1, true), "{arguments:?}: {}", ended.err);
        assert!(!elsewhere.path().join("data").exists(), "{arguments:?}");
        assert_eq!(installation.run(&[ENCRYPTION_KEY], arguments).code, 0, "{arguments:?}");
    }
}

/// A release build has no fail points.
#[cfg(debug_assertions)]
#[tokio::test]
async fn a_rotation_that_is_cut_off_anywhere_is_finished_by_the_next() {
    use std::os::unix::process::ExitStatusExt;

    use sekisho_sidecar::failpoint::FailPoint;

    for point in [FailPoint::EncryptionBatch, FailPoint::EncryptionResealed, FailPoint::EncryptionRotated] {
        let (old, new) = (ENCRYPTION_KEY, &*other());
        let installation = Installation::new().await;
        installation.serve(&[old]);
        assert_eq!(installation.run(&[old], &["keys", "rotate", "--algorithm", "ES256"]).code, 0);
        assert_eq!(installation.run(&[old], &["keys", "rotate-encryption"]).code, 0);
        let mut command = installation.command(&[new, old], &["keys", "rotate-encryption"]);
        let crashed = command.env("SEKISHO_FAILPOINT", point.word()).output().expect("the binary runs");
        assert_eq!(crashed.status.signal(), Some(6), "{point:?}");
        // Whoever has both keys goes on, whichever of them seals; whoever has one may not.
        for keys in [&[new, old][..], &[old, new]] {
            let issued = installation.run(keys, &["token", "issue", "--email", "ann@x.org"]);
            assert_eq!(issued.code, 0, "{point:?}: {}", issued.err);
        }
        let expected = if point == FailPoint::EncryptionRotated { "ok" } else { "warn" };
        assert_eq!(installation.finding(&[new, old], "encryption").0, expected, "{point:?}");
        let again = installation.run(&[new, old], &["keys", "rotate-encryption", "--json"]).json();
        assert_eq!((&again["places"][0]["resealed"], again["unneeded"].as_array().map(Vec::len)), (&0.into(), Some(1)));
        assert_eq!(installation.finding(&[new], "encryption").0, "ok", "{point:?}");
        assert_eq!(installation.run(&[new], &["token", "issue", "--email", "ann@x.org"]).code, 0);
    }
}
