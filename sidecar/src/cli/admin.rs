//! `sekisho admin …`.

use clap::{Subcommand, ValueEnum};
use sekisho_protocol::Email;
use serde_json::json;

use crate::cli::output::Output;
use crate::cli::shown::safe;
use crate::cli::{Exit, operator};
use crate::domain::admin::{GivenRole, Role};
use crate::domain::page::Window;
use crate::service::admins::{Admins, Listed};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List who administers, by address, and why.
    List,
    /// Make somebody an administrator, or an auditor. The role takes effect with their next call.
    Add {
        /// Whom.
        #[arg(value_parser = Email::parse)]
        email: Email,
        /// As what.
        #[arg(long, value_enum, default_value_t = Given::Admin)]
        role: Given,
    },
    /// Take from somebody what they were made. What the configuration says of them stays.
    Remove {
        /// Whom.
        #[arg(value_parser = Email::parse)]
        email: Email,
    },
}

/// A role that can be given at run time.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Given {
    /// Changes everything but who administers and what signs.
    Admin,
    /// Reads everything.
    Auditor,
}

impl From<Given> for GivenRole {
    fn from(given: Given) -> Self {
        match given {
            Given::Admin => Self::Admin,
            Given::Auditor => Self::Auditor,
        }
    }
}

pub(super) async fn run(command: Command, admins: &Admins, output: &Output) -> Result<(), Exit> {
    match command {
        Command::List => list(admins, output).await?,
        Command::Add { email, role } => {
            let given = GivenRole::from(role);
            admins.add(email.clone(), given, operator()).await?;
            let role = Role::from(given);
            output.result(|| format!("{email} is {role} now"), || json!({"email": email, "role": role}));
        }
        Command::Remove { email } => {
            let left = admins.remove(email.clone(), operator()).await?;
            let still = left.map(|role| format!(", and still {role} by configuration")).unwrap_or_default();
            output.result(|| format!("{email} is removed{still}"), || json!({"email": email, "remaining_role": left}));
        }
    }
    Ok(())
}

async fn list(admins: &Admins, output: &Output) -> Result<(), Exit> {
    let roster = admins.list(&Window::choose(None, None)?).await?;
    let row = |one: &Listed| json!({"email": one.email, "role": one.role, "source": one.source.word(), "removable": one.is_removable()});
    output.result(
        || {
            let people = roster.page.rows.iter();
            let people = people
                .map(|one| format!("{}  {}  {}", safe(one.email.to_string()), one.role.word(), one.source.word()));
            let domains = roster.domains.iter().map(|domain| format!("@{domain}  admin  environment"));
            people.chain(domains).collect::<Vec<_>>().join("\n")
        },
        || {
            let rows: Vec<_> = roster.page.rows.iter().map(row).collect();
            json!({"admins": rows, "total": roster.total, "domains": roster.domains})
        },
    );
    if roster.page.next.is_some() {
        output.remark(&format!("the first {} of {}", roster.page.rows.len(), roster.total));
    }
    Ok(())
}
