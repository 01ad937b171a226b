//! Reads `store.url` and opens what it names. A store is chosen, never guessed: one that is not there is an error.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kit::{Exit, Failure};

use crate::config::StoreConfig;
use crate::store::mongo::{MongoOpenError, MongoStore};
use crate::store::sqlite::{self, SqliteOpenError, SqliteStore};
use crate::store::{Committed, Store, Tell};

/// Where a store is, read from its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    Sqlite(PathBuf),
    Mongo(String),
}

/// A store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names neither kind of store. The URL itself may hold a password, so it is not repeated.
    #[error("store.url is neither 'sqlite:FILE' nor 'mongodb://HOST'")]
    Url,
    /// SQLite.
    #[error(transparent)]
    Sqlite(#[from] SqliteOpenError),
    /// MongoDB.
    #[error(transparent)]
    Mongo(#[from] MongoOpenError),
}

impl OpenError {
    /// What the process should end with.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Url => Exit::Config,
            Self::Sqlite(error) => error.exit(),
            Self::Mongo(error) => error.exit(),
        }
    }

    /// The error as an end of the process.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        Failure::new(self.exit(), self)
    }
}

/// Looks at the file that the configuration names, without touching it. A store elsewhere must be asked.
///
/// # Errors
/// When the URL is not one, or its file cannot be used.
pub fn inspect(config: &StoreConfig, data: &Path) -> Result<(), OpenError> {
    match locate(&config.url, data)? {
        Location::Sqlite(path) => Ok(sqlite::inspect(&path)?),
        Location::Mongo(_) => Ok(()),
    }
}

/// The directory whose disk the messages fill; nothing where a server keeps them, which knows its own disk.
pub(crate) fn directory(config: &StoreConfig, data: &Path) -> Option<PathBuf> {
    match locate(&config.url, data).ok()? {
        Location::Sqlite(path) => path.parent().map(Path::to_owned),
        Location::Mongo(_) => None,
    }
}

/// Reads all of the file that the configuration names, and tells what is damaged in it. A store elsewhere sees to that alone.
///
/// # Errors
/// When the URL is not one, or its file cannot be read.
pub fn verify(config: &StoreConfig, data: &Path) -> Result<Vec<String>, OpenError> {
    match locate(&config.url, data)? {
        Location::Sqlite(path) if path.exists() => {
            sqlite::verify(&path).map_err(|source| SqliteOpenError::from_sqlite(&path, source).into())
        }
        Location::Sqlite(_) | Location::Mongo(_) => Ok(Vec::new()),
    }
}

/// Opens the store that the configuration names; `committed` hears of every event from then on, and `tell` of what takes long until then.
///
/// # Errors
/// When the URL is not one, or what it names cannot be opened; [`OpenError::exit`] says what that means for the process.
pub async fn open(
    config: &StoreConfig,
    data: &Path,
    committed: Arc<dyn Committed>,
    tell: Tell,
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
    // `sqlite:///absolute` and `sqlite://relative` are common ways to write it.
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
