//! Tracks what has been published, so that no reader returns an event before the feed does; see
//! [`Store::events`](crate::store::Store::events).
//!
//! Between a commit and its publication a reader may find the new events. Events of another process are never published here, and are
//! waited for only while a commit of this process is in flight.

use std::time::Duration;

use tokio::sync::watch;

/// A commit that takes longer has failed or hangs; its events may be delivered twice.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The progress of the writer.
#[derive(Debug, Default)]
pub(super) struct Progress(watch::Sender<Commits>);

#[derive(Debug, Default, Clone, Copy)]
struct Commits {
    /// A commit is in flight, and its events are not published.
    in_flight: bool,
    /// The last published position.
    published: i64,
}

impl Progress {
    /// A commit with new events begins.
    pub(super) fn commits(&self) {
        self.0.send_modify(|commits| commits.in_flight = true);
    }

    /// Everything up to this position was published.
    pub(super) fn has_published(&self, pos: i64) {
        self.0.send_modify(|commits| *commits = Commits { in_flight: false, published: pos });
    }

    /// Waits until everything up to a position that was read has been published.
    pub(super) async fn published(&self, pos: i64) {
        let mut commits = self.0.subscribe();
        let is_done = |commits: &Commits| !commits.in_flight || commits.published >= pos;
        // Cannot fail otherwise: `self` owns the sender. After the timeout the answer is returned anyway.
        let _ = tokio::time::timeout(TIMEOUT, commits.wait_for(is_done)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_is_being_committed_is_waited_for() {
        let progress = Progress::default();
        progress.has_published(3);
        progress.published(9).await;
        progress.commits();
        progress.published(3).await;
        let ((), ()) = tokio::join!(progress.published(4), async { progress.has_published(4) });
        let begun = tokio::time::Instant::now();
        progress.commits();
        progress.published(5).await;
        assert_eq!(begun.elapsed(), TIMEOUT, "a disk that hangs does not stop readers");
    }
}
