//! Applies a new plan to a running supervisor, or shows what it would change.

use std::collections::{BTreeMap, BTreeSet};

use super::Driver;
use crate::control::{ReloadSummary, Response};
use crate::graph::Graph;
use crate::hooks::{Consent, Progress};
use crate::machine::Event;
use crate::spec::{ComponentSpec, Launch, Listen, Plan};

impl Driver {
    pub(super) fn on_reload(&mut self, plan_only: bool, yes: bool) -> (Response, bool) {
        if self.machine.is_quitting() {
            return (Response::Refused { reason: "everything is being stopped".to_owned() }, false);
        }
        let Some(reload) = &mut self.hooks.reload else {
            return (
                Response::Refused { reason: "this launcher cannot read its configuration again".to_owned() },
                false,
            );
        };
        // Showing a plan needs no consent.
        let consent = if plan_only || yes { Consent::Given } else { Consent::Missing };
        let plan = match reload(consent) {
            Ok(plan) => plan,
            Err(reason) => return (Response::Refused { reason }, false),
        };
        if plan_only {
            return (Response::Reload { summary: self.compare(&plan) }, false);
        }
        match self.replace(plan, consent) {
            Ok((summary, finished)) => (Response::Reload { summary }, finished),
            Err(reason) => (Response::Refused { reason }, false),
        }
    }

    /// HUP without a terminal is handled like the operator's `reload`, without an answer.
    pub(super) fn on_hangup(&mut self) -> bool {
        tracing::info!("SIGHUP: reading the configuration again");
        let (response, finished) = self.on_reload(false, false);
        if let Response::Refused { reason } = response {
            self.refuse(&reason);
        }
        finished
    }

    pub(super) fn on_plan(&mut self, plan: Plan) -> bool {
        match self.replace(plan, Consent::Missing) {
            Ok((_, finished)) => finished,
            Err(reason) => {
                self.refuse(&reason);
                false
            }
        }
    }

    fn refuse(&mut self, reason: &str) {
        tracing::error!(reason, "the new configuration was not applied; keeping the old one");
        if let Some(refused) = &mut self.hooks.refused {
            refused(reason);
        }
    }

    /// The effects of a new plan, and the settings that cause them.
    fn compare(&self, plan: &Plan) -> ReloadSummary {
        let settings = differing(&self.plan.settings, &plan.settings);
        let needs_consent = |key: &&String| self.plan.settings.get(*key) != plan.settings.get(*key);
        let consent = plan.consent.iter().filter(needs_consent).cloned().collect();
        ReloadSummary { settings, consent, ..self.machine.compare(&plan.components) }
    }

    /// Applies a plan. Its run id and directories remain those of the first one: they cannot change under running processes.
    fn replace(&mut self, plan: Plan, consent: Consent) -> Result<(ReloadSummary, bool), String> {
        let names: Vec<String> = plan.dependencies.iter().map(|external| external.name.clone()).collect();
        let graph = Graph::new(&plan.components, &names).map_err(|error| error.to_string())?;
        let summary = self.compare(&plan);
        if consent == Consent::Missing && !summary.consent.is_empty() {
            return Err(unconfirmed(&summary));
        }
        // New sockets are opened before old ones are closed; if one cannot be bound, nothing changes.
        let runs = |spec: &&ComponentSpec| {
            matches!(spec.launch, Launch::Command { .. }) && !self.is_down(&spec.name)
        };
        let started = plan.components.iter().filter(runs);
        let listen: Vec<&Listen> = started.flat_map(|spec| &spec.listen).collect();
        self.listeners.open(listen.iter().copied()).map_err(|error| error.to_string())?;
        self.listeners.retain(listen.into_iter());
        tracing::info!(?summary, "new plan applied");
        self.logs.set(plan.log_policy, &plan.secrets);
        self.dependencies.replace(&plan.dependencies);
        if let Some(in_force) = &mut self.hooks.in_force {
            in_force(&plan);
        }
        self.plan.log_policy = plan.log_policy;
        self.plan.launcher = plan.launcher;
        self.plan.secrets = plan.secrets;
        self.plan.settings = plan.settings;
        self.plan.groups = plan.groups;
        self.tell(Progress::Reloaded(summary.clone()));
        self.schedules.set(&plan.components);
        self.files.watch(&plan.components, &[self.plan.data.as_path(), self.plan.logs.as_path()]);
        let event = Event::Replace { components: plan.components, dependencies: names, graph };
        let finished = self.feed(event);
        for (name, incarnation) in &mut self.incarnations {
            if let Some(component) = self.machine.component(name) {
                incarnation.probe(&component.spec, self.plan.run_id);
            }
        }
        Ok((summary, finished))
    }
}

/// Describes what would happen, and how to confirm it.
fn unconfirmed(summary: &ReloadSummary) -> String {
    let restarted = match summary.restarted.as_slice() {
        [] => String::new(),
        names => format!(", which restarts {},", names.join(", ")),
    };
    let keys = summary.consent.join(", ");
    format!(
        "a change of {keys}{restarted} is applied only when confirmed: 'launcher reload --plan' shows it, 'launcher reload --yes' applies it"
    )
}

/// The keys that differ; for a component that exists in only one of the two, its section.
fn differing(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let section = |key: &str| key.match_indices('.').nth(1).map(|(end, _)| key[..end].to_owned());
    let sections = |settings: &BTreeMap<String, String>| -> BTreeSet<String> {
        settings.keys().filter_map(|key| section(key)).collect()
    };
    let (of_old, of_new) = (sections(old), sections(new));
    let keys = old.keys().chain(new.keys()).filter(|key| old.get(*key) != new.get(*key));
    let shown = |key: &String| match section(key) {
        Some(section) if of_old.contains(&section) != of_new.contains(&section) => section,
        _ => key.clone(),
    };
    keys.map(shown).collect::<BTreeSet<String>>().into_iter().collect()
}
