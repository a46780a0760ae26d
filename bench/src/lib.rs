//! What the measurements share. Each of them is a program of its own: `bench` sets Sekisho beside what people use
//! now, `bench-ban` measures the kill switch, `bench-admin` the sidecar's lists when they are long.

pub mod figures;
pub mod million;
pub mod processes;
