//! The components that run by the clock: when they are due, and what became of their last run, which is kept in a file.

use std::path::Path;
use std::time::Duration;

use time::OffsetDateTime;

use super::run_file::{RunFile, Runs};
use crate::clock;
use crate::machine::Component;
use crate::schedule::Agenda;
use crate::spec::ComponentSpec;
use crate::status::{RunStatus, ScheduleStatus, State};

/// What the driver knows of them.
#[derive(Debug)]
pub(super) struct Schedules {
    agenda: Agenda,
    /// The last run of each.
    runs: Runs,
    file: RunFile,
}

impl Schedules {
    /// None yet; with the last runs that an earlier launcher has left in the run directory.
    pub(super) fn open(run_dir: &Path) -> Self {
        let (file, runs) = RunFile::open(run_dir, &clock::rfc3339());
        Self { agenda: Agenda::default(), runs, file }
    }

    /// Writes what is not written yet; gives up if the disk hangs.
    pub(super) async fn close(self) {
        self.file.close().await;
    }

    /// These run from now on.
    pub(super) fn set(&mut self, components: &[ComponentSpec]) {
        let schedules = components
            .iter()
            .filter_map(|spec| Some((spec.name.clone(), spec.schedule.as_ref()?.schedule.clone())));
        self.agenda.set(schedules, OffsetDateTime::now_utc().unix_timestamp());
        self.runs.retain(|name, _| components.iter().any(|spec| spec.name == *name));
    }

    /// Waits until something may be due.
    pub(super) async fn wait(&self) {
        match self.sleep() {
            Some(sleep) => tokio::time::sleep(sleep).await,
            None => std::future::pending().await,
        }
    }

    fn sleep(&self) -> Option<Duration> {
        let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        self.agenda.sleep(i64::try_from(now).unwrap_or(i64::MAX))
    }

    /// The names of what is due.
    pub(super) fn due(&mut self) -> Vec<String> {
        self.agenda.due(OffsetDateTime::now_utc().unix_timestamp(), clock::since_boot())
    }

    /// It has another state now.
    pub(super) fn note(&mut self, component: &Component, from: State, to: State, why: &str) {
        if component.spec.schedule.is_none() || from == to {
            return;
        }
        let name = &component.spec.name;
        let is_over = self.runs.get(name).is_none_or(|run| run.ended_at.is_some());
        match to {
            // What is tried again after a crash is the same run.
            State::Starting if is_over => {
                let run = RunStatus { started_at: clock::rfc3339(), ended_at: None, result: None };
                self.runs.insert(name.clone(), run);
                self.file.write(&self.runs);
            }
            State::Finished | State::Failed | State::Stopped => {
                if let Some(run) = self.runs.get_mut(name).filter(|run| run.ended_at.is_none()) {
                    run.ended_at = Some(clock::rfc3339());
                    run.result = Some(why.to_owned());
                    self.file.write(&self.runs);
                }
            }
            State::Starting
            | State::Waiting
            | State::Ready
            | State::Unready
            | State::Stopping
            | State::Backoff
            | State::Running
            | State::Scheduled
            | State::Skipped => {}
        }
    }

    /// What is shown of one.
    pub(super) fn status(&self, component: &Component) -> Option<ScheduleStatus> {
        let spec = component.spec.schedule.as_ref()?;
        let is_suspended = matches!(component.state(), State::Stopped | State::Skipped);
        let next = self.agenda.next(&component.spec.name).filter(|_| !is_suspended);
        Some(ScheduleStatus {
            expression: spec.schedule.expression().to_owned(),
            time_zone: spec.schedule.zone_name().map(str::to_owned),
            next_run: next
                .and_then(|next| OffsetDateTime::from_unix_timestamp(next).ok())
                .map(clock::seconds),
            last_run: self.runs.get(&component.spec.name).cloned(),
            queued: component.queued,
            skipped: component.skipped_runs,
        })
    }
}
