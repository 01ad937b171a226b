//! Finds and opens the file, and explains problems with it. An unusable file is never overwritten.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::UserName;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::database::History;
use super::schema;

/// How long to wait for another program's lock before reporting it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Largest read-only file that is copied into memory, in bytes.
const COPY_BYTES: u64 = 64 * 1024 * 1024;

/// Why the history cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("'{}' is not a chat history; move it away, and a new one is created at the next start", .0.display())]
    Foreign(PathBuf),
    #[error(
        "'{}' is damaged; move it away, and a new one is created at the next start ('sqlite3 FILE .recover' reads what is left)", .0.display()
    )]
    Damaged(PathBuf),
    #[error("'{}' is not a directory; choose another one with --history", .0.display())]
    NoDirectory(PathBuf),
    #[error("'{}' was written by a newer version of this program; use that version, or another directory with --history", .0.display())]
    Newer(PathBuf),
    #[error("'{}' is not writable; change its permissions, or use another directory with --history", .0.display())]
    NotWritable(PathBuf),
    #[error("'{}' is locked by another program; stop that program, then start again", .0.display())]
    Locked(PathBuf),
    #[error("the disk of '{}' is full; free some space, then start again", .0.display())]
    Full(PathBuf),
    #[error("'{}' cannot be opened; fix that, or use another directory with --history", .path.display())]
    Other { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
}

impl OpenError {
    pub(super) fn from_sqlite(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match (error.sqlite_error_code(), &error) {
            (Some(ErrorCode::NotADatabase), _) => Self::Foreign(path),
            (Some(ErrorCode::DatabaseCorrupt), _) => Self::Damaged(path),
            (Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied), _) => {
                Self::NotWritable(path)
            }
            (Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked), _) => Self::Locked(path),
            (Some(ErrorCode::DiskFull), _) => Self::Full(path),
            (_, rusqlite::Error::InvalidQuery) => Self::Newer(path),
            // Its table `messages` has a different schema.
            (_, rusqlite::Error::SqlInputError { .. }) => Self::Foreign(path),
            _ => Self::Other { path, source: Box::new(error) },
        }
    }

    fn from_io(path: &Path, error: std::io::Error) -> Self {
        use std::io::ErrorKind::{
            AlreadyExists, NotADirectory, PermissionDenied, ReadOnlyFilesystem, StorageFull,
        };
        match error.kind() {
            AlreadyExists | NotADirectory => Self::NoDirectory(path.parent().unwrap_or(path).to_owned()),
            StorageFull => Self::Full(path.to_owned()),
            PermissionDenied | ReadOnlyFilesystem => Self::NotWritable(path.to_owned()),
            _ => Self::Other { path: path.to_owned(), source: Box::new(error) },
        }
    }
}

/// The path of a user's history: an existing file in any spelling of the name, else one named as the user writes it.
pub(crate) fn path(directory: &Path, user: &UserName) -> PathBuf {
    let exact = directory.join(format!("chat_history_{user}.db"));
    if exact.exists() {
        return exact;
    }
    let is_theirs = |file: &str| {
        let name = file.strip_prefix("chat_history_").and_then(|rest| rest.strip_suffix(".db"));
        name.and_then(|name| UserName::stored(name).ok()).is_some_and(|name| name == *user)
    };
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    files
        .map(|file| file.path())
        .find(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_theirs))
        .unwrap_or(exact)
}

impl History {
    /// Opens the file, and creates it if missing.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        create(path).map_err(|error| OpenError::from_io(path, error))?;
        let opened = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|mut connection| {
            connection.pragma_update(None, "synchronous", "FULL")?;
            // First, because it fails for foreign files, which must not be changed.
            schema::prepare(&mut connection)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            Ok(connection)
        });
        let connection = opened.map_err(|error| OpenError::from_sqlite(path, error))?;
        Ok(Self { connection, server: None, trouble: None })
    }

    /// Opens the file. If it is unusable, its content is read as far as possible, and new messages are stored in memory only.
    /// [`History::trouble`] has the reason.
    pub(crate) fn open_or_do_without(path: &Path) -> Self {
        match Self::open(path) {
            Ok(history) => history,
            Err(error) => {
                let trouble = Some(format!("history is not saved: {}", kit::failure::chain(&error)));
                Self { connection: copy(path).unwrap_or_else(memory), server: None, trouble }
            }
        }
    }

    /// The file has become unusable: continues in memory with a copy of what can still be read.
    pub(crate) fn do_without(&mut self, path: &Path, error: rusqlite::Error) {
        let error = OpenError::from_sqlite(path, error);
        self.trouble = Some(format!("history is no longer saved: {}", kit::failure::chain(&error)));
        let copied = Connection::open_in_memory().and_then(|mut target| {
            backup(&self.connection, &mut target)?;
            Ok(target)
        });
        self.connection = copied.unwrap_or_else(|_| memory());
    }

    /// An empty history in memory, for a chat without a file.
    pub(crate) fn in_memory(trouble: String) -> Self {
        Self { connection: memory(), server: None, trouble: Some(trouble) }
    }

    /// Opens the file for reading only. Another program, or we, may be writing it.
    pub(crate) fn open_to_read(path: &Path) -> Result<Self, OpenError> {
        match Self::open(path) {
            Err(OpenError::NotWritable(_)) => {
                let connection = copy(path).ok_or_else(|| OpenError::NotWritable(path.to_owned()))?;
                Ok(Self { connection, server: None, trouble: None })
            }
            result => result,
        }
    }
}

fn memory() -> Connection {
    let mut connection = Connection::open_in_memory().expect("a database in memory needs nothing but memory");
    schema::prepare(&mut connection).expect("a database in memory takes every table");
    connection
}

/// A copy of a read-only file in memory.
fn copy(path: &Path) -> Option<Connection> {
    if std::fs::metadata(path).ok()?.len() > COPY_BYTES {
        return None;
    }
    // In a read-only directory SQLite cannot create its lock: the file is opened as immutable.
    let uri = format!("file:{}?immutable=1", percent_encoded(path)?);
    let source = Connection::open_with_flags(
        uri,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .ok()?;
    let mut target = Connection::open_in_memory().ok()?;
    backup(&source, &mut target).ok()?;
    Some(target)
}

fn backup(source: &Connection, target: &mut Connection) -> rusqlite::Result<()> {
    rusqlite::backup::Backup::new(source, target)?.run_to_completion(1024, Duration::ZERO, None)?;
    target.pragma_update(None, "journal_mode", "MEMORY")?;
    schema::prepare(target)
}

fn percent_encoded(path: &Path) -> Option<String> {
    let encode = |byte: u8| match byte {
        b'/' | b'.' | b'-' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    Some(path.to_str()?.bytes().map(encode).collect())
}

/// Creates the file with private permissions whatever the umask is, which SQLite would not. A file that another program created, and
/// SQLite's files beside it, become private, too.
fn create(path: &Path) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        kit::files::make_directory(directory)?;
    }
    let file = kit::files::open(path, OpenOptions::new().create(true).append(true))?;
    // SQLite creates further files with the mode of this one.
    let made_before = ["-wal", "-shm", "-journal"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        File::open(PathBuf::from(name))
    });
    [Ok(file)].into_iter().chain(made_before).flatten().try_for_each(|file| make_private(&file))
}

/// Makes a file private to its owner. Another user's file stays as it is.
pub(crate) fn make_private(file: &File) -> std::io::Result<()> {
    if file.metadata()?.permissions().mode() & 0o7777 == 0o600 {
        return Ok(());
    }
    match file.set_permissions(Permissions::from_mode(0o600)) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        result => result,
    }
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}
