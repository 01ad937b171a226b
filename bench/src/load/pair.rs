//! A sender and its receiver.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Clock;
use crate::codec::{Incoming, Protocol};
use crate::connection::Connection;
use crate::latency::Latency;
use crate::ledger::Ledger;
use crate::problem::Result;
use crate::stamp::Stamp;

/// Logins under way at once.
const LOGINS: u32 = 50;

/// One sender, one receiver who may be away, and the count of what goes between them.
pub struct Pair {
    pub(super) index: u32,
    /// The receiver's name.
    pub(super) to: String,
    pub(super) sender: Connection,
    pub(super) receiver: Option<Connection>,
    pub(super) tally: Tally,
}

/// What was sent and what came of it.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) sent: u32,
    pub(super) acknowledged: u32,
    pub(super) ledger: Ledger,
    pub(super) latency: Latency,
    /// Messages that were to be sent earlier than this are not measured.
    pub(super) measured_from: Duration,
    /// Messages that another sender's number was on.
    pub(super) strays: u64,
}

impl Pair {
    /// `count` pairs, logged in. The names begin with `prefix`.
    ///
    /// # Errors
    /// When a login fails.
    pub async fn login(
        address: SocketAddr,
        protocol: Protocol,
        prefix: &str,
        count: u32,
        away: bool,
    ) -> Result<Vec<Self>> {
        let mut pairs = Vec::new();
        for first in (0..count).step_by(LOGINS as usize) {
            let mut logins = JoinSet::new();
            for index in first..count.min(first + LOGINS) {
                let prefix = prefix.to_owned();
                logins.spawn(async move { Self::one(address, protocol, &prefix, index, away).await });
            }
            for pair in logins.join_all().await {
                pairs.push(pair?);
            }
        }
        pairs.sort_by_key(|pair| pair.index);
        Ok(pairs)
    }

    async fn one(
        address: SocketAddr,
        protocol: Protocol,
        prefix: &str,
        index: u32,
        away: bool,
    ) -> Result<Self> {
        let to = receiver_name(prefix, index);
        let mut receiver = None;
        if !away || protocol.keeps_for_sessions() {
            receiver = Some(Connection::login(address, protocol.codec(), &to).await?);
        }
        if away {
            receiver = None;
        }
        let sender = Connection::login(address, protocol.codec(), &format!("{prefix}s{index}")).await?;
        Ok(Self { index, to, sender, receiver, tally: Tally::default() })
    }

    /// Puts one message, to be sent at `intended`, into the sender's buffer.
    pub(super) fn say(&mut self, intended: Duration) {
        let stamp = Stamp { sender: self.index, number: self.tally.sent, intended };
        self.sender.say(&self.to, &stamp.body());
        self.tally.sent += 1;
    }

    /// Waits until something comes to either, and takes it.
    pub(super) async fn turn(&mut self, clock: Clock, reads: bool) -> Result<()> {
        let (tally, index) = (&mut self.tally, self.index);
        let note = |incoming| tally.note(incoming, index, clock);
        match self.receiver.as_mut().filter(|_| reads) {
            None => {
                self.sender.readable().await?;
                self.sender.receive(note).await
            }
            Some(receiver) => tokio::select! {
                readable = receiver.readable() => {
                    readable?;
                    receiver.receive(note).await
                }
                readable = self.sender.readable() => {
                    readable?;
                    self.sender.receive(note).await
                }
            },
        }
    }

    /// How many messages are done: arrived, or acknowledged if the receiver is away.
    pub(super) fn done(&self) -> u32 {
        if self.receiver.is_some() { self.tally.ledger.arrived() } else { self.tally.acknowledged }
    }
}

/// The receiver's name.
pub(super) fn receiver_name(prefix: &str, index: u32) -> String {
    format!("{prefix}r{index}")
}

impl Tally {
    pub(super) fn note(&mut self, incoming: Incoming, index: u32, clock: Clock) {
        match incoming {
            Incoming::Acknowledged(count) => self.acknowledged += count,
            Incoming::Delivered(stamp) if stamp.sender == index => {
                self.ledger.note(stamp.number);
                if stamp.intended >= self.measured_from {
                    self.latency.note(clock.now().saturating_sub(stamp.intended));
                }
            }
            Incoming::Delivered(_) => self.strays += 1,
            Incoming::Other => {}
        }
    }
}
