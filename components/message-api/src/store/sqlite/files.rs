//! Detects that the open files are no longer at their paths.
//!
//! A file that is moved, deleted or replaced stays open without a name: what is written to it is synced, and lost at the next start. So the
//! writer checks both paths after each commit and before it acknowledges: two `stat(2)` beside an `fsync(2)`. The index of the log (`-shm`)
//! is rebuilt at each start and need not be checked.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Device and inode.
type Id = (u64, u64);

/// The database file and its log, as they were when they were opened.
#[derive(Debug, Clone)]
pub(super) struct Files {
    path: PathBuf,
    file: Id,
    log: Option<Id>,
}

/// The file at a path is not the open one.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error(
        "'{}' was moved or deleted while in use; put it back, or restart message-api to begin with a new one",
        .0.display()
    )]
    Gone(PathBuf),
    #[error(
        "another file was put in the place of '{}' while in use; put the old one back, or restart message-api to use this one",
        .0.display()
    )]
    Replaced(PathBuf),
    #[error("the log '{}' was moved or deleted while in use; restart message-api", .0.display())]
    Log(PathBuf),
    #[error("'{}' cannot be looked at", .0.display())]
    Unknown(PathBuf, #[source] io::Error),
}

impl Files {
    /// Records the files at their paths, just after they were opened.
    pub(super) fn opened(path: &Path) -> Result<Self, Lost> {
        let log = log_of(path);
        let file = id(path)?.ok_or_else(|| Lost::Gone(path.to_owned()))?;
        Ok(Self { path: path.to_owned(), file, log: id(&log)? })
    }

    /// Checks that both are still there.
    pub(super) fn check(&self) -> Result<(), Lost> {
        self.check_file()?;
        let log = log_of(&self.path);
        if self.log.is_none() || id(&log)? == self.log { Ok(()) } else { Err(Lost::Log(log)) }
    }

    /// Checks the database file alone; its log is a new file each time the database is opened.
    pub(super) fn check_file(&self) -> Result<(), Lost> {
        match id(&self.path)? {
            Some(found) if found == self.file => Ok(()),
            Some(_) => Err(Lost::Replaced(self.path.clone())),
            None => Err(Lost::Gone(self.path.clone())),
        }
    }
}

/// The path of a database file's log.
pub(super) fn log_of(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// The path of a file beside the database with this suffix.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Removes a leftover of an interrupted attempt, if any.
pub(super) fn remove_leftover(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn id(path: &Path) -> Result<Option<Id>, Lost> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(Some((found.dev(), found.ino()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Lost::Unknown(path.to_owned(), error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_deleted_and_replaced_files_are_distinguished_and_recognised_when_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat.db");
        let (log, aside) = (log_of(&path), directory.path().join("aside"));
        std::fs::write(&path, "file").unwrap();
        std::fs::write(&log, "log").unwrap();
        let files = Files::opened(&path).unwrap();
        files.check().unwrap();
        std::fs::rename(&path, &aside).unwrap();
        assert!(matches!(files.check(), Err(Lost::Gone(_))));
        std::fs::write(&path, "another").unwrap();
        assert!(matches!(files.check(), Err(Lost::Replaced(_))));
        std::fs::rename(&aside, &path).unwrap();
        files.check().unwrap();
        std::fs::remove_file(&log).unwrap();
        assert!(matches!(files.check(), Err(Lost::Log(_))));
        files.check_file().unwrap();
    }
}
