//! `sekisho explain --config FILE --request FILE`: what the filter would decide about a request, and why, by the
//! filter's own code. Nobody is banned there, and no sidecar is asked.

use std::path::{Path, PathBuf};

use clap::Args;
use sekisho_core::offline::{self, Explanation, Outcome, Request};
use serde_json::{Value, json};

use crate::cli::Exit;
use crate::cli::config::{filter_configurations, read};
use crate::cli::output::Output;
use crate::config::Problem;
use crate::domain::time::UnixSeconds;

/// Longest request that is read, in bytes.
const REQUEST_MAX_BYTES: usize = 256 * 1024;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The request as it is on the wire: `GET /path HTTP/1.1`, then its headers.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// The client's address, as Envoy would give it.
    #[arg(long, value_name = "IP")]
    address: Option<std::net::IpAddr>,
    /// When it comes, in Unix seconds; now, if you say nothing.
    #[arg(long, value_name = "UNIX_SECONDS")]
    at: Option<u64>,
    /// Take its tokens for signed as they should be: for secrets and keys that are not here.
    #[arg(long)]
    trust_tokens: bool,
}

/// The head of a request.
struct Head {
    pairs: Vec<(String, String)>,
}

/// `configuration` is a file with the filter's: JSON, or an envoy.yaml or a resource of Istio or Envoy Gateway.
pub(super) fn run(arguments: &Arguments, configuration: Option<&Path>, output: &Output) -> Result<(), Exit> {
    let missing = || wrong(Path::new("--config"), "is missing: name the file with the filter's configuration".into());
    let policy = policy(configuration.ok_or_else(missing)?)?;
    let head = Head::parse(&read(&arguments.request)?).map_err(|message| wrong(&arguments.request, message))?;
    let pairs: Vec<_> = head.pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let source = arguments.address.map(|address| address.to_string());
    let request = Request {
        pairs: &pairs,
        source: source.as_deref(),
        at_s: arguments.at.unwrap_or_else(|| UnixSeconds::now().get()),
        trusts_tokens: arguments.trust_tokens,
    };
    let explanation = offline::explain(&policy, &environment, &request).map_err(|problems| {
        let problem = |problem: sekisho_core::config::Problem| Problem { path: problem.path, message: problem.message };
        Exit::Misconfigured(problems.into_iter().map(problem).collect())
    })?;
    output.result(|| text(&explanation), || as_json(&explanation));
    Ok(())
}

/// Secrets that are not here are stood in for: whatever they would verify is not valid then.
fn environment(name: &str) -> Option<String> {
    const STAND_IN_BYTES: usize = 64;
    std::env::var(name).ok().or_else(|| Some("-".repeat(STAND_IN_BYTES)))
}

fn policy(file: &Path) -> Result<String, Exit> {
    let mut found = filter_configurations(&read(file)?);
    // An envoy.yaml may load the same filter on several listeners.
    found.dedup();
    match (found.pop(), found.is_empty()) {
        (Some(text), true) => Ok(text),
        (None, _) => Err(wrong(file, "holds no configuration of a filter".into())),
        _ => Err(wrong(file, "holds several different configurations: put the one that is meant into a file".into())),
    }
}

fn wrong(file: &Path, message: String) -> Exit {
    Exit::Misconfigured(vec![Problem { path: file.display().to_string(), message }])
}

impl Head {
    /// Reads a request line and header fields (RFC 9112 §3, §5), with line ends of either kind.
    fn parse(text: &str) -> Result<Self, String> {
        if text.len() > REQUEST_MAX_BYTES {
            return Err(format!("has more than {REQUEST_MAX_BYTES} bytes"));
        }
        let mut lines = text.lines();
        let start = lines.next().unwrap_or_default();
        let mut words = start.split(' ');
        let (Some(method), Some(target), Some(_), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            // What stands there instead may be a token.
            return Err("does not begin with a line like `GET /path HTTP/1.1`".into());
        };
        let mut pairs = vec![(":method".to_owned(), method.to_owned()), (":scheme".to_owned(), "https".to_owned())];
        let (host, path) = absolute(target);
        pairs.push((":path".to_owned(), path));
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) =
                line.split_once(':').ok_or_else(|| format!("has a line that is no header: {line:?}"))?;
            let name = name.to_ascii_lowercase();
            let name = if name == "host" { ":authority".to_owned() } else { name };
            pairs.push((name, value.trim().to_owned()));
        }
        if let Some(host) = host {
            // RFC 9112 §3.2.2: the host of an absolute target wins, as Envoy sees to.
            pairs.retain(|(name, _)| name != ":authority");
            pairs.push((":authority".to_owned(), host));
        }
        Ok(Self { pairs })
    }
}

/// The host and path of an absolute target; the target itself if it is none.
fn absolute(target: &str) -> (Option<String>, String) {
    let rest = target.strip_prefix("http://").or_else(|| target.strip_prefix("https://"));
    match rest {
        None => (None, target.to_owned()),
        Some(rest) => {
            let at = rest.find(['/', '?']).unwrap_or(rest.len());
            let (host, path) = rest.split_at_checked(at).unwrap_or((rest, ""));
            (Some(host.to_owned()), if path.is_empty() { "/".to_owned() } else { path.to_owned() })
        }
    }
}

fn text(explanation: &Explanation) -> String {
    let mut lines: Vec<String> = Vec::new();
    match &explanation.outcome {
        Outcome::Passes { removed, set } => {
            lines.push("passes".into());
            lines.extend(removed.iter().map(|name| format!("  - {name}")));
            lines.extend(set.iter().map(|(name, value)| format!("  + {name}: {value}")));
        }
        Outcome::Answered { status, headers, body } => {
            lines.push(format!("answered {status}"));
            lines.extend(headers.iter().map(|(name, value)| format!("  {name}: {value}")));
            lines.push(format!("  {body}"));
        }
        Outcome::NeedsSession => lines.push("depends on the session, which only sidecars know".into()),
        Outcome::NeedsKeys(source) => {
            lines.push(format!("depends on the keys of `{source}`, which only sidecars have: try --trust-tokens"));
        }
    }
    lines.extend(explanation.lines.iter().map(|(name, value)| format!("{name}: {value}")));
    lines.join("\n")
}

fn as_json(explanation: &Explanation) -> Value {
    let lines = explanation
        .lines
        .iter()
        .map(|(name, value)| (name.trim_start_matches("x-sekisho-").replace('-', "_"), Value::from(value.as_str())));
    let why: serde_json::Map<String, Value> = lines.collect();
    match &explanation.outcome {
        Outcome::Passes { removed, set } => {
            let set: serde_json::Map<_, _> =
                set.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
            json!({"outcome": "passes", "removed": removed, "set": set, "why": why})
        }
        Outcome::Answered { status, headers, body } => {
            let headers: serde_json::Map<_, _> =
                headers.iter().map(|(name, value)| (name.to_string(), value.as_str().into())).collect();
            json!({"outcome": "answered", "status": status, "headers": headers, "body": body, "why": why})
        }
        Outcome::NeedsSession => json!({"outcome": "needs_session", "why": why}),
        Outcome::NeedsKeys(source) => json!({"outcome": "needs_keys", "source": source, "why": why}),
    }
}
