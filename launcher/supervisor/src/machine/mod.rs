//! Decides: [`Machine::step`] is given the time and an event, and returns actions. It has no side effects.
//!
//! The machine has one [`Component`] for each of the plan's, and the states of external dependencies. After each event it starts waiting
//! components whose needs are ready, or, when everything is to stop, stops components that no running one needs.

mod budget;
mod component;
mod event;
mod fingerprint;
#[cfg(debug_assertions)]
mod oracle;
#[cfg(test)]
mod properties;
mod reason;
mod reload;
mod skip;
mod step;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Instant;

use super::graph::{Graph, PlanError};
use super::spec::{ComponentSpec, Dependents};

use component::End;
use skip::skip_dependents;

pub(crate) use component::{Component, Phase, Then};
pub(crate) use event::{Action, Event, Verb};
pub(crate) use fingerprint::fingerprint;

/// The progress of stopping everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Run,
    Quit,
    Finished,
}

/// All components and the dependencies between them.
#[derive(Debug)]
pub(crate) struct Machine {
    components: BTreeMap<String, Component>,
    /// Whether each external dependency is available; `false` before the first check.
    dependencies: BTreeMap<String, bool>,
    graph: Graph,
    goal: Goal,
    /// Returns a uniform random number from 0 to 1.
    draw: fn() -> f64,
}

impl Machine {
    /// A machine before the first event.
    pub(crate) fn new(
        components: Vec<ComponentSpec>,
        dependencies: &[String],
        draw: fn() -> f64,
    ) -> Result<Self, PlanError> {
        let graph = Graph::new(&components, dependencies)?;
        let components = skip_dependents(components, &graph);
        let now = Instant::now();
        let named = |spec: ComponentSpec| (spec.name.clone(), Component::new(now, spec));
        Ok(Self {
            components: components.into_iter().map(named).collect(),
            dependencies: dependencies.iter().map(|name| (name.clone(), false)).collect(),
            graph,
            goal: Goal::Run,
            draw,
        })
    }

    fn take(&mut self, now: Instant, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Begin => {}
            Event::Spawned { name, epoch, pid } => self.of(&name, epoch, |it| it.pid = Some(pid)),
            Event::SpawnFailed { name, epoch, error } => {
                self.on_end(now, &name, epoch, End::failure(format!("cannot be started: {error}")), out);
            }
            Event::Ready { name, epoch } => self.of(&name, epoch, |it| it.on_ready(now, out)),
            Event::Unready { name, epoch, reason } => {
                self.of(&name, epoch, |it| it.on_unready(now, reason, out))
            }
            Event::Unhealthy { name, epoch, reason } => {
                self.of(&name, epoch, |it| it.on_unhealthy(now, reason, out));
            }
            Event::Alive { name, epoch } => self.of(&name, epoch, |it| it.on_sign_of_life(now, out)),
            Event::Extend { name, epoch, by } => self.of(&name, epoch, |it| it.on_extend(now, by, out)),
            Event::Leaving { name, epoch } => self.of(&name, epoch, |it| it.on_leaving(now, out)),
            Event::StatusText { name, epoch, text } => {
                self.of(&name, epoch, |it| it.status_text = Some(text))
            }
            Event::MainExited { name, epoch, exit } => {
                self.of(&name, epoch, |it| it.on_main_exit(now, exit, out));
            }
            Event::Unkillable { name, epoch, who } => self.of(&name, epoch, |it| it.unkillable = Some(who)),
            Event::Exited { name, epoch, exit, oom } => {
                self.on_end(now, &name, epoch, End::of(exit, oom), out);
            }
            Event::LastWords { name, epoch, line, print } => {
                let unit = (self.draw)();
                if let Some(it) = self.components.get_mut(&name).filter(|it| it.has_crashed_in(epoch)) {
                    it.on_last_words(line.as_deref(), print, unit, out);
                }
            }
            Event::Alarm { name, token } => {
                let quitting = self.is_quitting();
                if let Some(component) = self.components.get_mut(&name) {
                    component.on_alarm(now, token, quitting, out);
                }
            }
            Event::Standstill => {
                self.components.values_mut().for_each(|it| it.on_standstill(now, out));
            }
            Event::Due { name } => self.while_running(&name, |it| it.on_due(out)),
            Event::Touched { name, why } => self.while_running(&name, |it| it.on_touched(now, &why, out)),
            Event::Operator { name, verb } => self.on_operator(now, &name, verb, out),
            Event::Dependency { name, ok } => {
                self.dependencies.entry(name).and_modify(|state| *state = ok);
            }
            Event::Replace { components, dependencies, graph } => {
                self.on_replace(now, components, &dependencies, graph, out);
            }
            Event::Quit => self.on_quit(out),
            Event::Kill => self.on_kill(now, out),
        }
    }

    /// Why a request of the operator is rejected, if it is.
    pub(crate) fn refusal(&self, name: &str, verb: Verb) -> Option<String> {
        if self.is_quitting() {
            return Some("everything is being stopped".to_owned());
        }
        let Some(component) = self.components.get(name) else {
            let known: Vec<&str> = self.graph.start_order().iter().map(String::as_str).collect();
            return Some(format!("unknown component '{name}'; available: {}", known.join(", ")));
        };
        match (&component.phase, verb) {
            (Phase::Skipped { reason }, Verb::Start | Verb::Stop | Verb::Restart) => {
                Some(format!("{name} is not part of this run: {reason}"))
            }
            (_, Verb::Start | Verb::Stop | Verb::Restart) if component.retired => {
                Some(format!("{name} is no longer in the configuration"))
            }
            (_, Verb::Start | Verb::Stop | Verb::Restart) => None,
        }
    }

    /// The components in start order; those removed by a reload come last, until they have ended.
    pub(crate) fn components(&self) -> impl Iterator<Item = &Component> {
        let ordered = self.graph.start_order().iter().filter_map(|name| self.components.get(name));
        ordered.chain(self.components.values().filter(|component| component.retired))
    }

    /// The component with this name.
    pub(crate) fn component(&self, name: &str) -> Option<&Component> {
        self.components.get(name)
    }

    /// Whether everything is to stop.
    pub(crate) fn is_quitting(&self) -> bool {
        match self.goal {
            Goal::Run => false,
            Goal::Quit | Goal::Finished => true,
        }
    }

    /// Whether nothing is in progress: every component is ready, or cannot become ready until something else happens.
    pub(crate) fn is_settled(&self) -> bool {
        self.components.values().all(|component| match component.phase {
            Phase::Ready { .. } => !component.is_oneshot(),
            Phase::Unready { .. }
            | Phase::Scheduled
            | Phase::Finished
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => true,
            Phase::Waiting => component.spec.needs.iter().any(|need| self.is_given_up(need)),
            Phase::Starting { .. } | Phase::Stopping { .. } | Phase::Backoff { .. } => false,
        })
    }

    fn is_given_up(&self, need: &str) -> bool {
        match self.components.get(need) {
            None => false,
            Some(component) => match component.phase {
                Phase::Stopped | Phase::Failed { .. } | Phase::Skipped { .. } => true,
                Phase::Waiting => component.spec.needs.iter().any(|need| self.is_given_up(need)),
                Phase::Starting { .. }
                | Phase::Ready { .. }
                | Phase::Unready { .. }
                | Phase::Stopping { .. }
                | Phase::Scheduled
                | Phase::Finished
                | Phase::Backoff { .. } => false,
            },
        }
    }

    /// Calls `act` with a component, if this is its present incarnation and running.
    fn of(&mut self, name: &str, epoch: u64, act: impl FnOnce(&mut Component)) {
        if let Some(component) = self.incarnation(name, epoch) {
            act(component);
        }
    }

    /// Does something with a component, if not all is to end.
    fn while_running(&mut self, name: &str, act: impl FnOnce(&mut Component)) {
        if let Some(component) = self.components.get_mut(name).filter(|_| self.goal == Goal::Run) {
            act(component);
        }
    }

    /// The component, if this is its present incarnation and that is alive.
    fn incarnation(&mut self, name: &str, epoch: u64) -> Option<&mut Component> {
        self.components.get_mut(name).filter(|component| component.epoch == epoch && component.is_alive())
    }

    fn on_end(&mut self, now: Instant, name: &str, epoch: u64, end: End, out: &mut Vec<Action>) {
        let unit = (self.draw)();
        let quitting = self.is_quitting();
        let Some(component) = self.incarnation(name, epoch) else { return };
        let exit = end.exit();
        component.on_exit(now, end, unit, out);
        if quitting {
            return component.on_quit(out);
        }
        if let Some(why) = component.ends_all() {
            out.push(Action::StopAll { name: name.to_owned(), exit, why });
            return self.on_quit(out);
        }
        match component.phase {
            Phase::Waiting | Phase::Backoff { .. } => self.restart_dependents(now, name, out),
            Phase::Starting { .. }
            | Phase::Ready { .. }
            | Phase::Unready { .. }
            | Phase::Stopping { .. }
            | Phase::Scheduled
            | Phase::Finished
            | Phase::Stopped
            | Phase::Failed { .. }
            | Phase::Skipped { .. } => {}
        }
    }

    /// Restarts the dependents of a restarting component that are configured so.
    fn restart_dependents(&mut self, now: Instant, name: &str, out: &mut Vec<Action>) {
        let mut open = vec![name.to_owned()];
        while let Some(name) = open.pop() {
            if self.components.get(&name).is_none_or(|it| it.spec.dependents == Dependents::Keep) {
                continue;
            }
            for dependent in self.graph.dependents(&name) {
                if let Some(it) = self.components.get_mut(dependent).filter(|it| it.is_at_work()) {
                    it.stop(now, Then::Start, &format!("{name}, which it needs, is restarted"), out);
                    open.push(dependent.clone());
                }
            }
        }
    }

    fn on_operator(&mut self, now: Instant, name: &str, verb: Verb, out: &mut Vec<Action>) {
        if self.refusal(name, verb).is_some() {
            return;
        }
        if let Some(component) = self.components.get_mut(name) {
            component.on_verb(now, verb, "the operator wants it", out);
        }
    }

    fn on_quit(&mut self, out: &mut Vec<Action>) {
        if self.goal != Goal::Run {
            return;
        }
        self.goal = Goal::Quit;
        for component in self.components.values_mut() {
            component.on_quit(out);
        }
    }

    fn on_kill(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.on_quit(out);
        for component in self.components.values_mut() {
            if component.is_alive() && !matches!(component.phase, Phase::Stopping { killed: true, .. }) {
                component.kill(now, Then::Stay, out);
            }
        }
    }

    fn advance(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.components.retain(|name, component| {
            let gone = component.retired && !component.is_alive();
            if gone {
                out.push(Action::Forget { name: name.clone() });
            }
            !gone
        });
        match self.goal {
            Goal::Run => self.start_who_may(now, out),
            Goal::Quit => self.stop_who_may(now, out),
            Goal::Finished => {}
        }
    }

    fn start_who_may(&mut self, now: Instant, out: &mut Vec<Action>) {
        for name in self.graph.start_order().to_vec() {
            let Some(component) = self.components.get(&name) else { continue };
            let may = component.phase == Phase::Waiting
                && component.spec.needs.iter().all(|need| self.is_met(need));
            if may && let Some(component) = self.components.get_mut(&name) {
                component.start(now, out);
            }
        }
    }

    fn stop_who_may(&mut self, now: Instant, out: &mut Vec<Action>) {
        let needed =
            |name: &str| self.graph.dependents(name).iter().any(|dependent| self.is_alive(dependent));
        let may: Vec<String> = self
            .components
            .iter()
            .filter(|(name, component)| component.is_at_work() && !needed(name))
            .map(|(name, _)| name.clone())
            .collect();
        for name in may {
            if let Some(component) = self.components.get_mut(&name) {
                component.stop(now, Then::Stay, "everything is stopped", out);
            }
        }
        if !self.components.values().any(Component::is_alive) {
            self.goal = Goal::Finished;
            out.push(Action::Finish);
        }
    }

    fn is_met(&self, need: &str) -> bool {
        match self.components.get(need) {
            Some(component) => component.is_met(),
            None => self.dependencies.get(need).copied().unwrap_or(false),
        }
    }

    fn is_alive(&self, name: &str) -> bool {
        self.components.get(name).is_some_and(Component::is_alive)
    }
}
