//! Reads Envoy's trace log of calls into and out of VMs.

use std::collections::HashMap;

/// What one request cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Crossings {
    /// Calls of the VM to its host.
    pub(crate) host_calls: usize,
    /// Those of them that write to the proxy's statistics.
    pub(crate) metric_calls: usize,
    /// Calls of the host into the VM.
    pub(crate) callbacks: usize,
}

/// A request in the log.
struct Request<'a> {
    thread: &'a str,
    context: &'a str,
    is_over: bool,
    crossings: Crossings,
}

/// What a thread of Envoy is doing.
#[derive(Default)]
struct Thread<'a> {
    /// For whom the outermost callback is.
    context: &'a str,
    /// How many callbacks are within each other.
    depth: usize,
}

/// What the requests cost that begin and end in this piece of a log, in the order of their beginnings. Calls that
/// Envoy makes on behalf of nobody, such as ticks, count for nobody.
pub(crate) fn read(log: &str) -> Vec<Crossings> {
    let (mut threads, mut requests): (HashMap<&str, Thread<'_>>, Vec<Request<'_>>) = (HashMap::new(), Vec::new());
    for line in log.lines() {
        // `[time][thread][level]…`
        let name = line.split(['[', ']']).nth(3).unwrap_or_default();
        let thread = threads.entry(name).or_default();
        if let Some((_, call)) = line.split_once("[host->vm] ") {
            requests.extend(thread.enter(name, call));
            add(&mut requests, name, thread, |request| request.crossings.callbacks += 1);
        } else if let Some((_, call)) = line.split_once("[host<-vm] ") {
            thread.depth = thread.depth.saturating_sub(1);
            if thread.depth == 0 && call.starts_with("proxy_on_done") {
                add(&mut requests, name, thread, |request| request.is_over = true);
            }
        } else if let Some((_, call)) = line.split_once("[vm->host] ") {
            let is_metric = call.split('(').next().is_some_and(|name| name.ends_with("_metric"));
            add(&mut requests, name, thread, |request| {
                request.crossings.host_calls += 1;
                request.crossings.metric_calls += usize::from(is_metric);
            });
        }
    }
    requests.iter().filter(|request| request.is_over).map(|request| request.crossings).collect()
}

impl<'a> Thread<'a> {
    /// A callback begins. The request that begins with it, if one does.
    fn enter(&mut self, thread: &'a str, call: &'a str) -> Option<Request<'a>> {
        self.depth += 1;
        if self.depth > 1 {
            return None;
        }
        let (name, arguments) = call.split_once('(').unwrap_or((call, ""));
        self.context = arguments.split([',', ')']).next().unwrap_or_default();
        // A context without a parent is no request.
        let begins = name == "proxy_on_context_create" && !arguments.ends_with(", 0)");
        begins.then(|| Request { thread, context: self.context, is_over: false, crossings: Crossings::default() })
    }
}

/// Changes the request for which a thread is at work, if it is for one.
fn add(requests: &mut [Request<'_>], name: &str, thread: &Thread<'_>, change: impl FnOnce(&mut Request<'_>)) {
    let is_it = |request: &&mut Request<'_>| request.thread == name && request.context == thread.context;
    if let Some(request) = requests.iter_mut().rev().find(is_it) {
        change(request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_within_a_request_are_its_own_and_those_of_ticks_are_nobodys() {
        let log = "
            [..][1][trace][wasm] [host->vm] proxy_on_context_create(7, 1)
            [..][1][trace][wasm] [host<-vm] proxy_on_context_create return: void
            [..][1][trace][wasm] [host->vm] proxy_on_request_headers(7, 8, 1)
            [..][1][trace][wasm] [vm->host] env.proxy_get_header_map_pairs(0, 1, 2)
            [..][2][trace][wasm] [host->vm] proxy_on_tick(7)
            [..][2][trace][wasm] [vm->host] env.proxy_get_current_time_nanoseconds(5)
            [..][1][trace][wasm] [host->vm] proxy_on_memory_allocate(681)
            [..][1][trace][wasm] [host<-vm] proxy_on_memory_allocate return: 1099296
            [..][1][trace][wasm] [vm<-host] env.proxy_get_header_map_pairs return: 0
            [..][1][trace][wasm] [vm->host] env.proxy_increment_metric(3, 1)
            [..][1][trace][wasm] [vm<-host] env.proxy_increment_metric return: 0
            [..][1][trace][wasm] [host<-vm] proxy_on_request_headers return: 0
            [..][1][trace][wasm] [host->vm] proxy_on_tick(1)
            [..][1][trace][wasm] [vm->host] env.proxy_increment_metric(3, 1)
            [..][1][trace][wasm] [vm<-host] env.proxy_increment_metric return: 0
            [..][1][trace][wasm] [host<-vm] proxy_on_tick return: void
            [..][1][trace][wasm] [host->vm] proxy_on_done(7)
            [..][1][trace][wasm] [host<-vm] proxy_on_done return: 1
            [..][1][trace][wasm] [host->vm] proxy_on_context_create(8, 1)
            [..][1][trace][wasm] [host<-vm] proxy_on_context_create return: void";
        assert_eq!(read(log), [Crossings { host_calls: 2, metric_calls: 1, callbacks: 4 }]);
    }
}
