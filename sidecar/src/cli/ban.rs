//! `sekisho ban …`.

use clap::Subcommand;
use sekisho_protocol::{Email, Subject};
use serde_json::{Value, json};

use crate::cli::output::{Output, change_text, with_change};
use crate::cli::shown::safe;
use crate::cli::{Exit, duration, operator};
use crate::domain::ban::{Ban, Length, Order, Reason, TimeLeft};
use crate::domain::page::{BOUND, Page, Window};
use crate::domain::search::Search;
use crate::domain::time::UnixSeconds;
use crate::service::bans::Bans;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Ban somebody, for 7 days unless told otherwise. Waits until every filter knows.
    Add {
        /// Whom.
        #[arg(value_parser = Email::parse)]
        email: Email,
        /// For how long: 90s, 15m, 12h, 7d, 2w.
        #[arg(long = "for", value_name = "TIME", value_parser = duration::seconds, conflicts_with = "permanent")]
        duration_s: Option<u64>,
        /// Until somebody lifts it.
        #[arg(long)]
        permanent: bool,
        /// Why; other administrators see it.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Lift a ban. The same tokens get in again at once.
    Lift {
        /// Whose: an address, or whatever name is in the list.
        #[arg(value_name = "EMAIL", value_parser = |name: &str| Subject::try_from(name.to_owned()))]
        subject: Subject,
    },
    /// List the bans that hold now.
    List,
}

pub(super) async fn run(command: Command, bans: &Bans, output: &Output) -> Result<(), Exit> {
    let now = UnixSeconds::now();
    match command {
        Command::Add { email, duration_s, permanent, reason } => {
            let length = Length::choose(duration_s, permanent)?;
            let reason = Reason::parse(reason.as_deref().unwrap_or_default())?;
            let banned = bans.ban(Order { subject: email.into(), length, reason, by: operator() }, now).await?;
            let (ban, change) = (&banned.ban, &banned.change);
            output.lagging(change);
            output.result(
                || {
                    format!(
                        "{} is banned {}: {}",
                        safe(ban.subject.to_string()),
                        span(ban.left(now)),
                        change_text(change)
                    )
                },
                || with_change(ban_json(ban, now), change),
            );
        }
        Command::Lift { subject } => {
            let change = bans.lift(subject.clone(), operator()).await?;
            output.lagging(&change);
            output.result(
                || format!("{} is not banned any more: {}", safe(subject.to_string()), change_text(&change)),
                || with_change(json!({"user_email": subject}), &change),
            );
        }
        Command::List => list(&all(bans).await?, now, output),
    }
    Ok(())
}

/// All bans, page by page.
async fn all(bans: &Bans) -> Result<Vec<Ban>, Exit> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let Page { rows, next, .. } = bans.list(&Search::default(), &Window::choose(Some(BOUND), after)?).await?;
        all.extend(rows);
        match next {
            Some(cursor) => after = Some(cursor),
            None => return Ok(all),
        }
    }
}

fn list(bans: &[Ban], now: UnixSeconds, output: &Output) {
    output.result(
        || match bans {
            [] => "nobody is banned".to_owned(),
            bans => bans.iter().map(|ban| line(ban, now)).collect::<Vec<_>>().join("\n"),
        },
        || {
            let rows: Vec<Value> = bans.iter().map(|ban| ban_json(ban, now)).collect();
            json!({"count": rows.len(), "bans": rows})
        },
    );
}

/// A ban in a line. Another program may have written it.
fn line(ban: &Ban, now: UnixSeconds) -> String {
    let by = ban.by.as_deref().map(|by| format!("  by {}", safe(by))).unwrap_or_default();
    let reason = ban.reason.as_ref().map(|reason| format!("  ({})", safe(reason.as_str()))).unwrap_or_default();
    format!("{}  {}{by}{reason}", safe(ban.subject.to_string()), span(ban.left(now)))
}

fn span(left: TimeLeft) -> String {
    match left {
        TimeLeft::Permanent => "until somebody lifts it".to_owned(),
        TimeLeft::Seconds(s) if s >= 86_400 => format!("for {} days {} hours", s / 86_400, s % 86_400 / 3_600),
        TimeLeft::Seconds(s) => format!("for {} hours {} minutes {} seconds", s / 3_600, s % 3_600 / 60, s % 60),
    }
}

fn ban_json(ban: &Ban, now: UnixSeconds) -> Value {
    json!({
        "user_email": ban.subject,
        "reason": ban.reason.as_ref().map(Reason::as_str),
        "banned_by": ban.by,
        "banned_at": ban.at,
        "banned_until": ban.end(),
        "ban_remaining_seconds": ban.left(now).seconds(),
        "permanent": ban.is_permanent(),
        "message": ban.left(now).to_string(),
    })
}
