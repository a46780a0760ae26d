//! `envoy/with-secrets` hands secrets over from files, and starts nothing with half of them.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use e2e::components::with_secrets;
use e2e::folder::Folder;

/// What a program that is started with these files finds in `LITELLM_KEY`, or why it is not started.
fn started(files: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Result<String, String>> {
    let folder = Folder::create()?;
    for (name, content) in files {
        fs::write(folder.path().join(name), content)?;
    }
    fs::create_dir(folder.path().join("A_FOLDER"))?;
    let mut command = Command::new(with_secrets());
    command.args(["sh", "-c", "printf '%s' \"${LITELLM_KEY-none}\""]).env_clear();
    command.env("SEKISHO_SECRETS_DIR", folder.path()).envs(environment.iter().copied());
    let output = command.output()?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ok(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) })
}

#[test]
fn a_program_gets_what_the_file_holds_without_its_line_end() -> Result<()> {
    let awkward = "it's $HOME \"and\" `more`";
    assert_eq!(started(&[("LITELLM_KEY", &format!("{awkward}\n"))], &[])?, Ok(awkward.into()));
    assert_eq!(started(&[("LITELLM_KEY", "secret\r\n")], &[])?, Ok("secret".into()));
    assert_eq!(started(&[("README", "of the folder"), ("..data", "")], &[("LITELLM_KEY", "set")])?, Ok("set".into()));
    assert_eq!(started(&[], &[])?, Ok("none".into()));
    Ok(())
}

#[test]
fn a_files_name_is_never_run() -> Result<()> {
    for name in ["X;LITELLM_KEY=run", "$(LITELLM_KEY=run)", "LITELLM_KEY ", "1LITELLM_KEY", "LITELLM_KEY=run"] {
        assert_eq!(started(&[(name, "run")], &[])?, Ok("none".into()), "{name}");
    }
    Ok(())
}

#[test]
fn nothing_is_started_without_its_secret() -> Result<()> {
    for (files, environment, problem) in [
        (&[("LITELLM_KEY", "\n")][..], &[][..], "is empty"),
        (&[("LITELLM_KEY", "of the file")], &[("LITELLM_KEY", "of the environment")], "not both"),
        (&[], &[("SEKISHO_SECRETS_DIR", "/nowhere")], "`/nowhere` is no folder"),
    ] {
        let refused = started(files, environment)?.err().context("it was started")?;
        assert!(refused.starts_with("error: ") && refused.contains(problem), "{files:?}: {refused}");
        assert!(!refused.contains("of the file") && !refused.contains("of the environment"), "{refused}");
    }
    Ok(())
}
