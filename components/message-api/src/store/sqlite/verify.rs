//! Checks a database file for damage: SQLite reads every page and checks references (`PRAGMA quick_check`).
//!
//! Table by table, so that no reading snapshot is held for long: while one is held, the log cannot be truncated.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::files;

/// The maximum number of problems reported.
const PROBLEMS: usize = 5;

/// Returns the problems of a file, whether it is in use or not; empty if there are none. The file is not changed.
///
/// # Errors
/// If it cannot be opened.
pub fn verify(path: &Path) -> rusqlite::Result<Vec<String>> {
    let connection = open(path)?;
    let mut problems = Vec::new();
    for table in tables(&connection)? {
        if let Err(error) = check(&connection, &table, &mut problems) {
            // A page cannot be read at all.
            problems.push(format!("table {table}: {error}"));
        }
        if problems.len() >= PROBLEMS {
            break;
        }
    }
    problems.truncate(PROBLEMS);
    Ok(problems)
}

/// A file with a log is opened normally, and the log is left as it is. A file without one is opened as immutable, because opening it
/// otherwise would create a log.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    if files::log_of(path).exists() {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.busy_timeout(std::time::Duration::from_secs(2))?;
        return Ok(connection);
    }
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri(path), flags)
}

/// <https://www.sqlite.org/uri.html>: special characters are percent-encoded.
fn uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte))
            }
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut query =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    query.query_map([], |row| row.get(0))?.collect()
}

fn check(connection: &Connection, table: &str, problems: &mut Vec<String>) -> rusqlite::Result<()> {
    let mut query = connection.prepare(&format!("PRAGMA quick_check(\"{}\")", table.replace('"', "\"\"")))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            problems.push(format!("table {table}: {}", line.replace('\n', "; ")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use std::io::{Seek, SeekFrom, Write};

    #[test]
    fn a_damaged_page_is_found_and_nothing_is_left_beside_a_file_that_is_as_it_should_be() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a chat?#%.db");
        let mut connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        schema::create(&mut connection).unwrap();
        let fill = "INSERT INTO users(key, name) WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000)
            SELECT 'user' || n, 'User' || n FROM n";
        connection.execute(fill, []).unwrap();
        drop(connection);
        assert_eq!(verify(&path).unwrap(), Vec::<String>::new());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(30 * 4096)).unwrap();
        file.write_all(&[0xA5; 8192]).unwrap();
        let problems = verify(&path).unwrap();
        assert!(problems[0].starts_with("table users: "), "{problems:?}");
    }
}
