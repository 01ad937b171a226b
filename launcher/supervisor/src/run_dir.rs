//! The directory of locks and sockets.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The run directory of a data directory.
#[must_use]
pub fn run_dir(data: &Path) -> PathBuf {
    data.join("run")
}

/// Creates a private directory, or makes an existing one private.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}
