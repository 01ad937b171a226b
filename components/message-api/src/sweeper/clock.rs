//! Whether the clock can be believed: what is old is judged by it, and what was deleted by mistake is gone.
//!
//! Two looks must agree: between one in this run and the one before it, as much time passed by the clock as by the system's own count.
//! And the clock is not far ahead of the last look that was believed, which is kept in the store: a machine that starts with a clock
//! months ahead has two looks that agree. A clock that is behind only lets things stay, and is believed.

use std::time::Duration;

use protocol::Timestamp;
use tokio::time::Instant;

/// The system sets its clock in small steps, and counts a little otherwise.
const TOLERANCE: Duration = Duration::from_secs(60);
/// A machine may have been switched off for so long. After more, an operator says whether the clock is right.
pub(super) const AWAY: Duration = Duration::from_secs(7 * 86_400);

/// What was seen of the clock in this run.
#[derive(Debug, Default)]
pub(super) struct Looks {
    last: Option<(Timestamp, Instant)>,
}

/// What is to be thought of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opinion {
    /// Nothing is old before a second look.
    First,
    /// It is as late as it says.
    Right,
    /// It was set in between, or the machine slept; the next look may agree with this one.
    Jumped,
    /// It is so much ahead of when it was last believed.
    FarAhead(Duration),
}

impl Looks {
    /// One more look, at `now`; `kept` is the last one that was believed, in whichever run.
    pub(super) fn look(&mut self, now: Timestamp, kept: Option<Timestamp>) -> Opinion {
        let counted = Instant::now();
        let before = self.last.replace((now, counted));
        let Some((before, counted_before)) = before else { return Opinion::First };
        let passed = counted.saturating_duration_since(counted_before);
        let expected = before.micros().saturating_add(micros(passed));
        if now.micros().abs_diff(expected) > micros(TOLERANCE).unsigned_abs() {
            return Opinion::Jumped;
        }
        let Some(kept) = kept else { return Opinion::First };
        let ahead = u64::try_from(now.micros().saturating_sub(kept.micros())).unwrap_or(0);
        let ahead = Duration::from_micros(ahead);
        if ahead > AWAY { Opinion::FarAhead(ahead) } else { Opinion::Right }
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    #[tokio::test(start_paused = true)]
    async fn two_looks_that_agree_are_needed_and_the_last_one_that_was_believed() {
        let (mut looks, start) = (Looks::default(), Timestamp::from_micros(1000 * DAY));
        let later = |by: i64| Timestamp::from_micros(start.micros() + by);
        assert_eq!(looks.look(start, Some(start)), Opinion::First);
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(looks.look(later(600_000_000), Some(start)), Opinion::Right);
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(looks.look(later(100 * DAY), Some(start)), Opinion::Jumped);
        tokio::time::advance(Duration::from_secs(600)).await;
        let ahead = looks.look(later(100 * DAY + 600_000_000), Some(start));
        assert!(matches!(ahead, Opinion::FarAhead(by) if by.as_secs() / 86_400 == 100), "{ahead:?}");
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(looks.look(later(-DAY), Some(start)), Opinion::Jumped);
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(looks.look(later(-DAY + 600_000_000), Some(start)), Opinion::Right, "it deletes less");
    }
}
