//! Receives a child's status messages: the server side of the `sd_notify(3)` protocol.
//!
//! Each incarnation has a socket of its own, so that late messages of an earlier one are not attributed to it. The sockets are in the run
//! directory, or in a private temporary directory if that path is too long for a socket address.
//!
//! The kernel identifies the sender of a datagram; only the child's process group is accepted. That includes helpers that the child starts
//! in its group, such as `systemd-notify`.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::sanitise;
use rustix::process::Pid;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use uuid::Uuid;

use crate::run_dir::private_dir;

/// `sun_path` has 108 bytes, including the terminating zero.
const MAX_PATH: usize = 107;

/// The longest file name: a component's name, a dot, and an epoch.
const MAX_NAME: usize = 40 + 1 + 20;

/// The longest datagram in bytes; the rest of a longer one is lost.
const MAX_DATAGRAM: usize = 4096;

/// The longest status in characters.
const MAX_STATUS: usize = 200;

/// A message of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotifyMessage {
    Ready,
    /// It cannot serve for now, for this reason: our extension `X_P2P_UNREADY=…`.
    Unready(String),
    /// It is stopping.
    Stopping,
    /// Its status, in one line.
    Status(String),
    /// Feeds the watchdog.
    Alive,
    /// It requests a restart (`WATCHDOG=trigger`).
    Stuck,
    /// It needs at least this much more time.
    Extend(Duration),
}

/// The directory of the sockets; removed with its content when dropped.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    /// Creates an empty directory.
    pub(super) fn make(run_dir: &Path) -> io::Result<Self> {
        let path = std::path::absolute(run_dir.join("notify"))?;
        if path.as_os_str().as_bytes().len() + 1 + MAX_NAME <= MAX_PATH {
            match std::fs::remove_dir_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => private_dir(&path)?,
            }
            return Ok(Self(path));
        }
        // Fails if it exists, so that it cannot be another user's.
        let path = std::env::temp_dir().join(format!("p2p-{}", Uuid::new_v4().simple()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Whether it still exists.
    pub(super) fn is_in_place(&self) -> bool {
        self.0.is_dir()
    }

    /// Creates it again after it was deleted.
    pub(super) fn renew(&self) -> io::Result<()> {
        private_dir(&self.0)
    }

    /// Creates the socket of an incarnation.
    pub(super) fn socket(&self, component: &str, epoch: u64) -> io::Result<Socket> {
        let path = self.0.join(format!("{component}.{epoch}"));
        let socket = UnixDatagram::bind(&path)?;
        senders::ask_for(&socket)?;
        Ok(Socket { socket, again: None, path })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The socket of one incarnation; removed when dropped.
#[derive(Debug)]
pub(super) struct Socket {
    socket: UnixDatagram,
    /// The new socket at the path after the first one was deleted. Senders that were connected continue to use the first.
    again: Option<UnixDatagram>,
    path: PathBuf,
}

impl Socket {
    /// The value of `$NOTIFY_SOCKET` for the child.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Binds the path again after it was deleted: the child uses the path.
    pub(super) fn renew(&mut self) -> io::Result<()> {
        // A socket that exists was not deleted, or is unused.
        let _ = std::fs::remove_file(&self.path);
        let socket = UnixDatagram::bind(&self.path)?;
        senders::ask_for(&socket)?;
        self.again = Some(socket);
        Ok(())
    }

    /// Waits for the next datagram; empty unless it comes from a process of this group.
    pub(super) async fn receive(&self, group: Pid) -> io::Result<Vec<NotifyMessage>> {
        loop {
            let again = async {
                match &self.again {
                    Some(socket) => socket.readable().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                readable = self.socket.readable() => readable?,
                readable = again => readable?,
            }
            match self.try_receive(group) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => return received.map(|datagram| parse(&datagram)),
            }
        }
    }

    /// A datagram that has already arrived.
    pub(super) fn receive_now(&self, group: Pid) -> Option<Vec<NotifyMessage>> {
        self.try_receive(group).ok().map(|datagram| parse(&datagram))
    }

    fn try_receive(&self, group: Pid) -> io::Result<Vec<u8>> {
        let receive =
            |socket: &UnixDatagram| socket.try_io(Interest::READABLE, || senders::receive(socket, group));
        match (receive(&self.socket), &self.again) {
            (Err(error), Some(again)) if error.kind() == io::ErrorKind::WouldBlock => receive(again),
            (received, _) => received,
        }
    }
}

/// Datagrams with the sender's process id.
#[cfg(target_os = "linux")]
mod senders {
    use std::io::{self, IoSliceMut};
    use std::mem::MaybeUninit;

    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg, sockopt};
    use rustix::process::{Pid, getpgid};
    use tokio::net::UnixDatagram;

    use super::MAX_DATAGRAM;

    /// Makes the kernel add the sender's credentials.
    pub(super) fn ask_for(socket: &UnixDatagram) -> io::Result<()> {
        Ok(sockopt::set_socket_passcred(socket, true)?)
    }

    /// Receives a datagram; empty if it comes from elsewhere. File descriptors in it are closed, which is what the sender of a barrier
    /// waits for.
    pub(super) fn receive(socket: &UnixDatagram, group: Pid) -> io::Result<Vec<u8>> {
        let mut bytes = [0; MAX_DATAGRAM];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1), ScmRights(4))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let length = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags)?.bytes;
        let is_ours = ancillary.drain().any(|message| match message {
            RecvAncillaryMessage::ScmCredentials(sender) => is_of(sender.pid, group),
            _ => false,
        });
        Ok(if is_ours { bytes[..length].to_vec() } else { Vec::new() })
    }

    /// The leader has not been reaped, so its id is valid; for others the kernel is asked.
    fn is_of(sender: Pid, group: Pid) -> bool {
        sender == group || getpgid(Some(sender)) == Ok(group)
    }
}

/// Without credentials on this system, the private directory of the socket must be sufficient.
#[cfg(not(target_os = "linux"))]
mod senders {
    use std::io;

    use rustix::process::Pid;
    use tokio::net::UnixDatagram;

    use super::MAX_DATAGRAM;

    pub(super) fn ask_for(_: &UnixDatagram) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn receive(socket: &UnixDatagram, _: Pid) -> io::Result<Vec<u8>> {
        let mut bytes = [0; MAX_DATAGRAM];
        let (length, _) = rustix::net::recv(socket, &mut bytes, rustix::net::RecvFlags::DONTWAIT)?;
        Ok(bytes[..length].to_vec())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Ignores unknown messages: the protocol has many.
fn parse(datagram: &[u8]) -> Vec<NotifyMessage> {
    let text = String::from_utf8_lossy(datagram);
    let said = text.lines().filter_map(|line| match line.split_once('=')? {
        ("READY", "1") => Some(NotifyMessage::Ready),
        ("STOPPING", "1") => Some(NotifyMessage::Stopping),
        ("WATCHDOG", "1") => Some(NotifyMessage::Alive),
        ("WATCHDOG", "trigger") => Some(NotifyMessage::Stuck),
        ("EXTEND_TIMEOUT_USEC", micros) => {
            micros.parse().ok().map(Duration::from_micros).map(NotifyMessage::Extend)
        }
        ("STATUS", status) => Some(NotifyMessage::Status(shown(status))),
        ("X_P2P_UNREADY", reason) => Some(NotifyMessage::Unready(shown(reason))),
        _ => None,
    });
    said.collect()
}

fn shown(text: &str) -> String {
    sanitise::line(text).chars().take(MAX_STATUS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_read_line_by_line() {
        let said = parse(b"READY=1\nSTATUS=on 127.0.0.1:5000\x1b[2J\nMAINPID=7\nnothing\nSTOPPING=1\n");
        assert_eq!(
            said,
            [
                NotifyMessage::Ready,
                NotifyMessage::Status("on 127.0.0.1:5000[2J".to_owned()),
                NotifyMessage::Stopping
            ]
        );
        assert_eq!(parse(b"READY=0\n\xFF\xFF=\nEXTEND_TIMEOUT_USEC=-1\nWATCHDOG=2"), []);
        let life = parse(b"WATCHDOG=1\nEXTEND_TIMEOUT_USEC=1500\nWATCHDOG=trigger");
        assert_eq!(
            life,
            [NotifyMessage::Alive, NotifyMessage::Extend(Duration::from_micros(1500)), NotifyMessage::Stuck]
        );
        assert_eq!(parse(b"X_P2P_UNREADY=no\x07 room"), [NotifyMessage::Unready("no room".to_owned())]);
        let long = format!("STATUS={}", "x".repeat(4000));
        assert_eq!(parse(long.as_bytes()), [NotifyMessage::Status("x".repeat(MAX_STATUS))]);
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_for_a_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x".repeat(100));
        for run_dir in [dir.path(), &deep] {
            let directory = Directory::make(run_dir).unwrap();
            let socket = directory.socket(&"c".repeat(40), u64::MAX).unwrap();
            let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
            sender.send_to(b"READY=1", socket.path()).unwrap();
            let us = rustix::process::getpgrp();
            assert_eq!(socket.receive(us).await.unwrap(), [NotifyMessage::Ready]);
            let path = directory.0.clone();
            drop((socket, directory));
            assert!(!path.exists());
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_stranger_is_not_listened_to() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::make(dir.path()).unwrap();
        let socket = directory.socket("chat", 1).unwrap();
        let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
        sender.send_to(b"READY=1", socket.path()).unwrap();
        // We are not in init's process group.
        assert_eq!(socket.receive(Pid::INIT).await.unwrap(), []);
        assert_eq!(socket.receive_now(Pid::INIT), None);
    }
}
