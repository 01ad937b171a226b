//! How whoever runs the supervisor hears from it and gives it a new plan.

use tokio::sync::mpsc;

use super::control::ReloadSummary;
use super::events::Observer;
use super::logs::tap::Tap;
use super::spec::Plan;
use super::status::{Awaited, Snapshot};

/// Whether the operator agreed to what may move the running system elsewhere, such as to another store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// They did.
    Given,
    /// They were not asked yet.
    Missing,
}

/// Makes a new plan from the configuration as it is now; the error is what is wrong with it, for the operator.
///
/// It runs on the control thread and must not block for long.
pub type Reloader = Box<dyn FnMut(Consent) -> Result<Plan, String>>;

/// Hears of a plan that takes the place of an earlier one.
///
/// It runs on the control thread and must not block.
pub type Successor = Box<dyn FnMut(&Plan)>;

/// Hears why a plan that nobody asked for was not put in force.
///
/// It runs on the control thread and must not block.
pub type Refusal = Box<dyn FnMut(&str)>;

/// What the supervisor's caller may hand in; the default is nothing.
#[derive(Default)]
pub struct Hooks {
    /// Told of what happens. Sent without waiting: what does not fit into the channel is dropped, so that a terminal that
    /// shows nothing (ctrl-S) holds up nothing. 64 places are plenty.
    pub progress: Option<mpsc::Sender<Progress>>,
    /// Told every line that the components write.
    pub tap: Option<Tap>,
    /// Answers the control socket's `reload`.
    pub reload: Option<Reloader>,
    /// Each hears of every change of state, every probe and every end.
    pub observers: Vec<Observer>,
    /// Told of each plan but the first, for what of it the supervisor itself has no part in.
    pub in_force: Option<Successor>,
    /// Told of each plan of `plans` that stays without effect.
    pub refused: Option<Refusal>,
    /// New plans that nobody asked for, as when the configuration file has changed.
    pub plans: Option<mpsc::Receiver<Plan>>,
}

/// What the supervisor's caller is told.
#[derive(Debug, Clone)]
pub enum Progress {
    /// For the first time every component is ready, or cannot become so for now.
    Settled(Snapshot),
    /// A component changed its state.
    Changed(Snapshot, String),
    /// A new plan is in force.
    Reloaded(ReloadSummary),
    /// A stop of everything waits for these. Sent at the start of the stop, at each change and once a second.
    Stopping(Vec<Awaited>),
    /// The second signal: all are killed.
    Killing(Vec<Awaited>),
}
