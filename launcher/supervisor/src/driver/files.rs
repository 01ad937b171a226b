//! The files whose changes restart a component (`watch`), for development.
//!
//! The life of a change: the system tells a thread of `notify`'s; what no pattern matches, and what lies in the data and the log directory, is
//! dropped there; the rest is remembered, one path for each component, so that nothing can pile up; once there has been quiet for
//! [`QUIET`], but no later than [`PATIENCE`], the driver is told. While nothing is watched there is neither thread nor task.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::glob::Glob;
use crate::spec::{ComponentSpec, Launch};

/// Editors and compilers write several files at once; after so long without a change they are done.
const QUIET: Duration = Duration::from_millis(300);

/// What is written on and on is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(3);

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
    _lifeline: std::sync::mpsc::Sender<()>,
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
}

impl Changes {
    fn paths(&self) -> MutexGuard<'_, BTreeMap<String, PathBuf>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (lifeline, end) = std::sync::mpsc::channel::<()>();
        let heard = Arc::clone(&changes);
        // A large tree takes its time.
        let thread = std::thread::Builder::new().name("file-watch".to_owned()).spawn(move || {
            let watcher = begin(rules, ignored, heard);
            match watcher {
                Ok(_watcher) => _ = end.recv(),
                Err(error) => tracing::error!(%error, "cannot watch files; `watch` restarts nothing"),
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

fn begin(
    rules: Vec<Rule>,
    ignored: Vec<PathBuf>,
    changes: Arc<Changes>,
) -> notify::Result<RecommendedWatcher> {
    let roots: std::collections::BTreeSet<PathBuf> =
        rules.iter().flat_map(|rule| &rule.globs).map(|glob| glob.root.clone()).collect();
    let unwanted = ignored.clone();
    let heard = move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        if is_change(event.kind) {
            note(&rules, &ignored, &event.paths, &changes);
        }
    };
    let mut watcher = notify::recommended_watcher(heard)?;
    for root in roots {
        if let Err(error) = watcher.watch(&root, RecursiveMode::Recursive) {
            tracing::error!(directory = %root.display(), %error, "cannot watch this directory for changes");
        }
    }
    for path in unwanted {
        // What is not watched need not be left out.
        let _ = watcher.unwatch(&path);
    }
    Ok(watcher)
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
