//! Derives a verdict from consecutive results. Pure.

use std::time::Duration;

use crate::spec::ProbeSpec;

/// The verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::driver) enum Verdict {
    Healthy,
    Unhealthy,
}

/// The current streak.
#[derive(Debug, Clone)]
pub(super) struct Streak {
    successes: u32,
    failures: u32,
    start_period: Duration,
    /// Consecutive successes.
    good: u32,
    /// Consecutive failures.
    bad: u32,
    has_succeeded: bool,
    verdict: Option<Verdict>,
}

impl Streak {
    pub(super) fn new(spec: &ProbeSpec) -> Self {
        Self {
            successes: spec.successes.max(1),
            failures: spec.failures.max(1),
            start_period: spec.start_period,
            good: 0,
            bad: 0,
            has_succeeded: false,
            verdict: None,
        }
    }

    /// Records a result at this age of the process; returns the verdict if it changed.
    pub(super) fn record(&mut self, age: Duration, is_well: bool) -> Option<Verdict> {
        if is_well {
            self.bad = 0;
            self.has_succeeded = true;
            self.good = self.good.saturating_add(1);
            return (self.good >= self.successes).then_some(Verdict::Healthy).filter(|new| self.turns(*new));
        }
        self.good = 0;
        if !self.has_succeeded && age < self.start_period {
            return None;
        }
        self.bad = self.bad.saturating_add(1);
        (self.bad >= self.failures).then_some(Verdict::Unhealthy).filter(|new| self.turns(*new))
    }

    /// Whether any result was a success.
    pub(super) fn has_succeeded(&self) -> bool {
        self.has_succeeded
    }

    fn turns(&mut self, new: Verdict) -> bool {
        self.verdict.replace(new) != Some(new)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::ProbeMethod;

    fn spec(successes: u32, failures: u32, start_period: u64) -> ProbeSpec {
        ProbeSpec {
            ask: ProbeMethod::Tcp(String::new()),
            period: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            successes,
            failures,
            start_period: Duration::from_secs(start_period),
        }
    }

    /// The same computed from the whole history: the last verdict that any prefix of it leads to.
    fn reference(spec: &ProbeSpec, answers: &[bool]) -> Option<Verdict> {
        let first_good = answers.iter().position(|answer| *answer).unwrap_or(answers.len());
        let counts = |(age, answer): (usize, &bool)| {
            let excused = age < first_good && Duration::from_secs(age as u64) < spec.start_period;
            (*answer || !excused).then_some(*answer)
        };
        let counted: Vec<bool> = answers.iter().enumerate().filter_map(counts).collect();
        let ends_in = |end: usize, answer: bool, count: u32| {
            let row = counted[..end].iter().rev().take_while(|other| **other == answer).count();
            row >= count as usize
        };
        (1..=counted.len()).rev().find_map(|end| match counted[end - 1] {
            true => ends_in(end, true, spec.successes).then_some(Verdict::Healthy),
            false => ends_in(end, false, spec.failures).then_some(Verdict::Unhealthy),
        })
    }

    proptest! {
        #[test]
        fn a_verdict_is_what_the_whole_history_says(
            answers in proptest::collection::vec(any::<bool>(), 0..40),
            successes in 1..4u32,
            failures in 1..5u32,
            start_period in 0..10u64,
        ) {
            let spec = spec(successes, failures, start_period);
            let mut row = Streak::new(&spec);
            let mut verdict = None;
            for (age, answer) in answers.iter().enumerate() {
                let changed = row.record(Duration::from_secs(age as u64), *answer);
                prop_assert!(changed.is_none() || changed != verdict, "told twice");
                verdict = changed.or(verdict);
                prop_assert_eq!(verdict, reference(&spec, &answers[..=age]));
            }
        }
    }
}
