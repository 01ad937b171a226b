//! Counts lost, duplicate and reordered messages of one sender at one recipient.

use std::collections::BTreeSet;
use std::ops::AddAssign;

/// The messages that one recipient received from one sender.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Every lower number has arrived or is missing.
    next: u32,
    /// Numbers below `next` that have not arrived; bounded by the number of messages sent.
    missing: BTreeSet<u32>,
    duplicates: u64,
    reordered: u64,
}

/// The number of faults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Sent, and never received.
    pub lost: u64,
    /// Received more than once.
    pub duplicates: u64,
    /// Received after a later one.
    pub reordered: u64,
}

impl Ledger {
    /// Records a received message.
    pub fn note(&mut self, number: u32) {
        if number >= self.next {
            self.missing.extend(self.next..number);
            self.next = number + 1;
        } else if self.missing.remove(&number) {
            self.reordered += 1;
        } else {
            self.duplicates += 1;
        }
    }

    /// The number of distinct messages received.
    #[must_use]
    pub fn arrived(&self) -> u32 {
        self.next - u32::try_from(self.missing.len()).expect("there are fewer of them than numbers")
    }

    /// The faults, if `sent` of them should have arrived.
    #[must_use]
    pub fn faults(&self, sent: u32) -> Faults {
        let lost = u64::from(sent).saturating_sub(self.arrived().into());
        Faults { lost, duplicates: self.duplicates, reordered: self.reordered }
    }
}

impl Faults {
    /// Whether there are no faults.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl AddAssign for Faults {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.duplicates += other.duplicates;
        self.reordered += other.reordered;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(arrivals: &[u32], sent: u32) -> Faults {
        let mut ledger = Ledger::default();
        arrivals.iter().for_each(|number| ledger.note(*number));
        ledger.faults(sent)
    }

    #[test]
    fn everything_once_and_in_order_is_no_fault() {
        assert!(faults(&[0, 1, 2, 3], 4).is_none());
        assert!(faults(&[], 0).is_none());
    }

    #[test]
    fn a_planted_loss_is_noticed_wherever_it_is() {
        let lost = |count| Faults { lost: count, ..Faults::default() };
        assert_eq!(faults(&[1, 2, 3], 4), lost(1));
        assert_eq!(faults(&[0, 1, 3], 4), lost(1));
        assert_eq!(faults(&[0, 1, 2], 4), lost(1));
        assert_eq!(faults(&[], 4), lost(4));
    }

    #[test]
    fn a_planted_double_is_noticed_and_hides_no_loss() {
        assert_eq!(faults(&[0, 1, 1, 2], 3), Faults { duplicates: 1, ..Faults::default() });
        assert_eq!(faults(&[0, 1, 2, 0], 3), Faults { duplicates: 1, ..Faults::default() });
        assert_eq!(faults(&[0, 1, 1], 3), Faults { lost: 1, duplicates: 1, reordered: 0 });
    }

    #[test]
    fn a_planted_swap_is_noticed() {
        assert_eq!(faults(&[0, 2, 1, 3], 4), Faults { reordered: 1, ..Faults::default() });
        assert_eq!(faults(&[2, 1, 1], 4), Faults { lost: 2, duplicates: 1, reordered: 1 });
    }
}
