//! What the proxy can be asked (proxy-wasm ABI 0.2.1). Every call returns an error instead of
//! panicking: a trap costs 1.5 s of 503 on this worker (rule E11).
#![expect(unsafe_code, reason = "host calls take and return raw pointers; nothing else in the filter does")]

use std::time::Duration;

use crate::pairs;

/// A status other than Ok.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostError(pub(crate) u32);

pub(crate) type HostResult<T> = Result<T, HostError>;

/// `proxy_map_type_t`.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Map {
    RequestHeaders = 0,
    RequestTrailers = 1,
    ResponseHeaders = 2,
    CallResponseHeaders = 6,
}

/// `proxy_buffer_type_t`.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Buffer {
    CallResponseBody = 4,
    PluginConfiguration = 7,
}

/// `proxy_metric_type_t`.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum MetricKind {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

/// `proxy_action_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Action {
    Continue = 0,
    Pause = 1,
}

/// `proxy_log_level_t`.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Level {
    Warn = 3,
    Error = 4,
}

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const CAS_MISMATCH: u32 = 8;
const STREAM_REQUEST: u32 = 0;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(kind: u32, start: usize, max: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, size: usize) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_close_stream(stream: u32) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_ms: u32,
        call: *mut u32,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_size: usize, value: *const u8, size: usize, cas: u32) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        argument: *const u8,
        argument_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, size: usize, metric: *mut u32) -> u32;
    fn proxy_increment_metric(metric: u32, offset: i64) -> u32;
    fn proxy_record_metric(metric: u32, value: u64) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_done() -> u32;
}

/// Memory for what the proxy returns. It writes `size` bytes there before it hands the pointer over.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::leak(Box::<[u8]>::new_uninit_slice(size)).as_mut_ptr().cast()
}

/// Takes what the proxy put into memory from [`proxy_on_memory_allocate`].
fn take(data: *mut u8, size: usize) -> Box<[u8]> {
    if data.is_null() || size == 0 {
        return Box::default();
    }
    // SAFETY: the proxy got `data` from `proxy_on_memory_allocate(size)`, wrote all of it, and keeps
    // no pointer to it (ABI 0.2.1), so this is the box that was leaked there.
    unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(data, size)) }
}

fn result(status: u32) -> HostResult<()> {
    if status == OK { Ok(()) } else { Err(HostError(status)) }
}

/// Calls a function that returns bytes.
fn bytes(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> HostResult<Box<[u8]>> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    let status = call(&raw mut data, &raw mut size);
    let bytes = take(data, size);
    result(status).map(|()| bytes)
}

/// Writes a line to the proxy's log.
pub(crate) fn log(level: Level, message: &str) {
    // SAFETY: the proxy reads `message` during the call. Nobody could be told that logging failed.
    let _ = unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// The proxy's wall clock, since 1970.
pub(crate) fn unix_time() -> HostResult<Duration> {
    let mut nanoseconds = 0;
    // SAFETY: the proxy writes one u64 there.
    result(unsafe { proxy_get_current_time_nanoseconds(&raw mut nanoseconds) })?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// Asks for a tick of this root context every `period_ms`.
pub(crate) fn set_tick_period(period_ms: u32) -> HostResult<()> {
    // SAFETY: no pointers.
    result(unsafe { proxy_set_tick_period_milliseconds(period_ms) })
}

/// At most `max` bytes of a buffer.
pub(crate) fn buffer(kind: Buffer, max: usize) -> HostResult<Box<[u8]>> {
    // SAFETY: see `bytes` and `take`.
    match bytes(|data, size| unsafe { proxy_get_buffer_bytes(kind as u32, 0, max, data, size) }) {
        Err(HostError(NOT_FOUND)) => Ok(Box::default()),
        other => other,
    }
}

/// All pairs of a header map, serialised; [`pairs::decode`] takes them apart.
pub(crate) fn header_map(map: Map) -> HostResult<Box<[u8]>> {
    // SAFETY: see `bytes` and `take`.
    bytes(|data, size| unsafe { proxy_get_header_map_pairs(map as u32, data, size) })
}

/// The value of a header, the first if there are several; none if it is not there.
pub(crate) fn header(map: Map, name: &[u8]) -> HostResult<Option<Box<[u8]>>> {
    // SAFETY: see `bytes` and `take`; the proxy reads the name during the call.
    match bytes(|data, size| unsafe { proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size) }) {
        Err(HostError(NOT_FOUND)) => Ok(None),
        other => other.map(Some),
    }
}

/// Sets a header; every value that it had is replaced.
pub(crate) fn set_header(map: Map, name: &[u8], value: &[u8]) -> HostResult<()> {
    // SAFETY: the proxy reads both during the call.
    result(unsafe {
        proxy_replace_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    })
}

/// Adds a header beside whatever values it has.
pub(crate) fn add_header(map: Map, name: &[u8], value: &[u8]) -> HostResult<()> {
    // SAFETY: the proxy reads both during the call.
    result(unsafe { proxy_add_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Removes a header with all its values.
pub(crate) fn remove_header(map: Map, name: &[u8]) -> HostResult<()> {
    // SAFETY: the proxy reads the name during the call.
    result(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// A property of the proxy or of the stream, for instance `xds` 0 `node` 0 `id`.
pub(crate) fn property(path: &[u8]) -> HostResult<Box<[u8]>> {
    // SAFETY: see `bytes` and `take`; the proxy reads the path during the call.
    bytes(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// Counts one up under `key`, among all VMs of this proxy; the new number.
pub(crate) fn count(key: &[u8]) -> HostResult<u32> {
    // Another VM may be faster; there are as many as workers, and each is done after one success.
    for _ in 0..1_000 {
        let mut cas = 0;
        // SAFETY: see `bytes` and `take`; the proxy reads the key during the call and writes one u32.
        let stored =
            bytes(|data, size| unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas) });
        let before = match stored {
            Ok(stored) => stored.as_ref().try_into().map(u32::from_le_bytes).unwrap_or_default(),
            Err(HostError(NOT_FOUND)) => 0,
            Err(error) => return Err(error),
        };
        let value = before.wrapping_add(1).to_le_bytes();
        // SAFETY: the proxy reads both during the call.
        match unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) } {
            CAS_MISMATCH => {}
            status => return result(status).map(|()| before.wrapping_add(1)),
        }
    }
    Err(HostError(CAS_MISMATCH))
}

/// Sets filter state of the stream: `wasm.` and the path, for the access log.
pub(crate) fn set_property(path: &[u8], value: &[u8]) -> HostResult<()> {
    // SAFETY: the proxy reads both during the call.
    result(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

/// Lets the held request of the effective context go on.
pub(crate) fn resume_request() -> HostResult<()> {
    // SAFETY: no pointers.
    result(unsafe { proxy_continue_stream(STREAM_REQUEST) })
}

/// Resets the request of the effective context, with whatever was answered so far.
pub(crate) fn reset_request() -> HostResult<()> {
    // SAFETY: no pointers.
    result(unsafe { proxy_close_stream(STREAM_REQUEST) })
}

/// Answers the request of the effective context. `details` stands in the access log. To a gRPC client the proxy
/// says `grpc_status`, and the body as `grpc-message`.
pub(crate) fn answer(
    status: u16,
    grpc_status: u8,
    details: &str,
    headers: &[(&[u8], &[u8])],
    body: &str,
) -> HostResult<()> {
    let headers = pairs::encode(headers);
    // SAFETY: the proxy reads everything during the call.
    result(unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            i32::from(grpc_status),
        )
    })
}

/// Starts a callout on behalf of the effective context; its number comes back with the answer.
pub(crate) fn http_call(cluster: &str, headers: &[(&[u8], &[u8])], body: &[u8], timeout_ms: u32) -> HostResult<u32> {
    let (headers, trailers) = (pairs::encode(headers), pairs::encode(&[]));
    let mut call = 0;
    // SAFETY: the proxy reads everything during the call and writes one u32.
    result(unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            timeout_ms,
            &raw mut call,
        )
    })?;
    Ok(call)
}

/// Calls a function that this proxy has beyond the ABI.
pub(crate) fn call_foreign(name: &str, argument: &[u8]) -> HostResult<Box<[u8]>> {
    // SAFETY: see `bytes` and `take`; the proxy reads name and argument during the call.
    bytes(|data, size| unsafe {
        proxy_call_foreign_function(name.as_ptr(), name.len(), argument.as_ptr(), argument.len(), data, size)
    })
}

/// The number of a statistic, which is made if it is not there.
pub(crate) fn define_metric(kind: MetricKind, name: &str) -> HostResult<u32> {
    let mut metric = 0;
    // SAFETY: the proxy reads the name during the call and writes one u32.
    result(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut metric) })?;
    Ok(metric)
}

/// Adds to a counter.
pub(crate) fn add_to_metric(metric: u32, count: i64) -> HostResult<()> {
    // SAFETY: no pointers.
    result(unsafe { proxy_increment_metric(metric, count) })
}

/// Sets a gauge, or records a value in a histogram.
pub(crate) fn record_metric(metric: u32, value: u64) -> HostResult<()> {
    // SAFETY: no pointers.
    result(unsafe { proxy_record_metric(metric, value) })
}

/// Acts on behalf of another context of this VM until the callback ends.
pub(crate) fn act_as(context: u32) -> HostResult<()> {
    // SAFETY: no pointers.
    result(unsafe { proxy_set_effective_context(context) })
}

/// The root context that held its end up may go now.
pub(crate) fn done() -> HostResult<()> {
    // SAFETY: no pointers.
    result(unsafe { proxy_done() })
}
