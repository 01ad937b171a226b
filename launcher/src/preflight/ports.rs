//! Checks that the configured addresses are free, and finds out who uses them if not.
//!
//! The result is a hint: a port may be taken a moment later. The component then reports the same error.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};

use super::owner::{Owner, owner_of};

/// An address that cannot be bound.
#[derive(Debug)]
pub struct Taken {
    /// Its configuration key.
    pub key: String,
    /// The address that is in use.
    pub address: SocketAddr,
    why: Why,
}

#[derive(Debug)]
enum Why {
    InUse(Option<Owner>),
    Other(io::Error),
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, address, why } = self;
        match why {
            Why::InUse(Some(owner)) => {
                write!(
                    f,
                    "{address} ({key}) is in use by {owner}; stop it, or set another address: --set {key}=127.0.0.1:PORT"
                )
            }
            Why::InUse(None) => {
                write!(
                    f,
                    "{address} ({key}) is in use by a program of another user; set another address: --set {key}=127.0.0.1:PORT"
                )
            }
            Why::Other(error) => match error.kind() {
                io::ErrorKind::AddrNotAvailable => {
                    write!(f, "{address} ({key}): this machine has no such address")
                }
                io::ErrorKind::PermissionDenied => {
                    write!(f, "{address} ({key}): ports below 1024 need special permissions")
                }
                _ => write!(f, "{address} ({key}): {error}"),
            },
        }
    }
}

/// Tries every address, and returns all that cannot be bound.
#[must_use]
pub fn check(listeners: &[(String, SocketAddr)]) -> Vec<Taken> {
    listeners.iter().filter_map(|(key, address)| try_address(key, *address)).collect()
}

/// Binds as the components do: the standard library sets `SO_REUSEADDR`, as tokio does, so connections in TIME_WAIT do not count.
fn try_address(key: &str, address: SocketAddr) -> Option<Taken> {
    let error = TcpListener::bind(address).err()?;
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => Why::InUse(owner_of(address)),
        _ => Why::Other(error),
    };
    Some(Taken { key: key.to_owned(), address, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_names_its_owner_and_all_taken_ones_are_told() {
        let sockets: Vec<TcpListener> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let six = TcpListener::bind("[::1]:0");
        let mut listeners: Vec<(String, SocketAddr)> =
            sockets.iter().map(|s| ("x.listen".to_owned(), s.local_addr().unwrap())).collect();
        listeners.extend(six.iter().map(|s| ("six.listen".to_owned(), s.local_addr().unwrap())));
        listeners.push(("free.listen".to_owned(), "127.0.0.1:0".parse().unwrap()));
        let taken = check(&listeners);
        assert_eq!(taken.len(), listeners.len() - 1);
        for one in taken {
            assert!(one.to_string().contains(&format!("pid {}", std::process::id())), "{one}");
        }
    }

    #[test]
    fn an_address_of_another_machine_is_told_apart() {
        let taken = check(&[("x.listen".to_owned(), "192.0.2.1:5000".parse().unwrap())]);
        assert!(taken[0].to_string().contains("no such address"), "{}", taken[0]);
    }
}
