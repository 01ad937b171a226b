//! The time of a login, which separates messages stored while the user was offline from live ones.

use std::time::Duration;

use protocol::Timestamp;
use tokio::time::Instant;

/// The largest difference between the clocks of several message APIs.
const SKEW: Duration = Duration::from_secs(60);

/// The time of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoginTime {
    /// By the store's clock, which also dates messages and may differ from ours.
    by_store: Timestamp,
    here: Instant,
}

impl LoginTime {
    /// Now, with the store's clock at this time.
    pub(crate) fn at(by_store: Timestamp) -> Self {
        Self { by_store, here: Instant::now() }
    }

    /// Whether a message with this date was stored while the user was offline. A date in the future is inconclusive, because some clock was
    /// wrong; the feed then decides: what it has brought since the session began to read
    /// ([`Inbox::arrived_since`](crate::delivery::inbox::Inbox::arrived_since)) was not. The feed alone is not sufficient: what is stored between
    /// the login and its first read precedes that position, and MongoDB's change stream brings an event after it was acknowledged.
    pub(crate) fn is_before(self, date: Timestamp) -> Option<bool> {
        let passed = self.here.elapsed() + SKEW;
        let latest =
            self.by_store.micros().saturating_add(i64::try_from(passed.as_micros()).unwrap_or(i64::MAX));
        (date.micros() <= latest).then_some(date < self.by_store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_date_between_the_login_and_now_is_that_of_a_live_message_and_one_in_the_future_tells_nothing()
    {
        const SECOND: i64 = 1_000_000;
        let now = 1_700_000_000 * SECOND;
        let login = LoginTime::at(Timestamp::from_micros(now));
        let is_before = |micros| login.is_before(Timestamp::from_micros(micros));
        assert_eq!(is_before(now - 1), Some(true));
        assert_eq!(is_before(now), Some(false), "whatever our own clock says");
        assert_eq!(is_before(now + 100 * SECOND), None);
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(is_before(now + 100 * SECOND), Some(false));
        assert_eq!(is_before(i64::MAX), None);
    }
}
