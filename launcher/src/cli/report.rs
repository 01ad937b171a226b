//! Texts for the state: the table of `up`, and what all views share.

use crate::supervisor::Snapshot;
use crate::supervisor::status::{ComponentStatus, LivenessStatus, ScheduleStatus, State};

use super::output::{Colour, sanitise};
use super::table::{Cell, Table};

/// The short table once everything is ready.
pub(super) fn started(snapshot: &Snapshot) -> Table {
    let mut table = Table::new(&["COMPONENT", "STATE", "ADDRESS", "PID", "READY IN", ""]);
    for component in &snapshot.components {
        let runs = component.pid.is_some();
        table.row(vec![
            Cell::plain(&component.name),
            state(component.state),
            Cell::plain(component.address.as_deref().filter(|_| runs).unwrap_or("-")),
            Cell::plain(optional(component.pid)),
            Cell::plain(component.ready_ms.filter(|_| runs).map_or("-".to_owned(), |ms| format!("{ms} ms"))),
            Cell::plain(remark(component)),
        ]);
    }
    table
}

/// `12 ms`, `1.5 s`.
pub(super) fn milliseconds(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1000, ms % 1000 / 100) }
}

/// A state in its colour.
pub(super) fn state(state: State) -> Cell {
    match state {
        State::Ready | State::Scheduled | State::Finished => Cell::coloured(state.to_string(), Colour::Green),
        State::Failed => Cell::coloured(state.to_string(), Colour::Red),
        State::Backoff
        | State::Unready
        | State::Waiting
        | State::Starting
        | State::Running
        | State::Stopping => Cell::coloured(state.to_string(), Colour::Yellow),
        State::Stopped | State::Skipped => Cell::plain(state.to_string()),
    }
}

/// A note on the state: the reason, or the component's own status; and what is missing in its log.
pub(super) fn remark(component: &ComponentStatus) -> String {
    let quiet = component.state == State::Ready;
    let said = component.reason.as_ref().or(component.status_text.as_ref().filter(|_| quiet));
    let mut remark = said.map(|text| sanitise(text)).unwrap_or_default();
    if matches!(component.state, State::Backoff | State::Failed)
        && let Some(error) = &component.last_error
        && !remark.contains(error.as_str())
    {
        remark = [remark, sanitise(error)]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
    }
    if component.log.dropped_lines > 0 {
        remark.push_str(&format!(" ({} log lines lost)", component.log.dropped_lines));
    }
    remark
}

/// The last result of its liveness probe.
pub(super) fn liveness(liveness: &LivenessStatus) -> String {
    let LivenessStatus { remark, error, took_ms, age_s, failures_in_a_row, failures: _ } = liveness;
    let when = format!("in {}, {} ago", milliseconds(*took_ms), duration(*age_s));
    match (error, remark) {
        (Some(error), _) => {
            format!("probe failed {when} ({failures_in_a_row} in a row): {}", sanitise(error))
        }
        (None, Some(remark)) => format!("probe answered {when}: {}", sanitise(remark)),
        (None, None) => format!("probe passed {when}"),
    }
}

/// When it runs, ran last and runs next.
pub(super) fn schedule(schedule: &ScheduleStatus) -> String {
    let ScheduleStatus { expression, time_zone, next_run, last_run, queued, skipped } = schedule;
    let zone = time_zone.as_ref().map(|zone| format!(" ({zone})")).unwrap_or_default();
    let mut parts = vec![format!("{expression}{zone}")];
    parts.extend(next_run.as_ref().map(|next| format!("next run {next}")));
    parts.extend(last_run.as_ref().map(|run| match (&run.ended_at, &run.result) {
        (Some(ended), Some(result)) => {
            format!("last run {} to {ended}: {}", run.started_at, sanitise(result))
        }
        _ => format!("running since {}", run.started_at),
    }));
    if *queued {
        parts.push("one more run waits".to_owned());
    }
    if *skipped > 0 {
        parts.push(format!("{skipped} skipped"));
    }
    parts.join(", ")
}

/// A number, or that there is none.
pub(super) fn optional(value: Option<u32>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

/// A duration in its two largest units.
pub(super) fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m {}s", seconds % 60),
        3600..86_400 => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let texts = [5, 65, 3700, 90_000].map(duration);
        assert_eq!(texts, ["5s", "1m 5s", "1h 1m", "1d 1h"]);
    }
}
