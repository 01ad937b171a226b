//! Opens listening sockets or takes over inherited ones, with clear errors.
//!
//! A parent process may open sockets and pass them on, as in `sd_listen_fds(3)`: then they outlive a restart, during which connections wait
//! instead of being refused. Inherited sockets are identified by their address, so a component calls [`bind`] either way. `LISTEN_PID` may
//! be missing, because the launcher cannot know it before the process exists.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use rustix::io::{FdFlags, fcntl_setfd};
use tokio::net::TcpListener;

/// Most connections waiting to be accepted; the system may allow fewer. Sufficient for the duration of a restart.
const BACKLOG: i32 = 4096;

/// Pause after a failed accept.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// Inherited sockets that are not used yet.
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

/// Takes over the sockets that the parent process passed on. Call it once, before anything else runs: it changes the environment, so that
/// child processes do not use these sockets.
pub fn inherit() {
    let mut given = listenfd::ListenFd::from_env();
    for index in 0..given.len() {
        // Other descriptors than listening TCP sockets are ignored.
        if let Ok(Some(listener)) = given.take_tcp_listener(index) {
            // If setting the flag fails, child processes inherit the socket, which is harmless.
            let _ = fcntl_setfd(&listener, FdFlags::CLOEXEC);
            INHERITED.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
        }
    }
}

/// Opens a listening socket without blocking. Port 0 lets the system choose a port.
///
/// # Errors
/// When the address is in use, not local, or not permitted.
pub fn open(address: SocketAddr) -> Result<std::net::TcpListener, ListenError> {
    let failed = |source| ListenError { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    // The second call only changes the backlog.
    rustix::net::listen(&listener, BACKLOG).map_err(|error| failed(error.into()))?;
    Ok(listener)
}

/// Listens on the inherited socket for this address, or else on a new one. Port 0 lets the system choose a port.
///
/// # Errors
/// When the address is in use, not local, or not permitted.
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

/// Accepts a connection. Waits briefly if the system is out of files or memory, to avoid a busy loop.
pub(crate) async fn retried<T, F: Future<Output = std::io::Result<T>>>(accept: impl Fn() -> F) -> T {
    loop {
        match accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The address at which programs on this machine reach a server that listens on `address`: loopback if that is the wildcard address.
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Raises the limit of open files to the maximum; a server needs one per connection.
pub fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Failure is ignored; connections over the limit are refused with a message.
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
