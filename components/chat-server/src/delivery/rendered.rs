//! An event on its way to sessions: rendered at most once in each dialect, however many get it.

use std::sync::OnceLock;

use bytes::Bytes;
use protocol::Event;
use tokio::time::Instant;

use crate::dialect::Dialect;

/// What a queued event costs beside its text: names, ids, times and the queue's own place.
const OVERHEAD: usize = 384;

/// A committed event and its bytes.
#[derive(Debug)]
pub(crate) struct Rendered {
    event: Event,
    cost: usize,
    received: Option<Instant>,
    live: [OnceLock<Bytes>; Dialect::COUNT],
}

impl Rendered {
    /// Nothing is rendered until somebody needs it.
    pub(crate) fn new(event: Event, received: Option<Instant>) -> Self {
        let cost = OVERHEAD + event.body.as_str().len() + event.metadata.bytes();
        Self { event, cost, received, live: [const { OnceLock::new() }; Dialect::COUNT] }
    }

    /// The event.
    pub(crate) fn event(&self) -> &Event {
        &self.event
    }

    /// When its message was received, if that was here and just now.
    pub(crate) fn received(&self) -> Option<Instant> {
        self.received
    }

    /// About how many bytes it takes in a queue.
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    /// What a session is sent as it happens.
    pub(crate) fn live(&self, dialect: Dialect) -> &Bytes {
        self.live[dialect.index()].get_or_init(|| dialect.live(&self.event))
    }
}
