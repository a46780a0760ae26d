//! What must hold of the repository itself: the direction of dependencies, and examples that agree
//! with the code.

#![expect(clippy::indexing_slicing, reason = "YAML is read by `compose[\"field\"]`, and a test may panic")]

mod architecture;
mod compose;
mod envoy;
mod identity;
mod secrets;
mod source;
mod tokens;
