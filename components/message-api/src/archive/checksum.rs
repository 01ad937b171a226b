//! Writes the lines of a backup, counting and hashing them.

use protocol::Event;
use protocol::api::BackupTotals;
use sha2::{Digest, Sha256};

use super::record::Record;

/// The hash of one conversation's log; two stores with the same log have the same hash.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogHash {
    hash: Sha256,
    events: u64,
}

impl LogHash {
    /// Adds the next event of the log.
    pub(crate) fn add(&mut self, event: &Event) {
        self.add_json(&serde_json::to_vec(event).expect("an event serialises into memory"));
    }

    /// Adds the next event as the JSON that was written, by whatever version.
    pub(super) fn add_json(&mut self, event: &[u8]) {
        self.hash.update(event);
        self.hash.update(b"\n");
        self.events += 1;
    }

    /// The number of events, and their hash in hexadecimal.
    pub(crate) fn finish(self) -> (u64, String) {
        (self.events, hexadecimal(self.hash))
    }
}

/// Counts and hashes lines.
#[derive(Debug, Default)]
pub(super) struct Checksum {
    hash: Sha256,
    totals: BackupTotals,
}

impl Checksum {
    /// Renders a record as a line, with its newline.
    pub(super) fn line(&mut self, record: &Record) -> Vec<u8> {
        let mut line = serde_json::to_vec(record).expect("a record serialises into memory");
        line.push(b'\n');
        self.note(record, &line);
        line
    }

    /// Adds a line with this record.
    pub(super) fn note(&mut self, record: &Record, line: &[u8]) {
        self.hash.update(line);
        match record {
            Record::User(_) => self.totals.users += 1,
            Record::State { .. } => self.totals.states += 1,
            Record::Conversation { .. } => self.totals.conversations += 1,
            Record::Event(_) => self.totals.events += 1,
            Record::Backup { .. } | Record::Log { .. } | Record::End { .. } => {}
        }
    }

    /// The record that ends the backup.
    pub(super) fn end(self) -> Record {
        Record::End { totals: self.totals, sha256: hexadecimal(self.hash) }
    }
}

/// A hash as text.
pub(crate) fn hexadecimal(hash: Sha256) -> String {
    use std::fmt::Write;
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
