//! `launcher why`: explains a component's state, what it waits for, when it is retried, all other facts about it, and the end of its log.

use kit::{Exit, Failure};

use super::ask::measured;
use super::component_name::ComponentName;
use super::control::members;
use super::options::Where;
use super::overview::{megabytes, percent};
use super::report::milliseconds;
use super::{output, report};
use crate::explanation::{self, Cause};
use crate::log_reader::tail;
use crate::recorder::crash;
use crate::supervisor::Snapshot;
use crate::supervisor::load::Meter;
use crate::supervisor::status::{ComponentStatus, DependencyState, State};

/// Lines of the log; they fit on a screen beside the rest.
const LINES: usize = 12;

/// Longer lines are cut after this many characters.
const MAX_LINE: usize = 500;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Components, groups or programs with replicas
    #[arg(value_parser = ComponentName, hide_possible_values = true, required = true, value_name = "COMPONENT")]
    components: Vec<String>,
}

pub(super) fn why(place: &Where, args: &Args) -> Result<Exit, Failure> {
    let snapshot = measured(place, &mut Meter::default())?;
    let named: Vec<_> =
        args.components.iter().map(|name| members(&snapshot, name)).collect::<Result<_, _>>()?;
    for (index, component) in named.into_iter().flatten().enumerate() {
        if index > 0 {
            output::line("");
        }
        explain(&snapshot, component)?;
    }
    Ok(Exit::Fine)
}

fn explain(snapshot: &Snapshot, component: &ComponentStatus) -> Result<(), Failure> {
    for line in facts(snapshot, component) {
        output::line(&line);
    }
    if let Some(report) = crash::newest_of(&snapshot.logs, &component.name)? {
        output::line(&format!("  {:<10} launcher crashes {}", "report", report.id));
    }
    let log = snapshot.logs.join(format!("{}.log", component.name));
    let lines = tail::last_lines(&log, LINES)?;
    if !lines.is_empty() {
        output::line(&format!("\nlast lines of {}:", log.display()));
    }
    for line in lines {
        output::line(&format!("  {}", shortened(&output::sanitise(&String::from_utf8_lossy(&line)))));
    }
    Ok(())
}

/// Shortens a line; the log has all of it.
fn shortened(line: &str) -> String {
    match line.char_indices().nth(MAX_LINE) {
        Some((end, _)) => format!("{}… ({} bytes in all)", &line[..end], line.len()),
        None => line.to_owned(),
    }
}

/// The preposition after a state that is no adjective.
fn preposition(state: State) -> &'static str {
    match state {
        State::Backoff => "in ",
        State::Waiting
        | State::Starting
        | State::Ready
        | State::Unready
        | State::Stopping
        | State::Running
        | State::Scheduled
        | State::Finished
        | State::Stopped
        | State::Failed
        | State::Skipped => "",
    }
}

fn facts(snapshot: &Snapshot, component: &ComponentStatus) -> Vec<String> {
    let mut facts =
        vec![format!("{} is {}{}", component.name, preposition(component.state), component.state)];
    let mut add = |name: &str, text: Option<String>| {
        facts.extend(text.map(|text| format!("  {name:<10} {}", output::sanitise(&text))));
    };
    add("because", component.reason.clone());
    for (name, how) in causes(snapshot, component) {
        add("waits for", Some(format!("{name}: {how}")));
    }
    add("next try", next_try(component));
    add("status", component.status_text.clone());
    add("probe", component.liveness.as_ref().map(report::liveness));
    if let Some(schedule) = &component.schedule {
        add("schedule", Some(report::schedule(schedule)));
    }
    add("last exit", component.last_error.clone());
    add("restarts", (component.restarts > 0).then(|| component.restarts.to_string()));
    add(
        "in a row",
        (component.same_crashes > 1).then(|| format!("{} identical crashes", component.same_crashes)),
    );
    add("pid", component.pid.map(|pid| pid.to_string()));
    add("ready for", component.uptime_s.map(report::duration));
    add("ready in", component.ready_ms.map(milliseconds));
    component.limits.iter().for_each(|limit| add("limit", Some(limit.to_string())));
    add("address", component.address.clone());
    add("CPU", component.load.map(|load| percent(load.cpu_percent)));
    add("memory", component.load.map(|load| megabytes(load.memory_bytes)));
    let lost = component.log.dropped_lines;
    add(
        "log lost",
        (lost > 0).then(|| {
            format!("{}, {}", output::many(lost, "line"), output::many(component.log.dropped_bytes, "byte"))
        }),
    );
    facts
}

/// What the component waits for, and what that waits for, down to the cause; each once.
fn causes<'a>(snapshot: &'a Snapshot, component: &'a ComponentStatus) -> Vec<(&'a str, String)> {
    explanation::causes(snapshot, component).into_iter().map(told).collect()
}

fn told(cause: Cause<'_>) -> (&str, String) {
    match cause {
        Cause::Component(needed) => {
            let remark = report::remark(needed);
            let separator = if remark.is_empty() { "" } else { ", " };
            (&needed.name, format!("{}{separator}{remark}", needed.state))
        }
        Cause::Dependency(needed) => (
            &needed.name,
            match (needed.state, &needed.reason) {
                (DependencyState::Degraded, Some(reason)) => format!("{reason}, since {}", needed.since),
                (DependencyState::Unknown | DependencyState::Ok | DependencyState::Degraded, _) => {
                    "has not answered yet".to_owned()
                }
            },
        ),
    }
}

fn next_try(component: &ComponentStatus) -> Option<String> {
    match component.state {
        State::Backoff => component.next_try_ms.map(|ms| format!("in {}", milliseconds(ms))),
        State::Waiting => Some(format!("once {} ready or finished", are(&component.waits_for))),
        State::Failed | State::Stopped => {
            Some(format!("none; start it with: launcher start {}", component.name))
        }
        State::Finished => Some(format!("none; run it again with: launcher start {}", component.name)),
        State::Scheduled
        | State::Starting
        | State::Ready
        | State::Running
        | State::Unready
        | State::Stopping
        | State::Skipped => None,
    }
}

fn are(names: &[String]) -> String {
    match names {
        [name] => format!("{name} is"),
        names => format!("{} are", names.join(" and ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;

    fn facts_of(name: &str) -> String {
        let snapshot = sample::snapshot();
        facts(&snapshot, snapshot.component(name).unwrap()).join("\n")
    }

    #[test]
    fn who_waits_is_told_down_to_the_cause() {
        let text = facts_of("a-very-long-name-of-a-service");
        assert!(
            text.contains("waits for  chat-server: backoff, restarts in 1.2 s; was killed by SIGKILL"),
            "{text}"
        );
        assert!(
            text.contains("waits for  mongodb: refuses connections, since 2026-11-21T07:00:00Z"),
            "{text}"
        );
        assert!(text.contains("next try   once chat-server and mongodb are ready"), "{text}");
    }

    #[test]
    fn who_crashed_is_told_when_it_is_tried_next() {
        let text = facts_of("chat-server");
        assert!(
            text.starts_with(
                "chat-server is in backoff\n  because    restarts in 1.2 s\n  next try   in 1.2 s\n"
            ),
            "{text}"
        );
        assert!(text.contains("last exit  was killed by SIGKILL"), "{text}");
        assert!(!facts_of("message-api").contains("next try"));
    }
}
