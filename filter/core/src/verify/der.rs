//! The little DER that native libraries ask for: public keys (RFC 5280 §4.1, RFC 8017 §A.1.1) and ECDSA
//! signatures (RFC 3279 §2.2.3).

/// `rsaEncryption` with NULL parameters.
const RSA: &[u8] = &[0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
/// `id-ecPublicKey` with `prime256v1`.
pub(super) const P256: &[u8] =
    &[0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// `id-ecPublicKey` with `secp384r1`.
pub(super) const P384: &[u8] = &[0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22];
/// `id-ecPublicKey` with `secp521r1`.
pub(super) const P521: &[u8] = &[0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x23];

/// SubjectPublicKeyInfo of an RSA key.
pub(super) fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = sequence(&[&integer(modulus), &integer(exponent)]);
    sequence(&[RSA, &bit_string(&key)])
}

/// SubjectPublicKeyInfo of a point, under one of the algorithm identifiers above.
pub(super) fn ec_key(algorithm: &[u8], uncompressed: &[u8]) -> Vec<u8> {
    sequence(&[algorithm, &bit_string(uncompressed)])
}

/// An ECDSA signature from its two numbers in a row, as RFC 7518 §3.4 has them.
pub(super) fn ecdsa_signature(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(signature.len() / 2);
    sequence(&[&integer(r), &integer(s)])
}

/// A number that is not negative, from its bytes.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let significant = bytes.iter().position(|byte| *byte != 0).and_then(|first| bytes.get(first..)).unwrap_or(&[0]);
    // The first bit is the sign.
    let sign: &[u8] = if significant.first().is_some_and(|byte| byte & 0x80 != 0) { &[0] } else { &[] };
    tagged(2, &[sign, significant])
}

fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tagged(3, &[&[0], bytes])
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tagged(0x30, parts)
}

fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(size + 6);
    out.push(tag);
    let bytes = size.to_be_bytes();
    let length = bytes.iter().position(|byte| *byte != 0).and_then(|first| bytes.get(first..)).unwrap_or(&[0]);
    match (length, u8::try_from(length.len())) {
        ([short @ 0..0x80], _) => out.push(*short),
        (long, Ok(count)) => {
            out.push(0x80 | count);
            out.extend_from_slice(long);
        }
        // A length of more than 255 bytes does not exist.
        (_, Err(_)) => {}
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_number_has_no_needless_bytes_and_is_never_negative() {
        for (bytes, expected) in [
            (&[0_u8][..], &[2_u8, 1, 0][..]),
            (&[], &[2, 1, 0]),
            (&[0, 0, 5], &[2, 1, 5]),
            (&[0x7f], &[2, 1, 0x7f]),
            (&[0x80], &[2, 2, 0, 0x80]),
            (&[0, 0xff, 1], &[2, 3, 0, 0xff, 1]),
        ] {
            assert_eq!(integer(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn lengths_have_the_short_form_up_to_127_and_the_long_one_above() {
        for (size, header) in [
            (0, &[0x30_u8, 0][..]),
            (127, &[0x30, 127]),
            (128, &[0x30, 0x81, 128]),
            (255, &[0x30, 0x81, 255]),
            (256, &[0x30, 0x82, 1, 0]),
            (1_055, &[0x30, 0x82, 4, 31]),
        ] {
            let out = sequence(&[&vec![7; size]]);
            assert_eq!((&out[..header.len()], out.len()), (header, header.len() + size));
        }
    }

    #[test]
    fn a_signature_becomes_two_numbers() {
        assert_eq!(ecdsa_signature(&[0, 1, 0x80, 0]), [0x30, 8, 2, 1, 1, 2, 3, 0, 0x80, 0]);
    }
}
