//! Opening files for writing: private, and only at the intended place.
//!
//! New files have mode 0600, and opening an existing file of ours for writing removes other users' permissions. A symbolic link is followed
//! if it belongs to us or root, as operators create them. It is refused if it belongs to somebody else, or if anybody could replace it at
//! any time: in a world-writable directory without the sticky bit.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// The permission bits of group and others.
const OTHERS: u32 = 0o077;

/// Sets the umask so that others cannot read files that this process or its children create. Returns the previous umask.
pub fn set_private_umask() -> u32 {
    rustix::process::umask(Mode::RWXG | Mode::RWXO).bits()
}

/// Sets the umask, for a program that is not ours.
pub fn set_umask(umask: u32) {
    rustix::process::umask(Mode::from_bits_truncate(umask));
}

/// Opens a file for writing with `options` and additional open(2) flags.
///
/// # Errors
/// When it cannot be opened, or the path is a symbolic link that must not be followed.
pub fn open_with(path: &Path, options: &mut OpenOptions, flags: OFlags) -> io::Result<File> {
    let follow = is_link(path)?;
    // A link that is created in the meantime is not followed.
    let flags = if follow { flags } else { flags | OFlags::NOFOLLOW };
    let flags = i32::try_from(flags.bits()).expect("the flags of open(2) fit an int");
    let file = options.mode(0o600).custom_flags(flags).open(path)?;
    let meta = file.metadata()?;
    let ours = meta.is_file() && meta.uid() == rustix::process::geteuid().as_raw();
    if ours && meta.mode() & OTHERS != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// The same without additional flags.
///
/// # Errors
/// As [`open_with`].
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    open_with(path, options, OFlags::empty())
}

/// Creates a private directory and its missing parents; an existing one stays as it is.
///
/// # Errors
/// When it cannot be created.
pub fn make_directory(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Whether the path is a link that may be followed; usually there is none.
fn is_link(path: &Path) -> io::Result<bool> {
    let meta = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if !meta.is_symlink() {
        return Ok(false);
    }
    let (owner, us) = (meta.uid(), rustix::process::geteuid().as_raw());
    let refuse = |why: String| {
        let what = format!("{} is a symbolic link {why}; remove it", path.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
    };
    if owner != us && owner != 0 {
        return refuse(format!("made by another user (uid {owner})"));
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if std::fs::metadata(directory)?.mode() & 0o1002 == 0o002 {
        return refuse("in a directory that everybody can write to".to_owned());
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn append(path: &Path) -> io::Result<File> {
        open(path, OpenOptions::new().append(true).create(true))
    }

    #[test]
    fn what_is_made_or_opened_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let (new, old) = (dir.path().join("new"), dir.path().join("old"));
        append(&new).unwrap();
        std::fs::write(&old, "x").unwrap();
        std::fs::set_permissions(&old, Permissions::from_mode(0o644)).unwrap();
        append(&old).unwrap();
        assert_eq!((mode(&new), mode(&old)), (0o600, 0o600));
    }

    #[test]
    fn our_links_are_followed_but_not_where_everybody_can_put_them() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        append(&link).unwrap();
        assert!(target.exists());
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        let refused = append(&link).unwrap_err().to_string();
        assert!(refused.contains("link is a symbolic link in a directory that everybody"), "{refused}");
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o1777)).unwrap();
        append(&link).unwrap();
    }

    #[test]
    fn the_link_of_another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(65534), None).unwrap();
        let refused = append(&link).unwrap_err().to_string();
        assert!(refused.contains("made by another user (uid 65534)"), "{refused}");
        assert!(!target.exists());
    }
}
