//! Receives a child's status messages: the server side of the `sd_notify(3)` protocol.
//!
//! Each incarnation has a socket of its own, so that late messages of an earlier one are not attributed to it.
//!
//! The kernel identifies the sender of a datagram; only the child's process group is accepted. That includes helpers that the child starts
//! in its group, such as `systemd-notify`.

use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::sanitise;
use rustix::process::Pid;
use tokio::io::Interest;
use tokio::net::UnixDatagram;

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

/// The socket of one incarnation; removed when dropped.
#[derive(Debug)]
pub(super) struct Socket {
    socket: UnixDatagram,
    /// The new socket at the path after the first one was deleted. Senders that were connected continue to use the first.
    again: Option<UnixDatagram>,
    path: PathBuf,
}

impl Socket {
    /// Binds a path. Only this user may send to it, and root.
    pub(super) fn bind(path: PathBuf) -> io::Result<Self> {
        Ok(Self { socket: bound(&path)?, again: None, path })
    }

    /// The value of `$NOTIFY_SOCKET` for the child.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Binds the path again after it was deleted: the child uses the path. Its owner may send to it.
    pub(super) fn renew(&mut self, owner: Option<u32>) -> io::Result<()> {
        // A socket that exists was not deleted, or is unused.
        let _ = std::fs::remove_file(&self.path);
        self.again = Some(bound(&self.path)?);
        // Without it only root may send.
        chown(&self.path, owner, None)
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

fn bound(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    senders::ask_for(&socket)?;
    Ok(socket)
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

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_stranger_is_not_listened_to() {
        let dir = tempfile::tempdir().unwrap();
        let socket = Socket::bind(dir.path().join("socket")).unwrap();
        let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
        sender.send_to(b"READY=1", socket.path()).unwrap();
        // We are not in init's process group.
        assert_eq!(socket.receive(Pid::INIT).await.unwrap(), []);
        assert_eq!(socket.receive_now(Pid::INIT), None);
    }
}
