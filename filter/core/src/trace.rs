//! The trace that a request belongs to, passed on with the questions that are asked because of it.

use std::rc::Rc;

use crate::head::Head;

/// W3C Trace Context, B3 as Istio's sidecars still send it, and the proxy's own id of the request.
const NAMES: [&[u8]; 9] = [
    b"traceparent",
    b"tracestate",
    b"b3",
    b"x-b3-traceid",
    b"x-b3-spanid",
    b"x-b3-parentspanid",
    b"x-b3-sampled",
    b"x-b3-flags",
    b"x-request-id",
];
/// Longer values are not passed on; a `tracestate` may have 512 characters (W3C Trace Context §3.3.1.1).
const VALUE_MAX_BYTES: usize = 512;

/// Headers for questions.
pub type Trace = Rc<[(&'static [u8], Box<[u8]>)]>;

/// The trace of a request; empty if it names none. What is there twice is left out.
#[must_use]
pub fn of(head: &Head<'_>) -> Trace {
    let plain = |value: &&[u8]| value.len() <= VALUE_MAX_BYTES && value.iter().all(|b| matches!(b, b' '..=b'~'));
    NAMES.iter().filter_map(|name| Some((*name, head.one(name).filter(plain)?.into()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_trace_is_passed_on_as_it_is_unless_it_could_be_read_in_two_ways() {
        let long = "a".repeat(VALUE_MAX_BYTES + 1);
        let pairs: Vec<(&[u8], &[u8])> = vec![
            (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            (b"tracestate", long.as_bytes()),
            (b"x-b3-traceid", b"1"),
            (b"x-b3-traceid", b"2"),
            (b"b3", b"a\xff"),
            (b"x-request-id", b"r-1"),
            (b"authorization", b"Bearer x"),
        ];
        let trace = of(&Head { pairs: &pairs, ..Head::default() });
        let names: Vec<_> = trace.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, [&b"traceparent"[..], b"x-request-id"]);
    }
}
