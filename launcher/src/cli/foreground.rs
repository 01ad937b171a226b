//! `up --foreground-logs`: every line of every component on standard output, after its component's name, as `launcher logs` shows them.
//!
//! The thread that writes is fed by a bounded queue ([`Tap`]): a reader that stands still costs lines, which are counted, and nothing else.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::output::{self, Colour, many, paint, without_foreign_codes};
use crate::supervisor::{Heard, Hearer, Tap, tap};

/// The name before the launcher's own lines.
const LAUNCHER: &str = "launcher";
/// Time limit for the reader to read the rest when we end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The handle of the thread.
pub(super) struct Foreground {
    tap: Tap,
    done: Receiver<()>,
}

/// Prints a line by the launcher, without waiting.
#[derive(Clone)]
pub(super) struct Voice(Option<(Tap, Arc<str>)>);

impl Foreground {
    /// Starts the thread; names up to this length are aligned.
    pub(super) fn start<'a>(names: impl Iterator<Item = &'a str>) -> std::io::Result<Self> {
        let (tap, hearer) = tap();
        let (finished, done) = sync_channel(1);
        let width = names.chain([LAUNCHER]).map(str::len).max().unwrap_or(0);
        let mut printer = Printer::new(width, output::is_coloured(), std::io::stdout().is_terminal());
        let work = move || {
            printer.print_all(&hearer);
            let _ = finished.send(());
        };
        std::thread::Builder::new().name("foreground".to_owned()).spawn(work)?;
        Ok(Self { tap, done })
    }

    /// The tap for the supervisor.
    pub(super) fn tap(&self) -> Tap {
        self.tap.clone()
    }

    /// The sender for the launcher's own lines.
    pub(super) fn voice(&self) -> Voice {
        Voice(Some((self.tap.clone(), Arc::from(LAUNCHER))))
    }

    /// Writes what is left; returns `false` if the reader does not read it.
    pub(super) fn finish(self) -> bool {
        drop(self.tap);
        self.done.recv_timeout(FLUSH_TIMEOUT).is_ok()
    }
}

impl Voice {
    /// Prints to standard output directly.
    pub(super) fn plain() -> Self {
        Self(None)
    }

    /// Whether the launcher's lines are among the components'.
    pub(super) fn is_among_components(&self) -> bool {
        self.0.is_some()
    }

    /// Says a line.
    pub(super) fn line(&self, text: &str) {
        match &self.0 {
            None => output::line(text),
            Some((tap, name)) => tap.tell(name, format!("{text}\n").as_bytes()),
        }
    }
}

struct Printer {
    width: usize,
    coloured: bool,
    /// On a terminal, control characters of components are removed.
    is_terminal: bool,
    /// In order of their first lines, which determines their colours.
    prefixes: Vec<(Arc<str>, String)>,
}

impl Printer {
    fn new(width: usize, coloured: bool, is_terminal: bool) -> Self {
        Self { width, coloured, is_terminal, prefixes: Vec::new() }
    }

    /// Runs until there is nothing more, or the reader has closed the pipe.
    fn print_all(&mut self, hearer: &Hearer) {
        while let Some(heard) = hearer.hear() {
            let mut text = Vec::new();
            match heard {
                Heard::Lines(lines) => {
                    self.tell_dropped(lines.dropped, &mut text);
                    self.form(&lines.component, &lines.bytes, &mut text);
                }
                Heard::Dropped(count) => self.tell_dropped(count, &mut text),
            }
            if !output::raw(&text) {
                return;
            }
        }
    }

    fn tell_dropped(&mut self, dropped: u64, out: &mut Vec<u8>) {
        if dropped > 0 {
            let lines = many(dropped, "line");
            let text =
                format!("{lines} not shown: standard output was not read fast enough; the logs have them\n");
            self.form(&Arc::from(LAUNCHER), text.as_bytes(), out);
        }
    }

    fn form(&mut self, component: &Arc<str>, lines: &[u8], out: &mut Vec<u8>) {
        let prefix = self.prefix(component).to_owned();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            out.extend_from_slice(prefix.as_bytes());
            if self.is_terminal {
                let _ = write!(out, "{}", without_foreign_codes(&String::from_utf8_lossy(line)));
            } else {
                out.extend_from_slice(line);
            }
        }
    }

    fn prefix(&mut self, component: &Arc<str>) -> &str {
        let index = self.prefixes.iter().position(|(name, _)| name == component).unwrap_or_else(|| {
            let (index, width) = (self.prefixes.len(), self.width);
            let colour = match &**component {
                LAUNCHER => Colour::Grey,
                _ => Colour::DISTINCT[index % Colour::DISTINCT.len()],
            };
            let prefix = format!("{} ", paint(&format!("{component:<width$} |"), colour, self.coloured));
            self.prefixes.push((Arc::clone(component), prefix));
            index
        });
        &self.prefixes[index].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formed(printer: &mut Printer, component: &str, lines: &str) -> String {
        let mut out = Vec::new();
        printer.form(&Arc::from(component), lines.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_line_has_its_name_and_on_a_terminal_a_colour_and_nothing_that_steers_it() {
        let mut plain = Printer::new(8, false, false);
        assert_eq!(formed(&mut plain, "web", "one\n\x1b[2Jtwo\n"), "web      | one\nweb      | \x1b[2Jtwo\n");
        let mut coloured = Printer::new(8, true, true);
        let web = formed(&mut coloured, "web", "one\x1b[2J\n");
        assert_eq!(web, "\x1b[36mweb      |\x1b[0m one2J\n");
        let api = formed(&mut coloured, "api", "one\n");
        assert!(api.starts_with("\x1b[33mapi"), "{api:?}");
        assert!(formed(&mut coloured, "web", "two\n").starts_with("\x1b[36m"));
    }

    #[test]
    fn what_was_dropped_is_told() {
        let mut printer = Printer::new(8, false, false);
        let mut out = Vec::new();
        printer.tell_dropped(0, &mut out);
        assert!(out.is_empty());
        printer.tell_dropped(3, &mut out);
        assert!(String::from_utf8(out).unwrap().starts_with("launcher | 3 lines not shown: "));
    }
}
