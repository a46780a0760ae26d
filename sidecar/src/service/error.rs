//! How the store can fail. A client never sees these texts: the border turns them into a 503 or a
//! 500 with a sentence of its own.

/// Why the store gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It could not be reached, timed out, or refuses to serve now (loading, read-only, out of memory).
    /// Nothing can be said about whether the command took effect.
    #[error("{message}")]
    Unavailable {
        /// For the log.
        message: String,
    },
    /// It holds something that cannot be understood.
    #[error("the store holds something unreadable under `{key}`: {message}")]
    Corrupt {
        /// Where.
        key: String,
        /// For the log.
        message: String,
    },
    /// It is not ours to use, and waiting makes it no better.
    #[error("{message}")]
    Unusable {
        /// Why, and what to do.
        message: String,
    },
}

impl StoreError {
    /// The store must not be used.
    pub fn unusable(cause: impl std::fmt::Display) -> Self {
        Self::Unusable { message: cause.to_string() }
    }

    /// The store could not be asked.
    pub fn unavailable(cause: impl std::fmt::Display) -> Self {
        Self::Unavailable { message: cause.to_string() }
    }

    /// The value under `key` is not what it should be.
    pub fn corrupt(key: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self::Corrupt { key: key.into(), message: cause.to_string() }
    }
}
