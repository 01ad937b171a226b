//! What was written, kept beside the logs in `.sums/`, so that `launcher logs --verify` can prove that it is still there.
//!
//! * `.sums/chat.live` belongs to `chat.log`, `.sums/chat.000007` to the file put aside under that number. A file's journal goes
//!   only when the limits remove the file, so a file that somebody else removed is missed.
//! * A journal is lines of JSON, appended: how far the file reaches, with its checksums; what was lost, with the cause; what is
//!   in the file without our doing. A line that was not written whole is none.
//! * It is written after the log itself, about once a second; a launcher that is killed leaves the last second unproven, which
//!   the next one notes.
//! * Before a file is put aside its new name is noted, so that a crash between the two renames confuses nobody.
//!
//! What cannot be written, on a full disk, is kept in memory and tried again. A journal that has grown far beyond what it says
//! is written anew.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::names;
use super::segment::Segment;
use super::sums::{BLOCK, to_hex};
use super::written::{Lost, Mark, Part, Written};

/// The directory of the journals, in that of the logs.
const DIRECTORY: &str = ".sums";

/// Losses that are told apart; older ones become one.
const MAX_LOSSES: usize = 100;

/// A journal that is larger than this, and than four times what it says, is written anew.
const MAX_SLACK: u64 = 64 * 1024;

/// One line of a journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Record {
    /// The file reaches so far.
    Mark(Mark),
    /// Something is not in it, or not in one before it.
    Lost(Lost),
    /// Something is in it, and nobody knows whether it is what was written.
    Unproven(Part),
    /// It is put aside under this name.
    Aside(String),
}

/// The journal of the file that is written.
#[derive(Debug)]
pub(super) struct Journal {
    logs: PathBuf,
    component: String,
    /// What it says beside the marks.
    lost: Vec<Lost>,
    unproven: Vec<Part>,
    /// What it does not say yet.
    pending: Vec<Record>,
    /// How large it is.
    size: u64,
}

/// The path of a component's journal: of the file put aside under a number, or of the one that is written.
pub(crate) fn path(logs: &Path, component: &str, sequence: Option<u64>) -> PathBuf {
    let ending = sequence.map_or("live".to_owned(), |sequence| format!("{sequence:06}"));
    logs.join(DIRECTORY).join(format!("{component}.{ending}"))
}

/// The journals there are: component and number, none for that of the file that is written.
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
        // What does not parse was not written whole, and was written again after it.
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

    /// What an earlier launcher wrote into the file that is written now.
    pub(super) fn begin(&mut self) -> Option<Written> {
        let path = path(&self.logs, &self.component, None);
        let written = load(&path).ok()?;
        if let Some(name) = &written.aside
            && let Some(sequence) = names::sequence_of(name)
            && names::is_there(&self.logs.join(name))
        {
            // It was put aside, and its journal was not.
            let _ = std::fs::rename(&path, self::path(&self.logs, &self.component, Some(sequence)));
            return None;
        }
        self.size = std::fs::metadata(&path).map_or(0, |meta| meta.len());
        // A line that was not written whole gets an end.
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
            // It must be written anew to say so.
            self.size = u64::MAX;
        }
        self.lost.push(lost.clone());
        self.pending.push(Record::Lost(lost));
    }

    pub(super) fn unproven(&mut self, part: Part) {
        self.unproven.push(part);
        self.pending.push(Record::Unproven(part));
    }

    /// Says how far the file reaches. What cannot be said now will be said the next time.
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

    /// The file is about to be put aside under a name.
    pub(super) fn announce(&mut self, segment: &mut Segment, name: &str) {
        self.mark(segment);
        self.pending.push(Record::Aside(name.to_owned()));
        let _ = self.write_pending();
    }

    /// It was put aside; the next one begins.
    pub(super) fn put_aside(&mut self, sequence: u64) {
        // Without its journal the file is there, if unproven.
        let live = path(&self.logs, &self.component, None);
        let _ = std::fs::rename(live, path(&self.logs, &self.component, Some(sequence)));
        *self = Self::new(&self.logs, &self.component);
    }

    /// The file is gone, and what is known of losses goes over to the next one.
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
        // What is written in part is ended, so that it spoils nothing that follows.
        let result = file.write_all(text).inspect_err(|_| drop(file.write_all(b"\n")));
        self.size = self.size.saturating_add(text.len() as u64);
        result
    }

    /// Replaces it by a shorter one that says the same.
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
        // Not durable: after a power failure the log's last lines may be missing just so, and what is there is checked anew.
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
