//! The history's thread, so that a stalled disk or another program's lock never blocks the user interface.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::UserName;
use rusqlite::ErrorCode;
use tokio::sync::{mpsc, oneshot, watch};

use super::database::History;
use super::open::path;

/// Most queued calls. Overflow rule: the caller waits.
const QUEUE: usize = 64;
/// Time limit for closing the file.
const CLOSING: Duration = Duration::from_secs(1);
/// Attempts while another program holds the lock; each waits as long as SQLite does.
const TRIES: usize = 2;

type Job = Box<dyn FnOnce(&mut History, &Path, &watch::Sender<Option<String>>) + Send>;

/// A handle to the history's thread.
#[derive(Debug)]
pub(crate) struct Keeper {
    jobs: mpsc::Sender<Job>,
    trouble: watch::Receiver<Option<String>>,
}

/// A call to the history failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the history database failed")]
pub(crate) struct HistoryError(#[source] Arc<rusqlite::Error>);

impl Keeper {
    /// Opens a user's history for a server in a directory; without a directory, in memory.
    pub(crate) fn open(directory: Option<PathBuf>, user: UserName, server: String) -> std::io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let (news, trouble) = watch::channel(None);
        std::thread::Builder::new().name("history".to_owned()).spawn(move || {
            let file = directory.map(|directory| path(&directory, &user)).unwrap_or_default();
            let mut history = if file.as_os_str().is_empty() {
                History::in_memory(
                    "history is not saved: cannot find the home directory; set one with --history".to_owned(),
                )
            } else {
                History::open_or_do_without(&file)
            };
            if let Err(error) = history.attach(&server) {
                history.do_without(&file, error);
                // Cannot fail in memory; if it did, messages would wait for no particular server.
                let _ = history.attach(&server);
            }
            news.send_replace(history.trouble.clone());
            while let Some(job) = queue.blocking_recv() {
                job(&mut history, &file, &news);
            }
            drop(history);
            drop(news);
        })?;
        Ok(Self { jobs, trouble })
    }

    /// Calls the history. Retries if another program holds the lock, and continues in memory if the file becomes unusable.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        mut job: impl FnMut(&mut History) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let (done, answer) = oneshot::channel();
        let job: Job = Box::new(move |history, file, news| {
            let mut result = job(history);
            for _ in 1..TRIES {
                match &result {
                    Err(error) if is_busy(error) => result = job(history),
                    Ok(_) | Err(_) => break,
                }
            }
            if let Err(error) = result {
                if history.trouble.is_none() {
                    history.do_without(file, error);
                    news.send_replace(history.trouble.clone());
                }
                result = job(history);
            }
            // The caller may have stopped waiting.
            let _ = done.send(result);
        });
        let gone = || HistoryError(Arc::new(rusqlite::Error::InvalidQuery));
        self.jobs.send(job).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?.map_err(|error| HistoryError(Arc::new(error)))
    }

    /// Waits for a new reason why nothing is saved. Cancel-safe; never returns while there is none.
    pub(crate) async fn trouble(&mut self) -> String {
        loop {
            if self.trouble.changed().await.is_err() {
                // The thread has ended.
                std::future::pending::<()>().await;
            }
            if let Some(trouble) = self.trouble.borrow_and_update().clone() {
                return trouble;
            }
        }
    }

    /// Why nothing is saved, if not reported yet.
    pub(crate) fn take_trouble(&mut self) -> Option<String> {
        let is_news = self.trouble.has_changed().unwrap_or(false);
        is_news.then(|| self.trouble.borrow_and_update().clone())?
    }

    /// Closes the file and merges SQLite's auxiliary files into it.
    pub(crate) async fn close(self) {
        let Self { jobs, mut trouble } = self;
        drop(jobs);
        // The thread drops the other end of this after closing the file.
        let closed = async { while trouble.changed().await.is_ok() {} };
        let _ = tokio::time::timeout(CLOSING, closed).await;
    }

    /// Whether messages survive this process.
    pub(crate) fn keeps(&self) -> bool {
        self.trouble.borrow().is_none()
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
