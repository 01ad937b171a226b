//! A sender and its recipient.

use std::time::Duration;

use tokio::task::JoinSet;

use super::Clock;
use crate::codec::{Incoming, Protocol};
use crate::connection::Connection;
use crate::latency::Latency;
use crate::ledger::Ledger;
use crate::problem::Result;
use crate::socket::Address;
use crate::stamp::Stamp;

/// Concurrent logins.
const LOGINS: u32 = 50;

/// A sender, a recipient who may be offline, and the counts of their messages.
pub struct Pair {
    pub(super) index: u32,
    /// The recipient's name.
    pub(super) to: String,
    pub(super) sender: Connection,
    pub(super) receiver: Option<Connection>,
    pub(super) tally: Tally,
}

/// The counts of a pair.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) sent: u32,
    pub(super) acknowledged: u32,
    pub(super) ledger: Ledger,
    pub(super) latency: Latency,
    /// Messages with an earlier intended time are not measured.
    pub(super) measured_from: Duration,
    /// Messages with another sender's number.
    pub(super) strays: u64,
}

impl Pair {
    /// `count` logged-in pairs with names that begin with `prefix`.
    ///
    /// # Errors
    /// If a login fails.
    pub async fn login(
        address: Address,
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

    async fn one(address: Address, protocol: Protocol, prefix: &str, index: u32, away: bool) -> Result<Self> {
        let to = receiver_name(prefix, index);
        let mut receiver = None;
        if !away || protocol.stores_for_sessions() {
            receiver = Some(Connection::login(address, protocol.codec(), &to).await?);
        }
        if away {
            receiver = None;
        }
        let sender = Connection::login(address, protocol.codec(), &format!("{prefix}s{index}")).await?;
        Ok(Self { index, to, sender, receiver, tally: Tally::default() })
    }

    /// Appends a message with this intended time to the sender's buffer.
    pub(super) fn queue(&mut self, intended: Duration) {
        let stamp = Stamp { sender: self.index, number: self.tally.sent, intended };
        self.sender.queue(&self.to, &stamp.body());
        self.tally.sent += 1;
    }

    /// Waits for input of either connection, and decodes it.
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

    /// The number of completed messages: delivered, or acknowledged if the recipient is offline.
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
