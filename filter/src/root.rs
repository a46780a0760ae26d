//! Root contexts: configuration, ticks, polls and reports, and the answers to all callouts.

use std::rc::Rc;

use sekisho_core::activity::REPORT_TIMEOUT_MS;
use sekisho_core::check::CallId;
use sekisho_core::config::Policy;
use sekisho_core::feed::{POLL_TIMEOUT_MS, ReplicaInfo};
use sekisho_core::trace::Trace;
use sekisho_core::worker::{KeysTaken, Worker};
use sekisho_protocol::feed::LABEL_MAX_BYTES;
use sekisho_protocol::keyset::KeysQuery;
use sekisho_protocol::session::SessionQuestion;
use sekisho_protocol::{ReplicaId, path};

use crate::calls::{Outgoing, dispatch, with_query};
use crate::crypto::Proxy;
use crate::host::{self, Buffer, Level, Map};
use crate::vm::{Call, Purpose, Vm};
use crate::{calls, pairs, request};

/// Polls are sent at once after an answer; the tick starts the first one, retries and sweeps.
const TICK_MS: u32 = 100;
/// More than any answer has. What is longer is no answer.
const BODY_MAX_BYTES: usize = 1024 * 1024;
const GOODBYE_TIMEOUT_MS: u32 = 500;
/// Under this key of the host's shared data stands how many VMs this Envoy has started: one small number,
/// since what is there is never evicted.
const VMS: &[u8] = b"sekisho.vms";

pub(crate) fn configure(vm: &mut Vm, root: u32, size: usize) -> bool {
    let Ok(text) = host::buffer(Buffer::PluginConfiguration, size) else {
        return false;
    };
    let text = String::from_utf8_lossy(&text);
    let policy = match Policy::parse(&text, &|name| std::env::var(name).ok()) {
        Ok(policy) => policy,
        Err(problems) => {
            for problem in problems {
                host::log(Level::Error, &format!("configuration refused: {problem}"));
            }
            return false;
        }
    };
    vm.set_clock();
    if vm.worker.is_none() {
        let Some(info) = replica_info() else {
            host::log(Level::Error, "configuration refused: the host gives no random bytes");
            return false;
        };
        vm.worker = Some(Worker::new(info, policy.mesh.digest_key.clone(), Rc::new(Proxy)));
    }
    if !vm.worker.as_ref().is_some_and(|worker| worker.serves(&policy)) {
        host::log(
            Level::Error,
            "configuration refused: mesh.secret_env: another mesh than this VM's; set another vm_id",
        );
        return false;
    }
    vm.is_leaving = false;
    vm.roots.insert(root, Rc::new(policy));
    // Never poll here: Envoy configures a VM on each update only to throw it away (rule P7).
    host::set_tick_period(TICK_MS).is_ok()
}

pub(crate) fn tick(vm: &mut Vm, root: u32) {
    vm.set_clock();
    let now = vm.now();
    if let Some(worker) = vm.worker.as_mut() {
        worker.sweep(now);
        let cuts = worker.expire(now);
        request::cut(vm, &cuts, root);
    }
    keys(vm, root);
    poll(vm, root);
    write_statistics(vm);
    report(vm, root);
}

pub(crate) fn on_answer(vm: &mut Vm, call: u32, body_size: usize) {
    let Some(answered) = vm.calls.remove(&call) else {
        return;
    };
    let status = status();
    let body =
        if body_size > BODY_MAX_BYTES { Ok(Box::default()) } else { host::buffer(Buffer::CallResponseBody, body_size) };
    take(vm, call, answered, status, &body.unwrap_or_default());
}

/// The root context ends. The last one says goodbye and waits for the answer.
pub(crate) fn on_done(vm: &mut Vm, context: u32) -> bool {
    let last = vm.roots.len() == 1 && vm.roots.contains_key(&context);
    if last && goodbye(vm, context) {
        return false;
    }
    forget(vm, context);
    true
}

/// The root context is gone, or will be as soon as this callback ends.
fn forget(vm: &mut Vm, root: u32) {
    vm.roots.remove(&root);
    // The proxy drops the callouts of a context together with it; nobody may wait for them.
    let orphans: Vec<_> =
        vm.calls.iter().filter(|(_, call)| call.root == root).map(|(id, call)| (*id, *call)).collect();
    for (id, call) in orphans {
        vm.calls.remove(&id);
        take(vm, id, call, NOBODY, &[]);
    }
}

/// The status of a callout that nobody answered.
const NOBODY: u32 = 0;

fn take(vm: &mut Vm, id: u32, call: Call, status: u32, body: &[u8]) {
    let now = vm.now();
    let Some(worker) = vm.worker.as_mut() else {
        return;
    };
    if let Some(question) = call.purpose.question() {
        worker.called(question, status, call.sent_at_ms, now);
    }
    match call.purpose {
        Purpose::Check => {
            let steps = worker.on_check_reply(CallId(id), status, body, now);
            steps.into_iter().for_each(|(id, step)| request::take_up(vm, id.0, step));
        }
        Purpose::Keys => {
            let KeysTaken { steps, cuts, notice } = worker.on_keys_reply(CallId(id), status, body, now);
            notice.into_iter().for_each(|notice| host::log(Level::Warn, &notice));
            request::cut(vm, &cuts, call.root);
            steps.into_iter().for_each(|(id, step)| request::take_up(vm, id.0, step));
        }
        Purpose::Session => {
            let steps = worker.on_session_reply(CallId(id), call.sent_at_ms, status, body, now);
            steps.into_iter().for_each(|(id, step)| request::take_up(vm, id.0, step));
        }
        Purpose::Feed => {
            let failed = match worker.on_feed_reply(call.sent_at_ms, status, body, now) {
                Ok(cuts) => {
                    request::cut(vm, &cuts, call.root);
                    None
                }
                Err(error) => Some(error),
            };
            if failed != vm.feed_error {
                // Once for each turn of events: a feed that is down fails several times a second.
                let line = failed.as_ref().map_or("the feed is read again".into(), ToString::to_string);
                host::log(Level::Warn, &line);
            }
            vm.feed_error = failed;
            if vm.feed_error.is_none() {
                keys(vm, call.root);
                poll(vm, call.root);
            }
        }
        Purpose::Activity => worker.on_report_reply(status),
        Purpose::Goodbye => {
            forget(vm, call.root);
            let _ = host::done();
        }
    }
}

fn poll(vm: &mut Vm, root: u32) {
    let Some(policy) = vm.roots.get(&root).filter(|_| !vm.is_leaving).map(Rc::clone) else {
        return;
    };
    let (now, promise) = (vm.now(), vm.promise());
    let Some(query) = vm.worker.as_mut().and_then(|worker| worker.poll(promise, memory_bytes(), now)) else {
        return;
    };
    let Some(target) = with_query(path::FEED, &query) else {
        return;
    };
    let poll = Outgoing {
        cluster: &policy.mesh.feed_cluster,
        method: "GET",
        path: &target,
        body: &[],
        timeout_ms: POLL_TIMEOUT_MS,
        trace: None,
    };
    let call = Call { root, purpose: Purpose::Feed, sent_at_ms: now.mono_ms };
    dispatch_or_fail(vm, call, &poll, &policy);
}

/// Asks for the keys that policies name and that are not there, or not the newest, before a request needs them.
fn keys(vm: &mut Vm, root: u32) {
    let policies: Vec<_> = vm.roots.values().map(Rc::clone).collect();
    let now = vm.now();
    while let Some(query) = vm.worker.as_mut().and_then(|worker| worker.keys_due(policies.iter(), now)) {
        ask_for_keys(vm, root, &query, None);
    }
}

/// Asks for keys on behalf of this root context. If nobody can be asked, whoever waits for them is answered.
pub(crate) fn ask_for_keys(vm: &mut Vm, root: u32, query: &KeysQuery, trace: Option<&Trace>) -> bool {
    let sent = host::act_as(root).ok().and_then(|()| calls::call_keys(vm, root, query, trace));
    let now = vm.now();
    let Some(worker) = vm.worker.as_mut() else {
        return false;
    };
    match sent {
        Some(call) => worker.keys_dispatched(&query.source, CallId(call)),
        None => {
            let steps = worker.keys_not_dispatched(&query.source, now);
            steps.into_iter().for_each(|(id, step)| request::take_up(vm, id.0, step));
            let _ = host::act_as(root);
        }
    }
    sent.is_some()
}

/// Asks for a session on behalf of this root context. If nobody can be asked, whoever waits for it is answered.
pub(crate) fn ask_for_session(vm: &mut Vm, root: u32, question: &SessionQuestion, trace: Option<&Trace>) -> bool {
    let sent = host::act_as(root).ok().and_then(|()| calls::call_session(vm, root, question, trace));
    let now = vm.now();
    let Some(worker) = vm.worker.as_mut() else {
        return false;
    };
    match sent {
        Some(call) => worker.session_dispatched(question, CallId(call)),
        None => {
            let steps = worker.session_not_dispatched(question, now);
            steps.into_iter().for_each(|(id, step)| request::take_up(vm, id.0, step));
        }
    }
    sent.is_some()
}

fn write_statistics(vm: &mut Vm) {
    let (now, promise) = (vm.now(), vm.promise());
    let samples = vm.worker.as_mut().map(|worker| worker.samples(promise, memory_bytes(), now)).unwrap_or_default();
    samples.into_iter().for_each(|sample| vm.statistics.write(sample));
}

fn report(vm: &mut Vm, root: u32) {
    let Some(policy) = vm.roots.get(&root).map(Rc::clone) else {
        return;
    };
    let now = vm.now();
    let body =
        vm.worker.as_mut().and_then(|worker| worker.report(now)).and_then(|report| serde_json::to_vec(report).ok());
    let Some(body) = body else { return };
    let report = Outgoing {
        cluster: &policy.mesh.feed_cluster,
        method: "POST",
        path: path::ACTIVITY,
        body: &body,
        timeout_ms: REPORT_TIMEOUT_MS,
        trace: None,
    };
    let call = Call { root, purpose: Purpose::Activity, sent_at_ms: now.mono_ms };
    dispatch_or_fail(vm, call, &report, &policy);
}

fn goodbye(vm: &mut Vm, root: u32) -> bool {
    let Some(policy) = vm.roots.get(&root).map(Rc::clone) else {
        return false;
    };
    let Some(target) = vm.worker.as_ref().and_then(|worker| with_query(path::FEED, &worker.goodbye())) else {
        return false;
    };
    let goodbye = Outgoing {
        cluster: &policy.mesh.feed_cluster,
        method: "DELETE",
        path: &target,
        body: &[],
        timeout_ms: GOODBYE_TIMEOUT_MS,
        trace: None,
    };
    let call = Call { root, purpose: Purpose::Goodbye, sent_at_ms: vm.now().mono_ms };
    vm.is_leaving = dispatch(vm, call, &goodbye, &policy).is_some();
    vm.is_leaving
}

/// The host may refuse a callout at once; the worker then learns that it failed.
fn dispatch_or_fail(vm: &mut Vm, call: Call, out: &Outgoing<'_>, policy: &Policy) {
    if dispatch(vm, call, out, policy).is_none() {
        take(vm, 0, call, NOBODY, &[]);
    }
}

/// The status of the callout's answer; 0 if there is none. A failed callout has no headers.
fn status() -> u32 {
    let Ok(map) = host::header_map(Map::CallResponseHeaders) else {
        return 0;
    };
    let status = pairs::decode(&map)
        .and_then(|pairs| pairs.into_iter().find(|(name, _)| *name == b":status").map(|(_, value)| value));
    status.and_then(|value| std::str::from_utf8(value).ok()).and_then(|value| value.parse().ok()).unwrap_or_default()
}

fn replica_info() -> Option<ReplicaInfo> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).ok()?;
    let node = host::property(b"xds\0node\0id").unwrap_or_default();
    Some(ReplicaInfo {
        id: ReplicaId::from_bytes(id),
        node: label(&String::from_utf8_lossy(&node)),
        worker: host::count(VMS).unwrap_or_default(),
        build: env!("CARGO_PKG_VERSION").into(),
    })
}

/// A text for people, cut to what a poll may carry. Istio's node ids have about a hundred bytes.
fn label(text: &str) -> String {
    let mut label = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if label.len() + c.len_utf8() > LABEL_MAX_BYTES {
            break;
        }
        label.push(c);
    }
    label
}

/// Bytes of the linear memory, whose pages have 64 KiB.
fn memory_bytes() -> u64 {
    u64::try_from(core::arch::wasm32::memory_size(0)).unwrap_or_default() * 65_536
}
