//! Probes a running process periodically for readiness and liveness.
//!
//! The life of a result: a task of the incarnation probes ([`ask`]); the result is added to the current streak ([`threshold`]); it is
//! reported, with the new verdict if that changed. The tasks end with their incarnation, and a report has its epoch, so that a late result
//! of an earlier process is not attributed to its successor.

mod ask;
mod threshold;

use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use super::report::{Answer, Report, Reporter};
use crate::clock::STANDSTILL;
use crate::events::ProbeKind;
use crate::spec::{ComponentSpec, ProbeMethod, ProbeSpec, Readiness};

pub(super) use threshold::Verdict;

/// The first interval: a component that is about to become ready is probed often. It doubles up to the probe's period.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// A probe that enforces its own timeout is aborted this much later.
const SLACK: Duration = Duration::from_secs(1);

/// The probes of one incarnation.
#[derive(Debug, Default)]
pub(super) struct Probes {
    askers: Vec<JoinHandle<()>>,
    listener: Option<JoinHandle<()>>,
    readiness: Option<ProbeSpec>,
    liveness: Option<ProbeSpec>,
    /// Whether the process has ever been ready.
    serves: watch::Sender<bool>,
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.end();
    }
}

impl Probes {
    /// Stops all probes.
    pub(super) fn end(&mut self) {
        self.askers.drain(..).chain(self.listener.take()).for_each(|task| task.abort());
    }

    /// Replaces the probes by those of this spec; unchanged ones continue. A log probe is set up when a process starts or not at all, see
    /// [`Self::listen`].
    pub(super) fn set(&mut self, spec: &ComponentSpec, run_id: Uuid, started: Instant, reporter: &Reporter) {
        let readiness = match &spec.readiness {
            Readiness::Probe(probe) => Some(probe.clone()),
            Readiness::Notify | Readiness::Spawned | Readiness::Executed => None,
        };
        if (&readiness, &spec.liveness) == (&self.readiness, &self.liveness) {
            return;
        }
        self.askers.drain(..).for_each(|task| task.abort());
        (self.readiness, self.liveness) = (readiness.clone(), spec.liveness.clone());
        let kinds = [(ProbeKind::Readiness, readiness), (ProbeKind::Liveness, spec.liveness.clone())];
        for (kind, probe) in kinds {
            if let Some(probe) = probe.filter(|probe| !matches!(probe.ask, ProbeMethod::Log(_))) {
                let (spec, reporter, serves) = (spec.clone(), reporter.clone(), self.serves.subscribe());
                let asker = Asker { kind, probe, spec, run_id, started, reporter, serves };
                self.askers.push(tokio::spawn(asker.run()));
            }
        }
    }

    /// The process is ready: starts the probes that waited for that.
    pub(super) fn serves(&self) {
        self.serves.send_replace(true);
    }

    /// Reports readiness as soon as the expected log line was read.
    pub(super) fn listen(&mut self, found: oneshot::Receiver<()>, started: Instant, reporter: &Reporter) {
        let reporter = reporter.clone();
        self.listener = Some(tokio::spawn(async move {
            if found.await.is_ok() {
                let (kind, verdict) = (ProbeKind::Readiness, Some(Verdict::Healthy));
                let answer = Answer { kind, took: started.elapsed(), result: Ok(None), verdict };
                reporter.tell(Report::Answered(answer)).await;
            }
        }));
    }
}

/// The log line that makes a component ready, if it has a log probe.
pub(super) fn awaited_line(spec: &ComponentSpec) -> Option<&str> {
    match &spec.readiness {
        Readiness::Probe(ProbeSpec { ask: ProbeMethod::Log(text), .. }) => Some(text),
        Readiness::Probe(_) | Readiness::Notify | Readiness::Spawned | Readiness::Executed => None,
    }
}

struct Asker {
    kind: ProbeKind,
    probe: ProbeSpec,
    spec: ComponentSpec,
    run_id: Uuid,
    started: Instant,
    reporter: Reporter,
    serves: watch::Receiver<bool>,
}

impl Asker {
    async fn run(mut self) {
        if matches!(self.probe.ask, ProbeMethod::Call(_)) {
            // Without a driver nobody needs the report.
            let _ = self.serves.wait_for(|serves| *serves).await;
            tokio::time::sleep(self.probe.period).await;
        }
        let mut row = threshold::Streak::new(&self.probe);
        let mut wait = FIRST_WAIT.min(self.probe.period);
        loop {
            let asked = Instant::now();
            let answer = ask::ask(&self.probe, &self.spec, self.run_id);
            let result = match tokio::time::timeout(self.timeout(), answer).await {
                Ok(result) => result,
                Err(_) => {
                    Err(format!("does not answer within {}", kit::duration::format(self.probe.timeout)))
                }
            };
            if result.is_err() && asked.elapsed() >= self.timeout().saturating_add(STANDSTILL) {
                // This process was suspended, so the result may be of that time.
                continue;
            }
            let verdict = row.record(self.started.elapsed(), result.is_ok());
            let answer = Answer { kind: self.kind, took: asked.elapsed(), result, verdict };
            self.reporter.tell(Report::Answered(answer)).await;
            if row.has_succeeded() || self.kind == ProbeKind::Liveness {
                wait = self.probe.period;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(self.probe.period);
        }
    }

    fn timeout(&self) -> Duration {
        match self.probe.ask {
            ProbeMethod::Call(_) => self.probe.timeout.saturating_add(SLACK),
            ProbeMethod::Http { .. } | ProbeMethod::Tcp(_) | ProbeMethod::Exec(_) | ProbeMethod::Log(_) => {
                self.probe.timeout
            }
        }
    }
}
