//! The properties of every message once all is quiet. Pure, with tests that it detects violations.

use std::collections::BTreeSet;

/// A violation for the messages from one sender to one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Acknowledged, and never received.
    Lost(u32),
    /// Received twice.
    Doubled(u32),
    /// Received after a later one.
    Late(u32),
    /// Never sent.
    Invented(u32),
}

/// Compares acknowledged with received messages, both by the sender's numbers, of which `sent` is the last. What was sent and not
/// acknowledged may be received or not.
pub(crate) fn flaws(sent: u32, acknowledged: &BTreeSet<u32>, came: &[u32]) -> Vec<Flaw> {
    let (mut seen, mut last, mut found) = (BTreeSet::new(), 0, Vec::new());
    for number in came {
        if *number == 0 || *number > sent {
            found.push(Flaw::Invented(*number));
        } else if !seen.insert(*number) {
            found.push(Flaw::Doubled(*number));
        } else if *number < last {
            found.push(Flaw::Late(*number));
        }
        last = last.max(*number);
    }
    found.extend(acknowledged.difference(&seen).map(|number| Flaw::Lost(*number)));
    found
}

/// Like [`flaws`], for a dialect without ids: what a disconnected recipient was being sent may be repeated.
pub(crate) fn flaws_without_ids(sent: u32, acknowledged: &BTreeSet<u32>, came: &[u32]) -> Vec<Flaw> {
    let mut seen = BTreeSet::new();
    let first: Vec<u32> = came.iter().copied().filter(|number| seen.insert(*number)).collect();
    flaws(sent, acknowledged, &first)
}

#[test]
fn a_planted_loss_double_and_swap_are_noticed() {
    let acknowledged = BTreeSet::from([1, 2, 4]);
    let flaws = |came: &[u32]| flaws(4, &acknowledged, came);
    assert_eq!(flaws(&[1, 2, 4]), []);
    assert_eq!(flaws(&[1, 2, 3, 4]), [], "what was not acknowledged may have been stored");
    assert_eq!(flaws(&[1, 4]), [Flaw::Lost(2)]);
    assert_eq!(flaws(&[1, 2, 2, 4]), [Flaw::Doubled(2)]);
    assert_eq!(flaws(&[1, 4, 2]), [Flaw::Late(2)]);
    assert_eq!(flaws(&[1, 2, 4, 5]), [Flaw::Invented(5)]);
    assert_eq!(flaws_without_ids(4, &acknowledged, &[1, 2, 1, 2, 4]), []);
    assert_eq!(flaws_without_ids(4, &acknowledged, &[1, 4, 2]), [Flaw::Late(2)]);
    assert_eq!(flaws_without_ids(4, &acknowledged, &[1, 1, 4]), [Flaw::Lost(2)]);
}
