//! What a client behind a proxy must have, going by when it spoke: what was written a while before.
//!
//! Pure: offsets and times go in.

use std::time::Duration;

use tokio::time::Instant;

/// What was written this long before a client spoke had arrived by then, or the connection was slower than anybody bears.
const AFTER: Duration = Duration::from_secs(1);

/// Offsets of what was written: at the last write, at one before it, and at one [`AFTER`] before that or longer.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    last: Option<(Instant, u64)>,
    fresh: Option<(Instant, u64)>,
    settled: u64,
}

impl Answered {
    /// So much was written by now.
    pub(crate) fn wrote(&mut self, now: Instant, written: u64) {
        self.last = Some((now, written));
        match self.fresh {
            Some((at, _)) if now < at + AFTER => {}
            Some((_, offset)) => (self.settled, self.fresh) = (offset, Some((now, written))),
            None => self.fresh = Some((now, written)),
        }
    }

    /// The client spoke: it has what was written up to this offset. Nothing is known of what was written since.
    pub(crate) fn spoke(&self, now: Instant) -> u64 {
        let is_settled = |(at, offset): (Instant, u64)| (now >= at + AFTER).then_some(offset);
        self.last.and_then(is_settled).or(self.fresh.and_then(is_settled)).unwrap_or(self.settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_well_before_the_client_spoke_counts() {
        let (mut answered, start) = (Answered::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(answered.spoke(at(0)), 0);
        answered.wrote(at(0), 100);
        answered.wrote(at(500), 200);
        assert_eq!(answered.spoke(at(900)), 0, "that may be on its way still");
        assert_eq!(answered.spoke(at(1000)), 100);
        assert_eq!(answered.spoke(at(1500)), 200, "all of it was written a while ago");
        answered.wrote(at(1600), 300);
        answered.wrote(at(2500), 400);
        assert_eq!(answered.spoke(at(2550)), 100);
        assert_eq!(answered.spoke(at(2600)), 300);
        assert_eq!(answered.spoke(at(9000)), 400);
    }
}
