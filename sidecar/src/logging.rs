//! Log lines, and the level that an operator can change while the sidecar runs.

use std::io::IsTerminal;

use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Registry, fmt, reload};

use crate::config::{self, LogFormat};

/// The switch for what is logged.
#[derive(Clone)]
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

/// Why the level could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum LogLevelError {
    /// The text is no filter.
    #[error("not a log filter such as `info` or `info,sekisho_sidecar=debug`: {0}")]
    Filter(#[from] ParseError),
    /// The log is gone.
    #[error("the log cannot be changed: {0}")]
    Gone(#[from] reload::Error),
}

/// Most bytes of a filter.
const FILTER_MAX_BYTES: usize = 1_000;

/// A filter of `tracing`: a level, or directives such as `info,sekisho_sidecar::jobs=debug`.
///
/// # Errors
/// The text is none.
pub(crate) fn parse(text: &str) -> Result<EnvFilter, ParseError> {
    let bounded = if text.len() > FILTER_MAX_BYTES { "too=long" } else { text };
    EnvFilter::builder().parse(bounded)
}

/// Starts the log on standard error.
///
/// # Errors
/// A log was started before in this process.
pub fn start(log: &config::Log) -> Result<LogLevel, TryInitError> {
    let (filter, handle) = reload::Layer::new(parse(&log.filter).unwrap_or_else(|_| EnvFilter::new("info")));
    // Colours are for people who look at it, not for files.
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(filter);
    match log.format {
        LogFormat::Text => registry.with(lines).try_init()?,
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    Ok(LogLevel(handle))
}

impl LogLevel {
    /// The directives in force.
    ///
    /// # Errors
    /// The log is gone.
    pub fn get(&self) -> Result<String, LogLevelError> {
        Ok(self.0.with_current(ToString::to_string)?)
    }

    /// Puts other directives into force.
    ///
    /// # Errors
    /// They are none, or the log is gone.
    pub fn set(&self, text: &str) -> Result<(), LogLevelError> {
        let filter = parse(text)?;
        Ok(self.0.reload(filter)?)
    }

    /// A switch that is connected to nothing, for tests of what holds one.
    #[cfg(test)]
    pub(crate) fn unconnected() -> (Self, impl Sized) {
        let (filter, handle) = reload::Layer::new(EnvFilter::new("info"));
        (Self(handle), filter)
    }
}
