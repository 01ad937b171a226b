//! The listening sockets that we open for the components and keep over their restarts, so that a restart refuses nobody.
//!
//! * A component's sockets are opened before its first start, and each of its processes inherits them as `sd_listen_fds(3)` says:
//!   descriptors from 3 on, with `LISTEN_FDS` and `LISTEN_FDNAMES`. `LISTEN_PID` is left out: only the child could know it.
//! * While it is down and about to come back, connections wait in the sockets' queues.
//! * One that is stopped or given up has no sockets: who connects is refused, as it should be.

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

/// The descriptors that a child finds sockets at; nothing that a child inherits otherwise may have one of these numbers.
pub(crate) const RESERVED_END: i32 = FIRST + MAX;

/// The sockets that are open, by their addresses.
#[derive(Debug)]
pub(crate) struct Listeners {
    open: BTreeMap<SocketAddr, TcpListener>,
    /// Keeps the children's numbers from being used for what lives shortly, such as the pipe by which a start reports its
    /// failure: that would be overwritten in the child.
    _reserved: Vec<File>,
}

/// What a process is to inherit.
#[derive(Debug, Default)]
pub(crate) struct Inheritance(Vec<(String, OwnedFd)>);

impl Listeners {
    /// None is open.
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

    /// Opens what is not open yet. When one cannot be had, none is opened.
    pub(crate) fn open<'a>(&mut self, wanted: impl Iterator<Item = &'a Listen>) -> Result<(), ListenError> {
        let mut new = BTreeMap::new();
        // With port 0 the system chooses, at each start anew: such a component opens its socket itself.
        for listen in wanted.filter(|listen| listen.address.port() != 0) {
            if !self.open.contains_key(&listen.address) && !new.contains_key(&listen.address) {
                new.insert(listen.address, kit::listen::open(listen.address)?);
            }
        }
        self.open.append(&mut new);
        Ok(())
    }

    /// What a process of a component with these sockets inherits; missing ones are opened.
    pub(crate) fn bequeath(&mut self, wanted: &[Listen]) -> std::io::Result<Inheritance> {
        self.open(wanted.iter()).map_err(std::io::Error::other)?;
        let mut sockets = Vec::new();
        for listen in wanted {
            if let Some(socket) = self.open.get(&listen.address) {
                sockets.push((listen.name.clone(), socket.try_clone()?.into()));
            }
        }
        Ok(Inheritance(sockets))
    }

    /// Closes ours of these sockets. A process that has them keeps them until it ends.
    pub(crate) fn close(&mut self, unwanted: &[Listen]) {
        unwanted.iter().for_each(|listen| drop(self.open.remove(&listen.address)));
    }

    /// Closes all but these.
    pub(crate) fn keep<'a>(&mut self, wanted: impl Iterator<Item = &'a Listen>) {
        let wanted: Vec<SocketAddr> = wanted.map(|listen| listen.address).collect();
        self.open.retain(|address, _| wanted.contains(address));
    }
}

impl Inheritance {
    /// Lets the program that the command starts have the sockets.
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
        listeners.bequeath(&[listen(address)]).unwrap().give_to(&mut command).unwrap();
        let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert!(said.starts_with("1 api.listen none\nsocket:["), "{said}");
    }

    #[test]
    fn a_socket_is_there_until_it_is_closed() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut listeners = Listeners::new().unwrap();
        listeners.open([listen(address)].iter()).unwrap();
        drop(listeners.bequeath(&[listen(address)]).unwrap());
        std::net::TcpStream::connect(address).unwrap();
        listeners.keep([listen(address)].iter());
        std::net::TcpStream::connect(address).unwrap();
        listeners.close(&[listen(address)]);
        std::net::TcpStream::connect(address).unwrap_err();
    }
}
