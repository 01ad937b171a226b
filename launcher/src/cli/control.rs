//! `launcher restart`, `stop` and `start`: one component, and what became of it.

use std::time::{Duration, Instant};

use kit::{Exit, Failure};

use super::ask::{ask, ask_for};
use super::completions::ComponentName;
use super::options::Where;
use super::waiting::Waiting;
use super::{output, report};
use crate::supervisor::Snapshot;
use crate::supervisor::control::Request;
use crate::supervisor::status::{ComponentStatus, State};

/// We look again this often; it is a local socket.
const LOOK: Duration = Duration::from_millis(50);
/// What takes longer goes on without us.
const PATIENCE: Duration = Duration::from_secs(40);

/// What takes no longer needs no explanation.
const QUIETLY: Duration = Duration::from_millis(900);

/// Their arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component's name, as `launcher status` shows it
    #[arg(value_parser = ComponentName, hide_possible_values = true)]
    component: String,
}

/// Stops a component and starts it again.
pub(super) fn restart(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let before = find(place, &args.component)?.pid;
    ask_for(place, &Request::Restart { component: args.component.clone() })?;
    follow(
        place,
        args,
        |now| {
            let is_new = now.pid != before;
            is_new && now.state == State::Ready || now.state == State::Finished
        },
        is_stopped,
    )
}

/// Stops a component.
pub(super) fn stop(place: &Where, args: &Args) -> Result<Exit, Failure> {
    ask_for(place, &Request::Stop { component: args.component.clone() })?;
    follow(place, args, is_stopped, is_wanted)
}

/// Starts a component.
pub(super) fn start(place: &Where, args: &Args) -> Result<Exit, Failure> {
    ask_for(place, &Request::Start { component: args.component.clone() })?;
    follow(place, args, |now| matches!(now.state, State::Ready | State::Finished), is_stopped)
}

fn is_stopped(now: &ComponentStatus) -> bool {
    now.state == State::Stopped
}

/// Whether it runs, or is to: what was just stopped, no more.
fn is_wanted(now: &ComponentStatus) -> bool {
    match now.state {
        State::Waiting
        | State::Starting
        | State::Ready
        | State::Unready
        | State::Running
        | State::Backoff
        | State::Finished => true,
        State::Stopping | State::Stopped | State::Failed | State::Skipped => false,
    }
}

/// Waits until it is done, or cannot be, or somebody else has wanted the opposite.
fn follow(
    place: &Where,
    args: &Args,
    is_done: impl Fn(&ComponentStatus) -> bool,
    is_overtaken: impl Fn(&ComponentStatus) -> bool,
) -> Result<Exit, Failure> {
    let begin = Instant::now();
    let mut waiting = Waiting::default();
    loop {
        let snapshot = ask(place)?;
        let now = find_in(&snapshot, &args.component)?;
        if begin.elapsed() > QUIETLY {
            waiting.show(&snapshot.awaited);
        }
        if is_done(now) || now.state == State::Failed {
            waiting.clear();
        }
        if is_done(now) {
            let pid = now.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
            output::line(&format!("{} is {}{pid}", now.name, now.state));
            return Ok(Exit::Fine);
        }
        if is_overtaken(now) {
            waiting.clear();
            let what =
                format!("{} is {}: somebody else has started or stopped it meanwhile", now.name, now.state);
            return Err(Failure::new(Exit::Failure, what));
        }
        let given_up = now.state == State::Failed;
        if given_up || begin.elapsed() > PATIENCE {
            let what = format!("{} is {}: {}", now.name, now.state, report::remark(now));
            return Err(Failure::new(Exit::Failure, what));
        }
        std::thread::sleep(LOOK);
    }
}

/// How one component is.
fn find(place: &Where, name: &str) -> Result<ComponentStatus, Failure> {
    find_in(&ask(place)?, name).cloned()
}

/// The component of a name.
pub(super) fn find_in<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a ComponentStatus, Failure> {
    let names: Vec<&str> = snapshot.components.iter().map(|component| component.name.as_str()).collect();
    let unknown = || {
        let what = format!("unknown component '{name}'; available: {}", names.join(", "));
        Failure::new(Exit::Usage, what)
    };
    snapshot.component(name).ok_or_else(unknown)
}
