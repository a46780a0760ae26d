//! Callbacks of one request: reads its headers, asks the worker, carries out the step.

use std::rc::Rc;

use sekisho_core::answer::{Answer, Shape};
use sekisho_core::authorize::address::Connection;
use sekisho_core::check::{CallId, RequestId, ShareKey};
use sekisho_core::decision::Decision;
use sekisho_core::denial::Inability;
use sekisho_core::flow::{clean_target, forged_trailers};
use sekisho_core::head::{Framing, Head};
use sekisho_core::identity::Edits;
use sekisho_core::set_cookie::{self, Guard};
use sekisho_core::trace::Trace;
use sekisho_core::worker::{Cut, Passage, Step};
use sekisho_protocol::check::CheckRequest;

use crate::host::{self, Action, HostError, HostResult, Map};
use crate::vm::Vm;
use crate::{calls, pairs, root};

/// Filter state of the stream in which the access log and other filters find how a request was decided:
/// `%FILTER_STATE(wasm.sekisho.decision:PLAIN)%`.
const DECISION: &[u8] = b"sekisho.decision";
/// Under which rule.
const ROUTE: &[u8] = b"sekisho.route";
/// And why it does not pass, or would not.
const REASON: &[u8] = b"sekisho.reason";

/// The connection of the effective context's request.
#[derive(Debug)]
struct Proxy;

impl Connection for Proxy {
    fn source(&self) -> Option<Vec<u8>> {
        host::property(b"source\0address").ok().map(Vec::from)
    }
}

pub(crate) fn on_headers(vm: &mut Vm, stream: u32) -> Action {
    let now = vm.now();
    let policy = vm.policy_of(stream).map(Rc::clone);
    let (Some(policy), Some(worker)) = (policy, vm.worker.as_mut()) else {
        return refuse(Framing::Http);
    };
    let Ok(map) = host::header_map(Map::RequestHeaders) else {
        return refuse(Framing::Http);
    };
    let Some(pairs) = pairs::decode(&map) else {
        return refuse(Framing::Http);
    };
    #[cfg(feature = "trap")]
    if pairs.iter().any(|(name, _)| *name == b"x-sekisho-trap") {
        core::arch::wasm32::unreachable();
    }
    let head = Head { connection: Some(&Proxy), ..Head::read(&pairs, &policy.forgeable) };
    if head.framing != Framing::Http
        && let Some(stream) = vm.streams.get_mut(&stream)
    {
        stream.framing = head.framing;
    }
    // First of all, whatever becomes of the request: a token in its target would be logged.
    let target = clean_target(&policy, &head);
    if target.as_ref().is_some_and(|target| host::set_header(Map::RequestHeaders, b":path", target).is_err()) {
        return refuse(head.framing);
    }
    match worker.on_request(&policy, RequestId(stream), &head, now) {
        // The common case, with the headers at hand: what is not there need not be replaced, which is dearer.
        Step::Allow(passage) => {
            allow(vm, stream, passage, |name| pairs.iter().any(|(known, _)| *known == name.as_bytes()))
        }
        step => carry_out(vm, stream, step),
    }
}

/// Body bytes pass only after the decision.
pub(crate) fn gate(vm: &Vm, stream: u32) -> Action {
    let allowed = vm.streams.get(&stream).is_some_and(|stream| stream.allowed);
    if allowed { Action::Continue } else { Action::Pause }
}

pub(crate) fn on_trailers(vm: &Vm, stream: u32) -> Action {
    let Some(policy) = vm.policy_of(stream) else {
        return Action::Pause;
    };
    let Ok(map) = host::header_map(Map::RequestTrailers) else {
        return Action::Pause;
    };
    let Some(pairs) = pairs::decode(&map) else {
        return Action::Pause;
    };
    for name in forged_trailers(&pairs, policy) {
        if host::remove_header(Map::RequestTrailers, name).is_err() {
            return Action::Pause;
        }
    }
    gate(vm, stream)
}

pub(crate) fn on_done(vm: &mut Vm, stream: u32) -> bool {
    vm.streams.remove(&stream);
    if let Some(worker) = vm.worker.as_mut() {
        worker.on_leave(RequestId(stream));
    }
    true
}

/// Carries out the step of a request whose check was answered, from another context's callback.
pub(crate) fn take_up(vm: &mut Vm, stream: u32, step: Step) {
    // A stream that is gone cannot be acted for: there is nothing left to decide.
    if host::act_as(stream).is_err() {
        return;
    }
    let resumed = match carry_out(vm, stream, step) {
        Action::Continue => host::resume_request(),
        Action::Pause => Ok(()),
    };
    if let Err(error) = resumed {
        host::log(host::Level::Warn, &format!("a held request could not be taken up (host status {})", error.0));
    }
}

/// Ends open streams, then acts as `root` again. Whoever was answered nothing yet gets the answer; a stream
/// in the middle of its answer is reset by the host. Both happen when this callback ends, which is before
/// a poll that it sends leaves the process: the acknowledgement comes after the cut (rule P12).
pub(crate) fn cut(vm: &Vm, cuts: &[Cut], root: u32) {
    if cuts.is_empty() {
        return;
    }
    for cut in cuts {
        // A stream that is gone was not cut in vain: that is what was wanted.
        if host::act_as(cut.stream.0).is_ok() && answer(&cut.answer, vm.framing_of(cut.stream.0)).is_err() {
            let _ = host::reset_request();
        }
    }
    if let Err(error) = host::act_as(root) {
        host::log(host::Level::Warn, &format!("the root context is gone after a cut (host status {})", error.0));
    }
}

fn carry_out(vm: &mut Vm, stream: u32, step: Step) -> Action {
    match step {
        Step::Allow(passage) => allow(vm, stream, passage, |_| true),
        Step::Answer(reply) => {
            // A reply that cannot be sent leaves the request held: it never passes.
            let _ = answer(&reply, vm.framing_of(stream));
            Action::Pause
        }
        Step::Check(request, share, trace) => check(vm, stream, &request, share, trace.as_ref()),
        Step::AskForKeys(query, trace) => {
            ask(vm, stream, |vm, root| root::ask_for_keys(vm, root, &query, trace.as_ref()))
        }
        Step::AskForSession(question, trace) => {
            ask(vm, stream, |vm, root| root::ask_for_session(vm, root, &question, trace.as_ref()))
        }
        Step::Wait => Action::Pause,
    }
}

/// Sends a check from the root context, so that it survives the request (rule P13).
fn check(vm: &mut Vm, stream: u32, request: &CheckRequest, share: Option<ShareKey>, trace: Option<&Trace>) -> Action {
    let id = RequestId(stream);
    let root = vm.streams.get(&stream).map_or(0, |stream| stream.root);
    let sent = host::act_as(root).ok().and_then(|()| calls::call_check(vm, root, request, trace));
    // If this failed, the answer below would go to the wrong context, and the request stays held.
    let back = host::act_as(stream);
    let now = vm.now();
    let Some(worker) = vm.worker.as_mut() else {
        return Action::Pause;
    };
    match (sent, back) {
        (Some(call), _) => {
            worker.dispatched(id, CallId(call), share);
            Action::Pause
        }
        (None, Ok(())) => {
            let step = worker.not_dispatched(id, now);
            carry_out(vm, stream, step)
        }
        (None, Err(_)) => Action::Pause,
    }
}

/// Asks from the root context: others may wait for the answer, too.
fn ask(vm: &mut Vm, stream: u32, question: impl FnOnce(&mut Vm, u32) -> bool) -> Action {
    let root = vm.streams.get(&stream).map_or(0, |stream| stream.root);
    let asked = question(vm, root);
    // Whoever waits was answered if nobody could be asked; if not, the answer will come.
    if host::act_as(stream).is_err() && !asked {
        host::log(host::Level::Warn, "a request is held, since its context is gone");
    }
    Action::Pause
}

/// Rule E11: edit first, then let it pass.
fn allow(vm: &mut Vm, stream: u32, passage: Passage, may_be_there: impl Fn(&str) -> bool) -> Action {
    if edit(&passage.edits, may_be_there).is_err() {
        return refuse(vm.framing_of(stream));
    }
    if let Some(state) = passage.state {
        tell(state.decision, state.reason, Some(&state.route));
    }
    if let Some(stream) = vm.streams.get_mut(&stream) {
        stream.allowed = true;
        stream.lines = passage.lines;
        stream.guard = passage.guard;
    }
    Action::Continue
}

/// Says in the filter state how the request was decided. The access log may do without it; nobody passes, or
/// is refused, by it.
fn tell(decision: Decision, reason: &str, route: Option<&str>) {
    let _ = host::set_property(DECISION, decision.as_str().as_bytes());
    if let Some(route) = route {
        let _ = host::set_property(ROUTE, route.as_bytes());
    }
    if reason != "none" {
        let _ = host::set_property(REASON, reason.as_bytes());
    }
}

/// Keeps upstreams from setting cookies of ours, and explains the decision to whoever may know.
pub(crate) fn on_response_headers(vm: &mut Vm, stream: u32) -> Action {
    if guard_cookies(vm, stream).is_err() {
        // An answer that could sign the browser in as somebody else does not reach it.
        let _ = host::reset_request();
        return Action::Pause;
    }
    if let Some(stream) = vm.streams.get_mut(&stream).filter(|stream| !stream.lines.is_empty()) {
        for (name, value) in std::mem::take(&mut stream.lines) {
            let _ = host::set_header(Map::ResponseHeaders, name.as_bytes(), value.as_bytes());
        }
    }
    Action::Continue
}

/// Cuts our cookies from the answer of an upstream that is not to set them. Hardly any answer sets a cookie: it costs one
/// host call to see that, and none where there are no sessions.
fn guard_cookies(vm: &Vm, stream: u32) -> HostResult<()> {
    const SET_COOKIE: &[u8] = b"set-cookie";
    const BROKEN: HostError = HostError(u32::MAX);
    let guard = vm.streams.get(&stream).map(|stream| stream.guard).unwrap_or_default();
    if guard == Guard::Nothing || host::header(Map::ResponseHeaders, SET_COOKIE)?.is_none() {
        return Ok(());
    }
    let map = host::header_map(Map::ResponseHeaders)?;
    let pairs = pairs::decode(&map).ok_or(BROKEN)?;
    let sessions = vm.policy_of(stream).ok_or(BROKEN)?.sessions.as_ref().ok_or(BROKEN)?;
    let Some(kept) = guard.names(sessions).and_then(|own| set_cookie::kept(&pairs, own)) else { return Ok(()) };
    host::remove_header(Map::ResponseHeaders, SET_COOKIE)?;
    kept.into_iter().try_for_each(|value| host::add_header(Map::ResponseHeaders, SET_COOKIE, value))
}

/// Makes the edits; `may_be_there` says of which headers there may be another value.
fn edit(edits: &Edits, may_be_there: impl Fn(&str) -> bool) -> HostResult<()> {
    for name in &edits.remove {
        host::remove_header(Map::RequestHeaders, name)?;
    }
    for (name, value) in edits.settings() {
        if may_be_there(name) {
            host::set_header(Map::RequestHeaders, name.as_bytes(), value)?;
        } else {
            host::add_header(Map::RequestHeaders, name.as_bytes(), value)?;
        }
    }
    Ok(())
}

fn answer(answer: &Answer, framing: Framing) -> HostResult<()> {
    tell(answer.decision, answer.code, answer.route.as_deref());
    let headers: Vec<(&[u8], &[u8])> =
        answer.headers_for(framing).map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    host::answer(answer.status, answer.grpc_status(), answer.code, &headers, answer.body_for(framing))
}

/// The host did not give what the decision needs: nobody passes.
fn refuse(framing: Framing) -> Action {
    let _ = answer(&broken(), framing);
    Action::Pause
}

fn broken() -> Answer {
    Answer::unable(Inability::Host, Shape::Problem)
}
