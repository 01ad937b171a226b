//! How soon and how often a crashed component is restarted. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::spec::RestartPolicy;

/// The recent crashes of one component.
#[derive(Debug, Clone, Default)]
pub(super) struct Budget {
    /// The times of granted restarts, oldest first; at most the policy's intensity.
    granted: VecDeque<Instant>,
    /// The number of consecutive backoffs that have grown.
    level: i32,
    /// A restart was granted without a backoff.
    spared: bool,
}

impl Budget {
    /// Requests a restart after a crash: returns the backoff, or `None` if the restarts are used up. There is no backoff after the first crash
    /// of a component that had `served`: nothing suggests that it will crash again. `unit` is a uniform random number from 0 to 1.
    pub(super) fn grant(
        &mut self,
        now: Instant,
        policy: &RestartPolicy,
        served: bool,
        unit: f64,
    ) -> Option<Duration> {
        while self.granted.front().is_some_and(|at| now.saturating_duration_since(*at) >= policy.window) {
            self.granted.pop_front();
        }
        if self.granted.len() >= policy.intensity as usize {
            return None;
        }
        self.granted.push_back(now);
        if served && self.level == 0 && !self.spared {
            self.spared = true;
            return Some(Duration::ZERO);
        }
        self.level = self.level.saturating_add(1);
        Some(self.wait(policy, unit))
    }

    /// Increases the last backoff and all later ones as if there had been this many more crashes; `None` if there was no backoff.
    pub(super) fn lengthen(&mut self, policy: &RestartPolicy, by: i32, unit: f64) -> Option<Duration> {
        if self.level == 0 {
            return None;
        }
        self.level = self.level.saturating_add(by);
        Some(self.wait(policy, unit))
    }

    fn wait(&self, policy: &RestartPolicy, unit: f64) -> Duration {
        let growth = policy.factor.max(1.0).powi(self.level.saturating_sub(1));
        let jitter = 1.0 + policy.jitter.clamp(0.0, 1.0) * (2.0 * unit - 1.0);
        let seconds = (policy.base.as_secs_f64() * growth).min(policy.cap.as_secs_f64()) * jitter;
        Duration::try_from_secs_f64(seconds).unwrap_or(policy.cap)
    }

    /// Forgets all crashes.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_cap_and_vary_within_the_jitter() {
        let policy =
            RestartPolicy { intensity: 100, cap: Duration::from_secs(1), ..RestartPolicy::default() };
        let now = Instant::now();
        let mut budget = Budget::default();
        let waits: Vec<u128> =
            (0..5).map(|_| budget.grant(now, &policy, false, 0.5).unwrap().as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1000, 1000]);
        budget.reset();
        assert_eq!(budget.grant(now, &policy, false, 0.0).unwrap().as_millis(), 160);
        budget.reset();
        assert_eq!(budget.grant(now, &policy, false, 1.0).unwrap().as_millis(), 240);
        assert_eq!(budget.lengthen(&policy, 2, 0.5).unwrap().as_millis(), 800);
    }

    #[test]
    fn the_first_crash_after_service_costs_no_wait_and_the_next_begins_with_the_shortest() {
        let policy = RestartPolicy::default();
        let now = Instant::now();
        let mut budget = Budget::default();
        let mut wait = |served| budget.grant(now, &policy, served, 0.5).unwrap().as_millis();
        assert_eq!([wait(true), wait(true), wait(false), wait(true)], [0, 200, 400, 800]);
        budget.reset();
        assert_eq!(budget.grant(now, &policy, false, 0.5).unwrap().as_millis(), 200);
        assert_eq!(budget.grant(now, &policy, true, 0.5).unwrap().as_millis(), 400);
        budget.reset();
        assert_eq!(budget.grant(now, &policy, true, 0.5), Some(Duration::ZERO));
        assert_eq!(budget.lengthen(&policy, 3, 0.5), None, "there is no backoff that could be longer");
        assert_eq!(budget.grant(now, &policy, true, 0.5).unwrap().as_millis(), 200);
    }

    #[test]
    fn the_share_is_used_up_and_comes_back_with_time() {
        let policy = RestartPolicy { intensity: 2, ..RestartPolicy::default() };
        let start = Instant::now();
        let mut budget = Budget::default();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(budget.grant(at(0), &policy, false, 0.5).is_some());
        assert!(budget.grant(at(10), &policy, false, 0.5).is_some());
        assert!(budget.grant(at(59), &policy, false, 0.5).is_none());
        assert!(budget.grant(at(60), &policy, false, 0.5).is_some());
        assert!(budget.grant(at(61), &policy, false, 0.5).is_none());
    }
}
