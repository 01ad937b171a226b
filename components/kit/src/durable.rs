//! Renames and replaces files so that the change survives a power failure.
//!
//! A rename is durable only once the directory is synced; until then a crash may restore the old file or leave neither (Pillai et al., "All
//! File Systems Are Not Created Equal", 2014). Files that may be lost are renamed with `std::fs::rename`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::files;

/// Extension of incomplete files.
const PART: &str = "part";

/// Renames a file whose content is already synced, and syncs both directories.
///
/// # Errors
/// When it cannot be renamed, or a directory cannot be synced; then the new name may be lost in a crash.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    sync_directory_of(to)?;
    if directory_of(from) == directory_of(to) { Ok(()) } else { sync_directory_of(from) }
}

/// Replaces the content of a file: after a crash at any moment the file holds all of the old content or all of the new. The mode
/// is set whatever the umask and whatever mode an earlier file had.
///
/// # Errors
/// When it cannot be written, renamed or synced.
pub fn replace(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let part = part_of(path);
    let written = write(&part, mode, content).and_then(|()| rename(&part, path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = std::fs::remove_file(&part);
    }
    written
}

/// The temporary path for writing a file: in the same directory, with the process id, because another process may write the same file.
#[must_use]
pub fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.{PART}", std::process::id()));
    name.into()
}

/// Syncs the directory of a path, after the entry was created, changed or removed.
///
/// # Errors
/// When the directory cannot be opened or synced.
pub fn sync_directory_of(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

fn write(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut file = files::open(path, OpenOptions::new().write(true).create(true).truncate(true))?;
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_completely_and_with_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        replace(&path, 0o600, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_cannot_take_its_place_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let taken = directory.path().join("taken");
        std::fs::create_dir_all(taken.join("by a directory")).unwrap();
        replace(&taken, 0o600, b"new").unwrap_err();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_name_without_a_directory_is_in_the_current_one() {
        assert_eq!(directory_of(Path::new("chat.db")), Path::new("."));
        assert_eq!(directory_of(Path::new("/data/chat.db")), Path::new("/data"));
    }

    #[test]
    fn a_file_moves_to_another_directory() {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (directory.path().join("old"), directory.path().join("new"));
        [&old, &new].into_iter().for_each(|path| std::fs::create_dir(path).unwrap());
        std::fs::write(old.join("file"), "x").unwrap();
        rename(&old.join("file"), &new.join("file")).unwrap();
        assert!(new.join("file").exists());
    }

    /// The system calls of another test under strace: each call with the last component of the last path in it.
    #[cfg(target_os = "linux")]
    fn calls_of(test: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let trace = directory.path().join("trace");
        let mut strace = std::process::Command::new("strace");
        strace.args(["-f", "-y", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2", "-o"]).arg(&trace);
        strace.arg(std::env::current_exe().unwrap()).args(["--exact", test]);
        let output = strace.output().expect("strace can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let trace = std::fs::read_to_string(&trace).unwrap();
        let call = |line: &str| {
            let path = line.strip_suffix(" = 0")?.trim_end_matches([' ', '>', '"', ')']);
            let what = if line.contains(" rename") { "rename" } else { "sync" };
            Some(format!("{what} {}", path.rsplit('/').next()?))
        };
        trace.lines().filter_map(call).collect()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_is_on_the_disk_with_its_directory() {
        if std::env::var("P2P_TEST_SKIP_STRACE").is_ok_and(|skip| skip == "1") {
            return;
        }
        let replaced = calls_of("durable::tests::a_file_is_replaced_completely_and_with_its_mode");
        let [content, name, directory] = &replaced[..] else { panic!("{replaced:?}") };
        assert!(content.starts_with("sync token.") && name == "rename token", "{replaced:?}");
        assert!(directory.starts_with("sync .tmp"), "{replaced:?}");
        let moved = calls_of("durable::tests::a_file_moves_to_another_directory");
        assert_eq!(moved, ["rename file", "sync new", "sync old"]);
    }
}
