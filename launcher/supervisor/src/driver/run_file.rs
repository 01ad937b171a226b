//! The last runs of what runs by the clock, in a file of the run directory, so that they are known to the next launcher.
//!
//! The life of a change: the driver leaves all runs in a place that has only the latest; a task takes them and starts a thread, which may wait
//! for the disk, to replace the file; meanwhile the place may change as often as it likes. Without such components there is no file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::status::RunStatus;

/// The name of the file.
const NAME: &str = "schedules.json";

/// The longest result that is kept, in characters.
const MAX_RESULT: usize = 500;

/// A file that is larger is none of ours.
const MAX_FILE: u64 = 4 << 20;

/// Time limit for the last change to be written.
const CLOSE: Duration = Duration::from_secs(1);

/// The last run of each component.
pub(super) type Runs = BTreeMap<String, RunStatus>;

/// The file.
#[derive(Debug)]
pub(super) struct RunFile {
    latest: watch::Sender<Vec<u8>>,
    writing: JoinHandle<()>,
}

impl RunFile {
    /// Reads the runs that an earlier launcher has left. Those that it did not see to their end are over at `now`.
    pub(super) fn open(run_dir: &Path, now: &str) -> (Self, Runs) {
        let path = run_dir.join(NAME);
        let mut runs = read(&path).unwrap_or_else(|error| {
            tracing::warn!(file = %path.display(), %error, "cannot read the last runs of schedules");
            Runs::new()
        });
        for run in runs.values_mut().filter(|run| run.ended_at.is_none()) {
            run.ended_at = Some(now.to_owned());
            run.result = Some("was interrupted by the end of the launcher".to_owned());
        }
        let (latest, changes) = watch::channel(Vec::new());
        (Self { latest, writing: tokio::spawn(write(path, changes)) }, runs)
    }

    /// Replaces the file, soon.
    pub(super) fn write(&self, runs: &Runs) {
        let mut runs = runs.clone();
        for result in runs.values_mut().filter_map(|run| run.result.as_mut()) {
            *result = result.chars().take(MAX_RESULT).collect();
        }
        let text = serde_json::to_vec_pretty(&runs).expect("texts can be written as JSON");
        self.latest.send_replace(text);
    }

    /// Waits until the last change is written.
    pub(super) async fn close(self) {
        drop(self.latest);
        let _ = tokio::time::timeout(CLOSE, self.writing).await;
    }
}

fn read(path: &Path) -> io::Result<Runs> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Runs::new()),
        file => file?,
    };
    let mut text = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

async fn write(path: PathBuf, mut changes: watch::Receiver<Vec<u8>>) {
    while changes.changed().await.is_ok() {
        let (text, path) = (changes.borrow_and_update().clone(), path.clone());
        let (done, written) = oneshot::channel();
        let replace = move || {
            let _ = done.send(kit::durable::replace(&path, 0o600, &text));
        };
        let thread = std::thread::Builder::new().name("run-file".to_owned()).spawn(replace);
        let result = match thread {
            // Its thread has panicked if there is no answer.
            Ok(_) => written.await.unwrap_or(Ok(())),
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            tracing::warn!(%error, "cannot write the last runs of schedules");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(started_at: &str, ended_at: Option<&str>) -> RunStatus {
        let result = ended_at.map(|_| "x".repeat(9000));
        RunStatus { started_at: started_at.to_owned(), ended_at: ended_at.map(str::to_owned), result }
    }

    #[tokio::test]
    async fn runs_are_read_back_and_those_without_an_end_have_one() {
        let directory = tempfile::tempdir().unwrap();
        let (file, runs) = RunFile::open(directory.path(), "now");
        assert!(runs.is_empty());
        file.close().await;
        assert!(!directory.path().join(NAME).exists(), "without a run there is no file");
        let (file, mut runs) = RunFile::open(directory.path(), "now");
        for number in 0..100 {
            runs.insert("job".to_owned(), run(&number.to_string(), Some("later")));
            file.write(&runs);
        }
        runs.insert("other".to_owned(), run("1", None));
        file.write(&runs);
        file.close().await;
        let (_, runs) = RunFile::open(directory.path(), "now");
        let job = &runs["job"];
        assert_eq!((job.started_at.as_str(), job.ended_at.as_deref()), ("99", Some("later")));
        assert_eq!(job.result.as_ref().map(String::len), Some(MAX_RESULT));
        let other = &runs["other"];
        assert_eq!(other.ended_at.as_deref(), Some("now"));
        assert_eq!(other.result.as_deref(), Some("was interrupted by the end of the launcher"));
        std::fs::write(directory.path().join(NAME), "{").unwrap();
        assert!(RunFile::open(directory.path(), "now").1.is_empty(), "a damaged file stops nobody");
    }
}
