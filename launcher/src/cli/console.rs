//! The terminal output of `up`, possibly among the components' lines: a table when everything is ready, later problems, and what a stop
//! waits for.
//!
//! It has a thread of its own, fed through a bounded channel that no sender waits for: a blocked terminal (ctrl-S) blocks nothing else.

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::foreground::Voice;
use super::waiting::{Waiting, list};
use super::{output, report};
use crate::supervisor::status::{ComponentStatus, State};
use crate::supervisor::{Awaited, Progress, Snapshot};

/// The capacity of the channel.
const CAPACITY: usize = 64;
/// Time limit for printing the rest when we end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// A stop that is faster needs no explanation.
const EXPLAIN_AFTER: Duration = Duration::from_millis(900);

/// The handle of the thread.
pub(super) struct Console {
    progress: mpsc::Sender<Progress>,
    done: std::sync::mpsc::Receiver<()>,
}

impl Console {
    /// Starts the thread; `look` is printed below the table.
    pub(super) fn start(look: Vec<String>, voice: Voice) -> std::io::Result<Self> {
        let (progress, mut events) = mpsc::channel(CAPACITY);
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

    /// The channel for the supervisor's progress.
    pub(super) fn progress(&self) -> mpsc::Sender<Progress> {
        self.progress.clone()
    }

    /// Prints the rest, unless the terminal is blocked.
    pub(super) fn finish(self) {
        drop(self.progress);
        let _ = self.done.recv_timeout(FLUSH_TIMEOUT);
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
            Some(since) if since.elapsed() > EXPLAIN_AFTER => self.wait(awaited),
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

    /// Among other lines a table has no colours.
    fn is_coloured(&self) -> bool {
        output::is_coloured() && !self.voice.is_among_components()
    }

    /// Omits a line that repeats the previous one.
    fn once(&mut self, text: String) {
        if text != self.last {
            self.voice.line(&text);
            self.last = text;
        }
    }
}
