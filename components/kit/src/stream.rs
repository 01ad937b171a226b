//! The bytes under a connection: TCP, TLS over TCP, or a Unix socket. One type, so that what is above them has one way for all.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::send_queue::{SendQueue, Unacknowledged};
use crate::tls::connection::{RECORD, TlsStream};

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
    pub(crate) async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, peer)| (Stream::Tcp(stream), peer)),
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| (Stream::Unix(stream), HERE)),
        }
    }
}

/// One connection's bytes.
#[derive(Debug)]
pub enum Stream {
    /// Plain text.
    Tcp(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream>),
    /// On this machine.
    Unix(UnixStream),
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<TlsStream> for Stream {
    fn from(stream: TlsStream) -> Self {
        Self::Tls(Box::new(stream))
    }
}

/// Does the same with either socket.
macro_rules! socket {
    ($stream:expr, $one:ident => $done:expr) => {
        match $stream {
            Stream::Tcp($one) => $done,
            Stream::Tls(tls) => {
                let $one = &tls.tcp;
                $done
            }
            Stream::Unix($one) => $done,
        }
    };
}

/// Does the same with any stream.
macro_rules! either {
    ($stream:expr, $one:ident => $done:expr) => {
        match $stream {
            Stream::Tcp($one) => $done,
            Stream::Tls($one) => $done,
            Stream::Unix($one) => $done,
        }
    };
}

impl Stream {
    /// Our address.
    ///
    /// # Errors
    /// If the connection is broken.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr(),
            Self::Tls(stream) => stream.tcp.local_addr(),
            Self::Unix(_) => Ok(HERE),
        }
    }

    /// Whether it is encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether the input ended in a way that anybody on the network can cause: without the end of TLS. A message without an end is then
    /// incomplete. Plain text has no such end.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.is_truncated())
    }

    fn has_input(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.has_input())
    }

    /// Whether [`Stream::poll_read`] may return something; if not, the task is woken once it may. Only the last task that asked is.
    ///
    /// # Errors
    /// If the connection is broken.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_input() {
            Poll::Ready(Ok(()))
        } else {
            socket!(self, stream => stream.poll_read_ready(cx))
        }
    }

    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        socket!(self, stream => stream.poll_write_ready(cx))
    }

    /// Waits until [`Stream::poll_read`] may return something.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn readable(&self) -> io::Result<()> {
        if self.has_input() { Ok(()) } else { socket!(self, stream => stream.readable().await) }
    }

    /// Waits until [`Stream::try_write`] may write something.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn writable(&self) -> io::Result<()> {
        socket!(self, stream => stream.writable().await)
    }

    /// Reads what is there.
    ///
    /// # Errors
    /// If the connection is broken, or what arrives is no TLS.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            // Unlike `try_read`, this knows that a read that did not fill the buffer took everything, and saves a system call.
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(_) => loop {
                ready!(self.poll_read_ready(cx))?;
                match self.try_read_buf(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return Poll::Ready(read.map(|_| ())),
                }
            },
        }
    }

    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        either!(self, stream => stream.try_read(buffer))
    }

    pub(crate) fn try_read_buf(&self, buffer: &mut ReadBuf<'_>) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read_buf(buffer),
            Self::Unix(stream) => stream.try_read_buf(buffer),
            Self::Tls(stream) => {
                let count = stream.try_read(buffer.initialize_unfilled())?;
                buffer.advance(count);
                Ok(count)
            }
        }
    }

    /// Writes what the kernel takes without waiting. A caller that is told to wait must offer the same bytes again, with or without more
    /// behind them.
    ///
    /// # Errors
    /// `WouldBlock`, or if the connection is broken.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        either!(self, stream => stream.try_write(bytes))
    }

    pub(crate) fn try_write_vectored(&self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        either!(self, stream => stream.try_write_vectored(pieces))
    }

    /// How much of what was written the peer's machine does not have; on this machine there is nothing between. A peer can read a record
    /// of TLS only once it has all of it, so that one counts as missing completely.
    #[must_use]
    pub fn unacknowledged(&self, queue: &SendQueue, local: SocketAddr, peer: SocketAddr) -> Unacknowledged {
        match self {
            Self::Tcp(stream) => queue.ask(stream, local, peer),
            Self::Tls(stream) => match queue.ask(&stream.tcp, local, peer) {
                Unacknowledged::Bytes(bytes @ 1..) => Unacknowledged::Bytes(bytes + RECORD as u64),
                answer => answer,
            },
            Self::Unix(_) => Unacknowledged::Unknown,
        }
    }

    /// Writes at once what is written: Nagle's algorithm would only delay it.
    pub fn set_nodelay(&self) {
        match self {
            // A failure only adds latency.
            Self::Tcp(stream) => drop(stream.set_nodelay(true)),
            Self::Tls(stream) => drop(stream.tcp.set_nodelay(true)),
            Self::Unix(_) => {}
        }
    }

    /// For answers: the kernel holds at most `send_buffer` bytes.
    pub(crate) fn tune(&self, send_buffer: usize) {
        self.set_nodelay();
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(self, send_buffer);
    }

    /// What is unsent is discarded at the end.
    pub fn abort(&self) {
        if let Self::Tcp(_) | Self::Tls(_) = self {
            // A closed connection has no output left.
            let _ = rustix::net::sockopt::set_socket_linger(self, Some(Duration::ZERO));
        }
    }

    /// Sends no more.
    pub(crate) fn shutdown(&self) -> io::Result<()> {
        if let Self::Tls(stream) = self {
            stream.close();
        }
        rustix::net::shutdown(self, rustix::net::Shutdown::Write).map_err(io::Error::from)
    }

    /// Closes so that the last output arrives ([`crate::linger`]); on this machine it has arrived already.
    pub async fn linger(&self, within: Duration, bytes: usize) {
        match self {
            Self::Tcp(stream) => crate::linger::linger(stream, within, bytes).await,
            Self::Tls(stream) => {
                stream.close();
                crate::linger::linger(&stream.tcp, within, bytes).await;
            }
            Self::Unix(_) => drop(self.shutdown()),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        socket!(self, stream => stream.as_fd())
    }
}
