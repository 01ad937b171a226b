//! The supervisor's observations as a typed stream: for the flight recorder, crash reports and alerts.
//!
//! * The driver owns the [`Observer`] and sends it everything without waiting.
//! * A receiver owns the [`Observations`]. Its queue is bounded; what does not fit is dropped and counted in [`Observations::missed`].
//!
//! Observations of one component are in order: the transition out of a process's last state has its [`Ended`]; its [`LastLines`] follow as
//! soon as they have been read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::mpsc;

pub use super::exit::{ProcessExit, Usage};
pub use super::oom::Oom;
pub use super::status::State;

/// An observation.
#[derive(Debug, Clone)]
pub enum Observation {
    /// A component's state changed.
    Transition(Transition),
    /// The result of a probe.
    Probed(Probed),
    /// The last lines of a process that has ended.
    LastLines(LastLines),
}

/// The time of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// By the wall clock, which may jump.
    pub wall: OffsetDateTime,
    /// Since the start of the supervisor, on a monotonic clock.
    pub since_start: Duration,
}

/// A change of a component's state.
#[derive(Debug, Clone)]
pub struct Transition {
    /// When it was decided.
    pub at: Moment,
    /// Name of the component.
    pub component: String,
    /// The number of its process: 1 for the first, then increasing; 0 before the first.
    pub epoch: u64,
    /// The previous state.
    pub from: State,
    /// The new state.
    pub to: State,
    /// The reason, in words that fit after the component's name.
    pub reason: String,
    /// Its process before the change or, if it had none, after it.
    pub pid: Option<u32>,
    /// The end of that process, if it caused the change.
    pub ended: Option<Ended>,
    /// The digest of the configuration that it runs with.
    pub config_digest: String,
}

/// The end of a process.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// The exit status.
    pub exit: ProcessExit,
    /// The resources used by it and by its descendants that it waited for; `None` if the system does not report them.
    pub usage: Option<Usage>,
    /// How long it ran.
    pub lived: Duration,
    /// Whether it ended without being asked to.
    pub by_itself: bool,
    /// Whether the kernel killed it for lack of memory.
    pub oom: Oom,
}

/// The result of a probe.
#[derive(Debug, Clone)]
pub struct Probed {
    /// When the result was known.
    pub at: Moment,
    /// Name of the component.
    pub component: String,
    /// The number of its process.
    pub epoch: u64,
    /// The kind of the probe.
    pub kind: ProbeKind,
    /// The duration of the probe.
    pub took: Duration,
    /// The error, if it failed.
    pub result: Result<(), String>,
}

/// The kind of a probe.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeKind {
    /// Whether the component is ready. A failure restarts nothing.
    Readiness,
    /// Whether the component must be restarted.
    Liveness,
}

/// The last lines of a process.
#[derive(Debug, Clone)]
pub struct LastLines {
    /// When they were read.
    pub at: Moment,
    /// Name of the component.
    pub component: String,
    /// The number of its process.
    pub epoch: u64,
    /// The lines, oldest first, secrets masked.
    pub lines: Vec<String>,
    /// The number of consecutive crashes of the same kind; 0 if it was asked to end.
    pub same_in_a_row: u32,
}

/// A queue of observations with this capacity.
#[must_use]
pub fn channel(places: usize) -> (Observer, Observations) {
    let (sender, receiver) = mpsc::channel(places);
    let missed = Arc::new(AtomicU64::new(0));
    (Observer { sender, missed: Arc::clone(&missed) }, Observations { receiver, missed })
}

/// The sender.
#[derive(Debug, Clone)]
pub struct Observer {
    sender: mpsc::Sender<Observation>,
    missed: Arc<AtomicU64>,
}

impl Observer {
    /// Sends an observation, or counts it as missed if the queue is full.
    pub fn tell(&self, observation: Observation) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(observation) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The receiver. It ends after the supervisor has ended.
#[derive(Debug)]
pub struct Observations {
    receiver: mpsc::Receiver<Observation>,
    missed: Arc<AtomicU64>,
}

impl Observations {
    /// The next observation; `None` after the last.
    pub async fn next(&mut self) -> Option<Observation> {
        self.receiver.recv().await
    }

    /// Like [`Self::next`], for a thread without a runtime.
    pub fn blocking_next(&mut self) -> Option<Observation> {
        self.receiver.blocking_recv()
    }

    /// The number of missed observations so far.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

/// Creates moments relative to its own creation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// The current moment.
    pub(super) fn now(&self) -> Moment {
        self.at(Instant::now())
    }

    /// The moment of a time after the start.
    pub(super) fn at(&self, moment: Instant) -> Moment {
        Moment { wall: OffsetDateTime::now_utc() - moment.elapsed(), since_start: moment - self.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_place_is_counted_and_nobody_waits() {
        let (observer, mut observations) = channel(2);
        let clock = Clock::start();
        for epoch in 0..5 {
            observer.tell(Observation::LastLines(LastLines {
                at: clock.now(),
                component: "api".to_owned(),
                epoch,
                lines: Vec::new(),
                same_in_a_row: 1,
            }));
        }
        drop(observer);
        assert_eq!(observations.missed(), 3);
        let heard = std::iter::from_fn(|| observations.blocking_next()).count();
        assert_eq!(heard, 2);
    }
}
