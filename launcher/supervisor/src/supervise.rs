//! Runs a plan with the signals of this process, or with others.

use std::pin::Pin;

use kit::{Exit, Failure};
use tokio::sync::mpsc;

use super::cgroup::Realm;
use super::children;
use super::driver::Driver;
use super::hooks::Hooks;
use super::lock::Claim;
use super::machine::Machine;
use super::outcome::Outcome;
use super::signals::Signals;
use super::spec::Plan;

/// Runs a plan until INT, TERM, QUIT, the end of the terminal or the control socket's `down`, and everything is stopped. A second signal
/// kills. Without a terminal HUP reloads the configuration.
///
/// Must be called on the main thread, in a `current_thread` runtime: the parent-death signal of a child depends on the thread that started
/// it.
///
/// Orphans of the started processes are adopted by this process, which must have no other children than the supervisor's.
///
/// # Errors
/// [`kit::Exit::Config`] if the plan is inconsistent; any other if the directories, sockets or threads cannot be created.
pub async fn supervise(plan: Plan, claim: Claim, hooks: Hooks) -> Result<Outcome, Failure> {
    let signals = Signals::listen()?;
    let _adoption = children::adopt()?;
    let realm = Realm::make(plan.run_id);
    let realm = realm.inspect_err(|error| tracing::info!(%error, "no control groups are used")).ok();
    run(plan, claim, hooks, signals, realm).await
}

/// Like [`supervise`], with another source of signals: each message is one. Orphans that nothing identifies go to init.
///
/// # Errors
/// As [`supervise`].
pub async fn supervise_until(
    plan: Plan,
    claim: Claim,
    hooks: Hooks,
    signals: mpsc::Receiver<()>,
) -> Result<Outcome, Failure> {
    run(plan, claim, hooks, Signals::from(signals), None).await
}

/// Boxed, so that it is compiled with this crate, and not again with its caller's.
fn run(
    plan: Plan,
    claim: Claim,
    hooks: Hooks,
    signals: Signals,
    realm: Option<Realm>,
) -> Pin<Box<dyn Future<Output = Result<Outcome, Failure>>>> {
    Box::pin(run_here(plan, claim, hooks, signals, realm))
}

async fn run_here(
    plan: Plan,
    mut claim: Claim,
    hooks: Hooks,
    signals: Signals,
    realm: Option<Realm>,
) -> Result<Outcome, Failure> {
    let dependencies: Vec<String> = plan.dependencies.iter().map(|external| external.name.clone()).collect();
    let machine = Machine::new(plan.components.clone(), &dependencies, kit::backoff::unit_random)
        .map_err(|error| Failure::new(Exit::Config, error))?;
    claim.sign(plan.run_id, realm.as_ref().map(Realm::path))?;
    Ok(Driver::supervise(plan, claim, hooks, machine, signals, realm).await?)
}
