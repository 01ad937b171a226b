//! An event on its way to sessions, rendered at most once per dialect however many sessions get it.

use std::sync::OnceLock;

use bytes::Bytes;
use protocol::Event;
use tokio::time::Instant;

use crate::dialect::Dialect;

/// The approximate size of a queued event besides its text: names, ids, times and its place in the queue.
const OVERHEAD: usize = 384;

/// A committed event and its rendered bytes.
#[derive(Debug)]
pub(crate) struct Rendered {
    event: Event,
    cost: usize,
    received: Option<Instant>,
    live: [OnceLock<Bytes>; Dialect::COUNT],
}

impl Rendered {
    /// An event that is rendered on demand.
    pub(crate) fn new(event: Event, received: Option<Instant>) -> Self {
        let cost = OVERHEAD + event.content_bytes();
        Self { event, cost, received, live: [const { OnceLock::new() }; Dialect::COUNT] }
    }

    pub(crate) fn event(&self) -> &Event {
        &self.event
    }

    /// When its message was received, if that was on this server and recently.
    pub(crate) fn received(&self) -> Option<Instant> {
        self.received
    }

    /// The approximate number of bytes it takes in a queue.
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    /// The bytes that a live session is sent.
    pub(crate) fn live(&self, dialect: Dialect) -> &Bytes {
        self.live[dialect.index()].get_or_init(|| dialect.live(&self.event))
    }
}
