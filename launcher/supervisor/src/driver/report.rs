//! The reports of an incarnation's tasks to the driver.

use std::time::Duration;

use protocol::sanitise;
use tokio::sync::mpsc;

use super::notify::NotifyMessage;
use super::probe::Verdict;
use super::process::Death;
use crate::events::ProbeKind;
use crate::exit::ProcessExit;
use crate::spec::ProbeResult;

/// The longest last line in a report, in characters.
const MAX_LAST_LINE: usize = 300;

/// A report, without the component's name and epoch.
#[derive(Debug)]
pub(super) enum Report {
    Notified(NotifyMessage),
    Answered(Answer),
    MainExited(ProcessExit),
    /// Its main process is from now on this one, which the first one has started.
    Follows(u32),
    /// These processes do not end after SIGKILL.
    Unkillable(String),
    Exited(Death),
    LastLines {
        exit: ProcessExit,
        lines: Vec<String>,
    },
}

/// A report with the component's name and epoch.
#[derive(Debug)]
pub(super) struct Reported {
    pub(super) name: String,
    pub(super) epoch: u64,
    pub(super) report: Report,
}

/// A probe result.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) kind: ProbeKind,
    pub(super) took: Duration,
    pub(super) result: ProbeResult,
    /// The new verdict, if it changed.
    pub(super) verdict: Option<Verdict>,
}

/// Sends the reports of one incarnation.
#[derive(Debug, Clone)]
pub(super) struct Reporter {
    pub(super) name: String,
    pub(super) epoch: u64,
    pub(super) reports: mpsc::Sender<Reported>,
}

impl Reporter {
    pub(super) async fn said(&self, said: Vec<NotifyMessage>) {
        for said in said {
            self.tell(Report::Notified(said)).await;
        }
    }

    /// Waits for a place in the driver's queue: a child that sends messages without pause delays only itself.
    pub(super) async fn tell(&self, report: Report) {
        // Without a driver nobody needs the report.
        let _ = self.reports.send(Reported { name: self.name.clone(), epoch: self.epoch, report }).await;
    }
}

/// The last line that is not empty, sanitised.
pub(super) fn last_line(lines: &[String]) -> Option<String> {
    let says_something =
        |line: &&String| !line.trim().is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE");
    let line = lines.iter().rev().find(says_something)?;
    Some(sanitise::line(line.trim()).chars().take(MAX_LAST_LINE).collect())
}
