//! Looks at the components while anybody listens, and tells everybody who does.
//!
//! The life of a sample: every [`PERIOD`], and soon after an event, the supervisor is asked and the processes are measured; the answer is
//! written as JSON once, kept in the history, and handed to all subscribers. With the last subscriber it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;

use super::history::History;
use super::looker::{Looker, Status};
use crate::recorder::Audience;

/// How often is looked.
const PERIOD: Duration = Duration::from_secs(2);
/// Events come in groups: they are looked at together.
const TOGETHER: Duration = Duration::from_millis(100);
/// News that a subscriber's task may be behind; it hands them on at once.
const NEWS: usize = 64;

/// What subscribers are told, as JSON.
#[derive(Debug, Clone)]
pub(super) enum News {
    /// How everything is.
    Status(Arc<str>),
    /// A line of `events.jsonl`.
    Event(Arc<str>),
}

/// See above.
pub(super) struct Sampler {
    looker: Arc<Looker>,
    audience: Audience,
    news: broadcast::Sender<News>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_running: bool,
    history: History,
}

impl Sampler {
    pub(super) fn new(looker: Arc<Looker>, audience: Audience) -> Arc<Self> {
        Arc::new(Self { looker, audience, news: broadcast::Sender::new(NEWS), state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears all news from now on.
    pub(super) fn subscribe(self: &Arc<Self>) -> broadcast::Receiver<News> {
        let mut state = self.state();
        let news = self.news.subscribe();
        if !state.is_running {
            state.is_running = true;
            tokio::spawn(Arc::clone(self).run(self.audience.subscribe()));
        }
        news
    }

    /// What the history holds.
    pub(super) fn with_history<T>(&self, read: impl FnOnce(&History) -> T) -> T {
        read(&self.state().history)
    }

    async fn run(self: Arc<Self>, mut events: broadcast::Receiver<Arc<str>>) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first look knows no load since the one before.
        let mut is_first = true;
        while self.goes_on() {
            tokio::select! {
                _ = ticks.tick() => {}
                event = events.recv() => {
                    self.pass_on(event);
                    tokio::time::sleep(TOGETHER).await;
                    while let Ok(event) = events.try_recv() {
                        self.pass_on(Ok(event));
                    }
                    self.looker.forget().await;
                }
            }
            self.look(&mut is_first).await;
        }
    }

    /// Ends when nobody listens; whoever comes later starts it again.
    fn goes_on(&self) -> bool {
        let mut state = self.state();
        state.is_running = self.news.receiver_count() > 0;
        state.is_running
    }

    fn pass_on(&self, event: Result<Arc<str>, RecvError>) {
        // What was missed is in the file; the states themselves come with the next look.
        if let Ok(event) = event {
            let _ = self.news.send(News::Event(event));
        }
    }

    async fn look(&self, is_first: &mut bool) {
        let Ok(snapshot) = self.looker.look().await else { return };
        if !std::mem::take(is_first) {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            self.state().history.add(now.as_secs(), &snapshot);
        }
        if let Ok(json) = serde_json::to_string(&Status::of(snapshot)) {
            let _ = self.news.send(News::Status(json.into()));
        }
    }
}
