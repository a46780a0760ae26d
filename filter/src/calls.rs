//! Callouts to the sidecars: what is sent, under whose name, and who gets the answer.

use std::rc::Rc;

use sekisho_core::config::Policy;
use sekisho_core::trace::Trace;
use sekisho_core::worker::KEYS_TIMEOUT_MS;
use sekisho_protocol::check::CheckRequest;
use sekisho_protocol::keyset::KeysQuery;
use sekisho_protocol::path;
use sekisho_protocol::session::SessionQuestion;

use crate::host;
use crate::vm::{Call, Purpose, Vm};

/// A callout that is to be made.
pub(crate) struct Outgoing<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) timeout_ms: u32,
    /// The trace of the request because of which it is made.
    pub(crate) trace: Option<&'a Trace>,
}

/// Sends a check; its number, or none if the host refuses it.
pub(crate) fn call_check(vm: &mut Vm, root: u32, request: &CheckRequest, trace: Option<&Trace>) -> Option<u32> {
    let body = serde_json::to_vec(request).ok()?;
    ask(vm, root, Purpose::Check, path::CHECK, &body, trace)
}

/// Sends a question for keys; its number, or none if the host refuses it.
pub(crate) fn call_keys(vm: &mut Vm, root: u32, query: &KeysQuery, trace: Option<&Trace>) -> Option<u32> {
    let policy = Rc::clone(vm.roots.get(&root)?);
    let target = with_query(path::KEYS, query)?;
    let question = Outgoing {
        cluster: &policy.mesh.check_cluster,
        method: "GET",
        path: &target,
        body: &[],
        timeout_ms: KEYS_TIMEOUT_MS,
        trace,
    };
    let call = Call { root, purpose: Purpose::Keys, sent_at_ms: vm.now().mono_ms };
    dispatch(vm, call, &question, &policy)
}

/// Sends a question for a session; its number, or none if the host refuses it.
pub(crate) fn call_session(vm: &mut Vm, root: u32, question: &SessionQuestion, trace: Option<&Trace>) -> Option<u32> {
    let body = serde_json::to_vec(question).ok()?;
    ask(vm, root, Purpose::Session, path::SESSION, &body, trace)
}

/// Asks what a request waits for.
fn ask(vm: &mut Vm, root: u32, purpose: Purpose, path: &str, body: &[u8], trace: Option<&Trace>) -> Option<u32> {
    let policy = Rc::clone(vm.roots.get(&root)?);
    let mesh = &policy.mesh;
    let (cluster, timeout_ms) = (mesh.check_cluster.as_str(), mesh.check_timeout_ms);
    let out = Outgoing { cluster, method: "POST", path, body, timeout_ms, trace };
    let call = Call { root, purpose, sent_at_ms: vm.now().mono_ms };
    dispatch(vm, call, &out, &policy)
}

/// Makes a callout on behalf of the effective context; its number, or none if the host refuses it.
pub(crate) fn dispatch(vm: &mut Vm, call: Call, out: &Outgoing<'_>, policy: &Policy) -> Option<u32> {
    let mut authorization = b"Bearer ".to_vec();
    authorization.extend_from_slice(policy.mesh.secret.expose());
    let mut headers: Vec<(&[u8], &[u8])> = vec![
        (b":method", out.method.as_bytes()),
        (b":path", out.path.as_bytes()),
        (b":authority", b"sekisho"),
        (b"authorization", &authorization),
        (b"content-type", b"application/json"),
    ];
    headers.extend(out.trace.into_iter().flat_map(|trace| trace.iter()).map(|(name, value)| (*name, &**value)));
    let id = host::http_call(out.cluster, &headers, out.body, out.timeout_ms).ok()?;
    vm.calls.insert(id, call);
    Some(id)
}

/// A path with its query.
pub(crate) fn with_query(path: &str, query: &impl serde::Serialize) -> Option<String> {
    serde_urlencoded::to_string(query).ok().map(|query| format!("{path}?{query}"))
}
