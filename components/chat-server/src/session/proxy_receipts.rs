//! What a client behind a proxy has received, inferred from its input: what was written some time before it sent something.
//!
//! Pure: offsets and times are arguments.

use std::time::Duration;

use tokio::time::Instant;

/// Written this long before the client sent something, bytes have arrived, or the connection is too slow to be used.
const AFTER: Duration = Duration::from_secs(1);

/// Offsets of written bytes: at the last write, at an earlier one, and at one at least [`AFTER`] before that.
#[derive(Debug, Default)]
pub(crate) struct ProxyReceipts {
    last: Option<(Instant, u64)>,
    fresh: Option<(Instant, u64)>,
    settled: u64,
}

impl ProxyReceipts {
    /// Records that this much has been written.
    pub(crate) fn on_write(&mut self, now: Instant, written: u64) {
        self.last = Some((now, written));
        match self.fresh {
            Some((at, _)) if now < at + AFTER => {}
            Some((_, offset)) => (self.settled, self.fresh) = (offset, Some((now, written))),
            None => self.fresh = Some((now, written)),
        }
    }

    /// The client sent something: returns the offset up to which it has received. Nothing is known of later bytes.
    pub(crate) fn on_input(&self, now: Instant) -> u64 {
        let is_settled = |(at, offset): (Instant, u64)| (now >= at + AFTER).then_some(offset);
        self.last.and_then(is_settled).or(self.fresh.and_then(is_settled)).unwrap_or(self.settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bytes_written_well_before_the_clients_input_count() {
        let (mut answered, start) = (ProxyReceipts::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(answered.on_input(at(0)), 0);
        answered.on_write(at(0), 100);
        answered.on_write(at(500), 200);
        assert_eq!(answered.on_input(at(900)), 0, "that may be on its way still");
        assert_eq!(answered.on_input(at(1000)), 100);
        assert_eq!(answered.on_input(at(1500)), 200, "all of it was written a while ago");
        answered.on_write(at(1600), 300);
        answered.on_write(at(2500), 400);
        assert_eq!(answered.on_input(at(2550)), 100);
        assert_eq!(answered.on_input(at(2600)), 300);
        assert_eq!(answered.on_input(at(9000)), 400);
    }
}
