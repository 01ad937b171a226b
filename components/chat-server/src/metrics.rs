//! What is counted, and how Prometheus reads it.

use std::time::Duration;

use kit::metrics::{Counter, Exposition, Histogram, Labels, Timer};

use crate::delivery::transit::Transit;
use crate::dialect::Dialect;
use crate::outcome::Outcome;

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
    /// What sessions asked for, down to the empty line.
    pub(crate) requests: Counter,
    /// Connections turned away before they were in.
    pub(crate) turned_away: Counter,
    /// When messages in flight were received.
    pub(crate) transit: Transit,
    /// From an event's arrival to the last session's queue.
    pub(crate) fan_out: Histogram,
    /// By [`Dialect`], in the order of [`Dialect::ALL`].
    end_to_end: [Histogram; Dialect::COUNT],
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

    /// A message was written to a receiver's socket.
    pub(crate) fn written(&self, dialect: Dialect, took: Duration) {
        self.end_to_end[dialect.index()].note(took);
    }

    /// In the text format of Prometheus, with how many sessions and users there are.
    pub(crate) fn render(&self, (sessions, users): (usize, usize), linked: bool) -> String {
        let linked_help = "Whether the message API's feed is followed.";
        let dialects = Dialect::ALL.map(|dialect| Labels::new(&[("dialect", dialect.manner().name)]));
        Exposition::new("chat_server")
            .gauge("sessions", "Sessions open now.", sessions as u64)
            .gauge("users", "Users online now.", users as u64)
            .gauge("feed_followed", linked_help, u64::from(linked))
            .counter("stored_total", "Messages acknowledged as stored.", &self.stored)
            .counter("refused_total", "Messages that the message API refused.", &self.refused)
            .counter("unsaved_total", "Messages that could not be stored in time.", &self.unsaved)
            .counter("events_total", "Events that the feed brought.", &self.events)
            .counter("requests_total", "Lines and frames that sessions were allowed.", &self.requests)
            .counter("turned_away_total", "Connections rejected before login.", &self.turned_away)
            .timer("append_seconds", "From a batch's start to its answer.", &self.appends)
            .histogram(
                "fan_out_latency_seconds",
                "From an event's arrival to the queue of the last session that it is for.",
                [(Labels::default(), &self.fan_out)],
            )
            .histogram(
                "end_to_end_latency_seconds",
                "From a message's receipt to the socket of a receiver, by the receiver's dialect.",
                dialects.into_iter().zip(&self.end_to_end),
            )
            .runtime_stall()
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use kit::metrics::table;

    use super::*;

    #[tokio::test]
    async fn every_metric_is_documented() {
        let text = Metrics::default().render((0, 0), true);
        let document = include_str!("../../../docs/metrics.md");
        assert_eq!(table::rows(&text), table::documented(document, "chat_server"));
    }
}
