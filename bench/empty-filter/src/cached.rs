//! The calls to Envoy that Sekisho makes for a request whose token it remembers, and for its answer, in the same order and with as many
//! bytes, and nothing between them. `make bench` compares their number with the product's.

#![expect(unsafe_code, reason = "host calls take and return raw pointers")]

use std::hint::black_box;
use std::ptr;
use std::time::Instant;

/// `proxy_map_type_t`: the headers of the request.
const REQUEST_HEADERS: u32 = 0;
/// `proxy_map_type_t`: the headers of the answer.
const RESPONSE_HEADERS: u32 = 2;
/// `proxy_buffer_type_t`: what Envoy's configuration says to the filter.
const PLUGIN_CONFIGURATION: u32 = 7;
/// What the configuration says if the calls are to be made.
const WANTED: &[u8] = br#"{"calls":"cached"}"#;

const TOKEN: &[u8] = b"authorization";
const SET_COOKIE: &[u8] = b"set-cookie";
/// Names as long as those of the product's identity headers, and how long their values are. None of them is
/// `x-sekisho-…`, so that no upstream takes one for an assertion.
const IDENTITY: [(&[u8], usize); 7] = [
    (b"x-forwarded-email", 27),
    (b"x-forwarded-user", 27),
    (b"x-nothing-subject", 27),
    (b"x-nothing-method", 3),
    (b"x-nothing-token-id", 36),
    (b"x-nothing-scopes", 18),
    (b"x-nothing-identity", 479),
];
/// The longest value; the others are its beginnings.
static VALUE: [u8; 479] = [b'n'; 479];

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_buffer_bytes(kind: u32, start: usize, max: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
}

/// Whether the configuration, which is so long, wants the calls.
pub(crate) fn are_wanted(size: usize) -> bool {
    // SAFETY: see `bytes`.
    *bytes(|data, length| unsafe { proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, size, data, length) }) == *WANTED
}

/// Makes them.
pub(crate) fn make() {
    black_box(Instant::now());
    // SAFETY: see `bytes`.
    black_box(bytes(|data, size| unsafe { proxy_get_header_map_pairs(REQUEST_HEADERS, data, size) }));
    // SAFETY: the proxy reads the name during the call.
    unsafe { proxy_remove_header_map_value(REQUEST_HEADERS, TOKEN.as_ptr(), TOKEN.len()) };
    for (name, size) in IDENTITY {
        let value = VALUE.get(..size).unwrap_or_default();
        // SAFETY: the proxy reads both during the call.
        unsafe { proxy_add_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    }
}

/// Makes those for the answer: whether it sets a cookie.
pub(crate) fn make_for_answer() {
    // SAFETY: the proxy reads the name during the call; see `bytes` for the rest.
    black_box(bytes(|data, size| unsafe {
        proxy_get_header_map_value(RESPONSE_HEADERS, SET_COOKIE.as_ptr(), SET_COOKIE.len(), data, size)
    }));
}

/// What a call returns; nothing if it fails.
fn bytes(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Box<[u8]> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    call(&raw mut data, &raw mut size);
    if data.is_null() || size == 0 {
        return Box::default();
    }
    // SAFETY: the proxy got `data` from `proxy_on_memory_allocate(size)`, wrote all of it, and keeps no pointer to it.
    unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(data, size)) }
}
