//! Parses `store.url` and opens that store. The store is never guessed: one that does not exist is an error.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kit::{Exit, Failure};

use crate::config::StoreConfig;
use crate::store::mongo::{MongoOpenError, MongoStore};
use crate::store::sqlite::{self, SqliteOpenError, SqliteStore};
use crate::store::{Committed, ReportProgress, Store};

/// The location of a store, parsed from its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    Sqlite(PathBuf),
    Mongo(String),
}

/// A store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is of neither kind of store. The URL may contain a password, so it is not repeated.
    #[error("store.url is neither 'sqlite:FILE' nor 'mongodb://HOST'")]
    Url,
    /// The SQLite file cannot be opened.
    #[error(transparent)]
    Sqlite(#[from] SqliteOpenError),
    /// The MongoDB database cannot be opened.
    #[error(transparent)]
    Mongo(#[from] MongoOpenError),
}

impl OpenError {
    /// The exit code for this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Url => Exit::Config,
            Self::Sqlite(error) => error.exit(),
            Self::Mongo(error) => error.exit(),
        }
    }

    /// The error as a fatal error of the process.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        Failure::new(self.exit(), self)
    }
}

/// Checks the configured file without changing it. A database server must be asked instead.
///
/// # Errors
/// If the URL is invalid, or its file cannot be used.
pub fn inspect(config: &StoreConfig, data: &Path) -> Result<(), OpenError> {
    match locate(&config.url, data)? {
        Location::Sqlite(path) => Ok(sqlite::inspect(&path)?),
        Location::Mongo(_) => Ok(()),
    }
}

/// The directory whose disk the messages fill; `None` for a database server, which monitors its own disk.
pub(crate) fn directory(config: &StoreConfig, data: &Path) -> Option<PathBuf> {
    match locate(&config.url, data).ok()? {
        Location::Sqlite(path) => path.parent().map(Path::to_owned),
        Location::Mongo(_) => None,
    }
}

/// Reads the whole configured file and returns what is damaged. A database server checks that itself.
///
/// # Errors
/// If the URL is invalid, or its file cannot be read.
pub fn verify(config: &StoreConfig, data: &Path) -> Result<Vec<String>, OpenError> {
    match locate(&config.url, data)? {
        Location::Sqlite(path) if path.exists() => {
            sqlite::verify(&path).map_err(|source| SqliteOpenError::from_sqlite(&path, source).into())
        }
        Location::Sqlite(_) | Location::Mongo(_) => Ok(Vec::new()),
    }
}

/// Opens the configured store. Every later event is passed to `committed`, and the progress of long operations while opening to `tell`.
///
/// # Errors
/// If the URL is invalid, or the store cannot be opened; [`OpenError::exit`] has the exit code.
pub async fn open(
    config: &StoreConfig,
    data: &Path,
    committed: Arc<dyn Committed>,
    tell: ReportProgress,
) -> Result<Arc<dyn Store>, OpenError> {
    match locate(&config.url, data)? {
        Location::Sqlite(path) => {
            let durability = config.durability;
            let opening = tokio::task::spawn_blocking(move || {
                sqlite::inspect(&path)?;
                SqliteStore::open(&path, durability, committed, &tell)
            });
            let store = opening.await.expect("opening a file does not panic and is not cancelled")?;
            Ok(Arc::new(store))
        }
        Location::Mongo(url) => Ok(Arc::new(MongoStore::open(&url, committed).await?)),
    }
}

pub(crate) fn locate(url: &str, data: &Path) -> Result<Location, OpenError> {
    if url.starts_with("mongodb://") || url.starts_with("mongodb+srv://") {
        return Ok(Location::Mongo(url.to_owned()));
    }
    let file = url.strip_prefix("sqlite:").ok_or(OpenError::Url)?;
    // `sqlite:///absolute` and `sqlite://relative` are common spellings.
    let file = file.strip_prefix("//").unwrap_or(file);
    if file.is_empty() {
        return Err(OpenError::Url);
    }
    Ok(Location::Sqlite(data.join(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_file_or_a_server() {
        let at = |url: &str| locate(url, Path::new("/data"));
        let file = |path: &str| Location::Sqlite(PathBuf::from(path));
        assert_eq!(at("sqlite:chat.db").unwrap(), file("/data/chat.db"));
        assert_eq!(at("sqlite:/other/chat.db").unwrap(), file("/other/chat.db"));
        assert_eq!(at("sqlite:///other/chat.db").unwrap(), file("/other/chat.db"));
        assert_eq!(at("mongodb://h/db").unwrap(), Location::Mongo("mongodb://h/db".into()));
        for bad in ["", "sqlite:", "postgres://h", "chat.db"] {
            assert_eq!(at(bad).unwrap_err().exit(), Exit::Config, "{bad}");
        }
    }

    #[test]
    fn a_wrong_url_is_not_repeated() {
        let error = locate("mongo://me:hunter2@h", Path::new("/")).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
