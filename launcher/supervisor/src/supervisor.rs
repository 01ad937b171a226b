//! A supervisor as a value, and a handle to a running one: the short way in, for programs that need neither a lock of their own nor hooks.

use std::path::PathBuf;

use kit::Failure;

use super::control::{self, ControlError, Request, Response};
use super::hooks::Hooks;
use super::lock::DataLock;
use super::outcome::Outcome;
use super::spec::Plan;
use super::supervise::supervise;

/// A supervisor that has not started yet.
pub struct Supervisor {
    plan: Plan,
    hooks: Hooks,
}

/// A handle to the running supervisor of a data directory, in this process or in another. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SupervisorHandle {
    data: PathBuf,
}

impl Supervisor {
    /// A supervisor for this plan.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self { plan, hooks: Hooks::default() }
    }

    /// With the callbacks of its caller.
    #[must_use]
    pub fn with_hooks(self, hooks: Hooks) -> Self {
        Self { hooks, ..self }
    }

    /// A handle to it, which works once it runs.
    #[must_use]
    pub fn handle(&self) -> SupervisorHandle {
        SupervisorHandle { data: self.plan.data.clone() }
    }

    /// Takes the data directory, ends what an earlier run left there, and runs the plan until everything has stopped: see
    /// [`supervise`](fn@super::supervise), whose conditions apply.
    ///
    /// # Errors
    /// If another supervisor runs in the data directory, or as [`supervise`](fn@super::supervise).
    pub async fn run(self) -> Result<Outcome, Failure> {
        let lock = DataLock::take(&self.plan.data)?;
        let claim = lock.claim().await?;
        supervise(self.plan, claim, self.hooks).await
    }
}

impl SupervisorHandle {
    /// A handle to the supervisor of a data directory.
    #[must_use]
    pub fn of(data: PathBuf) -> Self {
        Self { data }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// If no supervisor runs there, or it does not answer in time.
    pub async fn ask(&self, question: &Request) -> Result<Response, ControlError> {
        control::request(&self.data, question).await
    }
}
