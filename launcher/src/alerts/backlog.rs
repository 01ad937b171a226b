//! Alerts that wait for their delivery.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::alert::Alert;

/// How many may wait.
const PLACES: usize = 64;

/// At most [`PLACES`] alerts. When one more comes the oldest is dropped, and the next that is taken says how many were.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Alert>,
    missed: u64,
    is_closed: bool,
}

impl Backlog {
    pub(super) fn put(&self, alert: Alert) {
        let mut queue = self.queue();
        if queue.waiting.len() == PLACES {
            queue.waiting.pop_front();
            queue.missed += 1;
        }
        queue.waiting.push_back(alert);
        self.changed.notify_one();
    }

    /// No more will come.
    pub(super) fn close(&self) {
        self.queue().is_closed = true;
        self.changed.notify_one();
    }

    /// The oldest; waits for one. None after the last.
    pub(super) async fn take(&self) -> Option<Alert> {
        loop {
            {
                let mut queue = self.queue();
                if let Some(alert) = queue.waiting.pop_front() {
                    let missed = std::mem::take(&mut queue.missed);
                    return Some(Alert { missed, ..alert });
                }
                if queue.is_closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::alerts::alert::Kind;
    use crate::supervisor::events::State;

    fn alert(number: usize) -> Alert {
        Alert {
            event: Kind::Crashed,
            at: String::new(),
            component: number.to_string(),
            state: State::Backoff,
            reason: String::new(),
            pid: None,
            exit: None,
            lived_ms: None,
            last_lines: Vec::new(),
            run: Uuid::nil(),
            host: String::new(),
            missed: 0,
        }
    }

    #[tokio::test]
    async fn the_oldest_are_dropped_and_counted() {
        let backlog = Backlog::default();
        (0..PLACES + 3).for_each(|number| backlog.put(alert(number)));
        backlog.close();
        let first = backlog.take().await.unwrap();
        assert_eq!((first.component.as_str(), first.missed), ("3", 3));
        let mut rest = 0;
        while let Some(next) = backlog.take().await {
            assert_eq!(next.missed, 0);
            rest += 1;
        }
        assert_eq!(rest, PLACES - 1);
    }
}
