//! The callbacks of the supervisor's caller, and its source of new plans.

use tokio::sync::mpsc;

use super::control::ReloadSummary;
use super::events::Observer;
use super::logs::tap::Tap;
use super::spec::Plan;
use super::status::{Awaited, Snapshot};

/// Whether the operator confirmed changes that may move the running system elsewhere, such as to another store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Confirmed.
    Given,
    /// Not asked yet.
    Missing,
}

/// Makes a new plan from the current configuration; the error describes what is wrong, for the operator.
///
/// It runs on the control thread and must not block for long.
pub type Reloader = Box<dyn FnMut(Consent) -> Result<Plan, String>>;

/// Called with each plan that replaces an earlier one.
///
/// It runs on the control thread and must not block.
pub type Successor = Box<dyn FnMut(&Plan)>;

/// Called with the reason why a plan of `plans` was not applied.
///
/// It runs on the control thread and must not block.
pub type Refusal = Box<dyn FnMut(&str)>;

/// The callbacks of the supervisor's caller; the default is none.
#[derive(Default)]
pub struct Hooks {
    /// Receives the progress. Sent without waiting: what does not fit into the channel is dropped, so that a blocked terminal (ctrl-S) does
    /// not block the supervisor. A capacity of 64 is sufficient.
    pub progress: Option<mpsc::Sender<Progress>>,
    /// Receives every line that the components write.
    pub tap: Option<Tap>,
    /// Answers the control socket's `reload`.
    pub reload: Option<Reloader>,
    /// Each receives every state change, probe result and process end.
    pub observers: Vec<Observer>,
    /// Called with each plan but the first, for its parts that do not concern the supervisor.
    pub in_force: Option<Successor>,
    /// Called for each plan of `plans` that was not applied.
    pub refused: Option<Refusal>,
    /// New plans without a request, for example after the configuration file has changed.
    pub plans: Option<mpsc::Receiver<Plan>>,
}

/// The progress of the supervisor.
#[derive(Debug, Clone)]
pub enum Progress {
    /// For the first time every component is ready, or cannot become ready for now.
    Settled(Snapshot),
    /// A component's state changed.
    Changed(Snapshot, String),
    /// A new plan was applied.
    Reloaded(ReloadSummary),
    /// A stop of everything waits for these. Sent at its start, at each change and once a second.
    Stopping(Vec<Awaited>),
    /// The second signal: all are killed.
    Killing(Vec<Awaited>),
}
