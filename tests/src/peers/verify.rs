//! Assertions verified with PyJWT and jose, as the examples in the documentation do it.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Maker;
use crate::components;

/// What is to be verified.
#[derive(Debug, Serialize)]
pub struct Question<'a> {
    /// Where the public keys are.
    pub jwks_url: &'a str,
    /// Who asks.
    pub audience: &'a str,
    /// The assertions, each on its own.
    pub assertions: &'a [String],
}

/// What comes of one assertion.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is believed, and says this.
    Claims(Value),
    /// It is not, and why.
    Refused(String),
}

impl Maker {
    /// Runs the example in this maker's language, in this thread.
    ///
    /// # Errors
    /// The maker is not installed, or the example cannot be run.
    pub fn verify(self, question: &Question<'_>) -> Result<Vec<Outcome>> {
        let answer = self.run("verify", &serde_json::to_vec(question)?)?;
        serde_json::from_slice(&answer).with_context(|| format!("{self:?} gave no answer"))
    }

    /// Runs the program `name` in this maker's language: what it wrote once it had read `input`.
    pub(super) fn run(self, name: &str, input: &[u8]) -> Result<Vec<u8>> {
        let (mut command, suffix) = match self {
            Self::PyJwt => (Command::new(components::python()?), "py"),
            Self::Jose => (Command::new(components::node()), "mjs"),
        };
        components::peers()?;
        command.arg(components::repository().join(format!("tests/peers/{name}.{suffix}")));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        // It reads all before it writes anything, so neither waits for the other.
        child.stdin.take().context("no standard input")?.write_all(input)?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{self:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    }
}
