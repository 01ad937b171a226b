//! The metrics and their Prometheus text.

use std::time::Duration;

use kit::metrics::{Counter, Exposition, Histogram, Labels, Timer};

use crate::delivery::latency::ReceiveTimes;
use crate::dialect::Dialect;
use crate::outcome::Outcome;

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    stored: Counter,
    refused: Counter,
    unsaved: Counter,
    /// Batches sent to the message API, and how long each took.
    pub(crate) appends: Timer,
    /// Events received on the feed.
    pub(crate) events: Counter,
    /// Requests of sessions, including empty lines.
    pub(crate) requests: Counter,
    /// Connections rejected before their login.
    pub(crate) rejected: Counter,
    /// When messages in flight were received.
    pub(crate) receive_times: ReceiveTimes,
    /// From an event's arrival to the last session's queue.
    pub(crate) fan_out: Histogram,
    /// From receipt to write, by [`Dialect`] in the order of [`Dialect::ALL`].
    end_to_end: [Histogram; Dialect::COUNT],
}

impl Metrics {
    /// Counts the outcome of a message.
    pub(crate) fn outcome(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Stored(..) => self.stored.add(1),
            Outcome::Refused(_) => self.refused.add(1),
            Outcome::Unknown => self.unsaved.add(1),
        }
    }

    /// Records that a message was written to a recipient's socket.
    pub(crate) fn written(&self, dialect: Dialect, took: Duration) {
        self.end_to_end[dialect.index()].note(took);
    }

    /// The metrics in the Prometheus text format, with the current number of sessions and users.
    pub(crate) fn render(&self, (sessions, users): (usize, usize), linked: bool) -> String {
        let linked_help = "Whether the message API's feed is followed.";
        let dialects = Dialect::ALL.map(|dialect| Labels::new(&[("dialect", dialect.capabilities().name)]));
        Exposition::new("chat_server")
            .gauge("sessions", "Sessions open now.", sessions as u64)
            .gauge("users", "Users online now.", users as u64)
            .gauge("feed_followed", linked_help, u64::from(linked))
            .counter("stored_total", "Messages acknowledged as stored.", &self.stored)
            .counter("refused_total", "Messages that the message API refused.", &self.refused)
            .counter("unsaved_total", "Messages that could not be stored in time.", &self.unsaved)
            .counter("events_total", "Events that the feed brought.", &self.events)
            .counter("requests_total", "Lines and frames that sessions were allowed.", &self.requests)
            .counter("turned_away_total", "Connections rejected before login.", &self.rejected)
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
