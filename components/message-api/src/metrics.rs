//! The metrics and their Prometheus text.

use kit::metrics::{Counter, Exposition, Gauge, Histogram, Labels, Timer};

use crate::store::COMMITS;

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) appended: Counter,
    pub(crate) duplicates: Counter,
    pub(crate) refused: Counter,
    pub(crate) failed: Counter,
    pub(crate) commits: Timer,
    /// All batches, stored or not.
    pub(crate) appends: Histogram,
    pub(crate) handed_over: Counter,
    pub(crate) expired: Counter,
    pub(crate) over_budget: Counter,
    pub(crate) no_room: Counter,
    pub(crate) feed_readers: Gauge,
    pub(crate) feed_lagged: Counter,
}

impl Metrics {
    /// The metrics in the Prometheus text format.
    pub(crate) fn render(&self, failing: bool) -> String {
        let one = |times| [(Labels::default(), times)];
        let handed_over = "Messages handed over by GET /messages/{user}.";
        Exposition::new("message_api")
            .counter("appended_total", "Events stored.", &self.appended)
            .counter("duplicates_total", "Drafts that had been stored before.", &self.duplicates)
            .counter("refused_total", "Requests that broke a rule.", &self.refused)
            .counter(
                "failed_total",
                "Batches that were not stored, and other requests that the store could not do.",
                &self.failed,
            )
            .counter("handed_over_total", handed_over, &self.handed_over)
            .counter(
                "over_budget_total",
                "Batches refused: a sender had sent too much today.",
                &self.over_budget,
            )
            .counter("no_room_total", "Batches refused: the disk was nearly full.", &self.no_room)
            .counter("let_go_total", "Old events removed.", &self.expired)
            .counter("feed_lagged_total", "Readers of the feed that were too slow.", &self.feed_lagged)
            .gauge("feed_readers", "Readers of the feed.", self.feed_readers.get())
            .gauge("store_failing", "Whether messages cannot be stored or read now.", u64::from(failing))
            .timer("commit_seconds", "From a batch's arrival to its commit.", &self.commits)
            .histogram(
                "append_latency_seconds",
                "From a batch's arrival to its answer, stored or not.",
                one(&self.appends),
            )
            .histogram(
                "commit_latency_seconds",
                "From the beginning of a transaction that stored messages until they were durable.",
                one(&COMMITS),
            )
            .runtime_stall()
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use kit::metrics::table;

    use super::*;

    #[test]
    fn every_metric_is_documented() {
        let text = Metrics::default().render(false);
        let document = include_str!("../../../docs/metrics.md");
        assert_eq!(table::rows(&text), table::documented(document, "message_api"));
    }

    #[test]
    fn failing_writes_are_reported() {
        assert!(Metrics::default().render(true).contains("\nmessage_api_store_failing 1\n"));
    }
}
