//! The bytes under a connection: TCP, or a Unix socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// The address that stands for the peers of a Unix socket: they are on this machine.
const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Where a server listens.
#[derive(Debug)]
pub enum Listener {
    /// At an address.
    Tcp(TcpListener),
    /// In the file system.
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, peer)| (Stream::Tcp(stream), peer)),
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| (Stream::Unix(stream), HERE)),
        }
    }
}

/// One connection's bytes.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Does the same with either.
macro_rules! either {
    ($stream:expr, $one:ident => $done:expr) => {
        match $stream {
            Stream::Tcp($one) => $done,
            Stream::Unix($one) => $done,
        }
    };
}

impl Stream {
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr(),
            Self::Unix(_) => Ok(HERE),
        }
    }

    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read_ready(cx))
    }

    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_write_ready(cx))
    }

    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        either!(self, stream => stream.try_read(buffer))
    }

    pub(super) fn try_read_buf(&self, buffer: &mut ReadBuf<'_>) -> io::Result<usize> {
        either!(self, stream => stream.try_read_buf(buffer))
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        either!(self, stream => stream.try_write(bytes))
    }

    pub(super) fn try_write_vectored(&self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        either!(self, stream => stream.try_write_vectored(pieces))
    }

    /// Answers are written at once: Nagle's algorithm would only delay them. The kernel holds at most `send_buffer` bytes.
    pub(super) fn tune(&self, send_buffer: usize) {
        if let Self::Tcp(stream) = self {
            let _ = stream.set_nodelay(true);
        }
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(self, send_buffer);
    }

    /// What is unsent is discarded at the end.
    pub(super) fn abort(&self) {
        if let Self::Tcp(stream) = self {
            // A closed connection has no output left.
            let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
        }
    }

    /// Closes so that the last output arrives ([`crate::linger`]); on this machine it has arrived already.
    pub(super) async fn linger(&self, within: Duration, bytes: usize) {
        match self {
            Self::Tcp(stream) => crate::linger::linger(stream, within, bytes).await,
            Self::Unix(stream) => {
                let _ = rustix::net::shutdown(stream, rustix::net::Shutdown::Write);
            }
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        either!(self, stream => stream.as_fd())
    }
}
