//! Crash reports: `crash/<component>-<time>-<number>.json` beside the logs, one for each process that ended without being asked to. A
//! report has what was known at that moment, so that it can be read later.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::supervisor::clock;
use crate::supervisor::events::{
    Ended, LastLines, Observation, Oom, ProbeKind, Probed, ProcessExit, State, Transition,
};

/// The directory beside the logs.
const DIRECTORY: &str = "crash";

/// The number of reports kept over all components and runs; the oldest are deleted.
const KEPT: usize = 100;

/// The number of a component's latest probe results in a report.
const ANSWERS: usize = 20;

/// The maximum size of a report: 200 lines of 4 KiB, each byte escaped as six characters at worst.
const MAX_REPORT: u64 = 8 << 20;

/// A crash report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Report {
    /// Its id, which is also the name of its file.
    pub id: String,
    /// Name of the component.
    pub component: String,
    /// The time of the crash, RFC 3339 with milliseconds, in UTC.
    pub at: String,
    /// The run of the launcher.
    pub run: Uuid,
    /// The number of the process in its run.
    pub epoch: u64,
    /// The process id, if the process could be started.
    pub pid: Option<u32>,
    /// Why it ended, in words: its exit status, or why it was killed.
    pub reason: String,
    /// The exit status.
    pub exit: ProcessExit,
    /// Whether the kernel killed it for lack of memory.
    #[serde(default, skip_serializing_if = "Oom::is_none")]
    pub out_of_memory: Oom,
    /// How long it lived.
    pub lived_ms: u64,
    /// The resources that it used.
    pub usage: Option<Usage>,
    /// The following state: `backoff` if it was restarted, `failed` if not.
    pub next: State,
    /// The number of consecutive crashes of the same kind, including this one.
    pub same_in_a_row: u32,
    /// The digest of its configuration.
    pub config: String,
    /// The states of the other components.
    pub others: BTreeMap<String, State>,
    /// Its latest probe results, oldest first.
    pub probes: Vec<Answer>,
    /// The last lines that it wrote, oldest first, secrets masked.
    pub last_lines: Vec<String>,
}

/// The resources that a process used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Usage {
    /// CPU time in user mode.
    pub user_ms: u64,
    /// CPU time in the kernel.
    pub system_ms: u64,
    /// The maximum resident memory.
    pub max_rss_kib: u64,
}

/// A probe result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Answer {
    /// The time of the result.
    pub at: String,
    /// The kind of the probe.
    pub kind: ProbeKind,
    /// The duration of the probe.
    pub took_ms: u64,
    /// The error; `None` if it succeeded.
    pub error: Option<String>,
}

/// What the next report of each component will need.
#[derive(Debug)]
pub(super) struct CrashContext {
    directory: PathBuf,
    run: Uuid,
    states: BTreeMap<String, State>,
    answers: BTreeMap<String, VecDeque<Answer>>,
    /// Reports that wait for their last lines; at most one per component: when the next process crashes, too, the report is written without.
    open: BTreeMap<String, Report>,
}

impl CrashContext {
    pub(super) fn new(logs: &Path, run: Uuid) -> Self {
        let directory = logs.join(DIRECTORY);
        Self { directory, run, states: BTreeMap::new(), answers: BTreeMap::new(), open: BTreeMap::new() }
    }

    pub(super) fn take(&mut self, observation: Observation) {
        match observation {
            Observation::Transition(transition) => self.transition(transition),
            Observation::Probed(probed) => self.probed(probed),
            Observation::LastLines(lines) => self.last_lines(lines),
        }
    }

    /// Writes the waiting reports without their last lines.
    pub(super) fn finish(&mut self) {
        for report in std::mem::take(&mut self.open).into_values() {
            self.write(&report);
        }
    }

    fn transition(&mut self, transition: Transition) {
        let component = transition.component.clone();
        self.states.insert(component.clone(), transition.to);
        if transition.to == State::Starting {
            self.answers.remove(&component);
        }
        if let Some(ended) = transition.ended.clone()
            && ended.by_itself
            && matches!(transition.to, State::Backoff | State::Failed)
            && let Some(earlier) = self.open.insert(component, self.report(transition, &ended))
        {
            self.write(&earlier);
        }
    }

    fn report(&self, transition: Transition, ended: &Ended) -> Report {
        let Transition { at, component, epoch, to, reason, pid, config_digest, .. } = transition;
        let answers = self.answers.get(&component).cloned().unwrap_or_default();
        let mut others = self.states.clone();
        others.remove(&component);
        Report {
            id: format!("{component}-{}-{epoch}", clock::compact_of(at.wall)),
            at: clock::precise(at.wall),
            run: self.run,
            epoch,
            pid,
            reason,
            exit: ended.exit,
            out_of_memory: ended.oom,
            lived_ms: millis(ended.lived),
            usage: ended.usage.map(|usage| Usage {
                user_ms: millis(usage.user),
                system_ms: millis(usage.system),
                max_rss_kib: usage.max_rss / 1024,
            }),
            next: to,
            same_in_a_row: 1,
            config: config_digest,
            others,
            probes: answers.into(),
            last_lines: Vec::new(),
            component,
        }
    }

    fn probed(&mut self, probed: Probed) {
        let Probed { at, component, kind, took, result, .. } = probed;
        let answers = self.answers.entry(component).or_default();
        if answers.len() == ANSWERS {
            answers.pop_front();
        }
        let (at, took_ms) = (clock::precise(at.wall), millis(took));
        answers.push_back(Answer { at, kind, took_ms, error: result.err() });
    }

    fn last_lines(&mut self, lines: LastLines) {
        if self.open.get(&lines.component).is_some_and(|report| report.epoch == lines.epoch)
            && let Some(mut report) = self.open.remove(&lines.component)
        {
            report.same_in_a_row = lines.same_in_a_row.max(1);
            report.last_lines = lines.lines;
            self.write(&report);
        }
    }

    fn write(&self, report: &Report) {
        if let Err(error) = write(&self.directory, report).and_then(|()| prune(&self.directory)) {
            tracing::warn!(%error, component = report.component, "cannot write the crash report");
        }
    }
}

/// Atomically.
fn write(directory: &Path, report: &Report) -> io::Result<()> {
    kit::files::make_directory(directory)?;
    let text = serde_json::to_vec_pretty(report)?;
    kit::durable::replace(&directory.join(format!("{}.json", report.id)), 0o600, &text)
}

fn prune(directory: &Path) -> io::Result<()> {
    let files = files(directory)?;
    for (_, path) in &files[..files.len().saturating_sub(KEPT)] {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

/// The ids and paths of the reports, oldest first.
fn files(directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let named = paths.filter_map(|path| {
        let id = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
        Some((id, path))
    });
    let mut files: Vec<(String, PathBuf)> = named.collect();
    files.sort_by(|(one, _), (other, _)| {
        let ((_, one_at, one), (_, other_at, other)) = (split(one), split(other));
        (one_at, one).cmp(&(other_at, other))
    });
    Ok(files)
}

/// Splits an id into component, time and number; a component's name may contain `-`.
fn split(id: &str) -> (&str, &str, u64) {
    let mut parts = id.rsplitn(3, '-');
    let epoch = parts.next().and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
    let at = parts.next().unwrap_or_default();
    (parts.next().unwrap_or_default(), at, epoch)
}

/// All reports, oldest first. Other files are ignored.
///
/// # Errors
/// If the directory cannot be read.
pub fn all(logs: &Path) -> io::Result<Vec<Report>> {
    let files = files(&logs.join(DIRECTORY))?;
    Ok(files.into_iter().filter_map(|(_, path)| read(&path)).collect())
}

/// The newest report of a component.
///
/// # Errors
/// If the directory cannot be read.
pub fn newest_of(logs: &Path, component: &str) -> io::Result<Option<Report>> {
    let files = files(&logs.join(DIRECTORY))?;
    let found = files.iter().rev().find(|(id, _)| split(id).0 == component);
    Ok(found.and_then(|(_, path)| read(path)))
}

/// The report with this id, or the newest one of this component, or the one whose id begins with this text.
///
/// # Errors
/// If the directory cannot be read.
pub fn find(logs: &Path, text: &str) -> io::Result<Option<Report>> {
    if let Some(report) = newest_of(logs, text)? {
        return Ok(Some(report));
    }
    let files = files(&logs.join(DIRECTORY))?;
    let exact = files.iter().find(|(id, _)| id == text);
    let found = exact.or_else(|| files.iter().rev().find(|(id, _)| id.starts_with(text)));
    Ok(found.and_then(|(_, path)| read(path)))
}

fn read(path: &Path) -> Option<Report> {
    let mut text = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    io::Read::read_to_end(&mut io::Read::take(file, MAX_REPORT), &mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
