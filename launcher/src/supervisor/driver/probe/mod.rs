//! Asks a running process again and again whether it serves, and whether it must be started anew.
//!
//! The life of an answer: a task of the incarnation asks ([`ask`]); the answer joins the row of those before it ([`threshold`]);
//! it is reported with the verdict that it leads to, if that is another one than before. The tasks end with their incarnation, and
//! a report bears its epoch, so that what an earlier process answered late says nothing of its successor.

mod ask;
mod threshold;

use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use super::report::{Answer, Report, Reporter};
use crate::supervisor::clock::STANDSTILL;
use crate::supervisor::events::ProbeKind;
use crate::supervisor::spec::{Ask, ComponentSpec, ProbeSpec, Readiness};

pub(super) use threshold::Verdict;

/// The wait between two questions at first: who is about to serve is asked often. It doubles up to the probe's period.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// What answers in time by itself is given up this much later.
const SLACK: Duration = Duration::from_secs(1);

/// The questions that one incarnation is asked.
#[derive(Debug, Default)]
pub(super) struct Probes {
    askers: Vec<JoinHandle<()>>,
    listener: Option<JoinHandle<()>>,
    readiness: Option<ProbeSpec>,
    liveness: Option<ProbeSpec>,
    /// Whether the process has ever said that it serves.
    serves: watch::Sender<bool>,
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.end();
    }
}

impl Probes {
    /// Asks nothing more.
    pub(super) fn end(&mut self) {
        self.askers.drain(..).chain(self.listener.take()).for_each(|task| task.abort());
    }

    /// Asks from now on what this spec says, and nothing else; what is asked already goes on. A log is listened to from the start
    /// of a process or not at all, see [`Self::listen`].
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
            if let Some(probe) = probe.filter(|probe| !matches!(probe.ask, Ask::Log(_))) {
                let (spec, reporter, serves) = (spec.clone(), reporter.clone(), self.serves.subscribe());
                let asker = Asker { kind, probe, spec, run_id, started, reporter, serves };
                self.askers.push(tokio::spawn(asker.run()));
            }
        }
    }

    /// The process serves: what waited for that is asked from now on.
    pub(super) fn serves(&self) {
        self.serves.send_replace(true);
    }

    /// Reports that it serves as soon as the line that is waited for has been read.
    pub(super) fn listen(&mut self, found: oneshot::Receiver<()>, started: Instant, reporter: &Reporter) {
        let reporter = reporter.clone();
        self.listener = Some(tokio::spawn(async move {
            if found.await.is_ok() {
                let (kind, verdict) = (ProbeKind::Readiness, Some(Verdict::Well));
                let answer = Answer { kind, took: started.elapsed(), result: Ok(None), verdict };
                reporter.tell(Report::Answered(answer)).await;
            }
        }));
    }
}

/// What a component's log is to have for it to serve, if that is how one knows.
pub(super) fn awaited_line(spec: &ComponentSpec) -> Option<&str> {
    match &spec.readiness {
        Readiness::Probe(ProbeSpec { ask: Ask::Log(text), .. }) => Some(text),
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
        if matches!(self.probe.ask, Ask::Call(_)) {
            // Without a driver there is nobody to tell.
            let _ = self.serves.wait_for(|serves| *serves).await;
            tokio::time::sleep(self.probe.period).await;
        }
        let mut row = threshold::Row::new(&self.probe);
        let mut wait = FIRST_WAIT.min(self.probe.period);
        loop {
            let asked = Instant::now();
            let answer = ask::ask(&self.probe, &self.spec, self.run_id);
            let result = match tokio::time::timeout(self.patience(), answer).await {
                Ok(result) => result,
                Err(_) => {
                    Err(format!("does not answer within {}", kit::duration::format(self.probe.timeout)))
                }
            };
            if result.is_err() && asked.elapsed() >= self.patience().saturating_add(STANDSTILL) {
                // We stood still, and looked at no answer meanwhile.
                continue;
            }
            let verdict = row.judge(self.started.elapsed(), result.is_ok());
            let answer = Answer { kind: self.kind, took: asked.elapsed(), result, verdict };
            self.reporter.tell(Report::Answered(answer)).await;
            if row.was_good() || self.kind == ProbeKind::Liveness {
                wait = self.probe.period;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(self.probe.period);
        }
    }

    fn patience(&self) -> Duration {
        match self.probe.ask {
            Ask::Call(_) => self.probe.timeout.saturating_add(SLACK),
            Ask::Http { .. } | Ask::Tcp(_) | Ask::Exec(_) | Ask::Log(_) => self.probe.timeout,
        }
    }
}
