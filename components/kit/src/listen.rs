//! Opens listening sockets, or takes those that were opened for us, and says plainly when that does not work.
//!
//! Whoever starts a process may open its sockets for it and hand them over, as `sd_listen_fds(3)` says: then they outlive it, and
//! while it is restarted connections wait instead of being refused. A socket is known by its address, so a component says
//! [`bind`] either way. `LISTEN_PID` may be missing: the launcher cannot know it before there is a process.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use rustix::io::{FdFlags, fcntl_setfd};
use tokio::net::TcpListener;

/// How many connections may wait to be accepted; the system may allow fewer. More than come in while a process is restarted.
const BACKLOG: i32 = 4096;

/// What was handed over and not yet asked for.
static INHERITED: Mutex<Vec<std::net::TcpListener>> = Mutex::new(Vec::new());

/// A listening socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", hint(.source))]
pub struct ListenError {
    address: SocketAddr,
    source: std::io::Error,
}

fn hint(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "the port is taken by another program".to_owned(),
        std::io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        std::io::ErrorKind::PermissionDenied => "ports below 1024 need special permissions".to_owned(),
        _ => error.to_string(),
    }
}

/// Takes over the sockets that whoever started us has opened for us. Call it once, before anything else runs: it changes the
/// environment, so that no process we start takes them for its own.
pub fn inherit() {
    let mut given = listenfd::ListenFd::from_env();
    for index in 0..given.len() {
        // What is no listening TCP socket is not for us.
        if let Ok(Some(listener)) = given.take_tcp_listener(index) {
            // Without the flag a program that we start would have it, too; nothing else is wrong with that.
            let _ = fcntl_setfd(&listener, FdFlags::CLOEXEC);
            INHERITED.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
        }
    }
}

/// Opens a socket and listens, without waiting for anything. Port 0 asks the system for a free one.
///
/// # Errors
/// When the address is taken, not ours, or not allowed.
pub fn open(address: SocketAddr) -> Result<std::net::TcpListener, ListenError> {
    let failed = |source| ListenError { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    // The second call only changes the length of the queue.
    rustix::net::listen(&listener, BACKLOG).map_err(|error| failed(error.into()))?;
    Ok(listener)
}

/// Listens on the socket that was handed over for this address, or else on a new one. Port 0 asks the system for a free one.
///
/// # Errors
/// When the address is taken, not ours, or not allowed.
#[expect(clippy::unused_async, reason = "a socket of tokio's can only be made within its runtime")]
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let listener = inherited(address).map_or_else(|| open(address), Ok)?;
    let registered = listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
    registered.map_err(|source| ListenError { address, source })
}

fn inherited(address: SocketAddr) -> Option<std::net::TcpListener> {
    let mut sockets = INHERITED.lock().unwrap_or_else(PoisonError::into_inner);
    let index = sockets.iter().position(|socket| socket.local_addr().is_ok_and(|local| local == address))?;
    Some(sockets.swap_remove(index))
}

/// Where a program on this machine reaches a server that listens on `address`: loopback where that is "every address".
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Raises the limit of open files to what the system allows; a server needs one for each connection.
pub fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // What cannot be raised is left; connections past the limit are refused with a message.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_was_handed_over_is_taken_once_and_only_for_its_address() {
        let given = open("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = given.local_addr().unwrap();
        INHERITED.lock().unwrap().push(given);
        let other = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        assert_ne!(other.local_addr().unwrap(), address);
        let taken = bind(address).await.unwrap();
        assert_eq!(taken.local_addr().unwrap(), address);
        let error = bind(address).await.unwrap_err();
        assert!(error.to_string().contains("is taken by another program"), "{error}");
    }
}
