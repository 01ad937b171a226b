//! What is counted, and how Prometheus reads it.

use kit::metrics::{Counter, Exposition, Timer};

use crate::delivery::appender::Outcome;
use crate::delivery::hub::Hub;

/// Counters since start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    stored: Counter,
    refused: Counter,
    unsaved: Counter,
    /// Batches sent to the message API, and how long it took to answer.
    pub(crate) appends: Timer,
    /// Events that the feed brought.
    pub(crate) events: Counter,
    /// Connections turned away before they were in.
    pub(crate) turned_away: Counter,
}

impl Metrics {
    /// A sender is told this.
    pub(crate) fn outcome(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Stored(..) => self.stored.add(1),
            Outcome::Refused(_) => self.refused.add(1),
            Outcome::Later => self.unsaved.add(1),
        }
    }

    /// In the text format of Prometheus.
    pub(crate) fn render(&self, hub: &Hub, linked: bool) -> String {
        let (sessions, users) = hub.counts();
        let linked_help = "Whether the message API's feed is followed.";
        Exposition::new("chat_server")
            .gauge("sessions", "Sessions open now.", sessions as u64)
            .gauge("users", "Users online now.", users as u64)
            .gauge("feed_followed", linked_help, u64::from(linked))
            .counter("stored_total", "Messages acknowledged as stored.", &self.stored)
            .counter("refused_total", "Messages that the message API refused.", &self.refused)
            .counter("unsaved_total", "Messages that could not be stored in time.", &self.unsaved)
            .counter("events_total", "Events that the feed brought.", &self.events)
            .counter("turned_away_total", "Connections rejected before login.", &self.turned_away)
            .timer("append_seconds", "From a batch's start to its answer.", &self.appends)
            .runtime_stall()
            .finish()
    }
}
