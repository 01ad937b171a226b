//! Whether what is in the file was published, so that no reader is told of an event before the feed; see
//! [`Store::events`](crate::store::Store::events).
//!
//! Between a commit and its publication a reader may find the new events. What another process wrote is never published here, and
//! waited for only while a commit of our own is under way.

use std::time::Duration;

use tokio::sync::watch;

/// A commit that takes longer has failed or hangs; its events may then come twice.
const PATIENCE: Duration = Duration::from_secs(2);

/// How far the writer is.
#[derive(Debug, Default)]
pub(super) struct Progress(watch::Sender<Commits>);

#[derive(Debug, Default, Clone, Copy)]
struct Commits {
    /// A commit has begun and its events are not published.
    under_way: bool,
    /// The last position that was published.
    published: i64,
}

impl Progress {
    /// A commit with new events begins.
    pub(super) fn commits(&self) {
        self.0.send_modify(|commits| commits.under_way = true);
    }

    /// Everything up to this position was published.
    pub(super) fn has_published(&self, pos: i64) {
        self.0.send_modify(|commits| *commits = Commits { under_way: false, published: pos });
    }

    /// Waits until everything up to a position that was read is published.
    pub(super) async fn published(&self, pos: i64) {
        let mut commits = self.0.subscribe();
        let is_done = |commits: &Commits| !commits.under_way || commits.published >= pos;
        // The sender is in our hands; that it took too long is no reason not to answer.
        let _ = tokio::time::timeout(PATIENCE, commits.wait_for(is_done)).await;
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
        assert_eq!(begun.elapsed(), PATIENCE, "a disk that hangs does not stop readers");
    }
}
