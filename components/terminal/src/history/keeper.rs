//! The thread that a history lives on: a disk that stalls, or another program that holds the file, never holds up the screen.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::UserName;
use rusqlite::ErrorCode;
use tokio::sync::{mpsc, oneshot, watch};

use super::database::History;
use super::open::path;

/// Questions that wait. Overflow rule: who asks waits.
const QUEUE: usize = 64;
/// How long the end waits for the file to be closed.
const CLOSING: Duration = Duration::from_secs(1);
/// How often something is tried that another program's lock is in the way of; each try waits as long as SQLite does.
const TRIES: usize = 2;

type Job = Box<dyn FnOnce(&mut History, &Path, &watch::Sender<Option<String>>) + Send>;

/// A history, seen from outside its thread.
#[derive(Debug)]
pub(crate) struct Keeper {
    jobs: mpsc::Sender<Job>,
    trouble: watch::Receiver<Option<String>>,
}

/// A question to the history that has no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the history database failed")]
pub(crate) struct HistoryError(#[source] Arc<rusqlite::Error>);

impl Keeper {
    /// Opens the history of a user in a directory, for what is said on a server; without a directory it is kept in memory.
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
                // In memory it cannot fail, and if it does, messages wait for no server in particular.
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

    /// Does something with the history, again where another program is in the way for a moment, and without the file where it
    /// cannot be used any more.
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
            // Who asked may have stopped waiting.
            let _ = done.send(result);
        });
        let gone = || HistoryError(Arc::new(rusqlite::Error::InvalidQuery));
        self.jobs.send(job).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?.map_err(|error| HistoryError(Arc::new(error)))
    }

    /// Why nothing is kept, if that is news. Cancel-safe; never returns while there is none.
    pub(crate) async fn trouble(&mut self) -> String {
        loop {
            if self.trouble.changed().await.is_err() {
                // The thread has ended, and has nothing to say any more.
                std::future::pending::<()>().await;
            }
            if let Some(trouble) = self.trouble.borrow_and_update().clone() {
                return trouble;
            }
        }
    }

    /// Why nothing is kept, if that is news and nobody was told yet.
    pub(crate) fn untold_trouble(&mut self) -> Option<String> {
        let is_news = self.trouble.has_changed().unwrap_or(false);
        is_news.then(|| self.trouble.borrow_and_update().clone())?
    }

    /// Closes the file, which then is a single one with everything in it.
    pub(crate) async fn close(self) {
        let Self { jobs, mut trouble } = self;
        drop(jobs);
        // The thread holds the other end of this for longer than the file.
        let closed = async { while trouble.changed().await.is_ok() {} };
        let _ = tokio::time::timeout(CLOSING, closed).await;
    }

    /// Whether what is said outlives this process.
    pub(crate) fn keeps(&self) -> bool {
        self.trouble.borrow().is_none()
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
