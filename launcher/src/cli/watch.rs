//! `launcher status --watch`: redraws the state each second on the terminal's alternate screen, and restores the screen at the end.
//!
//! If standard output is no terminal, each state is printed after the previous one, as a table or as a line of JSON.

use std::io::Write;
use std::time::Duration;

use kit::{Exit, Failure};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::ask::{as_json, measured, style};
use super::options::{Where, small_runtime};
use super::output;
use super::overview::overview;
use crate::supervisor::Snapshot;
use crate::supervisor::load::Meter;

/// The refresh interval.
const PERIOD: Duration = Duration::from_secs(1);

/// Switches to the alternate screen without a cursor, and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The alternate screen; restored when dropped.
struct Screen;

impl Screen {
    fn enter() -> Self {
        print(ENTER);
        Self
    }

    /// Overwrites line by line, so that nothing flickers; what does not fit is omitted.
    fn draw(lines: &[String]) {
        let rows = output::terminal_size().map_or(24, |(_, rows)| rows);
        let mut text = String::from("\x1b[H");
        for (index, line) in lines.iter().take(rows).enumerate() {
            text.push_str(if index > 0 { "\r\n" } else { "" });
            text.push_str(&output::without_foreign_codes(line));
            text.push_str("\x1b[K");
        }
        text.push_str("\x1b[J");
        print(&text);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        print(LEAVE);
    }
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // If the terminal is gone, its signal ends us.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Shows the state until INT or TERM. On a screen it continues without a running launcher, which may be started later.
pub(super) fn watch(place: &Where, json: bool, mut meter: Meter) -> Result<Exit, Failure> {
    let screen = (!json && output::terminal_size().is_some()).then(Screen::enter);
    small_runtime()?.block_on(async {
        let end = CancellationToken::new();
        kit::shutdown::on_signals(end.clone())?;
        let mut resized = signal(SignalKind::window_change())?;
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = resized.recv() => {}
                () = end.cancelled() => return Ok(Exit::Fine),
            }
            // On a thread with a runtime of its own, so that signals are handled meanwhile.
            let (place, mut looking) = (place.clone(), std::mem::take(&mut meter));
            let look = move || (measured(&place, &mut looking), looking);
            let (looked, used) = tokio::task::spawn_blocking(look).await.map_err(std::io::Error::other)?;
            meter = used;
            match (&screen, looked) {
                (Some(_), Ok(snapshot)) => Screen::draw(&overview(&snapshot, style())),
                (Some(_), Err(failure)) => Screen::draw(&[format!("launcher: {failure}")]),
                (None, looked) => {
                    if !print_look(&looked?, json)? {
                        return Ok(Exit::Fine);
                    }
                }
            }
        }
    })
}

/// Prints one state without a screen; returns `false` once the reader has closed the pipe.
fn print_look(snapshot: &Snapshot, json: bool) -> Result<bool, Failure> {
    let lines = if json {
        vec![protocol::sanitise::json(&as_json(snapshot)?.to_string()).into_owned()]
    } else {
        overview(snapshot, style()).iter().map(|line| output::without_foreign_codes(line)).collect()
    };
    Ok(lines.iter().all(|line| output::raw(format!("{line}\n").as_bytes())))
}
