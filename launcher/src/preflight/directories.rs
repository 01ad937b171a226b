//! Checks the directories that we write to, and creates missing ones.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::Directories;

/// A directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the {kind} directory {}; set another one with --{kind}", path.display())]
pub struct DirectoryError {
    kind: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Creates the directories and writes a file into each, because only that shows that it works.
///
/// # Errors
/// For each directory that cannot be used.
pub fn prepare(directories: &Directories) -> Result<(), Vec<DirectoryError>> {
    let wanted = [("data", &directories.data), ("logs", &directories.logs)];
    let errors: Vec<DirectoryError> = wanted
        .into_iter()
        .filter_map(|(kind, path)| {
            try_directory(path).err().map(|source| DirectoryError { kind, path: path.clone(), source })
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Messages and logs are private, so a directory that we create is closed to others.
fn try_directory(path: &Path) -> io::Result<()> {
    kit::files::make_directory(path)?;
    let probe = path.join(format!(".probe-{}", std::process::id()));
    // A leftover of an earlier process with the same id.
    let _ = std::fs::remove_file(&probe);
    kit::files::open(&probe, OpenOptions::new().write(true).create_new(true))?;
    std::fs::remove_file(&probe)
}

/// What other users can read although it is private, with what to do.
#[must_use]
pub fn exposed(directories: &Directories, dotenvs: &[PathBuf]) -> Vec<(String, String)> {
    let mode = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
    let closed = [&directories.data, &directories.logs].into_iter().filter(|path| mode(path) & 0o007 != 0);
    let directories = closed.map(|path| {
        let path = path.display();
        (format!("all users of this machine can access {path}"), format!("chmod 700 '{path}'"))
    });
    let secrets = dotenvs.iter().filter(|path| mode(path) & 0o044 != 0).map(|path| {
        let path = path.display();
        (format!("other users can read {path}, which holds secrets"), format!("chmod 600 '{path}'"))
    });
    directories.chain(secrets).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_unusable_directories_are_told() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        let bad = Directories { data: file.join("data"), logs: file.clone() };
        let errors = prepare(&bad).unwrap_err();
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(texts[0].contains("data directory") && texts[1].contains("--logs"), "{texts:?}");
        let good = Directories { data: root.path().join("a/b"), logs: root.path().join("c") };
        prepare(&good).unwrap();
        assert_eq!(std::fs::read_dir(&good.data).unwrap().count(), 0);
    }
}
