//! Checks a database file without changing it: whether it is a store, of which version, and complete.
//!
//! Reads only the header (<https://www.sqlite.org/fileformat2.html>, section 1.3), and not through SQLite, which would create files beside
//! it and write back a log that it finds. Changes in such a log are left to the process that opens the file.
//!
//! Not for a process that has the file open: closing any descriptor of a file releases the locks that the process holds on it (`fcntl(2)`).

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::files;
use super::open_error::SqliteOpenError;
use super::schema;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;
/// Offsets of header fields, big-endian.
const PAGE_SIZE_AT: usize = 16;
const CHANGES_AT: usize = 24;
const PAGES_AT: usize = 28;
const VERSION_AT: usize = 60;
const APPLICATION_AT: usize = 68;
/// The change counter when the number of pages was written; it differs if a program wrote that does not maintain that number.
const PAGES_VALID_AT: usize = 92;
/// The number of schema entries, on the page after the header.
const CELLS_AT: usize = HEADER_BYTES + 3;

/// Returns what is wrong with a file. A file that does not exist is fine if it can be created.
///
/// # Errors
/// If the file, or the directory it would be created in, cannot be written, or the file is not a complete store.
pub fn inspect(path: &Path) -> Result<(), SqliteOpenError> {
    let not_writable =
        |source| SqliteOpenError::NotWritable { path: path.to_owned(), source: Box::new(source) };
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => validate(path, &read(file).map_err(not_writable)?),
        Err(error) if error.kind() == ErrorKind::NotFound => check_directory(path).map_err(not_writable),
        Err(error) => Err(not_writable(error)),
    }
}

/// Only writing shows whether a directory is writable.
fn check_directory(path: &Path) -> io::Result<()> {
    let probe = path.with_file_name(format!(".probe-{}", std::process::id()));
    File::create(&probe)?;
    std::fs::remove_file(&probe)
}

/// The beginning of a file, and its size.
struct FileStart {
    bytes: Vec<u8>,
    length: u64,
}

fn read(file: File) -> io::Result<FileStart> {
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    file.take(CELLS_AT as u64 + 2).read_to_end(&mut bytes)?;
    Ok(FileStart { bytes, length })
}

fn validate(path: &Path, file: &FileStart) -> Result<(), SqliteOpenError> {
    let known = file.bytes.len().min(MAGIC.len());
    if file.bytes.is_empty() {
        return Ok(());
    }
    if file.bytes[..known] != MAGIC[..known] {
        return Err(SqliteOpenError::Foreign(path.to_owned()));
    }
    if file.bytes.len() < CELLS_AT + 2 {
        return Err(damaged(path, "it ends within its first page"));
    }
    let (ours, version) = (file.number(APPLICATION_AT) == application(), file.number(VERSION_AT) as usize);
    if ours && version > schema::VERSION {
        return Err(SqliteOpenError::newer(path, version));
    }
    if has_log(path) {
        return Ok(());
    }
    let is_empty = file.number(APPLICATION_AT) == 0 && version == 0 && file.has_no_tables();
    if !is_empty && (!ours || version == 0) {
        return Err(SqliteOpenError::Foreign(path.to_owned()));
    }
    match file.length_by_header() {
        Some(wanted) if wanted > file.length => {
            Err(damaged(path, format!("it has {} of its {wanted} bytes", file.length)))
        }
        Some(_) | None => Ok(()),
    }
}

fn damaged(path: &Path, why: impl Into<Box<dyn Error + Send + Sync>>) -> SqliteOpenError {
    SqliteOpenError::Damaged { path: path.to_owned(), source: why.into() }
}

fn application() -> u32 {
    schema::APPLICATION_ID.cast_unsigned()
}

/// Whether there is a log with changes that are not in the file yet.
fn has_log(path: &Path) -> bool {
    let holds = |ending| std::fs::metadata(files::beside(path, ending)).is_ok_and(|log| log.len() > 0);
    ["-wal", "-journal"].into_iter().any(holds)
}

impl FileStart {
    fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.bytes[at..at + 4].try_into().expect("four bytes are four"))
    }

    fn short(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    fn has_no_tables(&self) -> bool {
        self.number(PAGES_AT) <= 1 && self.short(CELLS_AT) == 0
    }

    /// The size according to the header, if it has one.
    fn length_by_header(&self) -> Option<u64> {
        // 65,536 does not fit into two bytes and is stored as 1.
        let page = match self.short(PAGE_SIZE_AT) {
            1 => 65_536,
            size => u64::from(size),
        };
        let valid = self.number(CHANGES_AT) == self.number(PAGES_VALID_AT);
        valid.then(|| page * u64::from(self.number(PAGES_AT)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// The result for a store after this change.
    fn verdict(change: impl FnOnce(&Path)) -> Result<(), String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat.db");
        let mut connection = Connection::open(&path).unwrap();
        schema::create(&mut connection).unwrap();
        drop(connection);
        change(&path);
        let before = std::fs::read(&path).ok();
        let result = inspect(&path).map_err(|error| kit::failure::chain(&error));
        assert_eq!(std::fs::read(&path).ok(), before);
        result
    }

    fn run(path: &Path, sql: &str) {
        Connection::open(path).unwrap().execute_batch(sql).unwrap();
    }

    #[test]
    fn ours_and_what_is_not_there_yet_are_fine() {
        assert_eq!(verdict(|_| {}), Ok(()));
        assert_eq!(verdict(|path| std::fs::remove_file(path).unwrap()), Ok(()));
        assert_eq!(verdict(|path| std::fs::write(path, "").unwrap()), Ok(()));
        let made_and_left = |path: &Path| {
            std::fs::remove_file(path).unwrap();
            run(path, "PRAGMA journal_mode = WAL");
        };
        assert_eq!(verdict(made_and_left), Ok(()));
    }

    #[test]
    fn foreign_files_are_distinguished_from_ours() {
        let foreign = |change: &dyn Fn(&Path)| {
            let told = verdict(change).unwrap_err();
            assert!(
                told.ends_with("is not a database of P2P Chat; name another file in store.url"),
                "{told}"
            );
        };
        foreign(&|path| std::fs::write(path, "dear diary").unwrap());
        foreign(&|path| run(path, "PRAGMA application_id = 7"));
        foreign(&|path| run(path, "PRAGMA application_id = 0"));
        foreign(&|path| run(path, "PRAGMA user_version = 0"));
    }

    #[test]
    fn a_newer_file_and_an_incomplete_one_are_distinguished() {
        let newer = verdict(|path| run(path, "PRAGMA user_version = 99")).unwrap_err();
        assert!(newer.contains("newer P2P Chat (schema 99, this one knows "), "{newer}");
        let cut = |length: u64| {
            verdict(|path| OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap())
        };
        let half = cut(8192).unwrap_err();
        assert!(half.contains("is damaged") && half.contains("it has 8192 of its "), "{half}");
        assert!(cut(10).unwrap_err().contains("it ends within its first page"));
    }

    #[test]
    fn a_log_beside_it_may_hold_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat.db");
        let mut connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        schema::create(&mut connection).unwrap();
        assert!(inspect(&path).is_ok());
    }
}
