//! The Sekisho filter for Envoy and Istio: a shell around `sekisho-core`.
//!
//! [`entry`] is what the proxy calls, [`host`] what it can be asked, [`vm`] the state between the
//! two. No decision is taken here.
//!
//! The proxy-wasm ABI (0.2.1) is spoken directly instead of through its SDK, for three reasons: the
//! SDK panics on unexpected statuses and on bytes that are not UTF-8, and here a panic is an outage
//! (rule E11); it exports every callback there is, and the proxy calls each exported one for each
//! chunk of each body; and it ties an answer to the context that asked, while a check must survive
//! the request that asked for it (rule P13).

#![cfg(target_arch = "wasm32")]

mod calls;
mod crypto;
mod entry;
mod host;
mod pairs;
mod request;
mod root;
mod statistics;
mod vm;
