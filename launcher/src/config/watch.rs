//! Notices when the configuration changes on disk.
//!
//! * Directories are watched and not files: an editor that saves by renaming replaces the file, and a watch on the old one hears nothing
//!   more. Where symbolic links lead to the file, the directory of each of them is watched, too.
//! * What has happened is not asked of the event, but of the content: only when that differs is there a change.
//! * A save takes its time: an editor may cut the file off first, a program may write it in pieces. So the content must have been the
//!   same for a while: for [`QUIET`], and for [`STILL`] as long as it looks unfinished, see [`is_unfinished`].

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// How long the content must have been the same.
const QUIET: Duration = Duration::from_millis(500);
/// How long when it looks unfinished. Whoever writes a configuration needs less between two pieces of it.
const STILL: Duration = Duration::from_secs(5);
/// How often the content is looked at while it has to stay the same.
const LOOK: Duration = Duration::from_millis(50);
/// Looked at in any case, for file systems that tell nobody of changes (NFS, some overlays).
const POLL: Duration = Duration::from_secs(30);
/// As many symbolic links are followed as the kernel follows, `path_resolution(7)`.
const MAX_LINKS: usize = 40;

/// A watch; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    // Dropping the watcher closes the channel, and that ends the thread.
    _watcher: Arc<Mutex<RecommendedWatcher>>,
}

/// Calls `changed` on a thread of its own after the content of one of the files has become another one. A file that is not
/// there is watched for, as long as its directory is.
///
/// # Errors
/// When the system allows no more watches, or no thread.
pub fn watch(files: Vec<PathBuf>, changed: impl FnMut() + Send + 'static) -> Result<Watch, WatchError> {
    // One place: a second event before the first was looked at says nothing new.
    let (sender, events) = sync_channel::<()>(1);
    let open = Arc::new(Mutex::new(Open::default()));
    let heard = Arc::clone(&open);
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        let Ok(event) = event else { return };
        lock(&heard).hear(&event);
        if matters(&event) {
            let _ = sender.try_send(());
        }
    })?;
    let watcher = Arc::new(Mutex::new(watcher));
    let seen = contents(&files);
    let mut look = Look {
        files,
        seen,
        open,
        directories: BTreeSet::new(),
        watcher: Arc::downgrade(&watcher),
        changed: Box::new(changed),
    };
    look.follow()?;
    let run = move || look.run(&events);
    std::thread::Builder::new().name("config-watch".to_owned()).spawn(run).map_err(WatchError::Thread)?;
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

/// What each file holds; none where it cannot be read.
type Contents = Vec<Option<Vec<u8>>>;

fn contents(files: &[PathBuf]) -> Contents {
    files.iter().map(|file| std::fs::read(file).ok()).collect()
}

/// Which of the files somebody writes to, as far as is told.
#[derive(Debug, Default)]
struct Open {
    /// The files themselves, behind all links.
    files: BTreeSet<PathBuf>,
    written: BTreeSet<PathBuf>,
}

impl Open {
    fn hear(&mut self, event: &Event) {
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

/// The thread's own.
struct Look {
    files: Vec<PathBuf>,
    /// What was told last.
    seen: Contents,
    open: Arc<Mutex<Open>>,
    directories: BTreeSet<PathBuf>,
    /// Not ours: it ends with the [`Watch`].
    watcher: Weak<Mutex<RecommendedWatcher>>,
    changed: Box<dyn FnMut() + Send>,
}

impl Look {
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

    /// What the files hold once it has been the same for long enough; none when the watch is over.
    fn settled(&self, events: &Receiver<()>) -> Option<Contents> {
        let mut last = contents(&self.files);
        let mut since = Instant::now();
        while last != self.seen {
            let patience = if self.is_unfinished(&last) { STILL } else { QUIET };
            if since.elapsed() >= patience {
                break;
            }
            std::thread::sleep(LOOK);
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

    /// Watches wherever another file may come to be meant.
    fn follow(&mut self) -> Result<(), notify::Error> {
        let Some(watcher) = self.watcher.upgrade() else { return Ok(()) };
        let ways: Vec<Way> = self.files.iter().map(|file| Way::to(file)).collect();
        let wanted: BTreeSet<PathBuf> = ways.iter().flat_map(|way| way.directories.clone()).collect();
        lock(&self.open).files = ways.into_iter().map(|way| way.file).collect();
        let mut watcher = lock(&watcher);
        for directory in self.directories.difference(&wanted) {
            // One that has gone is watched no more anyway.
            let _ = watcher.unwatch(directory);
        }
        for directory in wanted.difference(&self.directories) {
            watcher.watch(directory, RecursiveMode::NonRecursive)?;
        }
        self.directories = wanted;
        Ok(())
    }
}

/// Whether a file that has just become like this is likely to be written on: it is empty or gone, or ends within a line.
fn is_unfinished(content: Option<&[u8]>) -> bool {
    !content.is_some_and(|content| content.ends_with(b"\n") && !content.trim_ascii().is_empty())
}

/// The way to a file through symbolic links.
struct Way {
    /// Where an entry stands on the way that can be replaced by another one: each link's directory, and the file's own.
    directories: BTreeSet<PathBuf>,
    /// The file behind all links.
    file: PathBuf,
}

impl Way {
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

/// The names on a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    names.collect()
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

/// What is behind these locks is whole even if a thread that held one has panicked.
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

    /// What is told of a file: what it held when it was told.
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
        // Cut off first, as by a shell's `>`, and closed.
        std::fs::write(&file, "").unwrap();
        assert!(changes.recv_timeout(pause).is_err(), "an empty file");
        // In two pieces by one writer, the first one of whole lines.
        let mut writer = std::fs::File::create(&file).unwrap();
        writer.write_all(b"one\n").unwrap();
        assert!(changes.recv_timeout(pause).is_err(), "a file that is being written");
        writer.write_all(b"two\n").unwrap();
        drop(writer);
        assert_eq!(changes.recv_timeout(PATIENCE).unwrap(), "one\ntwo\n");
        // Closed within a line, as when the disk was full.
        std::fs::write(&file, "one\ntw").unwrap();
        assert!(changes.recv_timeout(pause).is_err(), "a part of a line");
        std::fs::write(&file, "one\ntwo\nthree\n").unwrap();
        assert_eq!(changes.recv_timeout(PATIENCE).unwrap(), "one\ntwo\nthree\n");
        // Somebody wants it without the last newline.
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
        // Where the link leads now is watched, too.
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
        // The thread owned the sender; when it is gone, so is the channel.
        assert_eq!(changes.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    }
}
