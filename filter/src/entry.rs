//! What the proxy calls. Only what is needed is exported, since the proxy calls whatever is.
#![expect(unsafe_code, reason = "the ABI wants functions with fixed names")]

use sekisho_core::head::Framing;
use sekisho_core::set_cookie::Guard;

use crate::host::Action;
use crate::vm::{self, Stream};
use crate::{request, root};

unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// Called once for each VM, before anything else.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the linker provides it; it is called once.
    unsafe { __wasm_call_ctors() };
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> bool {
    true
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    if root != 0 {
        let stream = Stream { root, allowed: false, framing: Framing::Http, lines: Vec::new(), guard: Guard::Nothing };
        vm::with(|vm| vm.streams.insert(context, stream));
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> bool {
    vm::with(|vm| root::configure(vm, root, size)).unwrap_or(false)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    vm::with(|vm| root::tick(vm, root));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(_root: u32, call: u32, _headers: usize, body_size: usize, _trailers: usize) {
    vm::with(|vm| root::on_answer(vm, call, body_size));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(stream: u32, _count: usize, _end: bool) -> Action {
    vm::with(|vm| request::on_headers(vm, stream)).unwrap_or(Action::Pause)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(stream: u32, _size: usize, _end: bool) -> Action {
    vm::with(|vm| request::gate(vm, stream)).unwrap_or(Action::Pause)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(stream: u32, _count: usize) -> Action {
    vm::with(|vm| request::on_trailers(vm, stream)).unwrap_or(Action::Pause)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(stream: u32, _count: usize, _end: bool) -> Action {
    vm::with(|vm| request::on_response_headers(vm, stream)).unwrap_or(Action::Continue)
}

/// The last callback of a stream. `proxy_on_delete` would follow at once, and each exported callback is a call
/// into this module for each request.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(context: u32) -> bool {
    let done = vm::with(|vm| {
        if vm.streams.contains_key(&context) { request::on_done(vm, context) } else { root::on_done(vm, context) }
    });
    done.unwrap_or(true)
}
