//! What going back to this version would lose, when a newer one has migrated the file.
//!
//! A migration keeps the older file as `FILE.vN.bak`. Both files are only read, without locks, and nothing is changed: going back is the
//! operator's act.

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::files::{beside, log_of};
use super::schema;

/// The newest copy beside a file that this version can open.
#[derive(Debug)]
pub struct WayBack {
    file: PathBuf,
    copy: PathBuf,
    /// Messages in the copy, if it can be read.
    kept: Option<u64>,
    /// Messages in the newer file, if it can be read; unknown while its log holds some of them.
    all: Option<u64>,
}

impl WayBack {
    pub(super) fn of(file: &Path) -> Option<Self> {
        let copies = (1..=schema::VERSION).rev().map(|version| beside(file, &format!(".v{version}.bak")));
        let copy = copies.into_iter().find(|copy| copy.exists())?;
        let all = if log_of(file).metadata().is_ok_and(|log| log.len() > 0) { None } else { count(file) };
        Some(Self { kept: count(&copy), all, file: file.to_owned(), copy })
    }
}

fn count(path: &Path) -> Option<u64> {
    let path = path.to_str()?.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(format!("file:{path}?immutable=1"), flags).ok()?;
    connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).ok()
}

impl fmt::Display for WayBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, copy, log) = (self.file.display(), self.copy.display(), log_of(&self.file));
        write!(f, "to go back, move '{file}' away")?;
        if log.exists() {
            write!(f, ", with '{}'", log.display())?;
        }
        write!(f, ", and rename '{copy}', the copy from before the update, to it: ")?;
        let (Some(kept), Some(all)) = (self.kept, self.all) else {
            return write!(f, "that loses what was stored since");
        };
        let lost = all.saturating_sub(kept);
        write!(f, "that keeps {kept} and loses {lost} message{}", if lost == 1 { "" } else { "s" })
    }
}
