//! Connections for reading beside the writer, each used by one blocking task at a time. In WAL mode readers and writer do not block each
//! other.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::file;
use super::store_error::store_error;
use crate::store::StoreError;

/// Concurrent reads. More would only compete for the same cores; further ones wait.
const CONNECTIONS: usize = 4;

/// Idle reading connections.
///
/// Bound: [`CONNECTIONS`] are open. Overflow: further reads wait in order of arrival.
#[derive(Debug, Clone)]
pub(super) struct Readers {
    path: Arc<PathBuf>,
    places: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path: Arc::new(path),
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            idle: Arc::new(Mutex::new(Vec::new())),
        }
    }

    /// Runs a read in a transaction of its own, so that it sees a consistent state.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = || StoreError::unavailable("the store is closed");
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| closed())?;
        let this = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let _place = place;
            this.read_blocking(read).map_err(|error| store_error(&this.path, error))
        });
        reading.await.map_err(|_| closed())?
    }

    fn read_blocking<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => file::open_reader(&self.path)?,
        };
        let transaction = connection.transaction()?;
        // After an error the connection is dropped: the next read opens a new one.
        let answer = read(&transaction)?;
        transaction.finish()?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(answer)
    }

    pub(super) fn close(&self) {
        self.places.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
