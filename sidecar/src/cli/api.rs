//! `sekisho api …`: calls of the HTTP API, through the gateway, as any program makes them. Which calls there are and
//! what they take is in the API's description, which is part of this program.

use std::io::{IsTerminal as _, Read as _};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::Exit;
use crate::cli::output::Output;
use crate::cli::shown::{safe, safe_lines};
use crate::config::Problem;
use crate::service::gateway::Gateway;

mod call;
mod lines;
mod operations;
mod pages;
mod values;

use call::Caller;
use operations::{Description, Operation};

#[derive(Debug, Args)]
#[command(after_help = "The token is read from SEKISHO_TOKEN, or from the file that SEKISHO_TOKEN_FILE names: \
                        arguments show in lists of processes.")]
pub(super) struct Arguments {
    /// The path, with a method before it unless that is clear. Without both, every call is listed.
    #[arg(value_name = "METHOD /PATH", num_args = 0..=2)]
    words: Vec<String>,
    /// A value that the call takes, wherever it belongs. A list's values may be given one by one.
    #[arg(short = 'f', long = "field", value_name = "NAME=VALUE", value_parser = field)]
    fields: Vec<(String, String)>,
    /// The body as JSON: `@FILE`, `-` for standard input, or the text itself.
    #[arg(short = 'd', long, value_name = "JSON", conflicts_with = "fields")]
    data: Option<String>,
    /// Get all pages of a list, as one.
    #[arg(long)]
    paginate: bool,
    /// Where Envoy answers for the API, such as `https://sekisho.example.com`.
    #[arg(long, env = "SEKISHO_URL", value_name = "URL")]
    url: Option<String>,
    /// The host to ask for, if it is not the URL's.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
}

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("is not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A call that is ready to be made.
struct Ready<'a> {
    operation: Operation<'a>,
    /// Path and query.
    target: String,
    body: Option<String>,
}

pub(super) async fn run(
    arguments: Arguments,
    description: &str,
    gateway: &dyn Gateway,
    output: &Output,
) -> Result<(), Exit> {
    let description = Description::parse(description).map_err(anyhow::Error::from)?;
    if arguments.words.is_empty() {
        list(&description, output);
        return Ok(());
    }
    let ready = ready(&arguments, &description)?;
    let caller = Caller::new(&arguments, ready.operation.is_public(), gateway, output)?;
    if ready.operation.is_of_lines() {
        return lines::print(&caller, &ready, output).await;
    }
    let answer = if arguments.paginate { pages::all(&caller, &ready).await? } else { caller.call(&ready).await? };
    match answer {
        // What is no JSON is the caller's to judge, unless a terminal would act on it.
        Some(Value::String(text)) if std::io::stdout().is_terminal() => output.raw(&format!("{}\n", safe_lines(&text))),
        Some(Value::String(text)) => output.raw(&format!("{text}\n")),
        Some(value) => output.json(&value),
        None => {}
    }
    Ok(())
}

fn wrong(what: impl Into<String>, message: impl Into<String>) -> Exit {
    Exit::Misconfigured(vec![Problem { path: what.into(), message: message.into() }])
}

fn list(description: &Description, output: &Output) {
    let operations = description.operations();
    let width = operations.iter().map(|operation| operation.path.len()).max().unwrap_or_default();
    let line = |one: &Operation<'_>| format!("{:<6} {:<width$}  {}", one.method, one.path, one.summary());
    let row = |one: &Operation<'_>| json!({"method": one.method, "path": one.path, "summary": one.summary()});
    output
        .result(|| operations.iter().map(line).collect::<Vec<_>>().join("\n"), || operations.iter().map(row).collect());
}

/// What the arguments ask for, if there is such a call.
fn ready<'a>(arguments: &Arguments, description: &'a Description) -> Result<Ready<'a>, Exit> {
    let (method, target) = match arguments.words.as_slice() {
        [target] => (None, target),
        [method, target, ..] => (Some(method.to_ascii_uppercase()), target),
        [] => return Err(wrong("api", "names no call")),
    };
    let (path, query) = target.split_once('?').map_or((target.as_str(), ""), |(path, query)| (path, query));
    let operation = choose(description, method, path, arguments)?;
    if arguments.paginate && !operation.is_paged() {
        return Err(wrong("--paginate", format!("{} {} has no pages", operation.method, operation.path)));
    }
    let filled = values::fill(&operation, path, &arguments.fields).map_err(|problem| wrong("-f", problem))?;
    let queries: Vec<&str> = [query, &filled.query].into_iter().filter(|part| !part.is_empty()).collect();
    let target = if queries.is_empty() { filled.path } else { format!("{}?{}", filled.path, queries.join("&")) };
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong(safe(&target), "must be percent-encoded"));
    }
    let body = match &arguments.data {
        Some(data) => Some(read(data)?),
        // A call that takes a body gets one, so that all that is optional may be left out.
        None => filled.body.or_else(|| operation.body().map(|_| json!({}))).map(|body| body.to_string()),
    };
    Ok(Ready { operation, target, body })
}

/// The one operation that is meant.
fn choose<'a>(
    description: &'a Description,
    method: Option<String>,
    path: &str,
    arguments: &Arguments,
) -> Result<Operation<'a>, Exit> {
    let mut found = description.at(path);
    if found.is_empty() {
        let nearest = description.nearest(path).join(", ");
        return Err(wrong(safe(path), format!("is no path of the API; similar ones are {nearest}")));
    }
    let methods: Vec<String> = found.iter().map(|operation| operation.method.clone()).collect();
    let has_values = !arguments.fields.is_empty() || arguments.data.is_some();
    let usual = if has_values && !methods.iter().any(|method| method == "GET") { "POST" } else { "GET" };
    let wanted = match (&method, methods.as_slice()) {
        (Some(method), _) => method.clone(),
        // What a path alone does must not surprise: only what reads, or sends values, needs no method.
        (None, [only]) if only == "GET" || (only == "POST" && has_values) => only.clone(),
        (None, _) => usual.to_owned(),
    };
    let index = methods.iter().position(|method| *method == wanted);
    let message = || format!("does not take {wanted}; say which of {} you mean", methods.join(", "));
    let index = index.ok_or_else(|| wrong(path, message()))?;
    Ok(found.swap_remove(index))
}

/// The body that `data` names.
fn read(data: &str) -> Result<String, Exit> {
    let unreadable = |what: &str, error: std::io::Error| wrong(what, format!("cannot be read: {error}"));
    let text = match data.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|error| unreadable(file, error))?,
        None if data == "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| unreadable("standard input", error))?;
            text
        }
        None => data.to_owned(),
    };
    match serde_json::from_str::<Value>(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(wrong("-d", format!("is no JSON: {error}"))),
    }
}
