//! Where a client is: its address, and the ranges that rules name.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::head::{Head, Pairs};

/// Ranges of addresses.
#[derive(Debug, Default)]
pub struct Addresses {
    /// Only these may; none: all may.
    pub allow: Vec<IpNet>,
    /// These may not, even if they are among the former.
    pub block: Vec<IpNet>,
}

/// Whose word is taken for a client's address (rule E3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressSource {
    /// The proxy's: the peer of its connection, or who the PROXY protocol or its own configuration says it is.
    Connection,
    /// The header's, as far as trusted proxies wrote it.
    ForwardedFor,
}

/// What the proxy knows about the connection of a request. Asked only where a rule wants it.
pub trait Connection: fmt::Debug {
    /// The address of the client, `IP:port` or `[IP]:port`, as the proxy sees it.
    fn source(&self) -> Option<Vec<u8>>;
}

impl Addresses {
    /// Whether a client at `address` may.
    #[must_use]
    pub fn admit(&self, address: IpAddr) -> bool {
        let is_in = |ranges: &[IpNet]| ranges.iter().any(|range| range.contains(&address));
        !is_in(&self.block) && (self.allow.is_empty() || is_in(&self.allow))
    }
}

/// The address of the client of a request.
#[must_use]
pub fn of_client(head: &Head<'_>, source: Option<AddressSource>, trusted_hops: u32) -> Option<IpAddr> {
    match source? {
        AddressSource::Connection => parse(&head.connection?.source()?),
        AddressSource::ForwardedFor => forwarded_for(head.pairs, trusted_hops),
    }
}

/// The address that the outermost trusted proxy saw. Each proxy writes its peer at the end, and this one, too: so with
/// none in front it is the last one, with one in front the last but one. What stands before that is the client's word.
fn forwarded_for(pairs: &Pairs<'_>, trusted_hops: u32) -> Option<IpAddr> {
    let values = pairs.iter().filter(|(name, _)| *name == b"x-forwarded-for").map(|(_, value)| *value);
    let entries: Vec<&[u8]> = values.flat_map(|value| value.split(|b| *b == b',')).collect();
    let from_right = usize::try_from(trusted_hops).ok()?.checked_add(1)?;
    parse(entries.get(entries.len().checked_sub(from_right)?)?)
}

/// An address with or without a port. An IPv4 address that is written as IPv6 (RFC 4291 §2.5.5.2) is the former:
/// otherwise a range would be passed by another spelling.
fn parse(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let bare = match text.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?.0,
        None if text.matches(':').count() == 1 => text.split_once(':')?.0,
        None => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_may_if_it_is_allowed_and_not_blocked() {
        let addresses = Addresses { allow: nets(&["10.0.0.0/8", "2001:db8::/32"]), block: nets(&["10.1.0.0/16"]) };
        let open = Addresses { allow: vec![], block: nets(&["192.0.2.1/32"]) };
        for (ranges, address, expected) in [
            (&addresses, "10.0.0.1", true),
            (&addresses, "10.1.2.3", false),
            (&addresses, "11.0.0.1", false),
            (&addresses, "2001:db8::7", true),
            (&addresses, "2001:db9::7", false),
            (&open, "192.0.2.1", false),
            (&open, "192.0.2.2", true),
            (&open, "::1", true),
        ] {
            assert_eq!(ranges.admit(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn e3_addresses_are_counted_from_the_right_and_what_the_client_wrote_is_never_reached() {
        for (headers, hops, expected) in [
            (&["203.0.113.9"][..], 0, Some("203.0.113.9")),
            (&["6.6.6.6, 203.0.113.9"], 0, Some("203.0.113.9")),
            (&["6.6.6.6, 203.0.113.9, 10.0.0.1"], 1, Some("203.0.113.9")),
            (&["6.6.6.6", "203.0.113.9,10.0.0.1"], 1, Some("203.0.113.9")),
            (&["10.0.0.1"], 1, None),
            (&[], 0, None),
            (&["203.0.113.9, nobody"], 0, None),
            (&["203.0.113.9,"], 0, None),
            (&["[2001:db8::1]:4711"], 0, Some("2001:db8::1")),
            (&["2001:db8::1"], 0, Some("2001:db8::1")),
            (&["203.0.113.9:4711"], 0, Some("203.0.113.9")),
            (&["::ffff:203.0.113.9"], 0, Some("203.0.113.9")),
        ] {
            let pairs: Vec<(&[u8], &[u8])> =
                headers.iter().map(|value| (&b"x-forwarded-for"[..], value.as_bytes())).collect();
            let found = forwarded_for(&pairs, hops);
            assert_eq!(found, expected.map(|text| text.parse().unwrap()), "{headers:?} {hops}");
        }
    }

    #[test]
    fn e3_without_a_declared_source_no_address_is_known() {
        let pairs: &Pairs<'_> = &[(b"x-forwarded-for", b"10.0.0.1")];
        let head = Head { pairs, ..Head::default() };
        assert_eq!(of_client(&head, None, 0), None);
        assert_eq!(of_client(&head, Some(AddressSource::Connection), 0), None);
    }
}
