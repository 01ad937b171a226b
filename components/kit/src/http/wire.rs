//! The byte stream of a connection, as the HTTP implementation uses it. Every wait for the peer is tracked and has a deadline.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

use super::connection::Connection;
use crate::stream::Stream;
use crate::tls::accept::TLS_HANDSHAKE;

pub(super) struct Wire {
    connection: Arc<Connection>,
    /// Bytes that were read before, returned first.
    before: Vec<u8>,
    /// Fires when the peer has kept us waiting too long.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(super) fn new(connection: Arc<Connection>, before: Vec<u8>) -> Self {
        Self { connection, before, alarm: None }
    }

    pub(super) fn connection(&self) -> Arc<Connection> {
        Arc::clone(&self.connection)
    }

    fn broken(&self, error: &io::Error) {
        tracing::trace!(peer = %self.connection.peer, %error, "a connection broke");
        self.connection.note(|progress| progress.broken = true);
    }

    /// The peer does not read at present.
    fn blocked(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.connection.blocked();
        let Some(deadline) = self.connection.answer_deadline() else { return Poll::Pending };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        ready!(alarm.as_mut().poll(cx));
        self.connection.abort();
        self.connection.note(|progress| progress.broken = true);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read what it is sent")))
    }

    fn write(
        &mut self,
        cx: &mut Context<'_>,
        write: impl Fn(&Stream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.connection.stream.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.blocked(cx),
            }
            match write(&self.connection.stream) {
                Ok(count) => {
                    self.connection.wrote(count);
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    self.broken(&error);
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.before.is_empty() {
            let count = self.before.len().min(buffer.remaining());
            buffer.put_slice(&self.before[..count]);
            self.before.drain(..count);
            self.connection.read(count);
            return Poll::Ready(Ok(()));
        }
        let connection = &self.connection;
        ready!(connection.poll_room(cx));
        let before = buffer.filled().len();
        loop {
            let Poll::Ready(ready) = connection.stream.poll_read_ready(cx) else {
                connection.read_nothing();
                return Poll::Pending;
            };
            ready?;
            match connection.stream.try_read_buf(buffer) {
                Ok(0) => connection.note(|progress| progress.ended = true),
                Ok(count) => {
                    let is_hello = buffer.filled().get(before) == Some(&TLS_HANDSHAKE);
                    if is_hello && !connection.is_tls() && connection.progress().reads == 0 {
                        connection.note(|progress| progress.began_with_tls = true);
                    }
                    connection.read(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => {
                    self.broken(&error);
                    return Poll::Ready(Err(error));
                }
            }
            return Poll::Ready(Ok(()));
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream| stream.try_write_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Called when all output has been written.
    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.alarm = None;
        self.connection.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.connection.stream.shutdown())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.connection.note(|progress| progress.released = true);
    }
}
