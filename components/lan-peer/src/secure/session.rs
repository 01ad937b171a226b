//! One connection with a peer, at work: a single task.
//!
//! Both say `hello`, with which numbering they use and from where on they can send; both answer how much of it they have on their
//! disk; then each sends what waits, [`WINDOW`] messages at a time, in order. What comes is taken in as a batch, and acknowledged once
//! it is on our disk. A connection that ends leaves nothing half done: what was not acknowledged is sent again on the next one, and
//! what was is passed over by its number.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use kit::allowance::Allowance;
use protocol::Body;
use protocol::lan::NodeId;
use protocol::lan::frame::{Frame, FrameError, VERSION};
use protocol::lan::view::Event;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::handshakes::Handshake;
use super::keepalive::{Beat, Keepalive};
use super::links::{Arrival, Link, Refused};
use super::wire::{MAX_OUT, Turn, Wire};
use crate::node::{Node, Welcome};
use crate::store::{Incoming, Outgoing, StoreError};

/// Messages that may be on their way, not acknowledged.
const WINDOW: u64 = 64;
/// Messages that are taken in at once.
const BATCH: usize = 64;
/// How long the first frame of whom we dialled may take.
const HELLO: Duration = Duration::from_secs(5);
/// Messages a second that a peer may send for long, and at once; beyond that it is read more slowly.
const MESSAGES: u32 = 500;
const BURST: u32 = 2000;
/// KiB of text a second that a stranger may send for long, each message at least one, and at once.
const STRANGER: u32 = 64;
const STRANGER_BURST: u32 = 2048;
/// Frames of other kinds a second, and at once: an acknowledgement comes for each of our messages at most.
const FRAMES: u32 = 2000;
const FRAMES_BURST: u32 = 4000;

/// With whom, and how it came about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) id: NodeId,
    pub(super) remote: SocketAddr,
    pub(super) local: IpAddr,
    pub(super) dialled: bool,
}

/// What is held until the other side has said `hello`.
#[derive(Debug)]
pub(super) enum Greeting {
    /// The place of a connection that they made.
    Awaited(Handshake),
    /// We dialled; the dialler hears when this is dropped, and has one of its dials free again.
    Dialled(#[allow(dead_code, reason = "it is held to be dropped")] oneshot::Sender<()>),
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("connection lost")]
    Io(#[from] std::io::Error),
    #[error("malformed frame")]
    Frame(#[from] FrameError),
    #[error("protocol violation: {0}")]
    Protocol(&'static str),
    #[error("unsupported protocol version {0}")]
    Version(u32),
    #[error("peer timed out")]
    Silent,
    #[error("cut off before it said who it is: there are too many")]
    Crowded,
    #[error("message numbering restarted")]
    Renumbered,
    #[error("peer rejected")]
    Blocked,
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Store(#[from] StoreError),
}

struct Session<'n, S> {
    node: &'n Node,
    id: NodeId,
    wire: Wire<S>,
    /// The peer's numbering of what it sends.
    in_stream: u64,
    incoming: Allowance,
    stranger: Allowance,
    frames: Allowance,
    /// Our numbering of what we send; nothing is sent before they say how much of it they have.
    out_stream: u64,
    is_open: bool,
    acknowledged: u64,
    last_sent: u64,
    last_given: u64,
    has_more: bool,
}

/// Talks until the connection ends.
pub(super) async fn run<S: AsyncRead + AsyncWrite>(
    node: &Node,
    stream: S,
    peer: Peer,
    greeting: Greeting,
) -> Result<(), SessionError> {
    let (position, now) = (node.store.position(peer.id).await?, Instant::now());
    let mut session = Session {
        node,
        id: peer.id,
        wire: Wire::new(stream),
        in_stream: 0,
        incoming: Allowance::new(MESSAGES, BURST, now),
        stranger: Allowance::new(STRANGER, STRANGER_BURST, now),
        frames: Allowance::new(FRAMES, FRAMES_BURST, now),
        out_stream: position.stream,
        is_open: false,
        acknowledged: position.first.saturating_sub(1),
        last_sent: position.first.saturating_sub(1),
        last_given: position.last,
        has_more: true,
    };
    let (stream, first) = (position.stream, position.first);
    session.wire.push(&Frame::Hello { version: VERSION, name: node.name(), port: node.port, stream, first });
    let hello = greeting.wait(session.first_frame()).await?;
    let Frame::Hello { version, name, port, stream, first } = hello else {
        return Err(SessionError::Protocol("no hello"));
    };
    if version != VERSION {
        return Err(SessionError::Version(version));
    }
    let mut place = peer.remote;
    place.set_port(port);
    if node.met(peer.id, &name, place).await? == Welcome::Blocked {
        return Err(SessionError::Blocked);
    }
    let Peer { id, remote, dialled, .. } = peer;
    let link = node.enter(Arrival { peer: id, dialled, remote })?;
    // The place by key takes over from that of the handshake.
    drop(greeting);
    node.came(peer.id, place);
    let ended = session.joined(stream, first, &link, peer.local).await;
    if node.links.leave(peer.id, &link) {
        node.went(peer.id);
    }
    ended
}

impl Greeting {
    /// The first frame, if it comes in time.
    async fn wait(
        &self,
        frame: impl Future<Output = Result<Frame, SessionError>>,
    ) -> Result<Frame, SessionError> {
        let came = match self {
            Self::Awaited(place) => {
                place.until_cut(timeout(place.patience(), frame)).await.ok_or(SessionError::Crowded)?
            }
            Self::Dialled(_) => timeout(HELLO, frame).await,
        };
        came.map_err(|_| SessionError::Silent)?
    }
}

impl<S: AsyncRead + AsyncWrite> Session<'_, S> {
    async fn first_frame(&mut self) -> Result<Frame, SessionError> {
        loop {
            if let Some(frame) = self.wire.next()? {
                return Ok(frame);
            }
            self.wire.turn().await?;
        }
    }

    async fn joined(
        &mut self,
        stream: u64,
        first: u64,
        link: &Link,
        local: IpAddr,
    ) -> Result<(), SessionError> {
        self.in_stream = stream;
        let seq = self.node.store.joined(self.id, stream, first).await?;
        self.wire.push(&Frame::Ack { stream, seq });
        let mut interfaces = self.node.interfaces.subscribe();
        let mut keepalive = Keepalive::new(self.node.me > self.id, Instant::now());
        // What came together with the hello.
        self.take().await?;
        loop {
            self.fill().await?;
            tokio::select! {
                // Bytes alone are no sign of life: whoever never finishes a frame is not there.
                turn = self.wire.turn() => if turn? == Turn::Read && self.take().await? {
                    keepalive.felt(Instant::now());
                },
                () = link.wake.notified() => self.has_more = true,
                () = link.close.cancelled() => return Ok(()),
                changed = interfaces.changed() => {
                    // An address that is gone takes its connections with it, though nobody tells them.
                    if changed.is_err() || interfaces.borrow_and_update().have_lost(local) {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(keepalive.next()) => {
                    match keepalive.look(Instant::now(), self.node.is_present(link.remote.ip())) {
                        Beat::Wait => {}
                        Beat::Ask => self.wire.push(&Frame::Ping),
                        Beat::Dead => return Err(SessionError::Silent),
                    }
                }
            }
        }
    }

    /// Puts what waits on the wire, as far as there is room.
    async fn fill(&mut self) -> Result<(), SessionError> {
        while self.is_open && self.has_more && self.wire.waiting() < MAX_OUT / 2 {
            let room = WINDOW.saturating_sub(self.last_sent.saturating_sub(self.acknowledged));
            if room == 0 {
                return Ok(());
            }
            if !self.node.is_trusted(self.id) {
                self.has_more = false;
                return Ok(());
            }
            let limit = usize::try_from(room.min(16)).expect("a small number");
            let waiting = match self.node.store.waiting(self.id, self.last_sent, limit).await {
                Err(StoreError::Damaged(_)) => return Err(SessionError::Renumbered),
                waiting => waiting?,
            };
            self.has_more = waiting.len() == limit;
            for message in waiting {
                let Outgoing { seq, id, sent, body } = message;
                self.last_sent = seq;
                self.last_given = self.last_given.max(seq);
                self.wire.push(&Frame::Message { seq, id, sent, body });
            }
        }
        Ok(())
    }

    /// Deals with all frames that have come. Returns whether there was any.
    async fn take(&mut self) -> Result<bool, SessionError> {
        let (mut batch, mut is_any) = (Vec::new(), false);
        while let Some(frame) = self.wire.next()? {
            is_any = true;
            if !matches!(frame, Frame::Message { .. }) {
                until_allowed(&mut self.frames).await;
            }
            match frame {
                Frame::Hello { .. } => return Err(SessionError::Protocol("a second hello")),
                Frame::Ack { stream, seq } => self.acknowledged(stream, seq).await?,
                Frame::Message { seq, id, sent, body } => {
                    self.admit(&body).await;
                    batch.push(Incoming { seq, id, sent, body });
                    if batch.len() >= BATCH {
                        self.take_in(std::mem::take(&mut batch)).await?;
                    }
                }
                Frame::Ping => self.wire.push(&Frame::Pong),
                Frame::Pong | Frame::Unknown => {}
            }
        }
        if !batch.is_empty() {
            self.take_in(batch).await?;
        }
        Ok(is_any)
    }

    /// Waits until the peer may say one more message.
    async fn admit(&mut self, body: &Body) {
        until_allowed(&mut self.incoming).await;
        if self.node.is_stranger(self.id) {
            for _ in 0..=body.as_str().len() / 1024 {
                until_allowed(&mut self.stranger).await;
            }
        }
    }

    async fn take_in(&mut self, batch: Vec<Incoming>) -> Result<(), SessionError> {
        let turn = match self.node.is_stranger(self.id) {
            true => self.node.strangers.acquire().await.ok(),
            false => None,
        };
        let taken = self.node.store.take_in(self.id, self.in_stream, batch).await?;
        drop(turn);
        self.node.counters.received.add(taken.entries.len());
        self.wire.push(&Frame::Ack { stream: self.in_stream, seq: taken.seq });
        for entry in taken.entries {
            self.node.said(entry).await?;
        }
        Ok(())
    }

    async fn acknowledged(&mut self, stream: u64, seq: u64) -> Result<(), SessionError> {
        if stream != self.out_stream {
            return Err(SessionError::Protocol("an acknowledgement of a numbering that is not ours"));
        }
        if !self.is_open {
            if seq > self.last_given {
                // They have more than we know of: our file is an older copy of itself.
                self.node.store.renumber(self.id).await?;
                return Err(SessionError::Renumbered);
            }
            self.is_open = true;
            self.last_sent = self.last_sent.max(seq);
        }
        if seq > self.last_sent {
            return Err(SessionError::Protocol("an acknowledgement of what was not sent"));
        }
        if seq <= self.acknowledged {
            return Ok(());
        }
        let delivered = self.node.store.acknowledged(self.id, stream, seq).await?;
        self.acknowledged = seq;
        self.node.counters.delivered.add(delivered.len());
        delivered.into_iter().for_each(|entry| self.node.publish(Event::Message { entry }));
        Ok(())
    }
}

/// Whoever sends too much is read more slowly.
async fn until_allowed(allowance: &mut Allowance) {
    while let Err(at) = allowance.take(Instant::now()) {
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests;
