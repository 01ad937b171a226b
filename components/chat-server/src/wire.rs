//! One connection, encrypted or not: socket, input and output.

mod output_buffer;

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::ReadBuf;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use kit::send_queue::{SendQueue, Unacknowledged};
use kit::stream::Stream;
use kit::unfinished::{Unfinished, UnfinishedInput};

use crate::config::Config;
use crate::dialect::decoder::BeginsRaw;
use crate::dialect::framing::{Framer, Message};
use output_buffer::OutputBuffer;

/// The size of a read. The buffer is on the stack, so that an idle connection holds none.
const READ: usize = 8 * 1024;
/// Idle time after which a peer is probed.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
/// Interval of the probes.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(3);
/// After this many unanswered probes the peer has vanished, and its name is free.
const KEEPALIVE_TRIES: u32 = 3;
/// Time limit for the peer to read the last output.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long further input is discarded after that ([`kit::linger`]).
pub(crate) const LINGER: Duration = Duration::from_secs(1);
/// How much further input is discarded.
const LINGER_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) stream: Stream,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) framer: Framer,
    pub(crate) out: OutputBuffer,
    /// The connection comes through a proxy: `peer` is the client, and TCP acknowledgements show only what the proxy has.
    pub(crate) is_proxied: bool,
    /// The memory of incomplete input, and of input beyond the rate limit.
    unfinished: Unfinished,
    /// The time of the last read.
    read_at: Instant,
}

/// The result of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// This many bytes.
    Some(usize),
    /// Nothing for now.
    Nothing,
    /// The peer will send no more.
    End,
    /// Too much incomplete input; see [`kit::unfinished`].
    Refused,
}

impl Wire {
    /// Configures a new connection. The kernel ends it once sent data has not been acknowledged for `write-timeout`: while data is in
    /// flight keepalive does not probe, and without this limit a vanished peer would stay online for another quarter of an hour (`tcp(7)`:
    /// `tcp_retries2`, `TCP_USER_TIMEOUT`; RFC 5482).
    pub(crate) fn new(
        stream: impl Into<Stream>,
        peer: SocketAddr,
        config: &Config,
        unfinished: &UnfinishedInput,
        begins_raw: BeginsRaw,
    ) -> std::io::Result<Self> {
        use rustix::net::sockopt;
        let idle_timeout = config.write_timeout;
        let stream = stream.into();
        let local = stream.local_addr()?;
        stream.set_nodelay();
        let socket = stream.as_fd();
        let _ = sockopt::set_socket_keepalive(socket, true);
        let _ = sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE);
        let _ = sockopt::set_tcp_keepintvl(socket, KEEPALIVE_EVERY);
        let _ = sockopt::set_tcp_keepcnt(socket, KEEPALIVE_TRIES);
        #[cfg(target_os = "linux")]
        let _ = sockopt::set_tcp_user_timeout(
            socket,
            u32::try_from(idle_timeout.as_millis()).unwrap_or(u32::MAX),
        );
        #[cfg(not(target_os = "linux"))]
        let _ = idle_timeout;
        Ok(Self {
            stream,
            local,
            peer,
            framer: Framer::new(config.quiet, begins_raw),
            out: OutputBuffer::default(),
            is_proxied: false,
            unfinished: unfinished.of(peer.ip()),
            read_at: Instant::now(),
        })
    }

    /// Probes the peer every second from now on (`often`), or at the default interval. The kernel does not end the connection because of
    /// these probes.
    pub(crate) fn probe(&self, often: bool) {
        use rustix::net::sockopt;
        let second = Duration::from_secs(1);
        let (tries, every, idle) = if often {
            (KEEPALIVE_TRIES * 4, second, second)
        } else {
            (KEEPALIVE_TRIES, KEEPALIVE_EVERY, KEEPALIVE_IDLE)
        };
        let socket = self.stream.as_fd();
        // A failure only delays the result.
        let _ = sockopt::set_tcp_keepcnt(socket, tries);
        let _ = sockopt::set_tcp_keepintvl(socket, every);
        let _ = sockopt::set_tcp_keepidle(socket, idle);
    }

    /// Reads what is there without waiting. A task that has used up its budget gets [`Read::Nothing`]: it must then wait with something
    /// that yields, such as `tokio::select!`, and not call this again directly.
    pub(crate) fn read(&mut self) -> Read {
        // Callers wait with `readable`, so no waker is needed.
        match self.poll_read(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Read::Nothing,
            Poll::Ready(read) => read,
        }
    }

    /// Waits for input until `deadline`; then returns [`Read::Nothing`].
    pub(crate) async fn read_until(&mut self, deadline: Instant) -> Read {
        let refused = self.unfinished.end();
        // Polled with the task's own context, so that a peer that sends continuously leaves other tasks their turn.
        let read = poll_fn(|context| self.poll_read(context));
        let read = tokio::select! {
            biased;
            () = refused.cancelled() => Read::Refused,
            read = tokio::time::timeout_at(deadline, read) => read.unwrap_or(Read::Nothing),
        };
        self.out.write_to(&self.stream);
        read
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Read> {
        ready!(self.unfinished.poll_room(context));
        // On the stack and not in the future, so that an idle connection holds no buffer.
        let mut space = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut space);
        if ready!(self.stream.poll_read(context, &mut buffer)).is_err() {
            // A reset. Earlier input has been read before it, at least on Linux, which keeps it.
            self.out.mark_broken();
            return Poll::Ready(Read::End);
        }
        let bytes = buffer.filled();
        let out = &mut self.out;
        let read_at = Instant::now();
        self.framer.silent_for(read_at.duration_since(self.read_at));
        self.read_at = read_at;
        // A peer that does not read its refusals gets no more of them.
        self.framer.push(bytes, |refusal| {
            if !out.has_enough() {
                out.push(&refusal);
            }
        });
        if !bytes.is_empty() && !self.framer.has_line() {
            self.acknowledge_at_once();
        }
        self.account(0);
        Poll::Ready(if bytes.is_empty() { Read::End } else { Read::Some(bytes.len()) })
    }

    /// Waits until there is input, and memory for it.
    pub(crate) async fn readable(&self) -> std::io::Result<()> {
        // One task reads, so the socket need not keep a list of who waits.
        poll_fn(|context| {
            ready!(self.unfinished.poll_room(context));
            self.stream.poll_read_ready(context)
        })
        .await
    }

    /// Discards the input that was not handled.
    pub(crate) fn discard_input(&mut self) {
        self.framer.discard();
        self.unfinished.holds(0);
    }

    /// Accounts for the memory of this peer's input: the incomplete message, and if a message of `waits` bytes waits for the rate limit,
    /// that one and all input after it.
    pub(crate) fn account(&mut self, waits: usize) {
        let is_waiting = waits == 0 && self.framer.has_line();
        self.unfinished.holds(if is_waiting { 0 } else { self.framer.held() + waits });
    }

    /// Cancelled if the peer exceeds its share of memory.
    pub(crate) fn end(&mut self) -> CancellationToken {
        self.unfinished.end()
    }

    /// Whether the peer exceeded its share of memory.
    pub(crate) fn is_refused(&self) -> bool {
        self.unfinished.is_refused()
    }

    /// Waits until the peer exceeds its share of memory.
    pub(crate) async fn refused(&self) {
        self.unfinished.refused().await;
    }

    /// Whether sent data is not acknowledged yet.
    pub(crate) fn is_in_flight(&self, send_queue: &SendQueue) -> bool {
        matches!(self.unacknowledged(send_queue), Unacknowledged::Bytes(1..))
    }

    /// How much of what was written the peer's machine does not have.
    pub(crate) fn unacknowledged(&self, send_queue: &SendQueue) -> Unacknowledged {
        self.stream.unacknowledged(send_queue, self.local, self.peer)
    }

    /// The last message after the end of input, if it has no newline. Of an encrypted connection that was cut off nobody knows whether it
    /// is complete, so there is none.
    pub(crate) fn finish(&mut self) -> Option<Message> {
        if self.stream.is_truncated() { None } else { self.framer.finish() }
    }

    /// An incomplete message arrived: the peer's system may hold the rest back until this part is acknowledged (RFC 896), which ours would
    /// delay by 40 ms or more (`tcp(7)`: `TCP_QUICKACK`, whose effect is temporary).
    fn acknowledge_at_once(&self) {
        // A failure only adds latency.
        #[cfg(target_os = "linux")]
        let _ = rustix::net::sockopt::set_tcp_quickack(&self.stream, true);
    }

    /// Writes the queued output and `bytes`, before the session runs. A disconnected peer is no error: its input is still to be read.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.out.push(bytes);
        let deadline = Instant::now() + LAST_WORDS;
        while !self.out.is_empty() {
            self.out.write_to(&self.stream);
            if !self.out.is_empty() {
                tokio::time::timeout_at(deadline, self.stream.writable()).await??;
            }
        }
        Ok(())
    }

    /// Sends the last output, and closes so that it arrives.
    pub(crate) async fn close_with(mut self, words: Bytes) {
        self.discard_input();
        // If it cannot be written, the peer has disconnected.
        if self.write(&words).await.is_ok() {
            self.close(LINGER).await;
        }
    }

    /// Resets the connection. Unacknowledged output is dropped, so that it is not delivered twice.
    pub(crate) fn abort(self) {
        // If this fails, the peer may receive some output twice.
        self.stream.abort();
    }

    /// Closes: sends no more, and discards further input.
    pub(crate) async fn close(mut self, linger: Duration) {
        self.discard_input();
        self.stream.linger(linger, LINGER_BYTES).await;
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use rustix::net::sockopt;
    use std::io::Write;

    /// Both ends of a connection.
    async fn pair() -> (std::net::TcpStream, Wire) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let wire = Wire::new(stream, peer, &Config::default(), &UnfinishedInput::default(), |_| true);
        (client, wire.unwrap())
    }

    #[tokio::test]
    async fn a_piece_of_a_line_is_acknowledged_at_once_and_a_whole_one_with_its_answer() {
        for (sent, at_once) in [("bo", true), ("bob: hi\n", false)] {
            let (mut client, mut wire) = pair().await;
            // As in any conversation: acknowledgements wait to be sent with an answer.
            sockopt::set_tcp_quickack(&wire.stream, false).unwrap();
            client.write_all(sent.as_bytes()).unwrap();
            let read = wire.read_until(Instant::now() + Duration::from_secs(20)).await;
            assert_eq!(read, Read::Some(sent.len()));
            assert_eq!(sockopt::tcp_quickack(&wire.stream).unwrap(), at_once, "{sent:?}");
        }
    }
}
