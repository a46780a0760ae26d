//! Maps by what no client can choose: ids that the host gives out, digests that are keyed already, names of the
//! configuration. Hashing those with a keyed hash, as other maps must be, would be a good part of what a request costs.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map by such keys.
pub type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Spreads numbers over all bits by multiplications.
#[derive(Debug, Default, Clone, Copy)]
pub struct IdHasher(u64);

/// 2⁶⁴ divided by the golden ratio, made odd: neighbouring numbers come far apart.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.write_u64(u64::from_le_bytes(*word)));
        rest.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(SPREAD);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(u64::try_from(number).unwrap_or_default());
    }

    fn finish(&self) -> u64 {
        // The upper bits of a product depend on all bits of its factors, and tables look at both ends.
        (self.0 ^ (self.0 >> 32)).wrapping_mul(SPREAD).rotate_left(32)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher, Hash};

    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn ids_in_a_row_and_even_digests_fall_into_different_places() {
        let place = |key: &dyn Fn(&mut IdHasher)| {
            let mut hasher = BuildHasherDefault::<IdHasher>::default().build_hasher();
            key(&mut hasher);
            (hasher.finish() % 4_096, hasher.finish() >> 57)
        };
        for step in [1_u64, 2, 4_096, 1 << 32, 1 << 57] {
            let places: HashSet<_> = (0..128).map(|n| place(&|hasher| (n * step).hash(hasher))).collect();
            assert!(places.len() > 100, "step {step}: {}", places.len());
        }
        let pairs: HashSet<_> = (0..128_u64).map(|n| place(&|hasher| (n, Some(n + 1)).hash(hasher))).collect();
        assert!(pairs.len() > 100);
    }
}
