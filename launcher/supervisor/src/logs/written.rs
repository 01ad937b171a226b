//! The content of a journal.

use serde::{Deserialize, Serialize};

use super::sums::{from_hex, whole_blocks};

/// Lines and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) lines: u64,
    pub(super) bytes: u64,
}

impl Amount {
    /// What remains without a part.
    pub(super) fn less(self, part: Self) -> Self {
        Self { lines: self.lines.saturating_sub(part.lines), bytes: self.bytes.saturating_sub(part.bytes) }
    }
}

/// A part of a file: from, to.
pub(crate) type Part = (u64, u64);

/// The length of a file with its checksums.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The offset of the block with the first checksum.
    pub(super) from: u64,
    pub(super) bytes: u64,
    pub(super) lines: u64,
    pub(super) sums: String,
    /// The parts after `from` that the launcher wrote.
    pub(super) own: Vec<Part>,
}

/// A loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// The number of lines.
    pub lines: u64,
    /// Their size.
    pub bytes: u64,
    /// The begin of the loss, RFC 3339.
    pub since: String,
    /// The end of the loss, RFC 3339.
    pub until: String,
    /// Why they were lost, for people.
    pub cause: String,
}

/// The content of a journal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) sums: Vec<u32>,
    pub(super) own: Vec<Part>,
    pub(crate) unproven: Vec<Part>,
    pub(crate) lost: Vec<Lost>,
    pub(crate) aside: Option<String>,
}

impl Written {
    /// The components' lines and bytes in the file.
    pub(super) fn content(&self) -> Amount {
        let own: u64 = self.own.iter().map(|(from, to)| to - from).sum();
        Amount {
            lines: self.lines.saturating_sub(self.own.len() as u64),
            bytes: self.bytes.saturating_sub(own),
        }
    }

    pub(super) fn mark(&mut self, mark: Mark) {
        let block = whole_blocks(mark.from);
        let (Some(sums), true) = (from_hex(&mark.sums), block <= self.sums.len()) else { return };
        self.sums.truncate(block);
        self.sums.extend(sums);
        self.own.retain(|(_, to)| *to <= mark.from);
        self.own.extend(mark.own);
        self.unproven.retain(|(from, _)| *from < mark.bytes);
        (self.bytes, self.lines) = (mark.bytes, mark.lines);
    }
}
