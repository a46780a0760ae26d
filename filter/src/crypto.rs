//! Signatures that the proxy verifies natively: Envoy's foreign function `verify_signature`, whose argument
//! and answer are protobuf messages (`envoy.source.extensions.common.wasm.VerifySignatureArguments`).

use sekisho_core::verify::algorithm::Hash;
use sekisho_core::verify::host::HostCrypto;

use crate::host;

/// The proxy.
#[derive(Debug)]
pub(crate) struct Proxy;

impl HostCrypto for Proxy {
    fn verify(&self, hash: Hash, public_key: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        let mut argument = Vec::with_capacity(public_key.len() + signature.len() + text.len() + 32);
        for (field, value) in [(1, hash.as_str().as_bytes()), (2, public_key), (3, signature), (4, text)] {
            push(&mut argument, field, value);
        }
        host::call_foreign("verify_signature", &argument).ok().map(|answer| is_true(&answer))
    }
}

/// A field of bytes: its tag, its length, itself.
fn push(message: &mut Vec<u8>, field: u8, value: &[u8]) {
    message.push(field << 3 | 2);
    let mut length = value.len();
    while let Ok(more @ 0x80..) = u32::try_from(length) {
        message.push((more & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    message.push((length & 0x7f) as u8);
    message.extend_from_slice(value);
}

/// Whether field 1, a boolean that is sent only if it is true, is the first of the answer.
fn is_true(answer: &[u8]) -> bool {
    answer.starts_with(&[1 << 3, 1])
}
