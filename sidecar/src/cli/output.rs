//! What commands print: results on standard output, everything else on standard error.

use std::io::Write;

use serde_json::{Value, json};

use crate::cli::Exit;
use crate::cli::shown::{safe, safe_json, safe_lines};
use crate::config::Problem;
use crate::service::acknowledgement::Straggler;
use crate::service::change::Change;

/// Prints as text or as JSON. A reader that went away (`sekisho ban list | head`) is no error.
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints a result: one of the two.
    pub(super) fn result(&self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) {
        if self.json {
            self.json(&json());
        } else {
            self.raw(&format!("{}\n", safe_lines(&text())));
        }
    }

    /// Prints JSON.
    pub(super) fn json(&self, value: &Value) {
        self.raw(&format!("{}\n", safe_json(&format!("{value:#}"))));
    }

    /// Prints JSON in a line.
    pub(super) fn json_line(&self, value: &Value) {
        self.raw(&format!("{}\n", safe_json(&value.to_string())));
    }

    /// Prints a text as it is: our own, or what nobody looks at.
    pub(super) fn raw(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Prints a remark that is no result.
    pub(super) fn remark(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{}", safe_lines(text));
    }

    /// Prints why a command did not end well.
    pub(super) fn exit(&self, exit: &Exit) {
        match exit {
            Exit::NotReady => {}
            Exit::Failed(failure) if self.json => {
                self.json(&json!({"error": {"code": failure.code(), "message": failure.to_string()}}));
            }
            Exit::Failed(failure) => self.remark(&format!("error: {failure}")),
            Exit::Broken(error) if self.json => {
                self.json(&json!({"error": {"code": "internal", "message": format!("{error:#}")}}));
            }
            Exit::Broken(error) => self.remark(&format!("error: {error:#}")),
            Exit::Refused { status, code, message } if self.json => {
                self.json(&json!({"error": {"code": code, "message": message, "status": status}}));
            }
            Exit::Refused { status, code, message } => {
                self.remark(&format!("error: {message} ({status} {code})"));
            }
            Exit::Misconfigured(problems) if self.json => {
                self.json(&json!({"ok": false, "problems": problems_json(problems)}));
            }
            Exit::Misconfigured(problems) => {
                for problem in problems {
                    self.remark(&problem.to_string());
                }
            }
        }
    }

    /// Says so if a change is not in force everywhere yet.
    pub(super) fn lagging(&self, change: &Change) {
        for straggler in &change.acknowledgement.lagging {
            let (who, version) = (worker_text(&straggler.node, straggler.worker), straggler.version);
            self.remark(&format!("warning: {who} ({}) is still at version {version}", straggler.replica));
        }
        for straggler in &change.acknowledgement.fenced {
            let who = worker_text(&straggler.node, straggler.worker);
            self.remark(&format!("note: {who} ({}) is silent, and checks every request", straggler.replica));
        }
    }
}

fn problems_json(problems: &[Problem]) -> Value {
    problems.iter().map(|problem| json!({"path": problem.path, "message": problem.message})).collect()
}

/// A worker as people find it. The node's name comes from outside, so nothing in it may act on a terminal.
pub(super) fn worker_text(node: &str, worker: u32) -> String {
    format!("worker {worker} of {}", safe(node))
}

/// A change in words.
pub(super) fn change_text(change: &Change) -> String {
    let acknowledgement = &change.acknowledgement;
    let (workers, acknowledged) = (acknowledgement.workers, acknowledgement.acknowledged);
    let (elapsed, durability) = (acknowledgement.elapsed_ms, change.durability.word());
    let applied = match (acknowledgement.counted, workers) {
        (false, _) => "nobody knows which filters applied it".to_owned(),
        (true, 0) => "no filter listens to the feed".to_owned(),
        (true, _) => format!("{acknowledged} of {workers} filter workers applied it in {elapsed} ms"),
    };
    let fenced = match acknowledgement.fenced.len() {
        0 => String::new(),
        fenced => format!(", {fenced} silent ones check every request"),
    };
    let joining = match acknowledgement.joining {
        0 => String::new(),
        joining => format!(", {joining} joined since and check every request until they have read it"),
    };
    format!("{applied}{fenced}{joining}; durability: {durability}")
}

/// A change as JSON, with the fields of the HTTP API.
pub(super) fn change_json(change: &Change) -> Value {
    let acknowledgement = &change.acknowledgement;
    json!({
        "version": acknowledgement.version.get(),
        "epoch": acknowledgement.epoch,
        "workers": acknowledgement.workers,
        "acknowledged": acknowledgement.acknowledged,
        "joining": acknowledgement.joining,
        "fenced": acknowledgement.fenced.len(),
        "fenced_workers": stragglers_json(&acknowledgement.fenced),
        "lagging": stragglers_json(&acknowledgement.lagging),
        "elapsed_ms": acknowledgement.elapsed_ms,
        "durability": change.durability.word(),
    })
}

fn stragglers_json(stragglers: &[Straggler]) -> Value {
    let row = |one: &Straggler| json!({"replica": one.replica, "node": one.node, "worker": one.worker, "version": one.version.get()});
    stragglers.iter().map(row).collect()
}

/// `object` with the fields of a change.
pub(super) fn with_change(mut object: Value, change: &Change) -> Value {
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), change_json(change)) {
        object.extend(fields);
    }
    object
}
