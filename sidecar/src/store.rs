//! Where state is kept: implementations of the traits in [`crate::service`], by technology.

pub mod redis;
pub mod sql;
