//! The time as a parameter. Only the shell asks a clock.

/// One moment, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Unix seconds: what `exp`, bans and assertions are compared with.
    pub unix_s: u64,
    /// Milliseconds of a clock that never goes back: what staleness and time-outs are counted with.
    pub mono_ms: u64,
}
