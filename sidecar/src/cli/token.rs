//! `sekisho token …`.

use clap::Subcommand;
use sekisho_protocol::Email;
use serde_json::{Value, json};

use crate::cli::output::{Output, change_text, with_change};
use crate::cli::shown::safe;
use crate::cli::{Exit, operator};
use crate::domain::page::Window;
use crate::domain::time::UnixSeconds;
use crate::domain::token::{Status, StoredToken, TokenId};
use crate::service::tokens::{Issued, Tokens, Wish};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Issue a token. It is printed this once, alone on its line.
    Issue {
        /// Whom it belongs to.
        #[arg(long, value_parser = Email::parse)]
        email: Email,
        /// Its name.
        #[arg(long, default_value = "cli")]
        name: String,
        /// A scope; can be given several times. `admin` is needed for admin calls. Default: api:read, api:write.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Its life in seconds; more than the maximum is cut to it.
        #[arg(long, value_name = "SECONDS")]
        expires_in: Option<u64>,
    },
    /// List somebody's tokens, the newest first.
    List {
        /// Whose.
        #[arg(long, value_parser = Email::parse)]
        email: Email,
    },
    /// Revoke a token. Nothing brings it back.
    Revoke {
        /// Its id.
        id: String,
    },
}

pub(super) async fn run(command: Command, tokens: &Tokens, output: &Output) -> Result<(), Exit> {
    let now = UnixSeconds::now();
    match command {
        Command::Issue { email, name, scopes, expires_in } => {
            let wish = Wish { name, expires_in, scopes: (!scopes.is_empty()).then_some(scopes) };
            let issued = tokens.issue_to(email, &wish, operator(), now).await?;
            output.result(|| issued.token.clone(), || issued_json(&issued));
        }
        Command::List { email } => list(tokens, &email, now, output).await?,
        Command::Revoke { id } => {
            let revoked = tokens.revoke(&TokenId::parse(&id)?, operator()).await?;
            output.lagging(&revoked.change);
            output.result(
                || format!("revoked {id} of {}: {}", safe(&revoked.record.user_email), change_text(&revoked.change)),
                || with_change(json!({"token_id": id, "user_email": revoked.record.user_email}), &revoked.change),
            );
        }
    }
    Ok(())
}

async fn list(tokens: &Tokens, email: &Email, now: UnixSeconds, output: &Output) -> Result<(), Exit> {
    let page = tokens.of_user(email, &Window::choose(None, None)?).await?;
    if page.next.is_some() {
        output.remark(&format!("warning: only the newest {} are shown", page.limit));
    }
    output.result(
        || match page.rows.as_slice() {
            [] => format!("{email} has no tokens"),
            rows => rows.iter().map(|token| line(token, now)).collect::<Vec<_>>().join("\n"),
        },
        || {
            let rows: Vec<Value> = page.rows.iter().map(|token| token_json(token, now)).collect();
            json!({"user_email": email, "count": rows.len(), "tokens": rows})
        },
    );
    Ok(())
}

/// A token in a line. Another program may have written its record.
fn line(token: &StoredToken, now: UnixSeconds) -> String {
    let record = &token.record;
    let status = match token.status(now) {
        Status::Active => "active ",
        Status::Expired => "expired",
        Status::Revoked => "revoked",
    };
    let days = UnixSeconds(record.expires_at).since(now) / 86_400;
    let (id, name, scopes) = (safe(&record.token_id), safe(&record.token_name), safe(record.scopes.join(" ")));
    format!("{id}  {status}  {days:>3} days left  {name}  [{scopes}]")
}

fn issued_json(issued: &Issued) -> Value {
    let record = issued.grant.record();
    json!({
        "token": issued.token,
        "token_id": record.token_id,
        "token_name": record.token_name,
        "user_email": record.user_email,
        "scopes": record.scopes,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "expires_in": record.expires_at.saturating_sub(record.created_at),
    })
}

fn token_json(token: &StoredToken, now: UnixSeconds) -> Value {
    let mut json = json!(token.record);
    if let Some(fields) = json.as_object_mut() {
        fields.insert("is_expired".into(), json!(token.record.is_expired(now)));
        fields.insert("is_revoked".into(), json!(token.is_revoked));
        fields.insert("status".into(), json!(token.status(now)));
    }
    json
}
