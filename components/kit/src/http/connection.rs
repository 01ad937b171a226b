//! The state of one connection: how long its peer keeps the server waiting, whether it belongs to our own processes, and how far its
//! answers were delivered.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::stream::Stream;
use crate::unfinished::{Unfinished, UnfinishedInput};

/// The minimum rate at which a peer must read answers and send bodies. The slowest links in use are several times faster.
const BYTES_PER_SECOND: f64 = 1024.0;
/// A peer that has fallen behind by this much is disconnected.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// The same for WebSockets, which are long-lived and may lose their network for a while.
const UPGRADED_PATIENCE: Duration = Duration::from_secs(60);

/// Most bytes that are read and discarded before a finished connection is closed.
const LINGER_BYTES: usize = 1024 * 1024;

/// The same for our own processes, such as a backup that is piped into a pager.
const OWN_PATIENCE: Duration = Duration::from_secs(600);

/// One connection. Handlers find it among the extensions of their requests.
#[derive(Debug)]
pub struct Connection {
    pub(super) stream: Stream,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    /// The client: the peer, or the client behind a proxy.
    pub(super) client: SocketAddr,
    /// Cancelled when another connection needs this one's place or its share of the memory for incomplete input.
    pub(super) closed: CancellationToken,
    pub(super) changed: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Waiting for a request, or the rest of one.
    request: Wait,
    /// No request is in progress; waiting starts once there is nothing to read.
    is_idle: bool,
    /// Waiting for the peer to read.
    answer: Wait,
    /// Its request is queued. That is not the peer's fault, but closing the connection loses no work yet.
    queued: Wait,
    patience: Duration,
    is_own: bool,
    progress: Progress,
    input: Input,
}

/// Input that may be incomplete: a request's head and body, or a WebSocket frame.
#[derive(Debug)]
struct Input {
    bytes: usize,
    /// Complete input that cannot be passed on yet.
    waiting: usize,
    is_upgraded: bool,
    unfinished: Unfinished,
}

impl Input {
    fn set(&mut self, bytes: usize) {
        self.bytes = bytes;
        self.unfinished.holds(bytes + self.waiting);
    }
}

/// The time since which the peer has kept us waiting, moved forward by its progress.
#[derive(Debug, Default)]
struct Wait(Option<Instant>);

impl Wait {
    fn begin(&mut self) {
        self.0.get_or_insert_with(Instant::now);
    }

    fn moved(&mut self, bytes: usize) {
        if let Some(since) = &mut self.0 {
            #[expect(clippy::cast_precision_loss, reason = "a buffer's length is far below 2^52")]
            let earned = Duration::from_secs_f64(bytes as f64 / BYTES_PER_SECOND);
            *since = (*since + earned).min(Instant::now());
        }
    }

    fn end(&mut self) {
        self.0 = None;
    }
}

/// The progress of a connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// How often all output had been passed to the kernel.
    pub(super) flushes: u64,
    /// Reads that returned data.
    pub(super) reads: u64,
    /// The peer has closed its sending side.
    pub(super) ended: bool,
    /// The connection failed.
    pub(super) broken: bool,
    /// The first byte was that of a TLS handshake, and the port has no TLS.
    pub(super) began_with_tls: bool,
    /// The HTTP implementation has finished with it.
    pub(super) released: bool,
}

impl Connection {
    pub(super) fn new(
        stream: Stream,
        peer: SocketAddr,
        client: SocketAddr,
        unfinished: &UnfinishedInput,
    ) -> std::io::Result<Self> {
        let local = stream.local_addr()?;
        let mut unfinished = unfinished.of(client.ip());
        let closed = unfinished.end();
        let state = State {
            request: Wait::default(),
            is_idle: true,
            answer: Wait::default(),
            queued: Wait::default(),
            patience: PATIENCE,
            is_own: false,
            progress: Progress::default(),
            input: Input { bytes: 0, waiting: 0, is_upgraded: false, unfinished },
        };
        let changed = Notify::new();
        Ok(Self { stream, local, peer, client, closed, changed, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding this lock")
    }

    /// Marks it as carrying the service token: its place is never given to another connection.
    pub(super) fn mark_as_own(&self) {
        let mut state = self.state();
        state.is_own = true;
        state.input.set(0);
        state.patience = OWN_PATIENCE;
    }

    /// Marks it as a WebSocket. What was read so far may be the start of its first frame.
    pub(super) fn mark_as_upgraded(&self) {
        let mut state = self.state();
        state.patience = UPGRADED_PATIENCE;
        state.input.is_upgraded = true;
    }

    /// Counts bytes read. Input of our own processes is not limited.
    pub(super) fn read(&self, bytes: usize) {
        let mut state = self.state();
        state.progress.reads += 1;
        if !state.is_own {
            let bytes = state.input.bytes + bytes;
            state.input.set(bytes);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Whether more may be read ([`Unfinished::poll_room`]).
    pub(super) fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        self.state().input.unfinished.poll_room(context)
    }

    /// The input is complete (a request, or all messages of a WebSocket but for less than one read) or was discarded.
    pub fn input_complete(&self) {
        self.state().input.set(0);
    }

    /// A WebSocket: a control frame was received, possibly between the parts of a message.
    pub fn received_control_frame(&self, bytes: usize) {
        let mut state = self.state();
        let left = state.input.bytes.saturating_sub(bytes);
        state.input.set(left);
    }

    /// A WebSocket: bytes of complete messages that cannot be passed on yet. They count like incomplete input.
    pub fn holds(&self, bytes: usize) {
        let mut state = self.state();
        state.input.waiting = bytes;
        let unread = state.input.bytes;
        state.input.set(unread);
    }

    /// A WebSocket: waits until it must be closed, because incomplete input exceeds the common limit and it holds the most.
    pub async fn refused(&self) {
        self.closed.cancelled().await;
    }

    /// Reads and discards input for up to `within`, so that the last output arrives ([`crate::linger`]). Call it when nobody else reads or
    /// writes any more.
    pub async fn linger(&self, within: Duration) {
        self.stream.linger(within, LINGER_BYTES).await;
    }

    #[cfg(test)]
    pub(super) fn set_patience(&self, patience: Duration) {
        self.state().patience = patience;
    }

    /// Waits for the peer to send the rest of a request.
    pub(super) fn await_request(&self) {
        self.state().request.begin();
    }

    /// An answer has ended: waits for the peer's next request.
    pub(super) fn answer_ended(&self) {
        let mut state = self.state();
        state.is_idle = true;
        if !state.input.is_upgraded {
            state.input.set(0);
        }
    }

    /// There was nothing to read.
    pub(super) fn read_nothing(&self) {
        let mut state = self.state();
        if state.is_idle {
            state.request.begin();
        }
    }

    /// Bytes of a body arrived.
    pub(super) fn received(&self, bytes: usize) {
        self.state().request.moved(bytes);
    }

    /// A request was received, completely or as far as it is needed.
    pub(super) fn request_received(&self) {
        let mut state = self.state();
        state.is_idle = false;
        state.request.end();
    }

    /// The peer does not read at present.
    pub(super) fn blocked(&self) {
        self.state().answer.begin();
    }

    /// The peer accepted these bytes.
    pub(super) fn wrote(&self, bytes: usize) {
        self.state().answer.moved(bytes);
    }

    /// All output was accepted.
    pub(super) fn flushed(&self) {
        let mut state = self.state();
        state.answer.end();
        state.progress.flushes += 1;
        drop(state);
        self.changed.notify_waiters();
    }

    /// When the peer is disconnected unless it continues its request.
    pub(super) fn request_deadline(&self) -> Option<Instant> {
        let state = self.state();
        state.request.0.map(|since| since + state.patience)
    }

    /// When the peer is disconnected unless it reads.
    pub(super) fn answer_deadline(&self) -> Option<Instant> {
        let state = self.state();
        state.answer.0.map(|since| since + state.patience)
    }

    /// Marks its request as queued until the returned guard is dropped. Meanwhile its place may be given to another connection: otherwise
    /// expensive requests would keep out all cheap ones.
    #[must_use]
    pub fn queue(&self) -> Queued<'_> {
        self.state().queued.begin();
        Queued(self)
    }

    /// The time since which it has been waited for or queued; `None` if its place may not be given away.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        let since = [state.request.0, state.answer.0, state.queued.0].into_iter().flatten().min();
        since.filter(|_| !state.is_own)
    }

    pub(super) fn progress(&self) -> Progress {
        self.state().progress
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.state().progress);
        self.changed.notify_waiters();
    }

    /// Waits until all earlier output was written, so that no more is prepared for a peer that does not read.
    ///
    /// `flushes` is [`Connection::flushes`] before that output was passed on.
    pub async fn flushed_since(&self, flushes: u64) {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            let progress = self.progress();
            if progress.flushes > flushes || progress.released || progress.broken {
                return;
            }
            changed.await;
        }
    }

    /// How often all output had been written.
    #[must_use]
    pub fn flushes(&self) -> u64 {
        self.progress().flushes
    }

    /// Whether it is encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }

    /// Discards unsent output, which the kernel would otherwise hold for minutes.
    pub(super) fn abort(&self) {
        self.stream.abort();
    }
}

/// A queued request.
#[derive(Debug)]
pub struct Queued<'c>(&'c Connection);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.state().queued.end();
    }
}
