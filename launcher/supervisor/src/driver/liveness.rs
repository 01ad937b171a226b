//! A component's liveness probes for `status`: the last result and the number of failures.

use std::time::{Duration, Instant};

use crate::spec::ProbeResult;
use crate::status::LivenessStatus;

/// The results of one component, over all of its processes.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    last: Option<Last>,
    failures: u64,
    in_a_row: u32,
}

#[derive(Debug)]
struct Last {
    at: Instant,
    took: Duration,
    answer: ProbeResult,
}

impl Liveness {
    /// Records a result.
    pub(super) fn note(&mut self, took: Duration, answer: &ProbeResult) {
        if answer.is_err() {
            self.failures += 1;
            self.in_a_row = self.in_a_row.saturating_add(1);
        } else {
            self.in_a_row = 0;
        }
        self.last = Some(Last { at: Instant::now(), took, answer: answer.clone() });
    }

    /// The status; `None` before the first result.
    pub(super) fn status(&self, now: Instant) -> Option<LivenessStatus> {
        let Last { at, took, answer } = self.last.as_ref()?;
        let (remark, error) = match answer {
            Ok(remark) => (remark.clone(), None),
            Err(error) => (None, Some(error.clone())),
        };
        Some(LivenessStatus {
            remark,
            error,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            age_s: now.saturating_duration_since(*at).as_secs(),
            failures_in_a_row: self.in_a_row,
            failures: self.failures,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_answers_are_counted_and_a_good_one_ends_the_row() {
        let mut liveness = Liveness::default();
        let now = Instant::now();
        assert_eq!(liveness.status(now), None);
        for _ in 0..2 {
            liveness.note(Duration::from_secs(10), &Err("is silent".to_owned()));
        }
        let status = liveness.status(now).unwrap();
        assert_eq!((status.failures_in_a_row, status.failures, status.took_ms), (2, 2, 10_000));
        assert_eq!(status.error.as_deref(), Some("is silent"));
        liveness.note(Duration::from_millis(4), &Ok(Some("not stored".to_owned())));
        let status = liveness.status(now).unwrap();
        assert_eq!((status.failures_in_a_row, status.failures, status.took_ms), (0, 2, 4));
        assert_eq!((status.remark.as_deref(), status.error), (Some("not stored"), None));
    }
}
