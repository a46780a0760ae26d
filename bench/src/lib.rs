//! What the measurements share. Each of them is a program of its own: `bench` sets Sekisho beside what people use
//! now, `bench-ban` measures the kill switch.

#![expect(clippy::cast_precision_loss, reason = "what is counted is far below what a float can count")]

pub mod figures;
pub mod million;
