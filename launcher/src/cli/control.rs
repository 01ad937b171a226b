//! `launcher restart`, `stop` and `start`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kit::{Exit, Failure};

use super::ask::{ask, ask_for};
use super::component_name::ComponentName;
use super::options::Where;
use super::waiting::Waiting;
use super::{output, report};
use crate::supervisor::Snapshot;
use crate::supervisor::control::Request;
use crate::supervisor::status::{ComponentStatus, State};

/// The polling interval; it is a local socket.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// After this time we stop waiting, and the launcher continues.
const TIMEOUT: Duration = Duration::from_secs(40);

/// What is faster needs no explanation.
const EXPLAIN_AFTER: Duration = Duration::from_millis(900);

/// Selects every component of this run.
const ALL: &str = "all";

/// Their arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Components, groups, programs with replicas, or 'all'
    #[arg(value_parser = ComponentName, hide_possible_values = true, required = true, value_name = "COMPONENT")]
    components: Vec<String>,
}

pub(super) fn restart(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let is_done = |before: &ComponentStatus, now: &ComponentStatus| {
        now.pid != before.pid && now.state == State::Ready || now.state == State::Finished
    };
    each(
        place,
        args,
        ComponentStatus::is_started_with_all,
        |component| Request::Restart { component },
        is_done,
        is_stopped,
    )
}

pub(super) fn stop(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let is_part = |one: &ComponentStatus| one.state != State::Skipped;
    each(place, args, is_part, |component| Request::Stop { component }, |_, now| is_stopped(now), is_wanted)
}

pub(super) fn start(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let is_done = |_: &ComponentStatus, now: &ComponentStatus| {
        matches!(now.state, State::Ready | State::Scheduled | State::Finished)
    };
    each(
        place,
        args,
        ComponentStatus::is_started_with_all,
        |component| Request::Start { component },
        is_done,
        is_stopped,
    )
}

/// Requests all of them at once, and then waits for one after the other. A failure does not prevent the others.
fn each(
    place: &Where,
    args: &Args,
    is_in_all: impl Fn(&ComponentStatus) -> bool,
    request: impl Fn(String) -> Request,
    is_done: impl Fn(&ComponentStatus, &ComponentStatus) -> bool,
    is_overtaken: impl Fn(&ComponentStatus) -> bool,
) -> Result<Exit, Failure> {
    let mut failures = Vec::new();
    let mut asked = Vec::new();
    for before in chosen(&ask(place)?, &args.components, is_in_all)? {
        match ask_for(place, &request(before.name.clone())) {
            Ok(_) => asked.push(before),
            Err(failure) => failures.push(failure),
        }
    }
    for before in asked {
        failures.extend(follow(place, &before.name, |now| is_done(&before, now), &is_overtaken).err());
    }
    let Some(last) = failures.pop() else { return Ok(Exit::Fine) };
    failures.iter().for_each(|failure| output::error(&failure.to_string()));
    Err(last)
}

/// The components of these names, each once and in start order. A name that there is not is a mistake before anything is asked for.
fn chosen(
    snapshot: &Snapshot,
    names: &[String],
    is_in_all: impl Fn(&ComponentStatus) -> bool,
) -> Result<Vec<ComponentStatus>, Failure> {
    let has_all = names.iter().any(|name| name == ALL);
    let mut named = BTreeSet::new();
    for name in names.iter().filter(|name| *name != ALL) {
        named.extend(members(snapshot, name)?.into_iter().map(|one| one.name.as_str()));
    }
    let is_chosen = |one: &&ComponentStatus| named.contains(one.name.as_str()) || has_all && is_in_all(one);
    Ok(snapshot.components.iter().filter(is_chosen).cloned().collect())
}

/// The components that a name stands for.
pub(super) fn members<'a>(snapshot: &'a Snapshot, name: &str) -> Result<Vec<&'a ComponentStatus>, Failure> {
    let members = snapshot.members(name);
    if members.is_empty() { Ok(vec![find_in(snapshot, name)?]) } else { Ok(members) }
}

fn is_stopped(now: &ComponentStatus) -> bool {
    now.state == State::Stopped
}

/// Whether it runs, or is to run.
fn is_wanted(now: &ComponentStatus) -> bool {
    match now.state {
        State::Waiting
        | State::Starting
        | State::Ready
        | State::Unready
        | State::Running
        | State::Backoff
        | State::Scheduled
        | State::Finished => true,
        State::Stopping | State::Stopped | State::Failed | State::Skipped => false,
    }
}

/// Waits until it is done or fails, or somebody else has requested the opposite.
fn follow(
    place: &Where,
    name: &str,
    is_done: impl Fn(&ComponentStatus) -> bool,
    is_overtaken: impl Fn(&ComponentStatus) -> bool,
) -> Result<(), Failure> {
    let begin = Instant::now();
    let mut waiting = Waiting::default();
    loop {
        let snapshot = ask(place)?;
        let now = find_in(&snapshot, name)?;
        if begin.elapsed() > EXPLAIN_AFTER {
            waiting.show(&snapshot.awaited);
        }
        if is_done(now) || now.state == State::Failed {
            waiting.clear();
        }
        if is_done(now) {
            let pid = now.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
            output::line(&format!("{} is {}{pid}", now.name, now.state));
            return Ok(());
        }
        if is_overtaken(now) {
            waiting.clear();
            let what =
                format!("{} is {}: somebody else has started or stopped it meanwhile", now.name, now.state);
            return Err(Failure::new(Exit::Failure, what));
        }
        let given_up = now.state == State::Failed;
        if given_up || begin.elapsed() > TIMEOUT {
            let what = format!("{} is {}: {}", now.name, now.state, report::remark(now));
            return Err(Failure::new(Exit::Failure, what));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// The component with this name.
pub(super) fn find_in<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a ComponentStatus, Failure> {
    let components = snapshot.components.iter().map(|component| component.name.as_str());
    let names: Vec<&str> = components.chain(snapshot.groups.keys().map(String::as_str)).collect();
    let unknown = || {
        let what = format!("unknown component '{name}'; available: {}", names.join(", "));
        Failure::new(Exit::Usage, what)
    };
    snapshot.component(name).ok_or_else(unknown)
}
