//! What `/metrics` tells: what came, and what was refused.

use kit::metrics::{Counter, Exposition};

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Datagrams read.
    pub(crate) datagrams: Counter,
    /// Of those, what means nothing, or comes from where no peer can be.
    pub(crate) datagrams_ignored: Counter,
    /// Datagrams of ours that the system did not take.
    pub(crate) datagrams_unsent: Counter,
    /// Addresses that were heard while there was no room for one more.
    pub(crate) peers_refused: Counter,
    /// Connections of the old kind refused, for want of a place or for their number.
    pub(crate) old_refused: Counter,
    /// Messages of the old kind that came in.
    pub(crate) old_received: Counter,
    /// Connections without a text.
    pub(crate) old_empty: Counter,
    /// Messages that were longer than we read.
    pub(crate) old_cut: Counter,
    /// Messages that were not UTF-8.
    pub(crate) old_not_utf8: Counter,
    /// Messages whose sender stopped in the middle, or was too slow.
    pub(crate) old_unfinished: Counter,
    /// Messages lost because the store did not take them.
    pub(crate) old_lost: Counter,
    /// Messages handed to peers of the old kind.
    pub(crate) old_sent: Counter,
    /// Messages that could not be handed to them.
    pub(crate) old_failed: Counter,
}

impl Counters {
    /// The text for Prometheus.
    pub(crate) fn render(&self, online: usize) -> String {
        Exposition::new("lan_peer")
            .gauge("online", "Peers that are there now.", online as u64)
            .counter("datagrams_total", "Datagrams read.", &self.datagrams)
            .counter("datagrams_ignored_total", "Datagrams that mean nothing.", &self.datagrams_ignored)
            .counter("datagrams_unsent_total", "Datagrams that could not be sent.", &self.datagrams_unsent)
            .counter("peers_refused_total", "Peers refused because there are too many.", &self.peers_refused)
            .counter("old_refused_total", "Connections of the old kind refused.", &self.old_refused)
            .counter("old_received_total", "Messages of the old kind taken in.", &self.old_received)
            .counter("old_empty_total", "Connections of the old kind without a text.", &self.old_empty)
            .counter("old_cut_total", "Messages of the old kind that were too long.", &self.old_cut)
            .counter(
                "old_not_utf8_total",
                "Messages of the old kind that were not UTF-8.",
                &self.old_not_utf8,
            )
            .counter(
                "old_unfinished_total",
                "Messages of the old kind left unfinished.",
                &self.old_unfinished,
            )
            .counter("old_lost_total", "Messages that the store did not take.", &self.old_lost)
            .counter("old_sent_total", "Messages handed to peers of the old kind.", &self.old_sent)
            .counter("old_failed_total", "Messages that could not be handed to them.", &self.old_failed)
            .finish()
    }
}
