//! `sekisho session …`.

use clap::Subcommand;
use sekisho_protocol::Subject;
use sekisho_protocol::activity::Method;
use serde_json::{Value, json};

use crate::cli::output::{Output, change_text, with_change};
use crate::cli::shown::safe;
use crate::cli::{Exit, operator};
use crate::domain::page::{BOUND, Page, Window};
use crate::domain::search::Search;
use crate::domain::session::Session;
use crate::domain::session_order::Wanted;
use crate::domain::time::UnixSeconds;
use crate::domain::unseen_session::Unseen;
use crate::service::Services;
use crate::service::all_sessions::{AllSessions, Listed};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List sessions that hold, the one that was used last first, and last those of oauth2-proxy that nobody has shown yet.
    List {
        /// Only this user's: an address, or whatever name is in the list.
        #[arg(long, value_name = "EMAIL", value_parser = |name: &str| Subject::try_from(name.to_owned()))]
        email: Option<Subject>,
        /// Only those whose owner, address or host holds this text, in whatever case.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// So many at most; without it all of them.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
    },
    /// End a session for good. Waits until every filter knows.
    End {
        /// The session's key, as it is in the list.
        // One in 64 begins with a hyphen.
        #[arg(value_name = "KEY", allow_hyphen_values = true)]
        key: String,
    },
    /// End all sessions of somebody for good; their tokens are as good as before. Waits until every filter knows.
    EndAll {
        /// Whose: an address, or whatever name is in the list.
        #[arg(value_name = "EMAIL", value_parser = |name: &str| Subject::try_from(name.to_owned()))]
        subject: Subject,
    },
}

pub(super) async fn run(command: Command, services: &Services, output: &Output) -> Result<(), Exit> {
    let sessions = &services.all_sessions;
    let now = UnixSeconds::now();
    match command {
        Command::List { email, search, limit } => {
            let wanted = Wanted { search: Search::parse(search.as_deref())?, subject: email, ..Wanted::default() };
            let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
            let rows = all(sessions, &wanted, limit).await?;
            list(&rows, sessions.count(now).await?, now, output);
        }
        Command::End { key } => {
            let session = sessions.find(&key, now).await?;
            let ended = sessions.end_on_order(session, operator()).await?;
            let (session, change) = (&ended.session, &ended.change);
            output.lagging(change);
            output.result(
                || {
                    let owner = session.subject().map_or("somebody", Subject::as_str);
                    format!("the session of {} is ended: {}", safe(owner), change_text(change))
                },
                || with_change(json!({"session_key": session.key(), "user_email": session.subject()}), change),
            );
        }
        Command::EndAll { subject } => {
            let ended = services.sessions.end_all_on_order(subject.clone(), operator(), now).await?;
            output.lagging(&ended.change);
            output.result(
                || {
                    let (subject, change) = (safe(subject.as_str()), change_text(&ended.change));
                    format!("{} sessions of {subject} are ended: {change}", ended.count)
                },
                || with_change(json!({"user_email": subject, "deleted_count": ended.count}), &ended.change),
            );
        }
    }
    Ok(())
}

/// So many sessions at most, page by page.
async fn all(sessions: &AllSessions, wanted: &Wanted, limit: usize) -> Result<Vec<Listed>, Exit> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let step = BOUND.min(limit - all.len());
        let Page { rows, next, .. } = sessions.list(wanted, &Window::choose(Some(step), after)?).await?;
        all.extend(rows);
        match next {
            Some(cursor) if all.len() < limit => after = Some(cursor),
            _ => return Ok(all),
        }
    }
}

fn list(sessions: &[Listed], total: usize, now: UnixSeconds, output: &Output) {
    output.result(
        || match sessions {
            [] => "there is no such session".to_owned(),
            sessions => sessions.iter().map(|listed| line(listed, now)).collect::<Vec<_>>().join("\n"),
        },
        || {
            let rows: Vec<Value> = sessions.iter().map(|listed| listed_json(listed, now)).collect();
            json!({"count": rows.len(), "total": total, "sessions": rows})
        },
    );
}

/// A session in a line. A browser may call itself anything.
fn line(listed: &Listed, now: UnixSeconds) -> String {
    let session = match listed {
        Listed::Known(session) => session,
        Listed::Unseen(Unseen { key, ends_at }) => {
            let end = ends_at.map_or("never ends".to_owned(), |end| format!("ends in {} s", end.since(now)));
            return format!("{}  not shown yet  {end}", safe(key));
        }
    };
    let address = session.address.map(|address| format!("  from {address}")).unwrap_or_default();
    let agent = session.agent.as_ref().map(|agent| format!("  ({})", safe(agent.as_str()))).unwrap_or_default();
    format!(
        "{}  {}  on {}  used {} s ago  ends in {} s{address}{agent}",
        session.id,
        safe(session.subject.as_str()),
        safe(&session.host),
        now.since(session.last_access),
        session.expires_at().since(now),
    )
}

fn listed_json(listed: &Listed, now: UnixSeconds) -> Value {
    match listed {
        Listed::Known(session) => session_json(session, now),
        Listed::Unseen(Unseen { key, ends_at }) => json!({
            "session_key": key,
            "user_email": null,
            "created_at": null,
            "expires_at": ends_at,
            "ttl_seconds": ends_at.map(|end| end.since(now)),
            "method": Method::Oauth2Proxy.as_str(),
        }),
    }
}

fn session_json(session: &Session, now: UnixSeconds) -> Value {
    json!({
        "session_key": session.id,
        "user_email": session.subject,
        "created_at": session.signed_in_at,
        "last_access": session.last_access,
        "expires_at": session.expires_at(),
        "ttl_seconds": session.expires_at().since(now),
        "ends_at": session.ends_at,
        "address": session.address,
        "agent": session.agent,
        "method": session.method.as_str(),
        "host": session.host,
    })
}
