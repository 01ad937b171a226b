//! Detects changes of the configuration files.
//!
//! * Directories are watched and not files: an editor that saves by renaming replaces the file, and a watch on the old one receives no
//!   further events. If symbolic links lead to the file, the directory of each of them is watched, too.
//! * Events only trigger a check; there is a change only if the content differs.
//! * Saving takes time: an editor may truncate the file first, a program may write it in pieces. So the content must be unchanged for
//!   [`QUIET`], and for [`STILL`] while it looks incomplete, see [`is_unfinished`].

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// How long the content must be unchanged.
const QUIET: Duration = Duration::from_millis(500);
/// How long it must be unchanged if it looks incomplete; writers pause for less between two pieces.
const STILL: Duration = Duration::from_secs(5);
/// The polling interval while the content must be unchanged.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The polling interval for file systems that report no changes (NFS, some overlays).
const POLL: Duration = Duration::from_secs(30);
/// The kernel's limit on symbolic links, `path_resolution(7)`.
const MAX_LINKS: usize = 40;

/// A watch; it ends when dropped.
#[derive(Debug)]
pub struct Watch {
    // Dropping the watcher closes the channel, which ends the thread.
    _watcher: Arc<Mutex<RecommendedWatcher>>,
}

/// Calls `changed` on a thread of its own after the content of a file has changed. A missing file is watched for, as long as its directory
/// exists.
///
/// # Errors
/// If the system allows no more watches or threads.
pub fn watch(files: Vec<PathBuf>, changed: impl FnMut() + Send + 'static) -> Result<Watch, WatchError> {
    // A second event before the first was handled adds no information.
    let (sender, events) = sync_channel::<()>(1);
    let open = Arc::new(Mutex::new(Open::default()));
    let heard = Arc::clone(&open);
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let Ok(event) = event else { return };
        lock(&heard).on_event(&event);
        if matters(&event) {
            let _ = sender.try_send(());
        }
    })?;
    let watcher = Arc::new(Mutex::new(watcher));
    let seen = contents(&files);
    let mut thread = WatchThread {
        files,
        seen,
        open,
        directories: BTreeSet::new(),
        watcher: Arc::downgrade(&watcher),
        changed: Box::new(changed),
    };
    thread.follow()?;
    let run = move || thread.run(&events);
    std::thread::Builder::new().name("config-watch".to_owned()).spawn(run).map_err(WatchError::Thread)?;
    Ok(Watch { _watcher: watcher })
}

/// The configuration cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The system rejected the watch.
    #[error("cannot watch the configuration directory")]
    Watch(#[from] notify::Error),
    /// No thread can be created.
    #[error("cannot start the thread that watches the configuration")]
    Thread(#[source] std::io::Error),
}

/// The content of each file; `None` if it cannot be read.
type Contents = Vec<Option<Vec<u8>>>;

fn contents(files: &[PathBuf]) -> Contents {
    files.iter().map(|file| std::fs::read(file).ok()).collect()
}

/// The files that are open for writing, as far as events report it.
#[derive(Debug, Default)]
struct Open {
    /// The files themselves, with links resolved.
    files: BTreeSet<PathBuf>,
    written: BTreeSet<PathBuf>,
}

impl Open {
    fn on_event(&mut self, event: &Event) {
        for path in event.paths.iter().filter(|path| self.files.contains(*path)) {
            match event.kind {
                EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => {
                    self.written.insert(path.clone());
                }
                EventKind::Access(AccessKind::Close(AccessMode::Write))
                | EventKind::Remove(_)
                | EventKind::Modify(ModifyKind::Name(_)) => {
                    self.written.remove(path);
                }
                EventKind::Access(_)
                | EventKind::Modify(ModifyKind::Metadata(_) | ModifyKind::Other)
                | EventKind::Create(_)
                | EventKind::Any
                | EventKind::Other => {}
            }
        }
    }
}

/// The state of the thread.
struct WatchThread {
    files: Vec<PathBuf>,
    /// The content last reported.
    seen: Contents,
    open: Arc<Mutex<Open>>,
    directories: BTreeSet<PathBuf>,
    /// Weak: it ends with the [`Watch`].
    watcher: Weak<Mutex<RecommendedWatcher>>,
    changed: Box<dyn FnMut() + Send>,
}

impl WatchThread {
    fn run(mut self, events: &Receiver<()>) {
        loop {
            if events.recv_timeout(POLL) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            let Some(now) = self.settled(events) else { return };
            if let Err(error) = self.follow() {
                tracing::warn!(%error, "cannot watch where the configuration lies now; looking every {POLL:?}");
            }
            if std::mem::replace(&mut self.seen, now.clone()) != now {
                (self.changed)();
            }
        }
    }

    /// The content of the files once it has been unchanged for long enough; `None` when the watch has ended.
    fn settled(&self, events: &Receiver<()>) -> Option<Contents> {
        let mut last = contents(&self.files);
        let mut since = Instant::now();
        while last != self.seen {
            let patience = if self.is_unfinished(&last) { STILL } else { QUIET };
            if since.elapsed() >= patience {
                break;
            }
            std::thread::sleep(POLL_INTERVAL);
            if events.try_recv() == Err(TryRecvError::Disconnected) {
                return None;
            }
            let now = contents(&self.files);
            if std::mem::replace(&mut last, now) != last {
                since = Instant::now();
            }
        }
        Some(last)
    }

    fn is_unfinished(&self, now: &Contents) -> bool {
        let is_written = !lock(&self.open).written.is_empty();
        is_written || self.seen.iter().zip(now).any(|(old, new)| old != new && is_unfinished(new.as_deref()))
    }

    /// Watches every directory in which another file may replace the current one.
    fn follow(&mut self) -> Result<(), notify::Error> {
        let Some(watcher) = self.watcher.upgrade() else { return Ok(()) };
        let ways: Vec<LinkPath> = self.files.iter().map(|file| LinkPath::to(file)).collect();
        let wanted: BTreeSet<PathBuf> = ways.iter().flat_map(|way| way.directories.clone()).collect();
        lock(&self.open).files = ways.into_iter().map(|way| way.file).collect();
        let mut watcher = lock(&watcher);
        for directory in self.directories.difference(&wanted) {
            // A directory that was deleted is no longer watched anyway.
            let _ = watcher.unwatch(directory);
        }
        for directory in wanted.difference(&self.directories) {
            watcher.watch(directory, RecursiveMode::NonRecursive)?;
        }
        self.directories = wanted;
        Ok(())
    }
}

/// Whether a new content is likely to be continued: it is empty or missing, or ends within a line.
fn is_unfinished(content: Option<&[u8]>) -> bool {
    !content.is_some_and(|content| content.ends_with(b"\n") && !content.trim_ascii().is_empty())
}

/// The path to a file through symbolic links.
struct LinkPath {
    /// The directories with replaceable entries on the path: of each link, and of the file itself.
    directories: BTreeSet<PathBuf>,
    /// The file with links resolved.
    file: PathBuf,
}

impl LinkPath {
    fn to(path: &Path) -> Self {
        let mut directories = BTreeSet::new();
        let mut at = PathBuf::from("/");
        let mut ahead = parts(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            let entry = at.join(&part);
            let link = std::fs::read_link(&entry).ok().filter(|_| links < MAX_LINKS);
            if let Some(target) = link {
                links += 1;
                directories.insert(at.clone());
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                ahead.extend(parts(&target));
            } else if part == ".." {
                at.pop();
            } else {
                at = entry;
            }
        }
        directories.extend(at.parent().map(Path::to_owned));
        directories.retain(|directory| directory.is_dir());
        Self { directories, file: at }
    }
}

/// The components of a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    names.collect()
}

/// Every event except reading. Our own reads cause events, too, and would repeat forever.
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

/// The data remains consistent even if a thread panicked while holding the lock.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc::SyncSender;

    use super::*;

    /// Longer than any machine that runs tests needs.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Reports of a file: its content at the time of each.
    fn told(file: &Path) -> (Watch, Receiver<String>) {
        let (sender, changes): (SyncSender<String>, _) = sync_channel(16);
        let read = file.to_owned();
        let tell = move || {
            sender.try_send(std::fs::read_to_string(&read).unwrap_or_default()).unwrap();
        };
        (watch(vec![file.to_owned()], tell).unwrap(), changes)
    }

    #[test]
    fn every_way_to_save_is_noticed_twice() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("launcher.toml");
        std::fs::write(&file, "0").unwrap();
        let (_watch, changes) = told(&file);
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
            let content = format!("content {number}\n");
            save(&content);
            assert_eq!(changes.recv_timeout(PATIENCE).unwrap(), content);
        }
    }

    #[test]
    fn what_is_still_being_written_is_not_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("launcher.toml");
        std::fs::write(&file, "old\n").unwrap();
        let (_watch, changes) = told(&file);
        let pause = QUIET * 2;
        // Truncated first, as by a shell's `>`, and closed.
        std::fs::write(&file, "").unwrap();
        assert!(changes.recv_timeout(pause).is_err(), "an empty file");
        // In two pieces by one writer, the first one of complete lines.
        let mut writer = std::fs::File::create(&file).unwrap();
        writer.write_all(b"one\n").unwrap();
        assert!(changes.recv_timeout(pause).is_err(), "a file that is being written");
        writer.write_all(b"two\n").unwrap();
        drop(writer);
        assert_eq!(changes.recv_timeout(PATIENCE).unwrap(), "one\ntwo\n");
        // Closed within a line, as with a full disk.
        std::fs::write(&file, "one\ntw").unwrap();
        assert!(changes.recv_timeout(pause).is_err(), "a part of a line");
        std::fs::write(&file, "one\ntwo\nthree\n").unwrap();
        assert_eq!(changes.recv_timeout(PATIENCE).unwrap(), "one\ntwo\nthree\n");
        // Deliberately without the last newline.
        std::fs::write(&file, "one").unwrap();
        assert_eq!(changes.recv_timeout(PATIENCE).unwrap(), "one");
    }

    #[test]
    fn every_link_on_the_way_may_lead_elsewhere_and_so_may_the_file_at_its_end() {
        use std::os::unix::fs::symlink;
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        for version in ["a", "b"] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("real.toml"), format!("{version} 0\n")).unwrap();
        }
        std::fs::create_dir(at("conf")).unwrap();
        symlink("a", at("now")).unwrap();
        symlink("../now/real.toml", at("conf/hop.toml")).unwrap();
        symlink("hop.toml", at("conf/launcher.toml")).unwrap();
        let (_watch, changes) = told(&at("conf/launcher.toml"));
        let next = || changes.recv_timeout(PATIENCE).unwrap();
        std::fs::write(at("a/real.toml"), "a 1\n").unwrap();
        assert_eq!(next(), "a 1\n");
        symlink("b", at("new")).unwrap();
        std::fs::rename(at("new"), at("now")).unwrap();
        assert_eq!(next(), "b 0\n");
        // The link's new target is watched, too.
        std::fs::write(at("b/real.toml"), "b 1\n").unwrap();
        assert_eq!(next(), "b 1\n");
        std::fs::write(at("conf/own.toml"), "own\n").unwrap();
        symlink("own.toml", at("conf/new")).unwrap();
        std::fs::rename(at("conf/new"), at("conf/hop.toml")).unwrap();
        assert_eq!(next(), "own\n");
    }

    #[test]
    fn dropping_the_watch_ends_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("launcher.toml");
        let (sender, changes) = sync_channel::<()>(1);
        let watch = watch(vec![file], move || sender.try_send(()).unwrap()).unwrap();
        drop(watch);
        // The thread owned the sender; its end closes the channel.
        assert_eq!(changes.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    }
}
