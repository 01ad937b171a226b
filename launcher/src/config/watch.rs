//! Notices when the configuration changes on disk.
//!
//! The directory is watched and not the file: an editor that saves by renaming replaces the file, and a watch on the old one
//! hears nothing more. What has happened is not asked of the event, but of the content: only when that differs is there a change.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// A save is several events; the change is looked at once they have been quiet for this long.
const QUIET: Duration = Duration::from_millis(150);
/// Looked at in any case, for file systems that tell nobody of changes (NFS, some overlays).
const POLL: Duration = Duration::from_secs(30);

/// A watch; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    // Dropping the watcher closes the channel, and that ends the thread.
    _watcher: RecommendedWatcher,
}

/// Calls `changed` on a thread of its own after the content of one of the files has become another one. A file that is not
/// there is watched for, as long as its directory is.
///
/// # Errors
/// When the system allows no more watches, or no thread.
pub fn watch(files: Vec<PathBuf>, mut changed: impl FnMut() + Send + 'static) -> Result<Watch, WatchError> {
    // One place: a second event before the first was looked at says nothing new.
    let (sender, events) = sync_channel::<()>(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| matters(&event)) {
            let _ = sender.try_send(());
        }
    })?;
    let mut directories: Vec<&Path> =
        files.iter().filter_map(|file| file.parent()).filter(|d| d.is_dir()).collect();
    directories.sort_unstable();
    directories.dedup();
    for directory in directories {
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
    }
    let mut seen = fingerprint(&files);
    let look = move || {
        while wait(&events) {
            let now = fingerprint(&files);
            if std::mem::replace(&mut seen, now) != now {
                changed();
            }
        }
    };
    std::thread::Builder::new().name("config-watch".to_owned()).spawn(look).map_err(WatchError::Thread)?;
    Ok(Watch { _watcher: watcher })
}

/// The configuration cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The system refuses.
    #[error("cannot watch the configuration directory")]
    Watch(#[from] notify::Error),
    /// There is no thread for it.
    #[error("cannot start the thread that watches the configuration")]
    Thread(#[source] std::io::Error),
}

/// Everything but reading. Our own look at the files is an event, too, and would go round in circles.
fn matters(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

/// Waits for an event and the quiet after it, or for the time of the slow look; false when the watch is over.
fn wait(events: &Receiver<()>) -> bool {
    match events.recv_timeout(POLL) {
        Err(RecvTimeoutError::Disconnected) => return false,
        Err(RecvTimeoutError::Timeout) => return true,
        Ok(()) => {}
    }
    loop {
        match events.recv_timeout(QUIET) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

fn fingerprint(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(file).ok().hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any machine that runs tests needs.
    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn every_way_to_save_is_noticed_twice() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("launcher.toml");
        std::fs::write(&file, "0").unwrap();
        let (sender, changes) = sync_channel(16);
        let _watch = watch(vec![file.clone()], move || sender.try_send(()).unwrap()).unwrap();
        let rewrite = |content: &str| std::fs::write(&file, content).unwrap();
        let rename = |content: &str| {
            let new = directory.path().join("new");
            std::fs::write(&new, content).unwrap();
            std::fs::rename(&new, &file).unwrap();
        };
        let recreate = |content: &str| {
            std::fs::remove_file(&file).unwrap();
            std::fs::write(&file, content).unwrap();
        };
        let saves: [&dyn Fn(&str); 3] = [&rewrite, &rename, &recreate];
        for (number, save) in saves.iter().flat_map(|save| [save, save]).enumerate() {
            save(&format!("content {number}"));
            changes.recv_timeout(PATIENCE).unwrap();
        }
    }

    #[test]
    fn dropping_the_watch_ends_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("launcher.toml");
        let (sender, changes) = sync_channel::<()>(1);
        let watch = watch(vec![file], move || sender.try_send(()).unwrap()).unwrap();
        drop(watch);
        // The thread owned the sender; when it is gone, so is the channel.
        assert_eq!(changes.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    }
}
