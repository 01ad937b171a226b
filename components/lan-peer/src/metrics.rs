//! The metrics of `/metrics`.

use kit::metrics::{Counter, Exposition};

use crate::store::Store;

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Datagrams read.
    pub(crate) datagrams: Counter,
    /// Of those, malformed ones and those from impossible addresses.
    pub(crate) datagrams_ignored: Counter,
    /// Of those, our own IPv4 broadcasts, looped back by the kernel.
    pub(crate) datagrams_own: Counter,
    /// The same by IPv6.
    pub(crate) datagrams_own_ipv6: Counter,
    /// Of those, datagrams from addresses on none of our networks.
    pub(crate) datagrams_strange: Counter,
    /// Of those, announcements of others.
    pub(crate) datagrams_others: Counter,
    /// Our datagrams that could not be sent.
    pub(crate) datagrams_unsent: Counter,
    /// Peers not listed because the book was full.
    pub(crate) peers_refused: Counter,
    /// mDNS answers that name a node.
    pub(crate) mdns: Counter,
    /// mDNS floods, during which it was paused.
    pub(crate) mdns_pauses: Counter,
    /// Dials to nodes.
    pub(crate) dials: Counter,
    /// Connections refused or closed before authentication, because of a full table or a rate limit.
    pub(crate) refused: Counter,
    /// Broken connections, mostly because the peer left the network.
    pub(crate) broken: Counter,
    /// Connections closed because the peer violated the protocol or is blocked.
    pub(crate) faulty: Counter,
    /// Connections closed because the store could not save a message.
    pub(crate) unstored: Counter,
    /// Dials answered by a node with a different key.
    pub(crate) wrong_keys: Counter,
    /// Known names that appeared with a different key.
    pub(crate) changed_names: Counter,
    /// Messages received from nodes.
    pub(crate) received: Counter,
    /// Messages acknowledged by nodes.
    pub(crate) delivered: Counter,
    /// Legacy connections refused, because of a full table or a rate limit.
    pub(crate) old_refused: Counter,
    /// Legacy messages received.
    pub(crate) old_received: Counter,
    /// Legacy connections without a message.
    pub(crate) old_empty: Counter,
    /// Legacy messages over the size limit.
    pub(crate) old_cut: Counter,
    /// Legacy messages that were not UTF-8.
    pub(crate) old_not_utf8: Counter,
    /// Legacy messages that were incomplete or too slow.
    pub(crate) old_unfinished: Counter,
    /// Legacy messages lost because the store could not save them.
    pub(crate) old_lost: Counter,
    /// Messages sent to legacy peers.
    pub(crate) old_sent: Counter,
    /// Messages that could not be sent to them.
    pub(crate) old_failed: Counter,
}

/// Current values of the gauges.
#[derive(Debug)]
pub(crate) struct Present {
    /// Online addresses of nodes and legacy peers.
    pub(crate) online: usize,
    /// Nodes that the dialler knows.
    pub(crate) found: usize,
    /// Connected nodes.
    pub(crate) connected: usize,
    /// Incoming connections that have not authenticated yet.
    pub(crate) handshakes: usize,
    /// Pages and terminals that follow events.
    pub(crate) followers: usize,
}

impl Counters {
    /// The text for Prometheus.
    pub(crate) fn render(&self, present: &Present, store: &Store) -> String {
        Exposition::new("lan_peer")
            .gauge("online", "Peers that are there now.", present.online as u64)
            .gauge("found", "Known encrypted nodes.", present.found as u64)
            .gauge("connected", "Connected encrypted nodes.", present.connected as u64)
            .gauge("handshakes", "Connections that have not said whose they are.", present.handshakes as u64)
            .gauge("followers", "Pages and terminals that follow.", present.followers as u64)
            .counter("datagrams_total", "Datagrams read.", &self.datagrams)
            .counter("datagrams_ignored_total", "Datagrams that mean nothing.", &self.datagrams_ignored)
            .counter(
                "datagrams_own_total",
                "Datagrams of our own that came back by IPv4.",
                &self.datagrams_own,
            )
            .counter(
                "datagrams_own_ipv6_total",
                "Datagrams of our own that came back by IPv6.",
                &self.datagrams_own_ipv6,
            )
            .counter(
                "datagrams_strange_total",
                "Datagrams from none of our networks.",
                &self.datagrams_strange,
            )
            .counter("datagrams_others_total", "Announcements of others.", &self.datagrams_others)
            .counter("datagrams_unsent_total", "Datagrams that could not be sent.", &self.datagrams_unsent)
            .counter("peers_refused_total", "Peers refused because there are too many.", &self.peers_refused)
            .counter("mdns_total", "Answers of mDNS that name a node.", &self.mdns)
            .counter("mdns_pauses_total", "Floods in which mDNS was paused.", &self.mdns_pauses)
            .counter("dials_total", "Dials to encrypted nodes.", &self.dials)
            .counter("refused_total", "Connections refused before they said whose they are.", &self.refused)
            .counter("broken_total", "Connections that broke.", &self.broken)
            .counter("faulty_total", "Connections that did not keep to the protocol.", &self.faulty)
            .counter("unstored_total", "Connections ended for the store.", &self.unstored)
            .counter("wrong_keys_total", "Dials answered with another key.", &self.wrong_keys)
            .counter("changed_names_total", "Names that came with another key.", &self.changed_names)
            .counter("received_total", "Messages received from encrypted nodes.", &self.received)
            .counter(
                "strangers_dropped_total",
                "Messages of strangers dropped to make room.",
                store.quota.dropped(),
            )
            .counter("damaged_total", "Rows of the store that could not be read.", store.damage.counter())
            .counter("delivered_total", "Messages acknowledged by encrypted nodes.", &self.delivered)
            .counter("old_refused_total", "Unencrypted connections rejected.", &self.old_refused)
            .counter("old_received_total", "Unencrypted messages received.", &self.old_received)
            .counter("old_empty_total", "Unencrypted connections without a message.", &self.old_empty)
            .counter("old_cut_total", "Unencrypted messages that were too long.", &self.old_cut)
            .counter("old_not_utf8_total", "Unencrypted messages that were not UTF-8.", &self.old_not_utf8)
            .counter("old_unfinished_total", "Unencrypted messages left incomplete.", &self.old_unfinished)
            .counter("old_lost_total", "Messages that the store did not take.", &self.old_lost)
            .counter("old_sent_total", "Messages sent to unencrypted peers.", &self.old_sent)
            .counter("old_failed_total", "Messages that could not be handed to them.", &self.old_failed)
            .runtime_stall()
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use kit::metrics::table;

    use super::*;
    use crate::store::Quota;

    #[test]
    fn every_metric_is_documented() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(&place.path().join("peers.db"), Quota::new(1)).unwrap();
        let present = Present { online: 0, found: 0, connected: 0, handshakes: 0, followers: 0 };
        let text = Counters::default().render(&present, &store);
        let document = include_str!("../../../docs/metrics.md");
        assert_eq!(table::rows(&text), table::documented(document, "lan_peer"));
    }
}
