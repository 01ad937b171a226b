//! Explains a component's state to the operator. Pure.

use std::time::Instant;

use super::{Component, Machine, Phase, Then};
use crate::clock::ceil_seconds;

impl Machine {
    /// Why a component is not ready; `None` if it is, or is starting, or was stopped.
    pub(crate) fn reason(&self, component: &Component, now: Instant) -> Option<String> {
        match &component.phase {
            Phase::Waiting => Some(self.waits_for(component)),
            Phase::Stopping { then, until, killed } => {
                let end = if *killed {
                    let who = component.unkillable.as_ref().map(|who| format!(": {who}")).unwrap_or_default();
                    format!("killed, but still running{who}")
                } else {
                    let left = ceil_seconds(until.saturating_duration_since(now));
                    format!("will be killed in {left} s")
                };
                Some(stopping(then, &end))
            }
            Phase::Unready { reason } => Some(reason.clone()),
            Phase::Backoff { until } => {
                let wait = until.saturating_duration_since(now).as_secs_f64();
                Some(format!("restarts in {wait:.1} s{}", again(component)))
            }
            Phase::Failed { reason } => Some(format!("{reason}{}", again(component))),
            Phase::Skipped { reason } => Some(reason.clone()),
            Phase::Scheduled | Phase::Finished | Phase::Stopped => component.note.clone(),
            Phase::Starting { .. } | Phase::Ready { .. } => None,
        }
    }

    /// The dependencies that a component waits for.
    pub(crate) fn unmet<'a>(&'a self, component: &'a Component) -> impl Iterator<Item = &'a String> {
        let waits = component.phase == Phase::Waiting;
        component.spec.needs.iter().filter(move |need| waits && !self.is_met(need))
    }

    fn waits_for(&self, component: &Component) -> String {
        let named: Vec<String> = self
            .unmet(component)
            .map(|need| match self.components.get(need) {
                Some(other) => format!("{need} ({})", other.state()),
                None => need.clone(),
            })
            .collect();
        format!("waits for {}", named.join(", "))
    }
}

/// A note if the crashes are the same.
fn again(component: &Component) -> String {
    if component.is_same_crash() {
        format!(" (same crash {} times in a row)", component.same_crashes)
    } else {
        String::new()
    }
}

fn stopping(then: &Then, end: &str) -> String {
    match then {
        Then::Stay | Then::Own => end.to_owned(),
        Then::Rest => format!("its main process has exited; the others: {end}"),
        Then::Start => format!("{end}; then restarts"),
        Then::Crash(reason) => format!("{reason}; {end}"),
    }
}
