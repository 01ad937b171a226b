//! What must be true of every message once all is quiet. Pure, and shown to notice what it is there for.

use std::collections::BTreeSet;

/// Something that must not happen to the messages from one sender to one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Acknowledged, and the recipient never got it.
    Lost(u32),
    /// The recipient got it twice.
    Doubled(u32),
    /// It came after a later one.
    Late(u32),
    /// Nobody sent it.
    Invented(u32),
}

/// Compares what was acknowledged with what came, both as the sender's numbers, of which `sent` is the last. What was sent and not
/// acknowledged may come or not.
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

/// As [`flaws`], for a dialect without ids: what the recipient was cut off in the middle of may come again.
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
