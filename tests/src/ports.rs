//! Free ports for children that cannot choose one themselves.
//!
//! Each part must be told a port, and keeps it over a restart in the middle of a story. So the ports lie below the range from which the kernel
//! takes those of outgoing connections, and none is handed out twice.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, anyhow};

const FIRST: u16 = 12_000;
const COUNT: u16 = 18_000;

static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port on 127.0.0.1 that nobody listens on.
///
/// # Errors
/// There is none.
pub fn free() -> Result<u16> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    // Processes that run side by side start their search at different places.
    let start = (std::process::id().wrapping_mul(2_654_435_761) % u32::from(COUNT)) as u16;
    (0..COUNT)
        .map(|step| FIRST + (start + step) % COUNT)
        .find(|port| !taken.contains(port) && TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .inspect(|port| {
            taken.insert(*port);
        })
        .ok_or_else(|| anyhow!("no free port between {FIRST} and {}", FIRST + COUNT))
}
