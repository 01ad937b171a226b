//! What `up` shows on the terminal, or among the components' lines: the table when all is up, what goes wrong later, whom a stop waits for.
//!
//! It has a thread of its own, fed by a bounded channel that nobody waits at: a terminal that shows nothing (ctrl-S) holds up
//! nothing but this.

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::foreground::Voice;
use super::waiting::{Waiting, list};
use super::{output, report};
use crate::supervisor::status::{ComponentStatus, State};
use crate::supervisor::{Awaited, Progress, Snapshot};

/// As many as the supervisor may be ahead of the terminal.
const PLACES: usize = 64;
/// At the end the terminal gets this long to show the rest.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A stop that takes no longer needs no explanation.
const STOP_QUIETLY: Duration = Duration::from_millis(900);

/// The terminal's thread.
pub(super) struct Console {
    progress: mpsc::Sender<Progress>,
    done: std::sync::mpsc::Receiver<()>,
}

impl Console {
    /// Starts it; `look` is printed below the table.
    pub(super) fn start(look: Vec<String>, voice: Voice) -> std::io::Result<Self> {
        let (progress, mut events) = mpsc::channel(PLACES);
        let (finished, done) = sync_channel(1);
        let show = move || {
            let mut screen = Screen {
                voice,
                look,
                settled: false,
                stopping: None,
                waiting: Waiting::default(),
                last: String::new(),
            };
            while let Some(event) = events.blocking_recv() {
                screen.show(&event);
            }
            screen.waiting.clear();
            let _ = finished.send(());
        };
        std::thread::Builder::new().name("console".to_owned()).spawn(show)?;
        Ok(Self { progress, done })
    }

    /// Where the supervisor tells what happens.
    pub(super) fn progress(&self) -> mpsc::Sender<Progress> {
        self.progress.clone()
    }

    /// Shows what is left, unless the terminal does not take it.
    pub(super) fn finish(self) {
        drop(self.progress);
        let _ = self.done.recv_timeout(LAST_WORDS);
    }
}

struct Screen {
    voice: Voice,
    look: Vec<String>,
    settled: bool,
    stopping: Option<Instant>,
    waiting: Waiting,
    last: String,
}

impl Screen {
    fn show(&mut self, event: &Progress) {
        match event {
            Progress::Settled(snapshot) => self.settled(snapshot),
            Progress::Changed(snapshot, name) => {
                if self.settled
                    && self.stopping.is_none()
                    && let Some(component) = snapshot.component(name)
                {
                    self.changed(component);
                }
            }
            Progress::Reloaded(summary) => {
                let parts = [
                    ("restarting", &summary.restarted),
                    ("starting", &summary.started),
                    ("stopping", &summary.stopped),
                ];
                for (what, names) in parts.into_iter().filter(|(_, names)| !names.is_empty()) {
                    self.voice.line(&format!("new configuration: {what} {}", names.join(", ")));
                }
            }
            Progress::Stopping(awaited) => self.stopping(awaited),
            Progress::Killing(awaited) => {
                self.waiting.clear();
                self.voice.line(&format!("killing {}", list(awaited)));
            }
        }
    }

    fn settled(&mut self, snapshot: &Snapshot) {
        self.settled = true;
        for line in report::started(snapshot).lines(self.is_coloured()) {
            self.voice.line(&line);
        }
        self.voice.line("");
        self.look.iter().for_each(|line| self.voice.line(line));
    }

    fn changed(&mut self, component: &ComponentStatus) {
        let text = match component.state {
            State::Backoff | State::Failed | State::Unready => {
                format!("{} is {}: {}", component.name, component.state, report::remark(component))
            }
            State::Ready => {
                let pid = component.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
                format!("{} is ready{pid}", component.name)
            }
            State::Finished => format!("{} has finished", component.name),
            State::Stopped => format!("{} is stopped", component.name),
            State::Waiting
            | State::Starting
            | State::Running
            | State::Stopping
            | State::Scheduled
            | State::Skipped => return,
        };
        self.once(text);
    }

    fn stopping(&mut self, awaited: &[Awaited]) {
        match self.stopping {
            None => {
                self.stopping = Some(Instant::now());
                self.once("stopping; press ctrl-C again to kill the remaining components".to_owned());
            }
            Some(since) if since.elapsed() > STOP_QUIETLY => self.wait(awaited),
            Some(_) => {}
        }
    }

    fn wait(&mut self, awaited: &[Awaited]) {
        if !self.voice.is_among_components() {
            self.waiting.show(awaited);
        } else if !awaited.is_empty() {
            self.once(format!("waiting for {}", list(awaited)));
        }
    }

    /// Among other lines a table needs no colours.
    fn is_coloured(&self) -> bool {
        output::is_coloured() && !self.voice.is_among_components()
    }

    /// Says nothing twice in a row.
    fn once(&mut self, text: String) {
        if text != self.last {
            self.voice.line(&text);
            self.last = text;
        }
    }
}
