//! A session: one connection with a peer, run by a single task.
//!
//! Both sides send `hello` with their stream and first `seq`, and answer with the last `seq` of it on their disk. Then each sends its
//! waiting messages in order, [`WINDOW`] at a time. Incoming messages are stored in batches and acknowledged once on disk. After a
//! disconnection, unacknowledged messages are sent again on the next connection, and duplicates are recognised by their number.

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
use super::keepalive::{Action, Keepalive};
use super::links::{Arrival, Link, Refused};
use super::wire::{MAX_OUT, Turn, Wire};
use crate::node::{Node, Welcome};
use crate::store::{Incoming, Outgoing, StoreError};

/// Most messages in flight.
const WINDOW: u64 = 64;
/// Most messages stored at once.
const BATCH: usize = 64;
/// Time limit for the first frame of a dialled peer.
const HELLO: Duration = Duration::from_secs(5);
/// Messages per second from a peer, sustained, and their burst; beyond that it is read more slowly.
const MESSAGES: u32 = 500;
const BURST: u32 = 2000;
/// KiB of text per second from a stranger, sustained, and their burst; each message counts as at least one.
const STRANGER: u32 = 64;
const STRANGER_BURST: u32 = 2048;
/// Other frames per second, and their burst: there is at most one acknowledgement for each of our messages.
const FRAMES: u32 = 2000;
const FRAMES_BURST: u32 = 4000;

/// The peer, and how the connection was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) id: NodeId,
    pub(super) remote: SocketAddr,
    pub(super) local: IpAddr,
    pub(super) dialled: bool,
}

/// Resources held until the peer has sent `hello`.
#[derive(Debug)]
pub(super) enum Greeting {
    /// The place of an incoming connection.
    Awaited(Handshake),
    /// An outgoing connection; dropping this releases one of the dialler's dials.
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
    /// The stream of the peer's messages.
    in_stream: u64,
    incoming: Allowance,
    stranger: Allowance,
    frames: Allowance,
    /// The stream of our messages; nothing is sent before the peer has reported its last `seq`.
    out_stream: u64,
    is_open: bool,
    acknowledged: u64,
    last_sent: u64,
    last_given: u64,
    has_more: bool,
}

/// Runs the session until the connection ends.
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
    if node.record_authenticated(peer.id, &name, place).await? == Welcome::Blocked {
        return Err(SessionError::Blocked);
    }
    let Peer { id, remote, dialled, .. } = peer;
    let link = node.enter(Arrival { peer: id, dialled, remote })?;
    // The place by key replaces the handshake's place.
    drop(greeting);
    node.connected(peer.id, place);
    let ended = session.joined(stream, first, &link, peer.local).await;
    if node.links.leave(peer.id, &link) {
        node.disconnected(peer.id);
    }
    ended
}

impl Greeting {
    /// The first frame, within the time limit.
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
        // Frames that arrived together with `hello`.
        self.take().await?;
        loop {
            self.fill().await?;
            tokio::select! {
                // Only complete frames count as activity.
                turn = self.wire.turn() => if turn? == Turn::Read && self.take().await? {
                    keepalive.record_input(Instant::now());
                },
                () = link.wake.notified() => self.has_more = true,
                () = link.close.cancelled() => return Ok(()),
                changed = interfaces.changed() => {
                    // Connections of a removed address are dead, though no error is reported.
                    if changed.is_err() || interfaces.borrow_and_update().have_lost(local) {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(keepalive.next()) => {
                    match keepalive.check(Instant::now(), self.node.is_present(link.remote.ip())) {
                        Action::Wait => {}
                        Action::Ping => self.wire.push(&Frame::Ping),
                        Action::Dead => return Err(SessionError::Silent),
                    }
                }
            }
        }
    }

    /// Writes waiting messages, as far as there is room.
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

    /// Processes all received frames. Returns whether there were any.
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

    /// Waits until the peer's rate limit allows another message.
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
            self.node.record_message(entry).await?;
        }
        Ok(())
    }

    async fn acknowledged(&mut self, stream: u64, seq: u64) -> Result<(), SessionError> {
        if stream != self.out_stream {
            return Err(SessionError::Protocol("an acknowledgement of a numbering that is not ours"));
        }
        if !self.is_open {
            if seq > self.last_given {
                // The peer has more than we know of: our file was restored from an older copy.
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

/// Throttles reading to the rate limit.
async fn until_allowed(allowance: &mut Allowance) {
    while let Err(at) = allowance.take(Instant::now()) {
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests;
