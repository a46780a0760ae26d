//! The end-to-end harness: a whole small world of real parts for each story.
//!
//! [`World::start`] gives one Envoy with the filter, two sidecars, a Redis and a temporary folder of
//! their own, and an upstream that remembers what reached it; a [`Plan`] asks for more. Ports are ephemeral, so that worlds run side
//! by side; readiness is polled; every child dies with the test, however the test ends. Start reading
//! at [`story`](fn@story), which every test calls.
//!
//! Nothing here is mocked, and nothing is skipped: a component that is missing fails the story with
//! the command that builds it.

#![expect(clippy::indexing_slicing, reason = "JSON is read by `answer[\"field\"]`, and a harness may panic")]

pub mod answer;
pub mod browser;
pub mod check_relay;
pub mod chromium;
pub mod components;
pub mod envoy;
pub mod exposition;
pub mod folder;
pub mod leaks;
pub mod link;
pub mod load;
pub mod peers;
pub mod poll;
pub mod ports;
pub mod process;
pub mod receiver;
pub mod redis_server;
pub mod sidecar;
pub mod story;
pub mod token;
pub mod upstream;
pub mod wire;
pub mod world;

pub use answer::Answer;
pub use browser::Browser;
pub use load::Load;
pub use story::{Shared, story, story_in, story_without_world};
pub use token::Token;
pub use world::{Plan, User, World};
