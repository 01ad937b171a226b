//! `events.jsonl`: one JSON object per line for each change of a component's state, and for each probe whose result changed.
//!
//! `at` is the wall clock, `ms` the time since the supervisor started on a monotonic clock. Lines are only appended. The file is rotated and
//! verified like logs; what of it was deleted, truncated or could not be written is an event `lost`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use uuid::Uuid;

use super::audience::Audience;
use crate::supervisor::clock;
use crate::supervisor::events::{
    Ended, Moment, Observation, Oom, ProbeKind, Probed, ProcessExit, State, Transition,
};
use crate::supervisor::logs::launcher_log::{Limits, OwnLog};
pub(crate) use crate::supervisor::logs::names::EVENTS as FILE;

/// A line of the file.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    LauncherStarted {
        at: String,
        run: Uuid,
        pid: u32,
        version: &'static str,
    },
    Transition {
        at: String,
        ms: u128,
        run: Uuid,
        component: &'a str,
        epoch: u64,
        from: State,
        to: State,
        reason: &'a str,
        pid: Option<u32>,
        config: &'a str,
        ended: Option<End>,
    },
    Probe {
        at: String,
        ms: u128,
        run: Uuid,
        component: &'a str,
        epoch: u64,
        kind: ProbeKind,
        took_ms: u128,
        error: Option<&'a str>,
    },
    Missed {
        at: String,
        run: Uuid,
        events: u64,
    },
    LauncherEnded {
        at: String,
        run: Uuid,
    },
}

/// How a process ended.
#[derive(Debug, Serialize)]
struct End {
    exit: ProcessExit,
    by_itself: bool,
    #[serde(skip_serializing_if = "Oom::is_none")]
    out_of_memory: Oom,
    lived_ms: u128,
    user_ms: Option<u128>,
    system_ms: Option<u128>,
    max_rss_kib: Option<u64>,
}

/// The file, and the last results of probes.
#[derive(Debug)]
pub(super) struct EventLog {
    file: OwnLog,
    run: Uuid,
    audience: Audience,
    /// Whether the last result of each probe was good; a repeated result is no event.
    answers: BTreeMap<(String, ProbeKind), (u64, bool)>,
}

impl EventLog {
    pub(super) fn new(logs: &Path, run: Uuid, limits: Limits, audience: Audience) -> Self {
        Self { file: OwnLog::of_events(logs, limits), run, audience, answers: BTreeMap::new() }
    }

    pub(super) fn began(&mut self) {
        let (pid, version) = (std::process::id(), env!("CARGO_PKG_VERSION"));
        self.line(&Line::LauncherStarted { at: now(), run: self.run, pid, version });
    }

    pub(super) fn ended(&mut self) {
        self.line(&Line::LauncherEnded { at: now(), run: self.run });
    }

    pub(super) fn missed(&mut self, events: u64) {
        self.line(&Line::Missed { at: now(), run: self.run, events });
    }

    pub(super) fn write(&mut self, observation: &Observation) {
        match observation {
            Observation::Transition(transition) => self.transition(transition),
            Observation::Probed(probed) => self.probed(probed),
            // These are in the log, and in the crash report.
            Observation::LastLines(_) => {}
        }
    }

    fn transition(&mut self, it: &Transition) {
        let (at, ms) = times(it.at);
        let line = Line::Transition {
            at,
            ms,
            run: self.run,
            component: &it.component,
            epoch: it.epoch,
            from: it.from,
            to: it.to,
            reason: &it.reason,
            pid: it.pid,
            config: &it.config_digest,
            ended: it.ended.as_ref().map(End::of),
        };
        self.line(&line);
    }

    fn probed(&mut self, it: &Probed) {
        let answer = (it.epoch, it.result.is_ok());
        if self.answers.insert((it.component.clone(), it.kind), answer) == Some(answer) {
            return;
        }
        let (at, ms) = times(it.at);
        let line = Line::Probe {
            at,
            ms,
            run: self.run,
            component: &it.component,
            epoch: it.epoch,
            kind: it.kind,
            took_ms: it.took.as_millis(),
            error: it.result.as_ref().err().map(String::as_str),
        };
        self.line(&line);
    }

    fn line(&mut self, line: &Line<'_>) {
        let mut text = serde_json::to_string(line).expect("a line can be written as JSON");
        if self.audience.receiver_count() > 0 {
            // Who listened may have left.
            let _ = self.audience.send(text.as_str().into());
        }
        text.push('\n');
        // What cannot be written is counted. There are a few lines a second at most, so each has its checksum at once.
        let _ = self.file.write_all(text.as_bytes()).and_then(|()| self.file.flush());
    }
}

impl End {
    fn of(ended: &Ended) -> Self {
        Self {
            exit: ended.exit,
            by_itself: ended.by_itself,
            out_of_memory: ended.oom,
            lived_ms: ended.lived.as_millis(),
            user_ms: ended.usage.map(|usage| usage.user.as_millis()),
            system_ms: ended.usage.map(|usage| usage.system.as_millis()),
            max_rss_kib: ended.usage.map(|usage| usage.max_rss / 1024),
        }
    }
}

fn times(moment: Moment) -> (String, u128) {
    (clock::precise(moment.wall), moment.since_start.as_millis())
}

fn now() -> String {
    clock::precise(time::OffsetDateTime::now_utc())
}
