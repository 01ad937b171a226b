//! Derives alerts from observations. Pure.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::alert::{Alert, Kind};
use crate::supervisor::clock;
use crate::supervisor::events::{LastLines, Observation, State, Transition};

/// The number of last lines in an alert.
const LINES: usize = 10;

/// What is remembered between observations.
#[derive(Debug)]
pub(super) struct Watcher {
    run: Uuid,
    host: String,
    /// Components that have failed or are unhealthy, and can recover.
    troubled: BTreeSet<String>,
    /// Alerts that wait for the last lines of an ended process, with the process's number; one per component.
    open: BTreeMap<String, (u64, Alert)>,
}

impl Watcher {
    pub(super) fn new(run: Uuid) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { run, host, troubled: BTreeSet::new(), open: BTreeMap::new() }
    }

    /// The alerts of an observation.
    pub(super) fn take(&mut self, observation: Observation) -> Vec<Alert> {
        match observation {
            Observation::Transition(transition) => self.transition(&transition),
            Observation::Probed(_) => Vec::new(),
            Observation::LastLines(lines) => self.last_lines(lines).into_iter().collect(),
        }
    }

    /// The remaining alerts at the end.
    pub(super) fn finish(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.open).into_values().map(|(_, alert)| alert).collect()
    }

    fn transition(&mut self, it: &Transition) -> Vec<Alert> {
        let was_troubled = self.troubled.contains(&it.component);
        let kind = match it.to {
            _ if it.from == it.to => None,
            State::Backoff => Some(Kind::Crashed),
            State::Failed => Some(Kind::Failed),
            State::Unready => Some(Kind::Unhealthy),
            State::Ready => was_troubled.then_some(Kind::Recovered),
            State::Finished if was_troubled => Some(Kind::Recovered),
            State::Finished => Some(Kind::Finished),
            State::Waiting
            | State::Starting
            | State::Running
            | State::Stopping
            | State::Scheduled
            | State::Stopped
            | State::Skipped => None,
        };
        match it.to {
            State::Backoff | State::Failed | State::Unready => {
                self.troubled.insert(it.component.clone());
            }
            State::Ready | State::Finished | State::Stopped | State::Skipped => {
                self.troubled.remove(&it.component);
            }
            State::Waiting | State::Starting | State::Running | State::Stopping | State::Scheduled => {}
        }
        let Some(kind) = kind else { return Vec::new() };
        // Its last lines may come after the next start, but nothing is told of it before its end.
        let mut told: Vec<Alert> =
            self.open.remove(&it.component).map(|(_, alert)| alert).into_iter().collect();
        let alert = self.alert(kind, it);
        if matches!(kind, Kind::Crashed | Kind::Failed) && it.ended.is_some() {
            self.open.insert(it.component.clone(), (it.epoch, alert));
        } else {
            told.push(alert);
        }
        told
    }

    fn alert(&self, event: Kind, it: &Transition) -> Alert {
        Alert {
            event,
            at: clock::precise(it.at.wall),
            component: it.component.clone(),
            state: it.to,
            reason: it.reason.clone(),
            pid: it.pid,
            exit: it.ended.as_ref().map(|ended| ended.exit),
            lived_ms: it.ended.as_ref().map(|ended| ended.lived.as_millis()),
            last_lines: Vec::new(),
            run: self.run,
            host: self.host.clone(),
            missed: 0,
        }
    }

    fn last_lines(&mut self, lines: LastLines) -> Option<Alert> {
        if self.open.get(&lines.component).is_none_or(|(epoch, _)| *epoch != lines.epoch) {
            return None;
        }
        let (_, mut alert) = self.open.remove(&lines.component)?;
        let skipped = lines.lines.len().saturating_sub(LINES);
        alert.last_lines = lines.lines.into_iter().skip(skipped).collect();
        Some(alert)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::OffsetDateTime;

    use super::*;
    use crate::supervisor::events::{Ended, Moment, Oom, ProcessExit};

    fn at() -> Moment {
        Moment { wall: OffsetDateTime::UNIX_EPOCH, since_start: Duration::ZERO }
    }

    fn change(from: State, to: State, has_ended: bool) -> Observation {
        let ended = has_ended.then_some(Ended {
            exit: ProcessExit::Code(3),
            usage: None,
            lived: Duration::from_millis(20),
            by_itself: true,
            oom: Oom::None,
        });
        Observation::Transition(Transition {
            at: at(),
            component: "web".to_owned(),
            epoch: 1,
            from,
            to,
            reason: "exited with code 3".to_owned(),
            pid: Some(7),
            ended,
            config_digest: String::new(),
        })
    }

    fn lines(epoch: u64) -> Observation {
        let lines = (0..20).map(|number| number.to_string()).collect();
        Observation::LastLines(LastLines {
            at: at(),
            component: "web".to_owned(),
            epoch,
            lines,
            same_in_a_row: 1,
        })
    }

    /// The alerts of these observations, in order.
    fn told(observations: Vec<Observation>) -> Vec<(Kind, usize)> {
        let mut watcher = Watcher::new(Uuid::nil());
        let mut alerts: Vec<Alert> = observations.into_iter().flat_map(|it| watcher.take(it)).collect();
        alerts.extend(watcher.finish());
        alerts.into_iter().map(|alert| (alert.event, alert.last_lines.len())).collect()
    }

    #[test]
    fn a_crash_is_told_with_its_last_lines_and_its_recovery() {
        use State::{Backoff, Ready, Starting, Waiting};
        let story = vec![
            change(Waiting, Starting, false),
            change(Starting, Ready, false),
            change(Ready, Backoff, true),
            lines(9),
            change(Backoff, Backoff, false),
            change(Backoff, Waiting, false),
            lines(1),
            change(Starting, Ready, false),
        ];
        assert_eq!(told(story), [(Kind::Crashed, 10), (Kind::Recovered, 0)]);
    }

    #[test]
    fn what_could_not_be_started_has_no_last_lines_and_those_that_never_come_hold_up_nothing() {
        use State::{Backoff, Failed, Ready, Starting, Stopped, Unready};
        assert_eq!(told(vec![change(Starting, Failed, false)]), [(Kind::Failed, 0)]);
        assert_eq!(told(vec![change(Ready, Backoff, true)]), [(Kind::Crashed, 0)]);
        let story = vec![
            change(Ready, Unready, false),
            change(Unready, Ready, false),
            change(Ready, Unready, false),
            change(Unready, Stopped, false),
            change(Starting, Ready, false),
        ];
        assert_eq!(told(story), [(Kind::Unhealthy, 0), (Kind::Recovered, 0), (Kind::Unhealthy, 0)]);
    }

    #[test]
    fn a_oneshot_that_finishes_is_told() {
        assert_eq!(told(vec![change(State::Running, State::Finished, true)]), [(Kind::Finished, 0)]);
    }
}
