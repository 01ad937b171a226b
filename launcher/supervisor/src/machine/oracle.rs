//! Invariants that hold after each step, asserted in debug builds by recomputing them in the simplest way.

use std::collections::BTreeMap;

use super::{Action, Event, Goal, Machine, Phase, Then, Verb};
use crate::spec::{ComponentKind, Launch};

/// The state before a step.
pub(super) struct Oracle {
    /// The epoch of each incarnation that continues after the event.
    alive: BTreeMap<String, u64>,
    quitting: bool,
    /// The component that the operator has stopped.
    stopped: Option<String>,
}

impl Oracle {
    pub(super) fn before(machine: &Machine, event: &Event) -> Self {
        let ends = |name: &String, epoch: u64| match event {
            Event::Exited { name: ended, epoch: last, .. }
            | Event::SpawnFailed { name: ended, epoch: last, .. } => ended == name && *last == epoch,
            _ => false,
        };
        let alive = machine
            .components
            .iter()
            .filter(|(name, component)| component.is_alive() && !ends(name, component.epoch));
        let stopped = match event {
            Event::Operator { name, verb: Verb::Stop } => Some(name.clone()),
            _ => None,
        };
        Self {
            alive: alive.map(|(name, component)| (name.clone(), component.epoch)).collect(),
            quitting: machine.is_quitting(),
            stopped,
        }
    }

    /// Panics if the step violated an invariant.
    pub(super) fn check(self, machine: &Machine, actions: &[Action]) {
        for (index, action) in actions.iter().enumerate() {
            if let Action::Spawn { name, epoch } = action {
                self.check_spawn(machine, name, *epoch);
                let again = actions[index + 1..].iter().any(|other| match other {
                    Action::Spawn { name: other, .. } => other == name,
                    _ => false,
                });
                assert!(!again, "{name} is started twice in one step");
            }
        }
        self.check_stop(machine);
        check_end(machine);
        machine.components.values().for_each(check_component);
    }

    /// At most one live incarnation, none before its dependencies are ready, and none while stopping.
    fn check_spawn(&self, machine: &Machine, name: &str, epoch: u64) {
        let component = &machine.components[name];
        assert!(!self.quitting && !machine.is_quitting(), "{name} is started though all is to end");
        assert_eq!(self.alive.get(name), None, "{name} is started though it lives");
        assert_eq!((component.epoch, component.is_alive()), (epoch, true), "{name} is started and not noted");
        assert!(matches!(component.spec.launch, Launch::Command { .. }), "{name} is not part of this run");
        for need in &component.spec.needs {
            let met = match machine.components.get(need) {
                Some(need) => match need.spec.kind {
                    ComponentKind::Service | ComponentKind::Forking => {
                        matches!(need.phase, Phase::Ready { .. } | Phase::Finished)
                    }
                    ComponentKind::Oneshot => need.phase == Phase::Finished,
                },
                None => machine.dependencies.get(need) == Some(&true),
            };
            assert!(met, "{name} is started before {need} is ready");
        }
    }

    /// An explicit stop cancels a restart in progress.
    fn check_stop(&self, machine: &Machine) {
        let Some(component) = self.stopped.as_ref().and_then(|name| machine.components.get(name)) else {
            return;
        };
        let stays = match &component.phase {
            Phase::Stopping { then, .. } => *then == Then::Stay,
            Phase::Stopped | Phase::Skipped { .. } => true,
            Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Ready { .. }
            | Phase::Unready { .. }
            | Phase::Backoff { .. }
            | Phase::Scheduled
            | Phase::Finished
            | Phase::Failed { .. } => false,
        };
        assert!(stays || self.quitting, "{} was stopped and is {:?}", component.spec.name, component.phase);
    }
}

/// While everything stops, some component is being stopped, and that has a time limit.
fn check_end(machine: &Machine) {
    let alive = machine.components.values().any(|component| component.is_alive());
    match machine.goal {
        Goal::Run => {}
        Goal::Quit => {
            let stopping = |phase: &Phase| matches!(phase, Phase::Stopping { .. });
            let under_way = machine.components.values().any(|component| stopping(&component.phase));
            assert!(alive && under_way, "the end does not go on");
        }
        Goal::Finished => assert!(!alive, "the end is reached, and somebody lives"),
    }
}

/// Everything that waits for a time has an alarm.
fn check_component(component: &super::Component) {
    let name = &component.spec.name;
    match component.phase {
        Phase::Starting { .. } | Phase::Stopping { .. } | Phase::Backoff { .. } => {
            assert!(component.deadline.is_some(), "{name} would wait for ever");
        }
        Phase::Ready { .. } | Phase::Unready { .. } => {}
        Phase::Waiting
        | Phase::Scheduled
        | Phase::Finished
        | Phase::Stopped
        | Phase::Failed { .. }
        | Phase::Skipped { .. } => {
            assert!(component.deadline.is_none(), "{name} waits for no time");
            assert!(component.pid.is_none(), "{name} has no process");
        }
    }
    if component.phase == Phase::Scheduled {
        assert!(component.spec.schedule.is_some() && !component.queued, "{name} would wait for ever");
    }
    if component.queued {
        let is_over = matches!(component.phase, Phase::Finished | Phase::Failed { .. } | Phase::Stopped);
        assert!(!is_over, "{name} has a run that waits for one that is over");
    }
    if let Phase::Stopping { until, .. } = component.phase {
        assert_eq!(component.deadline, Some(until), "{name} says another time than it is killed at");
    }
}
