//! The directories of the notification sockets.
//!
//! They are in the run directory, or in a private temporary directory if that path is too long for a socket address. Programs that run as
//! another user cannot reach these: theirs are in a directory of the system's that anyone may pass through. Nobody may list it, and each
//! socket belongs to the user who may send to it; that its sender is of the component is checked as for the others.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::notify::Socket;
use crate::run_dir::private_dir;

/// `sun_path` has 108 bytes, including the terminating zero.
const MAX_PATH: usize = 107;

/// The longest file name: a component's name, a dot, and an epoch.
const MAX_NAME: usize = 40 + 1 + 20;

/// Where the system's services have their sockets.
const SYSTEM: &str = "/run";

/// The mode of a directory that others may pass through.
const PASSABLE: u32 = 0o711;

/// The directories; removed with their content when dropped.
#[derive(Debug)]
pub(super) struct Sockets {
    private: PathBuf,
    run_dir: PathBuf,
    /// The one for programs of other users, once there is such a program.
    passable: Option<PathBuf>,
}

impl Sockets {
    /// Creates an empty directory.
    pub(super) fn make(run_dir: &Path) -> io::Result<Self> {
        let run_dir = std::path::absolute(run_dir)?;
        let path = run_dir.join("notify");
        if path.as_os_str().as_bytes().len() + 1 + MAX_NAME <= MAX_PATH {
            remove(&path)?;
            private_dir(&path)?;
            return Ok(Self { private: path, run_dir, passable: None });
        }
        let path = temporary();
        // Fails if it exists, so that it cannot be another user's.
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { private: path, run_dir, passable: None })
    }

    /// Whether they still exist.
    pub(super) fn is_in_place(&self) -> bool {
        self.private.is_dir() && self.passable.as_ref().is_none_or(|path| path.is_dir())
    }

    /// Creates them again after they were deleted.
    pub(super) fn renew(&self) -> io::Result<()> {
        private_dir(&self.private)?;
        match &self.passable {
            Some(path) if !path.is_dir() => make_passable(path),
            Some(_) | None => Ok(()),
        }
    }

    /// Creates the socket of an incarnation.
    pub(super) fn socket(&mut self, component: &str, epoch: u64, is_of_other: bool) -> io::Result<Socket> {
        let directory = if is_of_other { self.passable()? } else { &self.private };
        Socket::bind(directory.join(format!("{component}.{epoch}")))
    }

    fn passable(&mut self) -> io::Result<&Path> {
        let path = match self.passable.take() {
            Some(path) => path,
            None => new_passable(&self.run_dir)?,
        };
        Ok(self.passable.insert(path))
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        for path in std::iter::once(&self.private).chain(&self.passable) {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

/// Creates a directory that others may pass through. One that a killed launcher of the same run directory has left is replaced, where nobody
/// but root may make directories.
fn new_passable(run_dir: &Path) -> io::Result<PathBuf> {
    let is_roots = std::fs::metadata(SYSTEM).is_ok_and(|meta| meta.uid() == 0 && meta.mode() & 0o022 == 0);
    if is_roots {
        let meta = std::fs::metadata(run_dir)?;
        let path = Path::new(SYSTEM).join(format!("p2p-notify-{:x}-{:x}", meta.dev(), meta.ino()));
        if remove(&path).and_then(|()| make_passable(&path)).is_ok() {
            return Ok(path);
        }
    }
    // Not writable for us, as in some containers.
    let path = temporary();
    make_passable(&path)?;
    Ok(path)
}

fn make_passable(path: &Path) -> io::Result<()> {
    // Fails if it exists, so that it cannot be another user's.
    std::fs::DirBuilder::new().mode(0o700).create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(PASSABLE))
}

fn temporary() -> PathBuf {
    std::env::temp_dir().join(format!("p2p-{}", Uuid::new_v4().simple()))
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::notify::NotifyMessage;
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_for_a_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x".repeat(100));
        for run_dir in [dir.path(), &deep] {
            let mut sockets = Sockets::make(run_dir).unwrap();
            let socket = sockets.socket(&"c".repeat(40), u64::MAX, false).unwrap();
            let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
            sender.send_to(b"READY=1", socket.path()).unwrap();
            let us = rustix::process::getpgrp();
            assert_eq!(socket.receive(us).await.unwrap(), [NotifyMessage::Ready]);
            let path = sockets.private.clone();
            assert_eq!((mode(&path), mode(socket.path())), (0o700, 0o600));
            drop((socket, sockets));
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn others_may_pass_to_their_sockets_and_what_a_killed_launcher_left_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let left = {
            let mut sockets = Sockets::make(dir.path()).unwrap();
            let socket = sockets.socket("web", 1, true).unwrap();
            let path = socket.path().to_owned();
            assert_eq!((mode(path.parent().unwrap()), mode(&path)), (PASSABLE, 0o600));
            drop((socket, sockets));
            std::fs::create_dir(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            path
        };
        let mut sockets = Sockets::make(dir.path()).unwrap();
        let socket = sockets.socket("web", 1, true).unwrap();
        let directory = socket.path().parent().unwrap().to_owned();
        if directory.starts_with(SYSTEM) {
            assert_eq!(socket.path(), left);
        } else {
            std::fs::remove_dir_all(left.parent().unwrap()).unwrap();
        }
        drop(socket);
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(!sockets.is_in_place());
        sockets.renew().unwrap();
        assert!(sockets.is_in_place() && mode(&directory) == PASSABLE);
        drop(sockets);
        assert!(!directory.exists());
    }
}
