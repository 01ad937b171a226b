//! Handles the reports of the children's tasks: messages, probe results, ends.

use super::Driver;
use super::change::ReapedProcess;
use super::notify::NotifyMessage;
use super::probe::Verdict;
use super::process::Death;
use super::report::{Answer, Report, Reported, last_line};
use crate::events::{self, Ended, Observation, ProbeKind};
use crate::exit::ProcessExit;
use crate::logs::mask_text;
use crate::machine::{Event, Phase, Then, fingerprint};
use crate::oom::Oom;
use crate::spec::Readiness;

impl Driver {
    pub(super) fn on_report(&mut self, Reported { name, epoch, report }: Reported) -> bool {
        let event = match report {
            Report::Notified(NotifyMessage::Ready | NotifyMessage::Unready(_)) if self.is_probed(&name) => {
                return false;
            }
            Report::Notified(NotifyMessage::Ready) => Event::Ready { name, epoch },
            Report::Notified(NotifyMessage::Unready(reason)) => {
                Event::Unready { name, epoch, reason: self.masked(&reason) }
            }
            Report::Notified(NotifyMessage::Status(text)) => {
                Event::StatusText { name, epoch, text: self.masked(&text) }
            }
            Report::Notified(NotifyMessage::Stopping) => Event::Leaving { name, epoch },
            Report::Notified(NotifyMessage::Alive) => Event::Alive { name, epoch },
            Report::Notified(NotifyMessage::Extend(by)) => Event::Extend { name, epoch, by },
            Report::Notified(NotifyMessage::Stuck) => {
                Event::Unhealthy { name, epoch, reason: "reported that it is stuck".to_owned() }
            }
            Report::Answered(answer) => return self.on_answer(name, epoch, answer),
            Report::Follows(pid) => {
                if let Some(incarnation) = self.incarnation_mut(&name, epoch) {
                    incarnation.pid = pid;
                }
                Event::Spawned { name, epoch, pid }
            }
            Report::MainExited(exit) => Event::MainExited { name, epoch, exit },
            Report::Unkillable(who) => Event::Unkillable { name, epoch, who: self.masked(&who) },
            Report::Exited(death) => {
                self.unread_ends += 1;
                return self.on_death(name, epoch, death);
            }
            Report::LastLines { exit, lines } => {
                self.unread_ends -= 1;
                return self.on_last_lines(name, epoch, exit, lines);
            }
        };
        self.feed(event)
    }

    /// Whether it has a readiness probe; then its own messages about readiness are ignored.
    fn is_probed(&self, name: &str) -> bool {
        let component = self.machine.component(name);
        component.is_some_and(|component| matches!(component.spec.readiness, Readiness::Probe(_)))
    }

    /// A result of an earlier process is dropped here, and messages of one by the machine.
    fn on_answer(&mut self, name: String, epoch: u64, answer: Answer) -> bool {
        if self.incarnation(&name, epoch).is_none() {
            return false;
        }
        let Answer { kind, took, result, verdict } = answer;
        let result = match result {
            Ok(remark) => Ok(remark.map(|remark| self.masked(&remark))),
            Err(reason) => Err(self.masked(&reason)),
        };
        if kind == ProbeKind::Liveness {
            self.liveness.entry(name.clone()).or_default().note(took, &result);
        }
        let result = result.map(drop);
        let reason = result.as_ref().err().cloned().unwrap_or_default();
        let at = self.clock.now();
        let component = name.clone();
        self.observe(Observation::Probed(events::Probed { at, component, epoch, kind, took, result }));
        let event = match (kind, verdict) {
            (_, None) | (ProbeKind::Liveness, Some(Verdict::Healthy)) => return false,
            (ProbeKind::Readiness, Some(Verdict::Healthy)) => Event::Ready { name, epoch },
            (ProbeKind::Readiness, Some(Verdict::Unhealthy)) => Event::Unready { name, epoch, reason },
            (ProbeKind::Liveness, Some(Verdict::Unhealthy)) => Event::Unhealthy { name, epoch, reason },
        };
        self.feed(event)
    }

    /// Texts of others are shown, and may contain secrets.
    fn masked(&self, text: &str) -> String {
        mask_text(&self.plan.secrets, text)
    }

    fn on_death(&mut self, name: String, epoch: u64, death: Death) -> bool {
        let Some(incarnation) = self.incarnations.remove(&name) else { return false };
        if incarnation.epoch != epoch {
            self.incarnations.insert(name, incarnation);
            return false;
        }
        tracing::info!(component = name, exit = %death.exit, "exited");
        let stopping = self.machine.component(&name).map(|component| &component.phase);
        let by_itself = !matches!(stopping, Some(Phase::Stopping { then: Then::Stay | Then::Start, .. }));
        // A process that we have killed needs no other reason.
        let oom = if by_itself || matches!(death.oom, Oom::Killed(_)) { death.oom } else { Oom::None };
        let ended = Ended { exit: death.exit, usage: death.usage, lived: death.lived, by_itself, oom };
        let reaped = ReapedProcess { name: name.clone(), pid: incarnation.pid, ended };
        self.feed_end(Event::Exited { name, epoch, exit: death.exit, oom }, Some(reaped))
    }

    fn on_last_lines(&mut self, name: String, epoch: u64, exit: ProcessExit, lines: Vec<String>) -> bool {
        let (line, print) = (last_line(&lines), fingerprint(exit, &lines));
        let finished = self.feed(Event::LastWords { name: name.clone(), epoch, line, print });
        let crashed = self.machine.component(&name).filter(|component| component.has_crashed_in(epoch));
        let same_in_a_row = crashed.map_or(0, |component| component.same_crashes.max(1));
        if let Some(component) = crashed.filter(|component| component.is_same_crash()) {
            let times = component.same_crashes;
            tracing::warn!(component = name, times, "repeated crash");
        }
        let at = self.clock.now();
        self.observe(Observation::LastLines(events::LastLines {
            at,
            component: name,
            epoch,
            lines,
            same_in_a_row,
        }));
        finished
    }
}
