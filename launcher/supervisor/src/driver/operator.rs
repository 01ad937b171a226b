//! Requests of the operator: by signal or over the control socket.

use super::Driver;
use crate::control::{ControlQuery, Request, Response};
use crate::hooks::Progress;
use crate::machine::{Event, Verb};
use crate::outcome::EndedBy;

impl Driver {
    pub(super) fn on_signal(&mut self) -> bool {
        if !self.machine.is_quitting() {
            return self.quit();
        }
        tracing::warn!("second shutdown signal: killing all components");
        self.tell(Progress::Killing(self.awaited()));
        self.feed(Event::Kill)
    }

    fn quit(&mut self) -> bool {
        self.shut_down();
        self.feed(Event::Quit)
    }

    /// A component's end stops everything: the machine has begun that.
    pub(super) fn stop_all(&mut self, by: EndedBy) {
        tracing::error!(component = by.component, why = by.why, "its end is the end of all");
        self.outcome.ended_by = Some(by);
        self.shut_down();
    }

    fn shut_down(&mut self) {
        tracing::info!("shutting down");
        self.service_manager.stopping();
        // New connections are refused as soon as the component itself stops listening.
        self.listeners.retain(std::iter::empty());
    }

    pub(super) fn on_question(&mut self, ControlQuery { request, answer }: ControlQuery) -> bool {
        let (response, finished) = match request {
            Request::Status => (Response::Status { snapshot: self.snapshot() }, false),
            Request::Restart { component } => self.on_verb(component, Verb::Restart),
            Request::Stop { component } => self.on_verb(component, Verb::Stop),
            Request::Start { component } => self.on_verb(component, Verb::Start),
            Request::Down if self.machine.is_quitting() => (Response::Accepted, false),
            Request::Down => (Response::Accepted, self.quit()),
            Request::Reload { plan_only, yes } => self.on_reload(plan_only, yes),
        };
        // The client may have disconnected.
        let _ = answer.send(response);
        finished
    }

    fn on_verb(&mut self, name: String, verb: Verb) -> (Response, bool) {
        let names = self.plan.groups.get(&name).cloned().unwrap_or_else(|| vec![name]);
        if let Some(reason) = names.iter().find_map(|name| self.machine.refusal(name, verb)) {
            return (Response::Refused { reason }, false);
        }
        let mut finished = false;
        for name in names {
            tracing::info!(component = name, ?verb, "requested by the operator");
            finished |= self.feed(Event::Operator { name, verb });
        }
        (Response::Accepted, finished)
    }
}
