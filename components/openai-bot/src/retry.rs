//! When to retry a request to the model, and after which delay.

use std::time::{Duration, SystemTime};

use kit::backoff::Backoff;
use reqwest::StatusCode;

/// Most retries.
pub(crate) const RETRIES: u32 = 3;
/// Longest delay; chat users do not wait longer, so if an endpoint asks for more there is no retry.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The delays between the attempts of one request.
#[derive(Debug)]
pub(crate) struct Retries(Backoff);

impl Default for Retries {
    fn default() -> Self {
        Self(Backoff::new(Duration::from_millis(500), Duration::from_secs(8)))
    }
}

impl Retries {
    /// The delay before the next attempt, or `None` if there is none. `after` is the delay that the endpoint asked for; jitter is added, so
    /// that rejected clients do not return together.
    pub(crate) fn next(&mut self, after: Option<Duration>) -> Option<Duration> {
        let after = after.unwrap_or_default();
        if self.0.failures() >= RETRIES || after > LONGEST_WAIT {
            return None;
        }
        Some(after + self.0.next_delay())
    }
}

/// Whether a retry may succeed after this status.
pub(crate) fn is_retryable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 409 | 429 | 500..=599)
}

/// Parses a `Retry-After` header: seconds, or a date (RFC 9110, section 10.2.3).
pub(crate) fn after(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<f64>() {
        // Some endpoints send fractions.
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(header).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let secs = |n| Some(Duration::from_secs(n));
        assert_eq!(after("7", now), secs(7));
        assert_eq!(after("0.5", now), Some(Duration::from_millis(500)));
        assert_eq!(after("Sun, 06 Nov 1994 08:50:07 GMT", now), secs(30));
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT", now), secs(0));
        for bad in ["-1", "soon", "", "NaN", "inf", "1e400"] {
            assert_eq!(after(bad, now), None, "{bad}");
        }
    }

    #[test]
    fn three_more_tries_unless_the_endpoint_asks_for_too_much() {
        let mut retries = Retries::default();
        assert!(retries.next(None).unwrap() <= Duration::from_millis(500));
        let second = retries.next(Some(Duration::from_secs(5))).unwrap();
        assert!((Duration::from_secs(5)..=Duration::from_secs(6)).contains(&second));
        assert!(retries.next(None).is_some());
        assert_eq!(retries.next(None), None);
        assert_eq!(Retries::default().next(Some(Duration::from_secs(61))), None);
    }

    #[test]
    fn only_temporary_failures_are_retried() {
        let again: Vec<_> = (100..600).filter(|n| is_retryable(StatusCode::from_u16(*n).unwrap())).collect();
        assert_eq!(again[..4], [408, 409, 429, 500]);
        assert_eq!(again.len(), 103);
    }
}
