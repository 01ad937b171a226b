//! `launcher status --watch`: the state drawn anew each second, on a screen of its own that is given back at the end.
//!
//! Where standard output is no terminal each look is printed after the other: a table, or a line of JSON.

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

/// How often it is looked.
const PERIOD: Duration = Duration::from_secs(1);

/// The other screen, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// The terminal's other screen; given back when this is dropped.
struct Screen;

impl Screen {
    fn enter() -> Self {
        print(ENTER);
        Self
    }

    /// Line by line over what is there, so that nothing flickers; what does not fit is left out.
    fn draw(lines: &[String]) {
        let rows = output::terminal_size().map_or(24, |(_, rows)| rows);
        let mut text = String::from("\x1b[H");
        for (index, line) in lines.iter().take(rows).enumerate() {
            text.push_str(if index > 0 { "\r\n" } else { "" });
            text.push_str(&output::harmless(line));
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
    // A terminal that is gone ends us by its signal.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Shows the state until INT or TERM ends it. On a screen it goes on when no launcher answers, for one may come.
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
            // On a thread, so that signals are heard meanwhile; it has a runtime of its own.
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

/// Prints one look where there is no screen; false when nobody reads any more.
fn print_look(snapshot: &Snapshot, json: bool) -> Result<bool, Failure> {
    let lines = if json {
        vec![protocol::sanitise::json(&as_json(snapshot)?.to_string()).into_owned()]
    } else {
        overview(snapshot, style()).iter().map(|line| output::harmless(line)).collect()
    };
    Ok(lines.iter().all(|line| output::raw(format!("{line}\n").as_bytes())))
}
