//! The directories whose files are watched; some of them may not exist yet.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use notify::{RecursiveMode, Watcher};

/// The maximum number of files in a new directory that are compared with the patterns.
const MAX_FILES: usize = 100_000;

/// The directories.
#[derive(Debug)]
pub(super) struct Roots {
    wanted: BTreeSet<PathBuf>,
    watched: BTreeSet<PathBuf>,
    /// Those that cannot be watched; an attempt may be expensive, so it is not repeated while they exist.
    refused: BTreeSet<PathBuf>,
}

impl Roots {
    pub(super) fn new(wanted: impl Iterator<Item = PathBuf>) -> Self {
        Self { wanted: wanted.collect(), watched: BTreeSet::new(), refused: BTreeSet::new() }
    }

    pub(super) fn wanted(&self) -> &BTreeSet<PathBuf> {
        &self.wanted
    }

    /// Whether none has to be waited for.
    pub(super) fn is_complete(&self) -> bool {
        self.wanted.iter().all(|root| self.is_known(root))
    }

    fn is_known(&self, root: &Path) -> bool {
        self.watched.contains(root) || self.refused.contains(root)
    }

    /// Watches those that exist and are not watched, and returns them.
    pub(super) fn add(&mut self, watcher: &mut impl Watcher) -> Vec<PathBuf> {
        let mut made = Vec::new();
        let new: Vec<PathBuf> =
            self.wanted.iter().filter(|root| !self.is_known(root) && root.is_dir()).cloned().collect();
        for root in new {
            match watcher.watch(&root, RecursiveMode::Recursive) {
                Ok(()) => {
                    self.watched.insert(root.clone());
                    made.push(root);
                }
                Err(error) => {
                    tracing::error!(directory = %root.display(), %error, "cannot watch this directory for changes");
                    self.refused.insert(root);
                }
            }
        }
        made
    }

    /// This one was removed or replaced.
    pub(super) fn forget(&mut self, root: &Path, watcher: &mut impl Watcher) {
        self.refused.remove(root);
        if self.watched.remove(root) {
            // The system may have done so already.
            let _ = watcher.unwatch(root);
        }
    }
}

/// The files below a directory, in no order. Symbolic links are not followed.
pub(super) fn files(root: &Path) -> impl Iterator<Item = PathBuf> {
    let mut directories = vec![root.to_owned()];
    let mut entries = Vec::new();
    let next = move || {
        loop {
            if let Some(entry) = entries.pop() {
                let entry: std::fs::DirEntry = entry;
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => directories.push(entry.path()),
                    Ok(_) => return Some(entry.path()),
                    // It is gone already.
                    Err(_) => {}
                }
                continue;
            }
            entries.extend(std::fs::read_dir(directories.pop()?).into_iter().flatten().flatten());
        }
    };
    std::iter::from_fn(next).take(MAX_FILES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_below_and_links_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(path("a/b")).unwrap();
        std::fs::write(path("one"), "").unwrap();
        std::fs::write(path("a/b/two"), "").unwrap();
        std::os::unix::fs::symlink(directory.path(), path("a/round")).unwrap();
        let found: BTreeSet<PathBuf> = files(directory.path()).collect();
        assert_eq!(found, ["one", "a/b/two", "a/round"].map(path).into());
        assert_eq!(files(&path("nowhere")).count(), 0);
    }
}
