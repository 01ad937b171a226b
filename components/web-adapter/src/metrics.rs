//! The metrics of `/metrics`.

use kit::metrics::{Counter, Exposition};

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// WebSockets opened.
    pub(crate) opened: Counter,
    /// WebSockets refused, because of their origin or the limit.
    pub(crate) refused: Counter,
    /// Frames received from browsers.
    pub(crate) frames_in: Counter,
    /// Pings received from browsers.
    pub(crate) pings: Counter,
    /// Frames sent to browsers.
    pub(crate) frames_out: Counter,
    /// Sessions that ended because the chat server was unreachable.
    pub(crate) chat_away: Counter,
}

impl Metrics {
    pub(crate) fn render(&self, open: usize) -> String {
        let refused = "WebSockets refused for their origin or for want of a place.";
        let chat_away = "Sessions closed because the connection to the chat server was lost.";
        Exposition::new("web_adapter")
            .gauge("sessions", "WebSockets open now.", open as u64)
            .counter("opened_total", "WebSockets opened.", &self.opened)
            .counter("refused_total", refused, &self.refused)
            .counter("frames_in_total", "Frames taken from browsers.", &self.frames_in)
            .counter("pings_total", "Pings taken from browsers.", &self.pings)
            .counter("frames_out_total", "Frames handed to browsers.", &self.frames_out)
            .counter("chat_away_total", chat_away, &self.chat_away)
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
        let text = Metrics::default().render(0);
        let document = include_str!("../../../docs/metrics.md");
        assert_eq!(table::rows(&text), table::documented(document, "web_adapter"));
    }
}
