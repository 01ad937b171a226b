//! The files whose changes restart a component (`watch`), for development.
//!
//! The life of a change: the system tells a thread of `notify`'s; what no pattern matches, and what lies in the data and the log directory, is
//! dropped there; the rest is remembered, one path for each component, so that nothing can pile up; once there has been quiet for
//! [`QUIET`], but no later than [`PATIENCE`], the driver is told. While nothing is watched there is neither thread nor task. A directory that
//! does not exist is watched once it is made ([`Roots`]); the files that it has then count as changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, Watcher};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::roots::Roots;
use crate::glob::Glob;
use crate::spec::{ComponentSpec, Launch};

/// Editors and compilers write several files at once; after so long without a change they are done.
const QUIET: Duration = Duration::from_millis(300);

/// What is written on and on is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(3);

/// The interval of checks whether a directory that does not exist was made.
const LOOK: Duration = Duration::from_millis(500);

/// The driver takes them at once.
const PLACES: usize = 16;

/// A component whose file has changed.
#[derive(Debug)]
pub(super) struct Touched {
    pub(super) name: String,
    pub(super) path: PathBuf,
}

/// Who is restarted for what.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    component: String,
    globs: Vec<Glob>,
}

/// What is watched.
#[derive(Debug)]
pub(super) struct Files {
    rules: Vec<Rule>,
    running: Option<Running>,
    touched: mpsc::Sender<Touched>,
}

#[derive(Debug)]
struct Running {
    /// Its end ends the thread that has the watcher.
    _lifeline: Arc<SyncSender<()>>,
    settling: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.settling.abort();
    }
}

/// What has changed and is not told yet: for each component the first path.
#[derive(Debug, Default)]
struct Changes {
    paths: Mutex<BTreeMap<String, PathBuf>>,
    changed: Notify,
    /// Watched directories that were removed or replaced.
    gone: Mutex<BTreeSet<PathBuf>>,
}

impl Changes {
    fn paths(&self) -> MutexGuard<'_, BTreeMap<String, PathBuf>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    /// Nothing yet, and where the changes come.
    pub(super) fn new() -> (Self, mpsc::Receiver<Touched>) {
        let (touched, receiver) = mpsc::channel(PLACES);
        (Self { rules: Vec::new(), running: None, touched }, receiver)
    }

    /// From now on the files of these, without what lies in `ignored`.
    pub(super) fn watch(&mut self, components: &[ComponentSpec], ignored: &[&Path]) {
        let rules: Vec<Rule> = components.iter().filter_map(rule).collect();
        if rules == self.rules {
            return;
        }
        self.rules.clone_from(&rules);
        self.running = None;
        if rules.is_empty() {
            return;
        }
        let changes = Arc::new(Changes::default());
        let ignored: Vec<PathBuf> =
            ignored.iter().filter_map(|path| std::path::absolute(path).ok()).collect();
        // One place: one look sees everything.
        let (look, looks) = sync_channel::<()>(1);
        let lifeline = Arc::new(look);
        let watch = Watch { rules, ignored, changes: Arc::clone(&changes) };
        let look = Arc::downgrade(&lifeline);
        // A large tree takes its time.
        let thread = std::thread::Builder::new().name("file-watch".to_owned()).spawn(move || {
            if let Err(error) = watch.run(look, &looks) {
                tracing::error!(%error, "cannot watch files; `watch` restarts nothing");
            }
        });
        if let Err(error) = thread {
            tracing::error!(%error, "cannot watch files; `watch` restarts nothing");
            return;
        }
        let settling = tokio::spawn(settle(changes, self.touched.clone()));
        self.running = Some(Running { _lifeline: lifeline, settling });
    }
}

fn rule(spec: &ComponentSpec) -> Option<Rule> {
    let Launch::Command { cwd, .. } = &spec.launch else { return None };
    let directory = std::path::absolute(cwd.as_deref().unwrap_or(Path::new("."))).ok()?;
    let globs: Vec<Glob> = spec.watch.iter().flat_map(|pattern| Glob::parse(pattern, &directory)).collect();
    (!globs.is_empty()).then(|| Rule { component: spec.name.clone(), globs })
}

/// The thread that has the watcher.
#[derive(Debug, Clone)]
struct Watch {
    rules: Vec<Rule>,
    ignored: Vec<PathBuf>,
    changes: Arc<Changes>,
}

impl Watch {
    /// Watches until nobody holds the sender any more.
    fn run(self, look: Weak<SyncSender<()>>, looks: &Receiver<()>) -> notify::Result<()> {
        let mut roots =
            Roots::new(self.rules.iter().flat_map(|rule| &rule.globs).map(|glob| glob.root.clone()));
        let mut watcher = self.watcher(roots.wanted().clone(), look)?;
        self.add(&mut roots, &mut watcher);
        loop {
            match looks.recv_timeout(if roots.is_complete() { Duration::MAX } else { LOOK }) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            for gone in std::mem::take(&mut *self.changes.gone()) {
                roots.forget(&gone, &mut watcher);
            }
            for made in self.add(&mut roots, &mut watcher) {
                super::roots::files(&made).for_each(|path| self.note(&[path]));
            }
        }
    }

    fn watcher(
        &self,
        wanted: BTreeSet<PathBuf>,
        look: Weak<SyncSender<()>>,
    ) -> notify::Result<RecommendedWatcher> {
        let watch = self.clone();
        notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if !is_change(event.kind) {
                return;
            }
            watch.note(&event.paths);
            let is_gone = |root: &&PathBuf| event.paths.iter().any(|path| root.starts_with(path));
            let gone: Vec<PathBuf> = wanted.iter().filter(is_gone).cloned().collect();
            if !gone.is_empty()
                && let Some(look) = look.upgrade()
            {
                watch.changes.gone().extend(gone);
                // If it is full, the look is still to come.
                let _ = look.try_send(());
            }
        })
    }

    /// Watches the directories that exist now and did not before.
    fn add(&self, roots: &mut Roots, watcher: &mut RecommendedWatcher) -> Vec<PathBuf> {
        let made = roots.add(watcher);
        if !made.is_empty() {
            for path in &self.ignored {
                // What is not watched need not be left out.
                let _ = watcher.unwatch(path);
            }
        }
        made
    }

    fn note(&self, paths: &[PathBuf]) {
        note(&self.rules, &self.ignored, paths, &self.changes);
    }
}

/// Reading a file, or changing who may, is no change.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Any | EventKind::Create(_) | EventKind::Remove(_) | EventKind::Other => true,
        EventKind::Modify(ModifyKind::Metadata(_)) | EventKind::Access(_) => false,
        EventKind::Modify(_) => true,
    }
}

fn note(rules: &[Rule], ignored: &[PathBuf], paths: &[PathBuf], changes: &Changes) {
    for path in paths.iter().filter(|path| !ignored.iter().any(|ignored| path.starts_with(ignored))) {
        // Editors' copies.
        if path.as_os_str().as_encoded_bytes().ends_with(b"~") {
            continue;
        }
        for rule in rules.iter().filter(|rule| rule.globs.iter().any(|glob| glob.matches(path))) {
            changes.paths().entry(rule.component.clone()).or_insert_with(|| path.clone());
            changes.changed.notify_one();
        }
    }
}

/// Tells the driver what has changed, once there is quiet.
async fn settle(changes: Arc<Changes>, touched: mpsc::Sender<Touched>) {
    loop {
        changes.changed.notified().await;
        let limit = Instant::now() + PATIENCE;
        while timeout_at(limit.min(Instant::now() + QUIET), changes.changed.notified()).await.is_ok() {}
        let paths = std::mem::take(&mut *changes.paths());
        for (name, path) in paths {
            if touched.send(Touched { name, path }).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_changes_are_told_once_and_those_without_an_end_in_the_end() {
        let changes = Arc::new(Changes::default());
        let (sender, mut told) = mpsc::channel(PLACES);
        let settling = tokio::spawn(settle(Arc::clone(&changes), sender));
        let rules = [Rule { component: "web".to_owned(), globs: Glob::parse("src/**", Path::new("/w")) }];
        let touch = |path: &str| note(&rules, &["/w/src/data".into()], &[path.into()], &changes);
        let begin = Instant::now();
        for path in ["/w/src/a", "/w/src/b", "/w/src/c"] {
            touch(path);
            tokio::time::sleep(QUIET / 2).await;
        }
        let first = told.recv().await.unwrap();
        assert_eq!((first.name.as_str(), first.path), ("web", PathBuf::from("/w/src/a")));
        assert!(begin.elapsed() >= QUIET * 2 && begin.elapsed() < QUIET * 3, "{:?}", begin.elapsed());
        for path in ["/w/src/data/x", "/w/src/a~", "/w/src/.a.swp", "/w/other"] {
            touch(path);
        }
        assert!(tokio::time::timeout(PATIENCE * 2, told.recv()).await.is_err(), "none of these counts");
        let begin = Instant::now();
        let writing = async {
            loop {
                touch("/w/src/d");
                tokio::time::sleep(QUIET / 2).await;
            }
        };
        tokio::select! {
            () = writing => {}
            next = told.recv() => assert_eq!(next.unwrap().path, PathBuf::from("/w/src/d")),
        }
        assert!(begin.elapsed() <= PATIENCE + QUIET, "{:?}", begin.elapsed());
        settling.abort();
    }
}
