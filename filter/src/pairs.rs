//! The ABI's serialisation of header maps: count, sizes, then names and values, each with a NUL.

type Pair<'a> = (&'a [u8], &'a [u8]);

/// Takes a serialised map apart. None if it is not one.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<Pair<'_>>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let (count, mut sizes) = number(bytes)?;
    let mut data = sizes.get(count.checked_mul(8)?..)?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let (name_size, rest) = number(sizes)?;
        let (value_size, rest) = number(rest)?;
        sizes = rest;
        let (name, rest) = text(data, name_size)?;
        let (value, rest) = text(rest, value_size)?;
        data = rest;
        pairs.push((name, value));
    }
    Some(pairs)
}

/// Serialises a map.
pub(crate) fn encode(pairs: &[Pair<'_>]) -> Vec<u8> {
    let size = pairs.iter().map(|(name, value)| name.len() + value.len() + 10).sum::<usize>();
    let mut bytes = Vec::with_capacity(size + 4);
    // A wasm32 length is 32 bits.
    let number =
        |bytes: &mut Vec<u8>, n: usize| bytes.extend_from_slice(&u32::try_from(n).unwrap_or_default().to_le_bytes());
    number(&mut bytes, pairs.len());
    for (name, value) in pairs {
        number(&mut bytes, name.len());
        number(&mut bytes, value.len());
    }
    for (name, value) in pairs {
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(value);
        bytes.push(0);
    }
    bytes
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

fn text(bytes: &[u8], size: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(size)?;
    Some((text, rest.get(1..)?))
}
