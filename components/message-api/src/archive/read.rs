//! Reads a backup. Any difference from what was written is detected: a changed byte, a missing or additional line, a missing end. What was
//! read before the difference must be discarded.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use protocol::api::BackupTotals;
use protocol::{ConversationId, Event};

use super::checksum::{Checksum, LogHash};
use super::record::{Record, VERSION};

/// Longer than any line that is written: an event, or the cursors of a conversation's two users with all their devices.
const LINE_BYTES: u64 = 1024 * 1024;

/// A backup cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file cannot be read.
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    /// It is not a backup.
    #[error("it is not a backup of P2P Chat")]
    NotABackup,
    /// It was made by a newer version.
    #[error("it was made by a newer P2P Chat (layout {0}, this one knows {VERSION}); update this program")]
    Newer(u32),
    /// It is incomplete.
    #[error("it is not complete: it ends after line {0}")]
    Truncated(u64),
    /// It was changed.
    #[error("it is damaged: line {line} {what}")]
    Damaged {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong there.
        what: &'static str,
    },
}

/// A backup being read.
pub struct Archive<R> {
    lines: R,
    line: u64,
    checksum: Checksum,
    part: Part,
}

/// The part of the backup that is being read.
enum Part {
    Begin,
    Between,
    Log { id: ConversationId, last: u64, hash: LogHash },
    Over,
}

/// Reads a backup to its end and returns its totals.
///
/// # Errors
/// If it is incomplete or damaged.
pub fn verify(path: &Path) -> Result<BackupTotals, ArchiveError> {
    let mut archive = Archive::open(path)?;
    let mut totals = BackupTotals::default();
    while let Some(record) = archive.next_record()? {
        if let Record::End { totals: all, .. } = record {
            totals = all;
        }
    }
    Ok(totals)
}

impl Archive<BufReader<File>> {
    /// Opens a backup.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        Ok(Self::new(BufReader::new(File::open(path)?)))
    }
}

impl<R: BufRead> Archive<R> {
    /// Reads a backup from this reader.
    pub fn new(lines: R) -> Self {
        Self { lines, line: 0, checksum: Checksum::default(), part: Part::Begin }
    }

    /// The next record; `None` after the last one.
    ///
    /// # Errors
    /// If it differs from what was written.
    pub fn next_record(&mut self) -> Result<Option<Record>, ArchiveError> {
        let Some(line) = self.next_line()? else {
            return match self.part {
                Part::Over => Ok(None),
                Part::Begin => Err(ArchiveError::NotABackup),
                Part::Between | Part::Log { .. } => Err(ArchiveError::Truncated(self.line)),
            };
        };
        let record = serde_json::from_slice(&line).map_err(|_| match self.part {
            Part::Begin => ArchiveError::NotABackup,
            Part::Between | Part::Log { .. } | Part::Over => self.damaged("is no record"),
        })?;
        self.check(&record, &line)?;
        self.checksum.note(&record, &line);
        Ok(Some(record))
    }

    fn next_line(&mut self) -> Result<Option<Vec<u8>>, ArchiveError> {
        let mut line = Vec::new();
        self.lines.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        if line.last() == Some(&b'\n') {
            return Ok(Some(line));
        }
        Err(match self.part {
            Part::Begin => ArchiveError::NotABackup,
            Part::Between | Part::Log { .. } | Part::Over => self.damaged("has no end"),
        })
    }

    fn damaged(&self, what: &'static str) -> ArchiveError {
        ArchiveError::Damaged { line: self.line, what }
    }

    fn check(&mut self, record: &Record, line: &[u8]) -> Result<(), ArchiveError> {
        let part = std::mem::replace(&mut self.part, Part::Over);
        self.part = match (part, record) {
            (Part::Begin, Record::Backup { version: VERSION, .. }) => Part::Between,
            (Part::Begin, Record::Backup { version, .. }) if *version > VERSION => {
                return Err(ArchiveError::Newer(*version));
            }
            (Part::Begin, _) => return Err(ArchiveError::NotABackup),
            (Part::Between, Record::User(_) | Record::State { .. }) => Part::Between,
            (Part::Between, Record::Conversation { id, .. }) => {
                Part::Log { id: id.clone(), last: 0, hash: LogHash::default() }
            }
            (Part::Between, Record::End { .. }) => return self.check_end(record),
            (Part::Log { id, last, hash }, Record::Event(event)) => {
                self.check_event(id, last, hash, event, line)?
            }
            (Part::Log { hash, .. }, Record::Log { events, sha256 }) => {
                if hash.finish() != (*events, sha256.clone()) {
                    return Err(self.damaged("does not agree with the events before it"));
                }
                Part::Between
            }
            (Part::Between | Part::Log { .. } | Part::Over, _) => return Err(self.damaged("is out of place")),
        };
        Ok(())
    }

    fn check_event(
        &self,
        id: ConversationId,
        last: u64,
        mut hash: LogHash,
        event: &Event,
        line: &[u8],
    ) -> Result<Part, ArchiveError> {
        if event.conversation != id || !id.is_dm_of(&event.sender) || event.seq <= last {
            return Err(self.damaged("is out of place"));
        }
        // Earlier versions stored the recipient's name as the sender had written it.
        let json = line.strip_prefix(br#"{"event":"#).and_then(|rest| rest.strip_suffix(b"}\n"));
        hash.add_json(json.ok_or_else(|| self.damaged("is not as it was written"))?);
        Ok(Part::Log { id, last: event.seq, hash })
    }

    fn check_end(&mut self, record: &Record) -> Result<(), ArchiveError> {
        if std::mem::take(&mut self.checksum).end() == *record {
            Ok(())
        } else {
            Err(self.damaged("does not agree with what is before it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    /// A backup of one conversation with three events.
    fn backup() -> Vec<u8> {
        let mut checksum = Checksum::default();
        let at = protocol::Timestamp::from_micros(1);
        let events: Vec<_> = (1..=3).map(sample::event).collect();
        let mut hash = LogHash::default();
        events.iter().for_each(|event| hash.add(event));
        let (count, sha256) = hash.finish();
        let mut records = vec![
            Record::Backup { version: VERSION, at },
            Record::State { owner: sample::name("bot"), key: "k".into(), value: serde_json::json!({"a": 1}) },
            Record::Conversation { id: events[0].conversation.clone(), cursors: Vec::new() },
        ];
        records.extend(events.into_iter().map(|event| Record::Event(Box::new(event))));
        records.push(Record::Log { events: count, sha256 });
        let mut bytes: Vec<u8> = records.iter().flat_map(|record| checksum.line(record)).collect();
        bytes.extend(Checksum::default().line(&checksum.end()));
        bytes
    }

    fn read(bytes: &[u8]) -> Result<u64, ArchiveError> {
        let mut archive = Archive::new(bytes);
        let mut events = 0;
        while let Some(record) = archive.next_record()? {
            events += u64::from(matches!(record, Record::Event(_)));
        }
        Ok(events)
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(read(&backup()).unwrap(), 3);
    }

    /// The same backup as an earlier version wrote it, with recipients' names as their senders had written them.
    fn backup_of_an_earlier_version() -> Vec<u8> {
        let (mut checksum, mut hash, mut bytes) = (Checksum::default(), LogHash::default(), Vec::new());
        for line in backup().split_inclusive(|byte| *byte == b'\n') {
            let line = String::from_utf8(line.to_vec())
                .unwrap()
                .replace(r#""destination":"bob""#, r#""destination":"Bob""#);
            let mut line = line.into_bytes();
            let mut record: Record = serde_json::from_slice(&line).unwrap();
            match &mut record {
                Record::Event(_) => hash.add_json(&line[br#"{"event":"#.len()..line.len() - 2]),
                Record::Log { sha256, .. } => {
                    *sha256 = std::mem::take(&mut hash).finish().1;
                    line = [serde_json::to_vec(&record).unwrap(), vec![b'\n']].concat();
                }
                Record::End { .. } => {
                    bytes.extend(Checksum::default().line(&checksum.end()));
                    break;
                }
                Record::Backup { .. }
                | Record::User(_)
                | Record::State { .. }
                | Record::Conversation { .. } => {}
            }
            checksum.note(&record, &line);
            bytes.extend(line);
        }
        bytes
    }

    #[test]
    fn a_backup_that_spells_receivers_is_read() {
        let earlier = backup_of_an_earlier_version();
        assert!(String::from_utf8_lossy(&earlier).contains(r#""destination":"Bob""#));
        assert_eq!(read(&earlier).unwrap(), 3);
    }

    #[test]
    fn every_changed_byte_and_every_missing_one_is_noticed() {
        let whole = backup();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(read(&changed).is_err(), "byte {at}");
            assert!(read(&whole[..at]).is_err(), "cut at {at}");
        }
        assert!(matches!(read(&[whole.clone(), whole].concat()), Err(ArchiveError::Damaged { .. })));
    }

    #[test]
    fn other_files_are_reported_as_no_backup() {
        assert!(matches!(read(b""), Err(ArchiveError::NotABackup)));
        assert!(matches!(read(b"SQLite format 3\0"), Err(ArchiveError::NotABackup)));
        let newer = String::from_utf8(backup()).unwrap().replacen("\"version\":1", "\"version\":9", 1);
        assert!(matches!(read(newer.as_bytes()), Err(ArchiveError::Newer(9))));
    }
}
