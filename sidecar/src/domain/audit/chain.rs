//! The chain of hashes over the audit trail: a change of any event, or one that is missing, shows.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// What is hashed first, so that a hash serves no other purpose.
const LABEL: &[u8] = b"sekisho audit chain v1\0";

/// What ties an event to all before it: SHA-256 over the hash before, the sequence number and the event's text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// Before the first event.
    pub const GENESIS: Self = Self([0; 32]);

    /// The hash of the event with this number and text, after the one with the hash `self`.
    #[must_use]
    pub fn next(self, seq: u64, body: &str) -> Self {
        let digest = Sha256::new().chain_update(LABEL).chain_update(self.0).chain_update(seq.to_be_bytes());
        Self(digest.chain_update(body.as_bytes()).finalize().into())
    }

    /// The hash in this text: 64 hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, rest) = text.as_bytes().as_chunks::<2>();
        let byte = |digits: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        // `from_str_radix` takes a sign, too.
        if !rest.is_empty() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let bytes: Vec<u8> = digits.iter().map(byte).collect::<Option<_>>()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One end of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The number of an event.
    pub seq: u64,
    /// Its hash.
    pub hash: ChainHash,
}

impl End {
    /// Before the first event.
    pub const GENESIS: Self = Self { seq: 0, hash: ChainHash::GENESIS };

    /// The end after the event with this text.
    #[must_use]
    pub fn after(self, body: &str) -> Self {
        let seq = self.seq + 1;
        Self { seq, hash: self.hash.next(seq, body) }
    }
}

/// `SEQ:HASH`.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl std::str::FromStr for End {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once(':').and_then(|(seq, hash)| Some((seq.parse().ok()?, ChainHash::parse(hash)?)));
        parsed.map(|(seq, hash)| Self { seq, hash }).ok_or("is not SEQ:HASH, as `sekisho audit verify` prints it")
    }
}

/// An event as it stands in the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it stands, and the hash that is on record.
    pub end: End,
    /// The text that the hash covers.
    pub body: String,
    /// What the columns beside it say, by which it is found.
    pub columns: Columns,
}

/// The columns by which events are found. An event's text is read for them word by word: a newer Sekisho may know more words.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Columns {
    /// Its id.
    pub id: String,
    /// When it began.
    pub at_ms: u64,
    /// The word of what was done.
    pub action: String,
    /// The word of how much it matters.
    pub severity: String,
    /// Who did it.
    pub actor: String,
    /// To whom or what; empty if that is not known.
    #[serde(default)]
    pub target: String,
    /// The word of what came of it.
    pub outcome: String,
}

/// Where the trail is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// Events are missing.
    #[error("event {0} is missing")]
    Missing(u64),
    /// An event is another one than was written, or one before it is.
    #[error("event {0} is not what was written")]
    Changed(u64),
    /// An event is found by what it does not say.
    #[error("event {0} is filed under what it does not say")]
    Misfiled(u64),
    /// The trail ends before its end, or after it.
    #[error("the trail ends at event {found}, not at {expected}")]
    End {
        /// The last event that is there.
        found: u64,
        /// The last event that was written.
        expected: u64,
    },
    /// The event that somebody remembers was dropped, with all before it. The retention does that to old ones, but so could
    /// whoever writes to the database, and nothing that is left tells the two apart.
    #[error("event {remembered} was dropped, as all up to event {start}: that it was there cannot be shown any more")]
    Dropped {
        /// The event that is remembered.
        remembered: u64,
        /// The last event that was dropped.
        start: u64,
    },
    /// The trail does not hold the event, with that hash, that somebody remembers.
    #[error("event {0} does not have the hash that was remembered")]
    Remembered(u64),
}

/// Walks along the chain.
#[derive(Debug, Clone, Copy)]
pub struct Walk {
    at: End,
}

impl Walk {
    /// Begins behind `start`.
    #[must_use]
    pub fn from(start: End) -> Self {
        Self { at: start }
    }

    /// Where it is.
    #[must_use]
    pub fn at(&self) -> End {
        self.at
    }

    /// Steps to the next event.
    ///
    /// # Errors
    /// It is not what must come next.
    pub fn step(&mut self, link: &Link) -> Result<(), Break> {
        let next = self.at.after(&link.body);
        if link.end.seq != next.seq {
            return Err(Break::Missing(next.seq));
        }
        if link.end.hash != next.hash {
            return Err(Break::Changed(next.seq));
        }
        let said = serde_json::from_str::<Columns>(&link.body).map_err(|_| Break::Changed(next.seq))?;
        if said != link.columns {
            return Err(Break::Misfiled(next.seq));
        }
        self.at = next;
        Ok(())
    }

    /// Whether the walk has come to the end that is on record.
    ///
    /// # Errors
    /// Events are missing at the end, or were added behind it.
    pub fn finish(self, head: End) -> Result<(), Break> {
        match self.at {
            at if at == head => Ok(()),
            at if at.seq == head.seq => Err(Break::Changed(at.seq)),
            at => Err(Break::End { found: at.seq, expected: head.seq }),
        }
    }
}
