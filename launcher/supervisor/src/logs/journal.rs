//! The checksums of the logs, kept beside them in `.sums/`, so that `launcher logs --verify` can verify them.
//!
//! * `.sums/chat.live` belongs to `chat.log`, `.sums/chat.000007` to the rotated file with that number. A file's journal is deleted only
//!   when the limits delete the file, so a file that somebody else deleted is reported as missing.
//! * A journal consists of JSON lines: the length of the file with checksums; losses and their causes; parts of the file that we did not
//!   write. An incomplete line is ignored.
//! * It is written after the log, about once a second; a launcher that is killed leaves the last second unverified, which the next one
//!   records.
//! * The new name of a file is recorded before it is rotated, so that a crash between the two renames is resolved.
//!
//! Records that cannot be written, on a full disk, are kept in memory and retried. A journal that is much larger than its content is
//! rewritten.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::names;
use super::segment::Segment;
use super::sums::{BLOCK, to_hex};
use super::written::{Lost, Mark, Part, Written};

/// The directory of the journals within the log directory.
const DIRECTORY: &str = ".sums";

/// The number of separate losses; older ones are merged.
const MAX_LOSSES: usize = 100;

/// A journal larger than this, and than four times its content, is rewritten.
const MAX_SLACK: u64 = 64 * 1024;

/// A line of a journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Record {
    /// The length of the file.
    Mark(Mark),
    /// Something is missing in this file or an earlier one.
    Lost(Lost),
    /// A part of the file that may not be what was written.
    Unproven(Part),
    /// The file is about to be renamed to this.
    Aside(String),
}

/// The journal of the current file.
#[derive(Debug)]
pub(super) struct Journal {
    logs: PathBuf,
    component: String,
    /// The losses in it.
    lost: Vec<Lost>,
    unproven: Vec<Part>,
    /// Records that are not written yet.
    pending: Vec<Record>,
    /// Its size in bytes.
    size: u64,
}

/// The path of a component's journal: of the rotated file with this number, or of the current file.
pub(crate) fn path(logs: &Path, component: &str, sequence: Option<u64>) -> PathBuf {
    let ending = sequence.map_or("live".to_owned(), |sequence| format!("{sequence:06}"));
    logs.join(DIRECTORY).join(format!("{component}.{ending}"))
}

/// The existing journals: component and number, `None` for that of the current file.
pub(crate) fn list(logs: &Path) -> io::Result<Vec<(String, Option<u64>)>> {
    let entries = match std::fs::read_dir(logs.join(DIRECTORY)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let name = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let (component, ending) = name.rsplit_once('.')?;
        let sequence = if ending == "live" { None } else { Some(ending.parse().ok()?) };
        Some((component.to_owned(), sequence))
    };
    Ok(entries.flatten().filter_map(name).collect())
}

/// Reads a journal.
pub(crate) fn load(path: &Path) -> io::Result<Written> {
    let text = std::fs::read(path)?;
    let mut written = Written::default();
    for line in text.split(|byte| *byte == b'\n') {
        // A line that does not parse is incomplete, and was repeated after it.
        match serde_json::from_slice(line) {
            Ok(Record::Mark(mark)) => written.mark(mark),
            Ok(Record::Lost(lost)) => written.lost.push(lost),
            Ok(Record::Unproven(part)) => written.unproven.push(part),
            Ok(Record::Aside(name)) => written.aside = Some(name),
            Err(_) => {}
        }
    }
    Ok(written)
}

impl Journal {
    pub(super) fn new(logs: &Path, component: &str) -> Self {
        Self {
            logs: logs.to_owned(),
            component: component.to_owned(),
            lost: Vec::new(),
            unproven: Vec::new(),
            pending: Vec::new(),
            size: 0,
        }
    }

    /// The records of an earlier launcher on the current file.
    pub(super) fn begin(&mut self) -> Option<Written> {
        let path = path(&self.logs, &self.component, None);
        let written = load(&path).ok()?;
        if let Some(name) = &written.aside
            && let Some(sequence) = names::sequence_of(name)
            && names::is_there(&self.logs.join(name))
        {
            // The file was renamed, and its journal was not.
            let _ = std::fs::rename(&path, self::path(&self.logs, &self.component, Some(sequence)));
            return None;
        }
        self.size = std::fs::metadata(&path).map_or(0, |meta| meta.len());
        // Ends an incomplete line.
        let _ = self.append(b"\n");
        (self.lost, self.unproven) = (written.lost.clone(), written.unproven.clone());
        Some(written)
    }

    pub(super) fn lost(&mut self, lost: Lost) {
        if self.lost.len() == MAX_LOSSES {
            let Lost { lines, bytes, since, .. } = self.lost.remove(0);
            self.lost[0] = Lost {
                lines: self.lost[0].lines + lines,
                bytes: self.lost[0].bytes + bytes,
                since,
                until: self.lost[0].until.clone(),
                cause: "several causes".to_owned(),
            };
            // The journal must be rewritten to include this.
            self.size = u64::MAX;
        }
        self.lost.push(lost.clone());
        self.pending.push(Record::Lost(lost));
    }

    pub(super) fn unproven(&mut self, part: Part) {
        self.unproven.push(part);
        self.pending.push(Record::Unproven(part));
    }

    /// Records the length of the file, now or with the next call.
    pub(super) fn mark(&mut self, segment: &mut Segment) {
        if !segment.is_marked() {
            let (from, sums) = segment.unmarked_sums();
            let own: Vec<Part> = segment.own().iter().copied().filter(|(_, to)| *to > from).collect();
            let (bytes, lines) = (segment.size(), segment.lines());
            self.pending.retain(|record| !matches!(record, Record::Mark(_)));
            self.pending.push(Record::Mark(Mark { from, bytes, lines, sums: to_hex(&sums), own }));
        }
        if self.write_pending().is_ok() {
            segment.set_marked();
            let said = 8 * segment.size() / BLOCK as u64 + 200 * self.lost.len() as u64;
            if self.size > MAX_SLACK.max(4 * said) {
                self.write_anew(segment);
            }
        }
    }

    /// Records the name to which the file is about to be renamed.
    pub(super) fn announce(&mut self, segment: &mut Segment, name: &str) {
        self.mark(segment);
        self.pending.push(Record::Aside(name.to_owned()));
        let _ = self.write_pending();
    }

    /// The file was rotated; a new journal begins.
    pub(super) fn put_aside(&mut self, sequence: u64) {
        // Without its journal the rotated file is unverified.
        let live = path(&self.logs, &self.component, None);
        let _ = std::fs::rename(live, path(&self.logs, &self.component, Some(sequence)));
        *self = Self::new(&self.logs, &self.component);
    }

    /// The file is gone; the losses are moved to the next journal.
    pub(super) fn start_over(&mut self) {
        self.pending = self.lost.iter().cloned().map(Record::Lost).collect();
        (self.unproven, self.size) = (Vec::new(), 0);
        let _ = std::fs::remove_file(path(&self.logs, &self.component, None));
    }

    fn write_pending(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        self.pending.iter().for_each(|record| write(record, &mut text));
        self.append(&text)?;
        self.pending.clear();
        Ok(())
    }

    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let path = path(&self.logs, &self.component, None);
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        let mut file = match kit::files::open(&path, &mut options) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                kit::files::make_directory(&self.logs.join(DIRECTORY))?;
                kit::files::open(&path, &mut options)?
            }
            other => other?,
        };
        // Ends an incomplete line, so that following ones are not affected.
        let result = file.write_all(text).inspect_err(|_| drop(file.write_all(b"\n")));
        self.size = self.size.saturating_add(text.len() as u64);
        result
    }

    /// Replaces it by a shorter one with the same content.
    fn write_anew(&mut self, segment: &Segment) {
        let sums = to_hex(&segment.sums());
        let own = segment.own().to_vec();
        let mark = Mark { from: 0, bytes: segment.size(), lines: segment.lines(), sums, own };
        let lost = self.lost.iter().cloned().map(Record::Lost);
        let unproven = self.unproven.iter().copied().map(Record::Unproven);
        let mut text = Vec::new();
        lost.chain([Record::Mark(mark)]).chain(unproven).for_each(|record| write(&record, &mut text));
        let live = path(&self.logs, &self.component, None);
        let new = live.with_extension("live-new");
        let file = kit::files::open(&new, OpenOptions::new().write(true).create(true).truncate(true));
        // Not durable: after a power failure the log's last lines may be missing as well, and the file is checked again.
        let replaced =
            file.and_then(|mut file| file.write_all(&text)).and_then(|()| std::fs::rename(&new, &live));
        if replaced.is_ok() {
            self.size = text.len() as u64;
        } else {
            let _ = std::fs::remove_file(new);
        }
    }
}

fn write(record: &Record, text: &mut Vec<u8>) {
    serde_json::to_writer(&mut *text, record).expect("numbers and texts can be written as JSON, into memory");
    text.push(b'\n');
}
