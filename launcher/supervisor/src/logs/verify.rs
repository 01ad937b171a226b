//! Verifies the logs: every file against its journal.
//!
//! Reports with file and place: a changed byte, a missing end, a missing file, additional bytes. Losses that are recorded in the journals
//! are reported separately, not as errors. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::journal;
use super::names::{self, Form, RotatedFile};
use super::sums::{BLOCK, Sums, whole_blocks};
use super::written::{Lost, Part, Written};

/// The maximum number of changed parts reported per file.
const MAX_CHANGES: usize = 20;

/// The result for the logs of one component.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The number of files verified.
    pub files: usize,
    /// The number of verified lines.
    pub lines: u64,
    /// Their size, uncompressed.
    pub bytes: u64,
    /// The errors: file and description.
    pub flaws: Vec<(PathBuf, String)>,
    /// The recorded losses.
    pub lost: Vec<Lost>,
    /// Parts that cannot be verified.
    pub unproven: Vec<(PathBuf, String)>,
}

/// The content of a file, to be compared with its journal.
struct Reading {
    sums: Vec<u32>,
    /// The number of newlines before each block, and in total.
    lines: Vec<u64>,
    bytes: u64,
    failure: Option<io::Error>,
}

impl Reading {
    /// The first and last line of a part that begins with a block.
    fn lines_at(&self, from: u64, to: u64) -> (u64, u64) {
        let all = self.lines.last().copied().unwrap_or(0);
        let before = |place: u64| self.lines.get(whole_blocks(place)).copied().unwrap_or(all);
        let first = before(from) + 1;
        (first, (before(to.next_multiple_of(BLOCK as u64)) + 1).min(all).max(first))
    }
}

/// The components with logs or journals.
pub fn components(logs: &Path) -> io::Result<BTreeSet<String>> {
    let mut components: BTreeSet<String> =
        journal::list(logs)?.into_iter().map(|(component, _)| component).collect();
    components.extend(names::list(logs)?.into_iter().map(|aside| aside.component));
    for entry in std::fs::read_dir(logs)?.flatten() {
        // A log whose first lines were just written has no journal yet.
        components.extend(entry.file_name().to_str().and_then(names::log_of).map(str::to_owned));
    }
    Ok(components)
}

/// Verifies all files of a component. A file that is rotated meanwhile is searched again.
pub fn verify(logs: &Path, component: &str) -> io::Result<Verdict> {
    let first = verify_once(logs, component)?;
    if first.flaws.is_empty() { Ok(first) } else { verify_once(logs, component) }
}

fn verify_once(logs: &Path, component: &str) -> io::Result<Verdict> {
    let mut verdict = Verdict::default();
    let live = journal::load(&journal::path(logs, component, None)).ok();
    let mut rotated: BTreeMap<u64, RotatedFile> = BTreeMap::new();
    for aside in names::list(logs)?.into_iter().filter(|aside| aside.component == component) {
        if aside.form != Form::Unfinished {
            rotated.insert(aside.sequence, aside);
        }
    }
    let journals: BTreeSet<u64> =
        journal::list(logs)?.into_iter().filter(|(of, _)| of == component).filter_map(|(_, n)| n).collect();
    let numbers: BTreeSet<u64> = journals.iter().chain(rotated.keys()).copied().collect();
    let (first, last) = (numbers.first().copied().unwrap_or(1), numbers.last().copied().unwrap_or(0));
    // The file was rotated, and its journal is not yet.
    let announced = live.as_ref().and_then(|live| names::sequence_of(live.aside.as_ref()?));
    let announced =
        announced.filter(|sequence| rotated.contains_key(sequence) && !journals.contains(sequence));
    for number in first..=last {
        let written = match announced == Some(number) {
            true => live.clone(),
            false => journal::load(&journal::path(logs, component, Some(number))).ok(),
        };
        verdict.hold_aside(logs, component, number, rotated.get(&number), written);
    }
    if announced.is_none() {
        verdict.hold_live(&logs.join(names::live(component)), live);
    }
    Ok(verdict)
}

impl Verdict {
    fn hold_aside(
        &mut self,
        logs: &Path,
        component: &str,
        number: u64,
        aside: Option<&RotatedFile>,
        written: Option<Written>,
    ) {
        let unknown = || logs.join(names::aside(component, "*", number));
        match (aside, written) {
            (None, None) => self.flaw(&unknown(), "is missing, and its content is not recorded".to_owned()),
            (None, Some(Written { bytes, lines, aside, .. })) => {
                let path = aside.map_or_else(unknown, |name| logs.join(name));
                self.flaw(&path, format!("is missing, with {lines} lines, {bytes} bytes"));
            }
            (Some(aside), None) => {
                self.files += 1;
                self.unproven.push((aside.path.clone(), "its checksums are missing".to_owned()));
            }
            (Some(aside), Some(written)) => {
                let (length, path) = (Some(written.bytes), &aside.path);
                match open(path, aside.form) {
                    Ok(file) => self.hold(path, file, written, length),
                    Err(error) => self.flaw(path, format!("cannot be read: {error}")),
                }
            }
        }
    }

    fn hold_live(&mut self, path: &Path, written: Option<Written>) {
        match (open(path, Form::Plain), written) {
            (Ok(file), Some(written)) => self.hold(path, file, written, None),
            (Ok(_), None) => self.unproven.push((path.to_owned(), "its checksums are missing".to_owned())),
            (Err(error), Some(Written { bytes, lines, .. })) if error.kind() == io::ErrorKind::NotFound => {
                if bytes > 0 {
                    self.flaw(path, format!("is missing, with {lines} lines, {bytes} bytes"));
                }
            }
            (Err(error), None) if error.kind() == io::ErrorKind::NotFound => {}
            (Err(error), _) => self.flaw(path, format!("cannot be read: {error}")),
        }
    }

    /// Compares a file with its journal. A file that is being written may be longer.
    fn hold(&mut self, path: &Path, file: Box<dyn Read>, written: Written, exact: Option<u64>) {
        self.files += 1;
        let found = read(file, written.bytes);
        for (from, to) in changes(&found.sums, &written, found.bytes) {
            let (first, last) = found.lines_at(from, to);
            self.flaw(
                path,
                format!("bytes {from} to {to} (lines {first} to {last}) are not what was written"),
            );
        }
        if found.bytes < written.bytes {
            let missing = written.bytes - found.bytes;
            let lines = written.lines.saturating_sub(found.lines.last().copied().unwrap_or(0));
            let end = format!("ends at byte {}: {lines} lines, {missing} bytes are missing", found.bytes);
            let cause = found.failure.map(|error| format!(" ({error})")).unwrap_or_default();
            self.flaw(path, end + &cause);
        } else if exact.is_some_and(|exact| found.bytes > exact) {
            let more = found.bytes - written.bytes;
            self.flaw(path, format!("has {more} bytes after byte {} that were not written", written.bytes));
        }
        self.bytes += found.bytes.min(written.bytes);
        self.lines += found.lines.last().copied().unwrap_or(0).min(written.lines);
        for (from, to) in written.unproven {
            self.unproven
                .push((path.to_owned(), format!("bytes {from} to {to} were found there by the launcher")));
        }
        self.lost.extend(written.lost);
    }

    fn flaw(&mut self, path: &Path, what: String) {
        self.flaws.push((path.to_owned(), what));
    }
}

/// Opens the text of a log file, which may have been compressed meanwhile.
pub fn open(path: &Path, form: Form) -> io::Result<Box<dyn Read>> {
    let (file, form) = match (File::open(path), form) {
        (Err(error), Form::Plain) if error.kind() == io::ErrorKind::NotFound => {
            (File::open(names::compressed(path).1).map_err(|_| error)?, Form::Compressed)
        }
        (file, form) => (file?, form),
    };
    let file = BufReader::with_capacity(64 * 1024, file);
    Ok(match form {
        Form::Compressed => Box::new(MultiGzDecoder::new(file)),
        Form::Plain | Form::Unfinished => Box::new(file),
    })
}

/// Reads a file; the checksums are those of its first `length` bytes.
fn read(mut file: Box<dyn Read>, length: u64) -> Reading {
    let mut sums = Sums::default();
    let (mut lines, mut count, mut bytes) = (Vec::new(), 0, 0);
    let mut block = vec![0; BLOCK];
    let failure = loop {
        let (filled, failure) = fill(&mut *file, &mut block);
        let known = usize::try_from(length.saturating_sub(bytes)).map_or(filled, |rest| rest.min(filled));
        sums.add(&block[..known]);
        lines.push(count);
        count += memchr::memchr_iter(b'\n', &block[..known]).count() as u64;
        bytes += filled as u64;
        if failure.is_some() || filled < BLOCK {
            break failure;
        }
    };
    lines.push(count);
    Reading { sums: sums.from(0), lines, bytes, failure }
}

/// Reads until the block is full or the file ends.
fn fill(file: &mut dyn Read, block: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut filled = 0;
    while filled < block.len() {
        match file.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Some(error)),
        }
    }
    (filled, None)
}

/// The parts in which the file differs, as far as it reaches; adjacent blocks are merged.
fn changes(found: &[u32], written: &Written, bytes: u64) -> Vec<Part> {
    let mut changes: Vec<Part> = Vec::new();
    let end = bytes.min(written.bytes);
    for (index, (found, sum)) in found.iter().zip(&written.sums).enumerate() {
        let (from, to) = ((index * BLOCK) as u64, ((index + 1) * BLOCK) as u64);
        // A truncated block has another checksum.
        let is_cut = to > bytes && bytes < written.bytes;
        if found == sum || is_cut {
            continue;
        }
        let is_enough = changes.len() == MAX_CHANGES;
        match changes.last_mut() {
            Some((_, last)) if *last == from => *last = to.min(end),
            Some(_) if is_enough => break,
            Some(_) | None => changes.push((from, to.min(end))),
        }
    }
    changes
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
