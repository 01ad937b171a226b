//! The output of `status`: a table that fits 80 columns, with a note below each component. Pure.

use super::output::{Colour, paint, sanitise};
use super::report::{self, duration, milliseconds, optional, remark, state};
use super::table::{Cell, Table};
use crate::supervisor::Snapshot;
use crate::supervisor::status::Load;
use crate::supervisor::status::{ComponentStatus, DependencyState, DependencyStatus, State};

/// Longer names are cut on narrow terminals.
const NAME_CHARS: usize = 14;
/// Lines are not cut below this width.
const MIN_WIDTH: usize = 40;

/// The style of the output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// The columns of the terminal; `None` if lines may have any length.
    pub(super) width: Option<usize>,
    /// Whether colours are used.
    pub(super) coloured: bool,
}

/// All lines.
pub(super) fn overview(snapshot: &Snapshot, style: Style) -> Vec<String> {
    let mut table = Table::headed(heading());
    for component in &snapshot.components {
        table.row(row(component, style));
    }
    let mut rows = table.lines(style.coloured).into_iter();
    let mut lines: Vec<String> = rows.by_ref().take(1).collect();
    for (component, row) in snapshot.components.iter().zip(rows) {
        lines.push(row);
        for line in wrap(&note(component), style) {
            lines.push(paint(&line, note_colour(component), style.coloured));
        }
    }
    for dependency in &snapshot.dependencies {
        lines.extend(dependency_lines(dependency, style));
    }
    lines.push(String::new());
    lines.push(health(snapshot, style));
    lines.push(footer(snapshot));
    lines
}

/// The overall health, and the components that are not healthy.
pub(super) fn health(snapshot: &Snapshot, style: Style) -> String {
    if snapshot.is_healthy() {
        return paint("healthy", Colour::Green, style.coloured);
    }
    let components = snapshot.components.iter().filter(|component| !component.is_fine());
    let dependencies = snapshot.dependencies.iter().filter(|it| it.state != DependencyState::Ok);
    let names = components.map(|it| it.name.as_str()).chain(dependencies.map(|it| it.name.as_str()));
    let text = format!("unhealthy: {}", names.collect::<Vec<_>>().join(", "));
    paint(&style.width.map_or(text.clone(), |width| cut(&text, width)), Colour::Red, style.coloured)
}

/// The heading of the table.
pub(super) fn heading() -> Vec<Cell> {
    let left = ["COMPONENT", "STATE"].map(Cell::plain);
    let right = ["PID", "UPTIME", "READY IN", "RESTARTS", "CPU", "MEMORY"].map(Cell::number);
    left.into_iter().chain(right).collect()
}

/// A component's row.
pub(super) fn row(component: &ComponentStatus, style: Style) -> Vec<Cell> {
    let name = match style.width {
        Some(_) => cut(&component.name, NAME_CHARS),
        None => component.name.clone(),
    };
    let or_dash = |text: Option<String>| Cell::number(text.unwrap_or_else(|| "-".to_owned()));
    let skipped = component.state == State::Skipped;
    vec![
        Cell::plain(name),
        state(component.state),
        Cell::number(optional(component.pid)),
        or_dash(component.uptime_s.map(duration)),
        or_dash(component.ready_ms.filter(|_| component.pid.is_some()).map(milliseconds)),
        or_dash((!skipped).then(|| component.restarts.to_string())),
        or_dash(component.load.map(|load| percent(load.cpu_percent))),
        or_dash(component.load.map(|load| megabytes(load.memory_bytes))),
    ]
}

/// The reason of its state, or else its address and its own status.
pub(super) fn note(component: &ComponentStatus) -> String {
    let remark = remark(component);
    let mut parts = Vec::new();
    if component.pid.is_some() {
        parts.extend(component.address.as_deref().map(sanitise));
    }
    if !remark.is_empty() {
        parts.push(remark);
    }
    if component.pid.is_some() {
        parts.extend(component.liveness.as_ref().map(report::liveness));
    }
    parts.extend(component.schedule.as_ref().map(report::schedule));
    // What is not as it was asked for; all of them are in `why`.
    let weak = component.limits.iter().filter(|limit| limit.remark.is_some());
    parts.extend(weak.map(|limit| sanitise(&limit.to_string())));
    if component.state == State::Ready
        && let Some(error) = &component.last_error
    {
        parts.push(format!("last exit: {}", sanitise(error)));
    }
    parts.join("; ")
}

fn note_colour(component: &ComponentStatus) -> Colour {
    if component.state == State::Failed { Colour::Red } else { Colour::Grey }
}

fn dependency_lines(dependency: &DependencyStatus, style: Style) -> Vec<String> {
    let (word, colour) = match dependency.state {
        DependencyState::Unknown => ("unknown", Colour::Yellow),
        DependencyState::Ok => ("ok", Colour::Green),
        DependencyState::Degraded => ("degraded", Colour::Red),
    };
    let table = Table::headed(vec![
        Cell::plain(format!("{:<12}", dependency.name)),
        Cell::coloured(word, colour),
        Cell::plain(format!("since {}", dependency.since)),
    ]);
    let mut lines = table.lines(style.coloured);
    if let Some(reason) = &dependency.reason {
        let notes = wrap(&sanitise(reason), style).into_iter();
        lines.extend(notes.map(|line| paint(&line, Colour::Red, style.coloured)));
    }
    lines
}

/// The line about the launcher.
pub(super) fn footer(snapshot: &Snapshot) -> String {
    let ending = if snapshot.stopping { ", stopping" } else { "" };
    let load = snapshot.load.map(|Load { cpu_percent, memory_bytes, .. }| {
        format!(", {} CPU, {}", percent(cpu_percent), megabytes(memory_bytes))
    });
    let load = load.unwrap_or_default();
    format!("launcher pid {}, since {}{load}{ending}", snapshot.launcher_pid, snapshot.started_at)
}

/// Wraps a text into indented lines.
fn wrap(text: &str, style: Style) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let Some(width) = style.width else { return vec![format!("  {text}")] };
    let room = width.max(MIN_WIDTH) - 2;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(cut(word, room)),
        }
    }
    lines.into_iter().map(|line| format!("  {line}")).collect()
}

/// Cuts a text to this many characters, with a mark where it was cut.
pub(super) fn cut(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    text.chars().take(chars.saturating_sub(1)).chain(['…']).collect()
}

/// As a share of one processor.
pub(super) fn percent(share: f64) -> String {
    if share < 100.0 { format!("{share:.1}%") } else { format!("{share:.0}%") }
}

/// In MB, or in GB.
#[expect(clippy::cast_precision_loss, reason = "for people to read")]
pub(super) fn megabytes(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    if megabytes < 999.95 { format!("{megabytes:.1} MB") } else { format!("{:.1} GB", megabytes / 1e3) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;

    const NARROW: Style = Style { width: Some(80), coloured: false };

    #[test]
    fn it_fits_80_columns_and_says_why() {
        let snapshot = sample::snapshot();
        let lines = overview(&snapshot, NARROW);
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
        let text = lines.join("\n");
        assert!(text.starts_with(
            "COMPONENT       STATE        PID  UPTIME  READY IN  RESTARTS   CPU   MEMORY\n\
             message-api     ready    4194303   1h 1m    120 ms         0  0.3%  12.3 MB\n  http"
        ));
        assert!(text.contains("restarts in 1.2 s; was killed by SIGKILL"), "{text}");
        assert!(text.contains("a-very-long-n…"), "{text}");
        assert!(
            text.contains("\nunhealthy: chat-server, a-very-long-name-of-a-service, mongodb\n"),
            "{text}"
        );
        assert!(text.contains("mongodb       degraded  since 2026-11-21T07:00:00Z\n  refuses connections"));
    }

    #[test]
    fn colour_is_only_where_it_is_wanted_and_texts_of_others_steer_nothing() {
        let mut snapshot = sample::snapshot();
        snapshot.components[0].status_text = Some("\x1b[2J".to_owned());
        let plain = overview(&snapshot, NARROW).join("\n");
        assert!(!plain.contains('\x1b'), "{plain}");
        let coloured = overview(&snapshot, Style { coloured: true, ..NARROW }).join("\n");
        assert!(coloured.contains("\x1b[32mready\x1b[0m") && !coloured.contains("\x1b[2J"), "{coloured}");
    }

    #[test]
    fn without_a_terminal_no_line_is_broken() {
        let style = Style { width: None, coloured: false };
        let long = "word ".repeat(50);
        assert_eq!(wrap(&long, style).len(), 1);
        assert!(wrap(&long, NARROW).len() > 3);
        assert_eq!(wrap("", NARROW), Vec::<String>::new());
    }
}
