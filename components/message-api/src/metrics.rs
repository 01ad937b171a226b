//! What is counted, and how Prometheus reads it.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Counters since start. Each is exact on its own; together they are as of slightly different moments.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) appended: Counter,
    pub(crate) duplicates: Counter,
    pub(crate) refused: Counter,
    pub(crate) failed: Counter,
    pub(crate) batches: Counter,
    pub(crate) handed_over: Counter,
    commit_micros: Counter,
    feed_readers: Counter,
    feed_lagged: Counter,
    failing: AtomicBool,
}

/// A number that several tasks add to.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts a reader of the feed for as long as it is there.
#[derive(Debug)]
pub(crate) struct FeedReader<'m>(&'m Metrics);

impl Drop for FeedReader<'_> {
    fn drop(&mut self) {
        self.0.feed_readers.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    pub(crate) fn batch(&self, took: Duration) {
        self.batches.add(1);
        self.commit_micros.add(usize::try_from(took.as_micros()).unwrap_or(usize::MAX));
    }

    pub(crate) fn feed_reader(&self) -> FeedReader<'_> {
        self.feed_readers.add(1);
        FeedReader(self)
    }

    pub(crate) fn feed_lagged(&self) {
        self.feed_lagged.add(1);
    }

    /// Notes whether the last write worked; answers whether that is news.
    pub(crate) fn set_failing(&self, failing: bool) -> bool {
        self.failing.swap(failing, Ordering::Relaxed) != failing
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// In the text format of Prometheus 0.0.4.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        let counters = [
            ("appended_total", "Events stored.", &self.appended),
            ("duplicates_total", "Drafts that had been stored before.", &self.duplicates),
            ("refused_total", "Requests that broke a rule.", &self.refused),
            ("failed_total", "Requests the store could not do.", &self.failed),
            ("handed_over_total", "Messages handed over by GET /messages/{user}.", &self.handed_over),
            ("feed_lagged_total", "Readers of the feed that were too slow.", &self.feed_lagged),
        ];
        for (name, help, counter) in counters {
            metric(&mut text, name, help, "counter", counter.get());
        }
        metric(&mut text, "feed_readers", "Readers of the feed.", "gauge", self.feed_readers.get());
        let help = "Whether the last write failed.";
        metric(&mut text, "store_failing", help, "gauge", u64::from(self.is_failing()));
        let (batches, micros) = (self.batches.get(), Duration::from_micros(self.commit_micros.get()));
        let name = "message_api_commit_seconds";
        let _ = writeln!(text, "# HELP {name} From a batch's arrival to its commit.\n# TYPE {name} summary");
        let _ = writeln!(text, "{name}_sum {}\n{name}_count {batches}", micros.as_secs_f64());
        text
    }
}

/// Writing to a string cannot fail.
fn metric(text: &mut String, name: &str, help: &str, kind: &str, value: u64) {
    let _ = writeln!(text, "# HELP message_api_{name} {help}\n# TYPE message_api_{name} {kind}");
    let _ = writeln!(text, "message_api_{name} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::default();
        metrics.appended.add(3);
        metrics.batch(Duration::from_millis(1500));
        let reader = metrics.feed_reader();
        assert!(metrics.set_failing(true));
        assert!(!metrics.set_failing(true));
        let text = metrics.render();
        for line in [
            "message_api_appended_total 3",
            "message_api_commit_seconds_sum 1.5",
            "message_api_commit_seconds_count 1",
            "message_api_feed_readers 1",
            "message_api_store_failing 1",
        ] {
            assert!(text.lines().any(|got| got == line), "{line} in {text}");
        }
        drop(reader);
        assert!(metrics.render().contains("message_api_feed_readers 0"));
    }
}
