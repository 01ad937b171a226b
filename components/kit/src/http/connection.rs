//! What the server knows of one connection: how long its peer makes it wait, whether it is one of our own, and how far its
//! answers have gone.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::linger::linger;
use crate::unfinished::{Unfinished, UnfinishedInput};

/// A peer that takes less than this of what it is sent, or sends less of what it announced, falls behind. The slowest links in
/// use carry several times as much.
const BYTES_PER_SECOND: f64 = 1024.0;
/// A peer that has fallen behind by this much is cut off.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// The same for what became a WebSocket, which lasts and may lose its network for a while.
const UPGRADED_PATIENCE: Duration = Duration::from_secs(60);

/// How much of what a connection that is over still sends is thrown away before it is closed.
const LINGER_BYTES: usize = 1024 * 1024;

/// The same for our own processes, among them a backup that somebody looks at page by page.
const OWN_PATIENCE: Duration = Duration::from_secs(600);

/// One connection. Handlers find it among the extensions of their requests.
#[derive(Debug)]
pub struct Connection {
    pub(super) stream: TcpStream,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    /// For whom it is: the peer, or who is behind a proxy.
    pub(super) client: SocketAddr,
    /// Cancelled when another connection needs this one's place, or what it holds of the memory for unfinished input.
    pub(super) closed: CancellationToken,
    pub(super) changed: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// For a request, or the rest of one.
    request: Wait,
    /// A request is the peer's to send; it makes us wait from when there was nothing to read.
    is_idle: bool,
    /// For the peer to take what is written.
    answer: Wait,
    /// Since when its request has waited for its turn. That is not the peer's fault, but nothing is lost with its place yet.
    queued: Wait,
    patience: Duration,
    is_own: bool,
    progress: Progress,
    input: Input,
}

/// What was read and is not known to be whole: a request's head and body, or a WebSocket's frame.
#[derive(Debug)]
struct Input {
    bytes: usize,
    /// What came whole and cannot be passed on yet.
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

/// Since when the peer makes us wait, put off by what it does meanwhile.
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

/// How far the connection has gone.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// Times that everything there was to write had been handed to the system.
    pub(super) flushes: u64,
    /// Reads that brought something.
    pub(super) reads: u64,
    /// The peer said that it sends nothing more.
    pub(super) ended: bool,
    /// The connection broke.
    pub(super) broken: bool,
    /// The HTTP side is done with it.
    pub(super) released: bool,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
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

    /// It carries the service token: its place is never given to another.
    pub(super) fn is_our_own(&self) {
        let mut state = self.state();
        state.is_own = true;
        state.input.set(0);
        state.patience = OWN_PATIENCE;
    }

    /// What was read so far may be the beginning of its first frame.
    pub(super) fn is_upgraded(&self) {
        let mut state = self.state();
        state.patience = UPGRADED_PATIENCE;
        state.input.is_upgraded = true;
    }

    /// So many bytes were read, of whatever. What our own processes send is as long as we want it.
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

    /// What was read is whole: a request, or in a WebSocket messages that were taken, but for less than one read; or it was thrown away.
    pub fn is_whole(&self) {
        self.state().input.set(0);
    }

    /// A WebSocket: a control frame of so many bytes was taken, perhaps from between the parts of a message.
    pub fn took_control_frame(&self, bytes: usize) {
        let mut state = self.state();
        let left = state.input.bytes.saturating_sub(bytes);
        state.input.set(left);
    }

    /// A WebSocket: so many bytes of whole messages are held until they can be passed on, and count like what is not whole.
    pub fn holds(&self, bytes: usize) {
        let mut state = self.state();
        state.input.waiting = bytes;
        let unread = state.input.bytes;
        state.input.set(unread);
    }

    /// A WebSocket: waits until it must be ended, because the unfinished messages of all together hold too much, and it the most.
    pub async fn refused(&self) {
        self.closed.cancelled().await;
    }

    /// What is still to come is thrown away for so long, so that what was said last arrives ([`crate::linger`]). To be called when nobody
    /// else reads or writes any more.
    pub async fn linger(&self, within: Duration) {
        linger(&self.stream, within, LINGER_BYTES).await;
    }

    #[cfg(test)]
    pub(super) fn has_patience(&self, patience: Duration) {
        self.state().patience = patience;
    }

    /// The rest of a request is the peer's to send.
    pub(super) fn expects(&self) {
        self.state().request.begin();
    }

    /// An answer has ended: the next request is the peer's to send.
    pub(super) fn has_answered(&self) {
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

    /// So many bytes of a body came.
    pub(super) fn received(&self, bytes: usize) {
        self.state().request.moved(bytes);
    }

    /// A request is here whole, or as far as it is wanted.
    pub(super) fn works(&self) {
        let mut state = self.state();
        state.is_idle = false;
        state.request.end();
    }

    /// The peer takes nothing now.
    pub(super) fn blocked(&self) {
        self.state().answer.begin();
    }

    /// The peer took so many bytes.
    pub(super) fn took(&self, bytes: usize) {
        self.state().answer.moved(bytes);
    }

    /// Everything there was to write was taken.
    pub(super) fn flushed(&self) {
        let mut state = self.state();
        state.answer.end();
        state.progress.flushes += 1;
        drop(state);
        self.changed.notify_waiters();
    }

    /// When a peer is cut off that owes a part of a request.
    pub(super) fn request_deadline(&self) -> Option<Instant> {
        let state = self.state();
        state.request.0.map(|since| since + state.patience)
    }

    /// When a peer is cut off that takes nothing.
    pub(super) fn answer_deadline(&self) -> Option<Instant> {
        let state = self.state();
        state.answer.0.map(|since| since + state.patience)
    }

    /// Its request waits for its turn until what this returns is dropped. Meanwhile its place may be given to another, as if its peer
    /// made us wait: otherwise requests that cost much keep out all that cost little.
    #[must_use]
    pub fn queue(&self) -> Queued<'_> {
        self.state().queued.begin();
        Queued(self)
    }

    /// Since when it makes us wait or waits for its turn, where its place may be given to another.
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

    /// Waits until everything handed over before was written, so that a peer that does not read makes nobody prepare more.
    ///
    /// `flushes` is what [`Connection::flushes`] said before that was handed over.
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

    /// How often everything there was to write had been written.
    #[must_use]
    pub fn flushes(&self) -> u64 {
        self.progress().flushes
    }

    /// Gives up what the peer has not taken: the system would hold it for minutes.
    pub(super) fn abort(&self) {
        // A connection that is closed already has nothing left to give up.
        let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
    }
}

/// A request that waits for its turn.
#[derive(Debug)]
pub struct Queued<'c>(&'c Connection);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.state().queued.end();
    }
}
