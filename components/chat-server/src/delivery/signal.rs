//! Wakes one task, again and again.
//!
//! Cheaper than `tokio::sync::Notify` where there is only one waiter: waiting neither takes a lock nor enters a list that must be left again.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// A flag for which one task waits. Raised several times before the task has seen it, it is seen once.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    is_raised: AtomicBool,
    waiter: AtomicWaker,
}

impl Signal {
    /// Raises the flag. A task that does not wait now finds it raised when it next does.
    pub(crate) fn raise(&self) {
        // If it was raised already, that call has woken the waiter.
        if !self.is_raised.swap(true, Ordering::AcqRel) {
            self.waiter.wake();
        }
    }

    /// Waits until the flag is raised, and lowers it. Cancel-safe; only one task may wait.
    pub(crate) async fn raised(&self) {
        poll_fn(|context| self.poll(context)).await;
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        if self.take() {
            return Poll::Ready(());
        }
        self.waiter.register(context.waker());
        // It may have been raised before the waiter was registered.
        if self.take() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn take(&self) -> bool {
        self.is_raised.load(Ordering::Relaxed) && self.is_raised.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::sync::Arc;

    #[tokio::test]
    async fn what_was_raised_before_is_seen_once() {
        let signal = Signal::default();
        assert!(signal.raised().now_or_never().is_none());
        signal.raise();
        signal.raise();
        assert!(signal.raised().now_or_never().is_some());
        assert!(signal.raised().now_or_never().is_none());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_signal_is_lost_between_two_threads() {
        let (there, back) = (Arc::new(Signal::default()), Arc::new(Signal::default()));
        let echo = tokio::spawn({
            let (there, back) = (Arc::clone(&there), Arc::clone(&back));
            async move {
                for _ in 0..20_000 {
                    there.raised().await;
                    back.raise();
                }
            }
        });
        for _ in 0..20_000 {
            there.raise();
            back.raised().await;
        }
        echo.await.unwrap();
    }
}
