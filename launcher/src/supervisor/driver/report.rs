//! What the tasks of an incarnation tell the driver.

use std::time::Duration;

use protocol::sanitise;
use tokio::sync::mpsc;

use super::notify::Said;
use super::probe::Verdict;
use super::process::Death;
use crate::supervisor::events::ProbeKind;
use crate::supervisor::exit::ProcessExit;
use crate::supervisor::spec::Answered;

/// The longest last line that is reported, in characters.
const MAX_LAST_LINE: usize = 300;

/// What the driver is told, with the component's name and the epoch.
#[derive(Debug)]
pub(super) enum Report {
    Said(Said),
    Answered(Answer),
    MainExited(ProcessExit),
    /// Its main process is from now on this one, which the first one has left behind.
    Follows(u32),
    /// These do not end though they were killed.
    Unkillable(String),
    Exited(Death),
    LastLines {
        exit: ProcessExit,
        lines: Vec<String>,
    },
}

/// A report and whose it is.
#[derive(Debug)]
pub(super) struct Reported {
    pub(super) name: String,
    pub(super) epoch: u64,
    pub(super) report: Report,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) kind: ProbeKind,
    pub(super) took: Duration,
    pub(super) result: Answered,
    /// What the row of answers says from now on.
    pub(super) verdict: Option<Verdict>,
}

/// Tells the driver what one incarnation has to say.
#[derive(Debug, Clone)]
pub(super) struct Reporter {
    pub(super) name: String,
    pub(super) epoch: u64,
    pub(super) reports: mpsc::Sender<Reported>,
}

impl Reporter {
    pub(super) async fn said(&self, said: Vec<Said>) {
        for said in said {
            self.tell(Report::Said(said)).await;
        }
    }

    /// Waits for a place in the driver's queue: a child that talks without end slows down itself only.
    pub(super) async fn tell(&self, report: Report) {
        // Without a driver there is nobody to tell.
        let _ = self.reports.send(Reported { name: self.name.clone(), epoch: self.epoch, report }).await;
    }
}

/// The last line that says something, without what could steer a terminal.
pub(super) fn last_line(lines: &[String]) -> Option<String> {
    let says_something =
        |line: &&String| !line.trim().is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE");
    let line = lines.iter().rev().find(says_something)?;
    Some(sanitise::line(line.trim()).chars().take(MAX_LAST_LINE).collect())
}
