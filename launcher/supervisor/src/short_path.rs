//! Short names for sockets in directories whose path may be too long for a socket address.
//!
//! `sockaddr_un` has 108 bytes. The directory is opened, and the socket is named through `/proc/self/fd`, which is always short. Only this
//! process can use such a name.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// The short path of a file; valid until dropped.
pub struct ShortPath {
    path: PathBuf,
    _directory: File,
}

impl ShortPath {
    /// The short path of `name` in `directory`, which must exist.
    pub fn to(directory: &Path, name: &str) -> io::Result<Self> {
        let directory = File::open(directory)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()));
        Ok(Self { path, _directory: directory })
    }

    /// The path to use instead of the long one.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
