//! A proxy-wasm module that exports exactly the callbacks that the Sekisho filter exports (`filter/src/entry.rs`)
//! and does nothing in them. What it adds to a request is the price of any module, whatever it does: the floor
//! under every figure of the benchmark. If its configuration says so, it makes the calls to Envoy that Sekisho makes
//! for a request whose token it remembers ([`cached`]), and still nothing else: the floor under that figure. Nobody
//! loads it but the benchmark.

#![cfg(target_arch = "wasm32")]
#![expect(unsafe_code, reason = "the ABI wants functions with fixed names")]

mod cached;

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether each request makes the calls.
static MAKES_CALLS: AtomicBool = AtomicBool::new(false);

/// `proxy_action_t`: go on.
const CONTINUE: u32 = 0;

unsafe extern "C" {
    fn __wasm_call_ctors();
}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: the linker provides it; it is called once.
    unsafe { __wasm_call_ctors() };
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::leak(Box::<[u8]>::new_uninit_slice(size)).as_mut_ptr().cast()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> bool {
    true
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(_context: u32, _root: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(_root: u32, size: usize) -> bool {
    MAKES_CALLS.store(cached::are_wanted(size), Ordering::Relaxed);
    true
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(_root: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(_root: u32, _call: u32, _headers: usize, _body: usize, _trailers: usize) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(_stream: u32, _count: usize, _end: bool) -> u32 {
    if MAKES_CALLS.load(Ordering::Relaxed) {
        cached::make();
    }
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(_stream: u32, _size: usize, _end: bool) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(_stream: u32, _count: usize) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(_stream: u32, _count: usize, _end: bool) -> u32 {
    if MAKES_CALLS.load(Ordering::Relaxed) {
        cached::make_for_answer();
    }
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(_context: u32) -> bool {
    true
}
