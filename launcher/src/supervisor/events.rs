//! What happened, as a typed stream: for the flight recorder, crash reports, and whoever else wants to know.
//!
//! * The driver owns the [`Observer`] and tells it everything, without ever waiting.
//! * Whoever listens owns the [`Observations`]. Its queue is bounded; what does not fit is dropped and counted in
//!   [`Observations::missed`].
//!
//! What is told of one component comes in the order in which it happened: the transition out of a process's last state carries
//! its [`Ended`]; its [`LastLines`] follow as soon as they have been read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::mpsc;

pub use super::exit::{ProcessExit, Usage};
pub use super::oom::Oom;
pub use super::status::State;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Observation {
    /// A component changed its state.
    Transition(Transition),
    /// A probe of a component has answered.
    Probed(Probed),
    /// What a process that has ended wrote last.
    LastLines(LastLines),
}

/// When something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// By the wall clock, which may jump: for people.
    pub wall: OffsetDateTime,
    /// Since the supervisor began, by a clock that only goes forward: for measuring.
    pub since_start: Duration,
}

/// A component's change from one state to another.
#[derive(Debug, Clone)]
pub struct Transition {
    /// When.
    pub at: Moment,
    /// Whose.
    pub component: String,
    /// The number of its process: 1 for the first, one more for each further one, 0 before the first.
    pub epoch: u64,
    /// From which state.
    pub from: State,
    /// To which state.
    pub to: State,
    /// Why, in words that fit after the component's name.
    pub reason: String,
    /// Its process before the change or, where there was none, after it.
    pub pid: Option<u32>,
    /// How that process ended, if its end caused the change.
    pub ended: Option<Ended>,
    /// The digest of the configuration that it runs with.
    pub config_digest: String,
}

/// The end of a process.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// How.
    pub exit: ProcessExit,
    /// What it used in its life, with its descendants that it waited for; none where the system does not tell.
    pub usage: Option<Usage>,
    /// How long it lived.
    pub lived: Duration,
    /// True when nobody had asked it to end.
    pub by_itself: bool,
    /// Whether it was for lack of memory.
    pub oom: Oom,
}

/// The answer of a probe.
#[derive(Debug, Clone)]
pub struct Probed {
    /// When it was there.
    pub at: Moment,
    /// Of which component.
    pub component: String,
    /// Of which of its processes.
    pub epoch: u64,
    /// What the answer decides on.
    pub kind: ProbeKind,
    /// How long it took.
    pub took: Duration,
    /// What is wrong, in words; or that all is well.
    pub result: Result<(), String>,
}

/// What a probe decides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeKind {
    /// Whether others may count on the component. It restarts nothing.
    Readiness,
    /// Whether it must be started anew.
    Liveness,
}

/// What a process wrote last.
#[derive(Debug, Clone)]
pub struct LastLines {
    /// When it was read.
    pub at: Moment,
    /// Whose.
    pub component: String,
    /// Which process's.
    pub epoch: u64,
    /// The lines, oldest first, secrets masked.
    pub lines: Vec<String>,
    /// How many times in a row it has ended by itself in just this way; 1 for the first time, 0 when it was asked to end.
    pub same_in_a_row: u32,
}

/// A queue of observations with so many places.
#[must_use]
pub fn channel(places: usize) -> (Observer, Observations) {
    let (sender, receiver) = mpsc::channel(places);
    let missed = Arc::new(AtomicU64::new(0));
    (Observer { sender, missed: Arc::clone(&missed) }, Observations { receiver, missed })
}

/// The telling end.
#[derive(Debug, Clone)]
pub struct Observer {
    sender: mpsc::Sender<Observation>,
    missed: Arc<AtomicU64>,
}

impl Observer {
    /// Tells it, or counts it as missed where there is no place.
    pub(crate) fn tell(&self, observation: Observation) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(observation) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The hearing end. It ends when the supervisor has ended and everything was heard.
#[derive(Debug)]
pub struct Observations {
    receiver: mpsc::Receiver<Observation>,
    missed: Arc<AtomicU64>,
}

impl Observations {
    /// The next one; none after the last.
    pub async fn next(&mut self) -> Option<Observation> {
        self.receiver.recv().await
    }

    /// As [`Self::next`], for a thread without a runtime.
    pub fn blocking_next(&mut self) -> Option<Observation> {
        self.receiver.blocking_recv()
    }

    /// How many there was no place for, so far.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

/// Gives moments, counted from when it was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    /// Starts to count.
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Now.
    pub(super) fn now(&self) -> Moment {
        self.at(Instant::now())
    }

    /// A moment that has been, after the start.
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
