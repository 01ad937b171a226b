//! What `/metrics` tells (Prometheus text format).

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// WebSockets opened.
    pub(crate) opened: Counter,
    /// WebSockets refused, for their origin or for want of a place.
    pub(crate) refused: Counter,
    /// Frames taken from browsers.
    pub(crate) frames_in: Counter,
    /// Frames handed to browsers.
    pub(crate) frames_out: Counter,
    /// Sessions that ended because the chat server was away.
    pub(crate) chat_away: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

impl Metrics {
    pub(crate) fn render(&self, open: usize) -> String {
        let counters = [
            ("opened_total", "WebSockets opened", &self.opened),
            ("refused_total", "WebSockets refused for their origin or for want of a place", &self.refused),
            ("frames_in_total", "Frames taken from browsers", &self.frames_in),
            ("frames_out_total", "Frames handed to browsers", &self.frames_out),
            ("chat_away_total", "Sessions ended because the chat server was away", &self.chat_away),
        ];
        let mut text = format!(
            "# HELP web_adapter_sessions WebSockets open now\n# TYPE web_adapter_sessions gauge\nweb_adapter_sessions {open}\n"
        );
        for (name, help, Counter(value)) in counters {
            let value = value.load(Ordering::Relaxed);
            let _ = write!(
                text,
                "# HELP web_adapter_{name} {help}\n# TYPE web_adapter_{name} counter\nweb_adapter_{name} {value}\n"
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_prometheus_text() {
        let metrics = Metrics::default();
        metrics.frames_in.add(3);
        let text = metrics.render(2);
        assert!(text.contains("\nweb_adapter_sessions 2\n"));
        assert!(text.contains("# TYPE web_adapter_frames_in_total counter\nweb_adapter_frames_in_total 3\n"));
    }
}
