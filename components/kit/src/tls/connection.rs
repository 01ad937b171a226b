//! An encrypted connection, used like a socket: without waiting, and with the socket's readiness.
//!
//! * Reading: decrypted bytes that are left over make it readable, whatever the socket says.
//! * Writing: bytes count as written only once the kernel has all of the record that holds them. Until then the caller offers the same
//!   bytes again, as with OpenSSL's `SSL_write`; so what counts as written is not held here, and the kernel can say what arrived of it.
//!
//! Bound: one record of each direction, and what rustls holds of a handshake message.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::ServerConnection;
use tokio::net::TcpStream;

/// Most plain text in a record (RFC 8446, 5.1).
pub(crate) const RECORD: usize = 16 * 1024;

/// The server's end of a connection whose handshake is complete.
#[derive(Debug)]
pub struct TlsStream {
    pub(crate) tcp: TcpStream,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tls: ServerConnection,
    /// Decrypted bytes that are not read yet.
    unread: usize,
    /// The caller's bytes in records that the kernel does not have completely.
    owed: usize,
    /// The peer's TCP ended without the end of TLS: somebody may have cut it off.
    is_truncated: bool,
    /// The end of input was reported.
    is_ended: bool,
}

/// The socket as rustls uses it.
pub(super) struct Socket<'s>(pub(super) &'s TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes all records that are ready.
pub(super) fn flush(tls: &mut ServerConnection, tcp: &TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        if tls.write_tls(&mut Socket(tcp))? == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}

impl TlsStream {
    pub(super) fn new(tcp: TcpStream, mut tls: ServerConnection) -> Self {
        let unread = tls.process_new_packets().map_or(0, |state| state.plaintext_bytes_to_read());
        let state = State { tls, unread, owed: 0, is_truncated: false, is_ended: false };
        Self { tcp, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a read returns something without the socket.
    pub(crate) fn has_input(&self) -> bool {
        let state = self.state();
        state.unread > 0 || state.is_ended
    }

    /// Whether input ended without the peer's saying so within TLS.
    pub(crate) fn is_truncated(&self) -> bool {
        self.state().is_truncated
    }

    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        loop {
            match state.tls.reader().read(buffer) {
                Ok(0) => {
                    state.is_ended = true;
                    return Ok(0);
                }
                Ok(count) => {
                    state.unread = state.unread.saturating_sub(count);
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => state.receive(&self.tcp)?,
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    (state.is_truncated, state.is_ended) = (true, true);
                    return Ok(0);
                }
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.state().write(&self.tcp, |tls| tls.writer().write(&bytes[..bytes.len().min(RECORD)]))
    }

    pub(crate) fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.state().write(&self.tcp, |tls| tls.writer().write_vectored(pieces))
    }

    /// Says that nothing more follows. A peer that does not read is not told.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.tls.send_close_notify();
        let _ = flush(&mut state.tls, &self.tcp);
    }
}

impl State {
    /// Reads from the socket once.
    fn receive(&mut self, tcp: &TcpStream) -> io::Result<()> {
        self.tls.read_tls(&mut Socket(tcp))?;
        let processed = self.tls.process_new_packets();
        // An alert, or the answer to a new key; if the socket is full, it goes with the next output.
        let _ = flush(&mut self.tls, tcp);
        let processed = processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        self.unread = processed.plaintext_bytes_to_read();
        Ok(())
    }

    fn write(
        &mut self,
        tcp: &TcpStream,
        encrypt: impl FnOnce(&mut ServerConnection) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.owed == 0 {
            flush(&mut self.tls, tcp)?;
            self.owed = encrypt(&mut self.tls)?;
        }
        flush(&mut self.tls, tcp)?;
        Ok(std::mem::take(&mut self.owed))
    }
}
