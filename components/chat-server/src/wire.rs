//! One TCP connection: its socket, what came in, what goes out.

mod outgoing;

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use kit::send_queue::{SendQueue, Unacknowledged};
use kit::unfinished::{Unfinished, UnfinishedInput};

use crate::config::Config;
use crate::dialect::decoder::BeginsRaw;
use crate::dialect::framing::Framer;
use outgoing::Outgoing;

/// One read. Lives on the stack while reading, so that an idle connection holds no buffer.
const READ: usize = 8 * 1024;
/// A peer that is silent for this long is asked whether it lives…
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
/// …this often…
const KEEPALIVE_EVERY: Duration = Duration::from_secs(3);
/// …and after so many unanswered questions it is gone, and its name is free.
const KEEPALIVE_TRIES: u32 = 3;
/// How long a peer may take to read our last words.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long what a peer still sends is thrown away after that ([`kit::linger`]).
pub(crate) const LINGER: Duration = Duration::from_secs(1);
/// How much of it.
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// A connection.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) framer: Framer,
    pub(crate) out: Outgoing,
    /// Behind it is a proxy: `peer` is the client, and what TCP acknowledges says only what the proxy has.
    pub(crate) is_proxied: bool,
    /// What is held of messages that are not whole, or wait for the peer's allowance.
    unfinished: Unfinished,
    /// When something was read last.
    read_at: Instant,
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// So many bytes.
    Some(usize),
    /// None for now.
    Nothing,
    /// The end: the peer will send no more.
    End,
    /// What it sent and did not finish is too much; see [`kit::unfinished`].
    Refused,
}

impl Wire {
    /// Sets a fresh connection up. The kernel ends it once what was sent has not been acknowledged for `write-timeout`: while something
    /// is under way, keepalive asks nothing, and without this a peer that vanished would be online for another quarter of an hour
    /// (`tcp(7)`: `tcp_retries2`, `TCP_USER_TIMEOUT`; RFC 5482).
    pub(crate) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        config: &Config,
        unfinished: &UnfinishedInput,
        begins_raw: BeginsRaw,
    ) -> std::io::Result<Self> {
        use rustix::net::sockopt;
        let patience = config.write_timeout;
        let local = stream.local_addr()?;
        // What cannot be set costs promptness and nothing else.
        let _ = stream.set_nodelay(true);
        let socket = stream.as_fd();
        let _ = sockopt::set_socket_keepalive(socket, true);
        let _ = sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE);
        let _ = sockopt::set_tcp_keepintvl(socket, KEEPALIVE_EVERY);
        let _ = sockopt::set_tcp_keepcnt(socket, KEEPALIVE_TRIES);
        #[cfg(target_os = "linux")]
        let _ =
            sockopt::set_tcp_user_timeout(socket, u32::try_from(patience.as_millis()).unwrap_or(u32::MAX));
        #[cfg(not(target_os = "linux"))]
        let _ = patience;
        Ok(Self {
            stream,
            local,
            peer,
            framer: Framer::new(config.quiet, begins_raw),
            out: Outgoing::default(),
            is_proxied: false,
            unfinished: unfinished.of(peer.ip()),
            read_at: Instant::now(),
        })
    }

    /// Asks the peer every second whether it lives, beginning now, or as seldom as usual again. The kernel does not end the connection
    /// because of this.
    pub(crate) fn probe(&self, often: bool) {
        use rustix::net::sockopt;
        let second = Duration::from_secs(1);
        let (tries, every, idle) = if often {
            (KEEPALIVE_TRIES * 4, second, second)
        } else {
            (KEEPALIVE_TRIES, KEEPALIVE_EVERY, KEEPALIVE_IDLE)
        };
        let socket = self.stream.as_fd();
        // What cannot be set costs promptness and nothing else.
        let _ = sockopt::set_tcp_keepcnt(socket, tries);
        let _ = sockopt::set_tcp_keepintvl(socket, every);
        let _ = sockopt::set_tcp_keepidle(socket, idle);
    }

    /// Takes what is there to be read, without waiting. A task that has used up its budget is told that there is nothing: it must wait
    /// by something that yields then, as `tokio::select!` does, and not ask again by itself.
    pub(crate) fn read(&mut self) -> Read {
        // Whoever waits for more does so by `readable`, so nobody needs to be woken by this.
        match self.poll_read(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Read::Nothing,
            Poll::Ready(read) => read,
        }
    }

    /// Waits for something to read until `deadline`; [`Read::Nothing`] says that it passed.
    pub(crate) async fn read_until(&mut self, deadline: Instant) -> Read {
        let refused = self.unfinished.end();
        // Polled with the task's own context, so that a peer that never pauses leaves others their turn.
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
        // Unlike `try_read` it knows that a read which did not fill the buffer took everything: the system is not asked again.
        if ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)).is_err() {
            // A reset. What came before it was read before it, at least from Linux, which keeps that for us.
            self.out.break_off();
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

    /// Waits until there is something to read, and room for it.
    pub(crate) async fn readable(&self) -> std::io::Result<()> {
        self.unfinished.room().await;
        self.stream.readable().await
    }

    /// Throws away what came and was not taken.
    pub(crate) fn forget(&mut self) {
        self.framer.forget();
        self.unfinished.holds(0);
    }

    /// Says what is held of this peer's: what came and is no whole message; and where a message of so many bytes waits until the peer
    /// may send more, that one and all behind it.
    pub(crate) fn account(&mut self, waits: usize) {
        let is_waiting = waits == 0 && self.framer.has_line();
        self.unfinished.holds(if is_waiting { 0 } else { self.framer.held() + waits });
    }

    /// Cancelled when that is too much.
    pub(crate) fn end(&mut self) -> CancellationToken {
        self.unfinished.end()
    }

    /// Whether that is too much.
    pub(crate) fn is_refused(&self) -> bool {
        self.unfinished.is_refused()
    }

    /// Waits until it is.
    pub(crate) async fn refused(&self) {
        self.unfinished.refused().await;
    }

    /// Whether something that was sent to the peer is not acknowledged.
    pub(crate) fn is_in_flight(&self, send_queue: &SendQueue) -> bool {
        let unacknowledged = send_queue.ask(&self.stream, self.local, self.peer);
        matches!(unacknowledged, Unacknowledged::Bytes(1..))
    }

    /// A piece came of which there is more: the peer's system may hold the rest back until this is acknowledged (RFC 896), which ours
    /// would put off for 40 ms and more (`tcp(7)`: `TCP_QUICKACK`, which lasts for a while only).
    fn acknowledge_at_once(&self) {
        // What cannot be set costs promptness and nothing else.
        #[cfg(target_os = "linux")]
        let _ = rustix::net::sockopt::set_tcp_quickack(&self.stream, true);
    }

    /// Writes what waits and `bytes`, while nothing else is to be done. That the peer is gone is no error: what it sent before is still
    /// to be read.
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

    /// Says why, and closes so that it arrives.
    pub(crate) async fn part(mut self, words: Bytes) {
        self.forget();
        // A peer that does not want to hear it is gone all the same.
        if self.write(&words).await.is_ok() {
            self.close(LINGER).await;
        }
    }

    /// Breaks the connection off. What the peer has not acknowledged is dropped with it, and not shown to it later as well.
    pub(crate) fn abort(self) {
        // If it cannot be set, the peer may get some of it twice.
        let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
    }

    /// Closes: no more from us, and what the peer still says is not heard.
    pub(crate) async fn close(mut self, linger: Duration) {
        self.forget();
        kit::linger::linger(&self.stream, linger, LINGER_BYTES).await;
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use rustix::net::sockopt;
    use std::io::Write;

    /// A client's end and ours.
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
            // As in any conversation: acknowledgements wait for an answer to go with.
            sockopt::set_tcp_quickack(&wire.stream, false).unwrap();
            client.write_all(sent.as_bytes()).unwrap();
            let read = wire.read_until(Instant::now() + Duration::from_secs(20)).await;
            assert_eq!(read, Read::Some(sent.len()));
            assert_eq!(sockopt::tcp_quickack(&wire.stream).unwrap(), at_once, "{sent:?}");
        }
    }
}
