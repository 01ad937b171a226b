//! Finds the process that listens on a port: `/proc/net/tcp{,6}` has the socket's inode, `/proc/PID/fd` its owner (`proc(5)`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use protocol::sanitise;

use crate::supervisor::proc;

/// The state of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";
/// The useful length of a command line.
const COMMAND_CHARS: usize = 60;

/// The owner of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// A process that we may inspect.
    Process { pid: u32, command: String },
    /// A process of another user.
    User { uid: u32 },
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, command } => write!(f, "pid {pid} ({command})"),
            Self::User { uid } => write!(f, "a process of user {uid}"),
        }
    }
}

/// The owner of the socket that prevents binding an address. Linux only, and only as far as we have access.
pub(super) fn owner_of(address: SocketAddr) -> Option<Owner> {
    let sockets = listening().into_iter();
    let mut rivals: Vec<Socket> = sockets.filter(|socket| socket.conflicts_with(address)).collect();
    rivals.sort_by_key(|socket| socket.address != address);
    let first = rivals.first()?;
    rivals.iter().find_map(|socket| holder(socket.inode)).or(Some(Owner::User { uid: first.uid }))
}

struct Socket {
    address: SocketAddr,
    uid: u32,
    inode: u64,
}

impl Socket {
    fn conflicts_with(&self, address: SocketAddr) -> bool {
        let wildcard = self.address.ip().is_unspecified() || address.ip().is_unspecified();
        self.address.port() == address.port() && (wildcard || self.address.ip() == address.ip())
    }
}

fn listening() -> Vec<Socket> {
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(socket).collect()
}

/// `  0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 12345 …`
fn socket(line: &str) -> Option<Socket> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, local, _, LISTEN, _, _, _, uid, _, inode, ..] = fields.as_slice() else { return None };
    Some(Socket { address: address(local)?, uid: uid.parse().ok()?, inode: inode.parse().ok()? })
}

/// An address is written as 32-bit words in the machine's byte order, the port as a plain hexadecimal number.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for word in ip.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let ip: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn holder(inode: u64) -> Option<Owner> {
    let target = format!("socket:[{inode}]");
    let pid = proc::pids().find(|pid| holds(*pid, &target))?;
    // A process may set any name; control characters must not reach the terminal.
    let command = sanitise::short_line(&proc::command(pid), COMMAND_CHARS).into_owned();
    Some(Owner::Process { pid, command })
}

fn holds(pid: u32, target: &str) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|link| link == Path::new(target)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn the_kernels_addresses_are_read() {
        assert_eq!(address("0100007F:1F40").unwrap(), "127.0.0.1:8000".parse().unwrap());
        assert_eq!(address("00000000000000000000000001000000:1388").unwrap(), "[::1]:5000".parse().unwrap());
        assert_eq!(address("nonsense"), None);
    }
}
