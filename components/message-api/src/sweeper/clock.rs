//! Whether the clock can be trusted: it decides which messages have expired, and deletion cannot be undone.
//!
//! Two checks must agree: between the previous check of this run and this one, as much time must have passed on the clock as on the
//! monotonic clock. And the clock must not be far ahead of the last trusted time, which is stored: on a machine that starts with a clock
//! months ahead, two checks agree. A clock that is behind only delays deletion, and is trusted.

use std::time::Duration;

use protocol::Timestamp;
use tokio::time::Instant;

/// The system adjusts its clock in small steps, and the two clocks differ slightly.
const TOLERANCE: Duration = Duration::from_secs(60);
/// The longest time that a machine may have been switched off. After more, an operator must confirm the clock.
pub(super) const MAX_DOWNTIME: Duration = Duration::from_secs(7 * 86_400);

/// The checks of the clock in this run.
#[derive(Debug, Default)]
pub(super) struct ClockChecks {
    last: Option<(Timestamp, Instant)>,
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The first check; nothing expires before a second one.
    First,
    /// The clock is trusted.
    Right,
    /// The clock was set in between, or the machine slept; the next check may agree with this one.
    Jumped,
    /// The clock is this far ahead of the last trusted time.
    FarAhead(Duration),
}

impl ClockChecks {
    /// Checks the clock at `now`; `trusted` is the last trusted time of any run.
    pub(super) fn check(&mut self, now: Timestamp, trusted: Option<Timestamp>) -> Verdict {
        let counted = Instant::now();
        let before = self.last.replace((now, counted));
        let Some((before, counted_before)) = before else { return Verdict::First };
        let passed = counted.saturating_duration_since(counted_before);
        let expected = before.micros().saturating_add(micros(passed));
        if now.micros().abs_diff(expected) > micros(TOLERANCE).unsigned_abs() {
            return Verdict::Jumped;
        }
        let Some(trusted) = trusted else { return Verdict::First };
        let ahead = u64::try_from(now.micros().saturating_sub(trusted.micros())).unwrap_or(0);
        let ahead = Duration::from_micros(ahead);
        if ahead > MAX_DOWNTIME { Verdict::FarAhead(ahead) } else { Verdict::Right }
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
        let (mut checks, start) = (ClockChecks::default(), Timestamp::from_micros(1000 * DAY));
        let later = |by: i64| Timestamp::from_micros(start.micros() + by);
        assert_eq!(checks.check(start, Some(start)), Verdict::First);
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(checks.check(later(600_000_000), Some(start)), Verdict::Right);
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(checks.check(later(100 * DAY), Some(start)), Verdict::Jumped);
        tokio::time::advance(Duration::from_secs(600)).await;
        let ahead = checks.check(later(100 * DAY + 600_000_000), Some(start));
        assert!(matches!(ahead, Verdict::FarAhead(by) if by.as_secs() / 86_400 == 100), "{ahead:?}");
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(checks.check(later(-DAY), Some(start)), Verdict::Jumped);
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(checks.check(later(-DAY + 600_000_000), Some(start)), Verdict::Right, "it deletes less");
    }
}
