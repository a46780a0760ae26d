//! The command line. Commands work straight on Redis, with the same services as the server; `api` alone calls it.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not ready (the doctor found
//! something that must be repaired).

use std::path::PathBuf;
use std::process::ExitCode;

use async_trait::async_trait;
use clap::{Parser, Subcommand};
use sekisho_protocol::Email;

use crate::config::{Problems, Settings};
use crate::domain::audit::By;
use crate::domain::error::Failure;
use crate::service::Services;
use crate::service::doctor::Doctor;
use crate::service::error::StoreError;
use crate::service::gateway::Gateway;

mod admin;
mod api;
mod audit;
mod ban;
mod cleanup;
mod config;
mod doctor;
mod duration;
mod explain;
mod import;
mod keys;
mod logout;
mod mesh;
mod output;
mod session;
mod shown;
mod token;
mod webhook;

use output::Output;

/// `sekisho`: the sidecar of the Sekisho filter, and the command line to it.
#[derive(Debug, Parser)]
#[command(
    name = "sekisho",
    version,
    about,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not ready."
)]
pub struct Cli {
    /// YAML file with settings; the environment wins over it. For `explain`, the filter's configuration.
    #[arg(long, global = true, env = "SEKISHO_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON, one document.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the sidecar.
    Serve,
    /// Issue, list and revoke tokens.
    #[command(subcommand)]
    Token(token::Command),
    /// Ban people, lift bans, list them.
    #[command(subcommand)]
    Ban(ban::Command),
    /// Sessions of browsers: list them, end one, end all of somebody.
    #[command(subcommand)]
    Session(session::Command),
    /// Log somebody out everywhere: what was issued to them until now is invalid. Waits until every filter knows.
    Logout {
        /// Whom.
        #[arg(value_parser = Email::parse)]
        email: Email,
    },
    /// The keys that sign tokens: list, add, rotate, retire; and the keys under which things are sealed.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Who administers: list, add, remove.
    #[command(subcommand)]
    Admin(admin::Command),
    /// The audit trail: list, export, verify.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Clear leftovers in Redis away: preview, run, logs.
    #[command(subcommand)]
    Cleanup(cleanup::Command),
    /// Webhooks: list, show, test, retry.
    #[command(subcommand)]
    Webhook(webhook::Command),
    /// Check configuration files.
    #[command(subcommand)]
    Config(config::Command),
    /// Turn the files of an oauth2-proxy and of the gateway around it into our configuration.
    Import(import::Arguments),
    /// Say what a filter would decide about a request, and why.
    Explain(explain::Arguments),
    /// Show the feed and every filter worker that listens to it.
    Mesh(mesh::Arguments),
    /// Look at everything that an installation needs.
    Doctor,
    /// Call the HTTP API through the gateway; alone, list every call.
    Api(api::Arguments),
    /// Print the description of the HTTP API (OpenAPI).
    Openapi,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) enum Exit {
    /// The call failed.
    Failed(Failure),
    /// The program could not go on.
    Broken(anyhow::Error),
    /// The settings, or a file that was to be checked, are wrong. Says what is.
    Misconfigured(Vec<crate::config::Problem>),
    /// The API answered a call so.
    Refused {
        /// The status.
        status: u16,
        /// The answer's code.
        code: String,
        /// The answer's sentence.
        message: String,
    },
    /// What is wrong was said already.
    NotReady,
}

impl From<Failure> for Exit {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<StoreError> for Exit {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<anyhow::Error> for Exit {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Problems> for Exit {
    fn from(problems: Problems) -> Self {
        Self::Misconfigured(problems.iter().cloned().collect())
    }
}

impl Exit {
    fn code(&self) -> u8 {
        match self {
            // A bad value is a matter of usage, wherever it is noticed.
            Self::Failed(
                Failure::Invalid { .. }
                | Failure::ScopeNotHeld { .. }
                | Failure::NoEncryptionKey
                | Failure::EncryptionKeyUnknown { .. }
                | Failure::SecretSigns,
            )
            | Self::Misconfigured(_)
            | Self::Refused { status: 400 | 413 | 415 | 422, .. } => 2,
            Self::Refused { code, .. } if code == "scope_not_held" || code == "no_encryption_key" => 2,
            Self::Failed(_) | Self::Broken(_) | Self::Refused { .. } => 1,
            Self::NotReady => 3,
        }
    }
}

/// What the composition root does for the command line.
#[async_trait]
pub trait Program: Sync {
    /// Builds the services.
    ///
    /// # Errors
    /// The store's address is none.
    fn connect(&self, settings: &Settings) -> Result<Services, StoreError>;

    /// Builds the doctor.
    fn doctor(&self, settings: &Settings, services: &Services) -> Doctor;

    /// The way to the API through Envoy.
    fn gateway(&self) -> Box<dyn Gateway>;

    /// The description of the HTTP API, as JSON text.
    ///
    /// # Errors
    /// It can't be written as JSON.
    fn openapi(&self) -> anyhow::Result<String>;

    /// Runs the sidecar until it is told to end.
    async fn serve(&self, settings: Settings) -> anyhow::Result<()>;
}

/// Does what the command line says.
pub async fn run(cli: Cli, program: &impl Program) -> ExitCode {
    let output = Output::new(cli.json);
    match dispatch(cli, program, &output).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            output.exit(&exit);
            ExitCode::from(exit.code())
        }
    }
}

async fn dispatch(cli: Cli, program: &impl Program, output: &Output) -> Result<(), Exit> {
    let load = || Settings::load(cli.config.as_deref());
    match cli.command {
        Command::Serve => program.serve(load()?).await?,
        Command::Token(command) => token::run(command, &program.connect(&load()?)?.tokens, output).await?,
        Command::Ban(command) => ban::run(command, &program.connect(&load()?)?.bans, output).await?,
        Command::Session(command) => session::run(command, &program.connect(&load()?)?, output).await?,
        Command::Logout { email } => logout::run(email, &program.connect(&load()?)?.logouts, output).await?,
        Command::Keys(command) => keys::run(command, &program.connect(&load()?)?, output).await?,
        Command::Admin(command) => admin::run(command, &program.connect(&load()?)?.admins, output).await?,
        Command::Audit(command) => {
            let settings = load()?;
            audit::run(command, &program.connect(&settings)?, settings.audit_retention(), output).await?;
        }
        Command::Cleanup(command) => cleanup::run(command, &program.connect(&load()?)?.cleanup, output).await?,
        Command::Webhook(command) => webhook::run(command, &program.connect(&load()?)?, output).await?,
        Command::Config(command) => config::run(&command, output)?,
        Command::Import(arguments) => import::run(&arguments, output)?,
        Command::Explain(arguments) => explain::run(&arguments, cli.config.as_deref(), output)?,
        Command::Mesh(arguments) => mesh::run(&arguments, &program.connect(&load()?)?.mesh, output).await?,
        Command::Doctor => {
            let settings = load()?;
            let services = program.connect(&settings)?;
            doctor::run(&program.doctor(&settings, &services), output).await?;
        }
        Command::Api(arguments) => {
            api::run(arguments, &program.openapi()?, &*program.gateway(), output).await?;
        }
        Command::Openapi => output.raw(&program.openapi()?),
    }
    Ok(())
}

/// Who sits at the keyboard, as far as the system says.
fn operator() -> By {
    match std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")) {
        Ok(user) if !user.is_empty() && !user.chars().any(char::is_control) => By::operator(&format!("cli:{user}")),
        _ => By::operator("cli"),
    }
}
