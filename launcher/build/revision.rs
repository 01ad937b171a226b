//! Which commit is built, and of which day: what `--version` adds to the number.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A commit of the project's own repository.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    /// Its short id and its day, `1a2b3c4d5e 2026-11-21`.
    pub(crate) text: String,
    /// The file that changes with each commit and checkout, if git keeps one.
    pub(crate) changes: Option<PathBuf>,
}

/// The commit that is checked out in `root`; none without git, without a repository, or where `root` is an unpacked archive within
/// somebody else's repository.
pub(crate) fn of(root: &Path) -> Option<Revision> {
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    let text = git(root, &["log", "-1", "--abbrev=10", "--date=format:%Y-%m-%d", "--format=%h %cd"])?;
    let changes = git(root, &["rev-parse", "--git-path", "logs/HEAD"]).map(|path| root.join(path));
    Some(Revision { text, changes: changes.filter(|path| path.exists()) })
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
