//! What is fuzzed, and what must hold for any input. Each target is a function, so that libFuzzer
//! (`driver`) and the replay of the committed seeds by `make test` run the same thing.

#![expect(clippy::panic, clippy::indexing_slicing, reason = "a broken promise is what a fuzzer looks for")]

mod config;
mod cookie;
mod feed;
mod head;
mod jwks;
mod ticket;
mod token;

/// Of the sidecar's pure code what reads sessions of oauth2-proxy. Built here by itself: the whole sidecar brings a database and
/// TLS along, which would have to be built for libFuzzer, too.
#[allow(dead_code, unreachable_pub, reason = "the sidecar needs more of it")]
#[path = "../../sidecar/src/domain"]
mod domain {
    pub mod oauth2_proxy;
    pub mod session;
    pub mod time;
}

/// A target.
pub struct Target {
    /// As its binary and the folder of its seeds are called.
    pub name: &'static str,
    /// Takes one input. Panics if a promise is broken.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "head", run: head::run },
    Target { name: "config", run: config::run },
    Target { name: "feed", run: feed::run },
    Target { name: "token", run: token::run },
    Target { name: "jwks", run: jwks::run },
    Target { name: "cookie", run: cookie::run },
    Target { name: "ticket", run: ticket::run },
];

/// Runs the target with this name.
pub fn run(name: &str, input: &[u8]) {
    match TARGETS.iter().find(|target| target.name == name) {
        Some(target) => (target.run)(input),
        None => panic!("there is no target {name}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_seed_keeps_the_promises_of_its_target() {
        for target in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target.name);
            let seeds: Vec<_> = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}")).collect();
            assert!(seeds.len() > 5, "{} has hardly a seed", target.name);
            for seed in seeds {
                let input = fs::read(seed.unwrap().path()).unwrap();
                (target.run)(&input);
            }
        }
    }
}
