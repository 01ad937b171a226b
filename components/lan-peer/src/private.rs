//! Private files: our own, mode 600, and not reached through another user's symbolic link.

use std::fs::{File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Readable and writable by its owner.
pub(crate) const MODE: u32 = 0o600;

/// Opens a file for reading and writing, and creates it if missing.
///
/// # Errors
/// When it cannot be opened, or belongs to another user, who could read what is written.
pub(crate) fn open(path: &Path) -> std::io::Result<File> {
    refuse_foreign_link(path)?;
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(MODE).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(foreign("is not a file of the user that runs this"));
    }
    Ok(file)
}

/// Removes other users' permissions from a file of ours, such as one of an earlier version.
///
/// # Errors
/// See [`open`].
pub(crate) fn close_to_others(path: &Path) -> std::io::Result<()> {
    let file = open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 == 0 {
        Ok(())
    } else {
        file.set_permissions(Permissions::from_mode(MODE))
    }
}

/// Refuses another user's symbolic link, whose target we do not control; our own links are fine.
///
/// # Errors
/// When the path is such a link.
pub(crate) fn refuse_foreign_link(path: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() && found.uid() != rustix::process::geteuid().as_raw() => {
            Err(foreign("is a symbolic link that another user has made"))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn foreign(what: &str) -> std::io::Error {
    std::io::Error::new(
        ErrorKind::PermissionDenied,
        format!("it {what}; remove it, or use another data directory"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_are_made_and_kept_for_their_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        close_to_others(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        close_to_others(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        open(&link).unwrap();
        if !rustix::process::geteuid().is_root() {
            return;
        }
        // Somebody else's link, and somebody else's file.
        std::os::unix::fs::lchown(&link, Some(4242), None).unwrap();
        let refused = open(&link).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");
        std::os::unix::fs::chown(&path, Some(4242), None).unwrap();
        assert_eq!(open(&path).unwrap_err().kind(), ErrorKind::PermissionDenied);
    }
}
