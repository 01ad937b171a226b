//! The listening sockets of components, kept open across restarts, so that a restart refuses no connection.
//!
//! * A component's sockets are opened before its first start, and each of its processes inherits them as in `sd_listen_fds(3)`: descriptors
//!   from 3 on, with `LISTEN_FDS` and `LISTEN_FDNAMES`. `LISTEN_PID` is omitted: only the child could know it.
//! * While the component restarts, connections wait in the backlog.
//! * A component that is stopped or has failed has no sockets, so that connections are refused.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};
use kit::listen::ListenError;

use super::spec::Listen;

/// `SD_LISTEN_FDS_START`.
const FIRST: i32 = 3;

/// More sockets than any component has.
const MAX: i32 = 16;

/// The end of the range of descriptors for sockets in a child; no other inherited descriptor may be in it.
pub(crate) const RESERVED_END: i32 = FIRST + MAX;

/// The open sockets by address.
#[derive(Debug)]
pub(crate) struct Listeners {
    open: BTreeMap<SocketAddr, TcpListener>,
    /// Occupies the descriptors of that range, so that short-lived ones, such as the pipe by which a start reports its failure, are not
    /// overwritten in the child.
    _reserved: Vec<File>,
}

/// The sockets that a process inherits.
#[derive(Debug, Default)]
pub(crate) struct Inheritance(Vec<(String, OwnedFd)>);

impl Listeners {
    /// Without sockets.
    pub(crate) fn new() -> std::io::Result<Self> {
        let mut reserved = Vec::new();
        loop {
            let file = File::open("/dev/null")?;
            if file.as_raw_fd() >= RESERVED_END {
                return Ok(Self { open: BTreeMap::new(), _reserved: reserved });
            }
            reserved.push(file);
        }
    }

    /// Opens sockets that are not open yet; all or none.
    pub(crate) fn open<'a>(&mut self, wanted: impl Iterator<Item = &'a Listen>) -> Result<(), ListenError> {
        let mut new = BTreeMap::new();
        // With port 0 the system chooses the port at each start, so the component opens its socket itself.
        for listen in wanted.filter(|listen| listen.address.port() != 0) {
            if !self.open.contains_key(&listen.address) && !new.contains_key(&listen.address) {
                new.insert(listen.address, kit::listen::open(listen.address)?);
            }
        }
        self.open.append(&mut new);
        Ok(())
    }

    /// The sockets for a process of a component; missing ones are opened.
    pub(crate) fn inheritance(&mut self, wanted: &[Listen]) -> std::io::Result<Inheritance> {
        self.open(wanted.iter()).map_err(std::io::Error::other)?;
        let mut sockets = Vec::new();
        for listen in wanted {
            if let Some(socket) = self.open.get(&listen.address) {
                sockets.push((listen.name.clone(), socket.try_clone()?.into()));
            }
        }
        Ok(Inheritance(sockets))
    }

    /// Closes our copies of these sockets. A process that has inherited them keeps them until it ends.
    pub(crate) fn close(&mut self, unwanted: &[Listen]) {
        unwanted.iter().for_each(|listen| drop(self.open.remove(&listen.address)));
    }

    /// Closes all sockets except these.
    pub(crate) fn retain<'a>(&mut self, wanted: impl Iterator<Item = &'a Listen>) {
        let wanted: Vec<SocketAddr> = wanted.map(|listen| listen.address).collect();
        self.open.retain(|address, _| wanted.contains(address));
    }
}

impl Inheritance {
    /// Passes the sockets to the program that the command starts.
    pub(crate) fn give_to(self, command: &mut Command) -> std::io::Result<()> {
        command.env_remove("LISTEN_PID").env_remove("LISTEN_FDS").env_remove("LISTEN_FDNAMES");
        if self.0.is_empty() {
            return Ok(());
        }
        let (names, sockets): (Vec<String>, Vec<OwnedFd>) = self.0.into_iter().unzip();
        command.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
        let mappings = (FIRST..RESERVED_END).zip(sockets);
        let mappings = mappings.map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd });
        command.fd_mappings(mappings.collect()).map_err(std::io::Error::other)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(address: SocketAddr) -> Listen {
        Listen { name: "api.listen".to_owned(), address }
    }

    #[test]
    fn a_child_finds_its_sockets_from_descriptor_3_on() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut listeners = Listeners::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo $LISTEN_FDS $LISTEN_FDNAMES ${LISTEN_PID-none}; readlink /proc/self/fd/3"]);
        command.env("LISTEN_PID", "1");
        listeners.inheritance(&[listen(address)]).unwrap().give_to(&mut command).unwrap();
        let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert!(said.starts_with("1 api.listen none\nsocket:["), "{said}");
    }

    #[test]
    fn a_socket_is_there_until_it_is_closed() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut listeners = Listeners::new().unwrap();
        listeners.open([listen(address)].iter()).unwrap();
        drop(listeners.inheritance(&[listen(address)]).unwrap());
        std::net::TcpStream::connect(address).unwrap();
        listeners.retain([listen(address)].iter());
        std::net::TcpStream::connect(address).unwrap();
        listeners.close(&[listen(address)]);
        std::net::TcpStream::connect(address).unwrap_err();
    }
}
