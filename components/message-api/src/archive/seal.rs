//! Writes the lines of a backup, and sums up what it wrote.

use protocol::Event;
use protocol::api::BackupTotals;
use sha2::{Digest, Sha256};

use super::record::Record;

/// The hash of one conversation's log: what two stores that hold the same agree on.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogHash {
    hash: Sha256,
    events: u64,
}

impl LogHash {
    /// The next event of the log.
    pub(crate) fn add(&mut self, event: &Event) {
        self.add_json(&serde_json::to_vec(event).expect("an event serialises into memory"));
    }

    /// The next event of the log as it was written, by whatever version.
    pub(super) fn add_json(&mut self, event: &[u8]) {
        self.hash.update(event);
        self.hash.update(b"\n");
        self.events += 1;
    }

    /// How many events there were, and their hash in hexadecimal.
    pub(crate) fn finish(self) -> (u64, String) {
        (self.events, hexadecimal(self.hash))
    }
}

/// Counts and hashes lines.
#[derive(Debug, Default)]
pub(super) struct Seal {
    hash: Sha256,
    totals: BackupTotals,
}

impl Seal {
    /// A record as a line, its end included.
    pub(super) fn line(&mut self, record: &Record) -> Vec<u8> {
        let mut line = serde_json::to_vec(record).expect("a record serialises into memory");
        line.push(b'\n');
        self.note(record, &line);
        line
    }

    /// This line holds this record.
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

    /// What the last line must say.
    pub(super) fn end(self) -> Record {
        Record::End { totals: self.totals, sha256: hexadecimal(self.hash) }
    }
}

fn hexadecimal(hash: Sha256) -> String {
    use std::fmt::Write;
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
