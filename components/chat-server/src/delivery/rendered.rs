//! An event on its way to sessions: rendered at most once in each dialect, however many get it.

use std::sync::OnceLock;

use bytes::Bytes;
use protocol::native::{EventFrame, ServerFrame};
use protocol::{Event, book, text};
use tokio::time::Instant;

use crate::delivery::outlet::Dialect;

/// What a queued event costs beside its text: names, ids, times and the queue's own place.
const OVERHEAD: usize = 384;

/// A committed event and its bytes.
#[derive(Debug)]
pub(crate) struct Rendered {
    event: Event,
    cost: usize,
    received: Option<Instant>,
    text: OnceLock<Bytes>,
    book: OnceLock<Bytes>,
    native: OnceLock<Bytes>,
}

impl Rendered {
    /// Nothing is rendered until somebody needs it.
    pub(crate) fn new(event: Event, received: Option<Instant>) -> Self {
        let metadata = if event.metadata.is_empty() { 0 } else { event.metadata.to_json().len() };
        let cost = OVERHEAD + event.body.as_str().len() + metadata;
        Self { event, cost, received, text: OnceLock::new(), book: OnceLock::new(), native: OnceLock::new() }
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
        match dialect {
            Dialect::Text => self.text.get_or_init(|| text::live(&self.event).into()),
            Dialect::Book => self.book.get_or_init(|| book::live(&self.event).into()),
            Dialect::Native => self.native.get_or_init(|| frame(&event_frame(&self.event, false))),
        }
    }
}

/// The frame of an event.
pub(crate) fn event_frame(event: &Event, replayed: bool) -> ServerFrame {
    ServerFrame::Event(EventFrame { event: event.clone(), replayed })
}

/// A frame as one line.
pub(crate) fn frame(frame: &ServerFrame) -> Bytes {
    let mut line = serde_json::to_vec(frame).expect("a frame serialises into memory");
    line.push(b'\n');
    line.into()
}
