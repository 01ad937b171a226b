//! Keeps one sender's messages in order when some of them must be sent again.
//!
//! A native client sends further messages while earlier ones are in flight. If one of them is answered with `retry`, those after it must
//! not be stored before it is sent again. So the first message that is given up raises a *fence*: messages submitted before then and still
//! in flight are given up too, and new ones are answered with `retry` until the fenced message arrives again, or its client seems to have
//! abandoned it.
//!
//! * [`RetryFence::enter`], when a message arrives: returns the current epoch, or that the fence is raised.
//! * [`RetryFence::is_open_for`], before each attempt to store it: whether that epoch still lasts.
//! * [`RetryFence::give_up`]: the message is answered with `retry`; if it is of the current epoch, that raises the fence and ends the
//!   epoch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::ClientId;
use tokio::time::Instant;

/// Clients are asked to send again after half a second. A client that has not done so after this time has abandoned the message.
const ABANDONED_AFTER: Duration = Duration::from_secs(3);

/// The fence of one session's messages on their way to the store. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct RetryFence(Option<Arc<Mutex<State>>>);

#[derive(Debug, Default)]
struct State {
    epoch: u64,
    fence: Option<Fence>,
}

#[derive(Debug)]
struct Fence {
    first: ClientId,
    until: Instant,
}

impl Default for RetryFence {
    fn default() -> Self {
        Self(Some(Arc::default()))
    }
}

impl RetryFence {
    /// No fence: messages do not wait for each other.
    pub(crate) const NONE: Self = Self(None);

    /// A message arrives. `None` if it must be sent again later.
    pub(crate) fn enter(&self, id: &ClientId, now: Instant) -> Option<u64> {
        let Some(mut state) = self.state() else { return Some(0) };
        if let Some(fence) = &mut state.fence {
            if fence.first != *id && now < fence.until {
                // The client is still sending; it has not seen the answer yet, or is waiting for it.
                return None;
            }
            state.fence = None;
        }
        Some(state.epoch)
    }

    /// Whether messages of this epoch may be stored.
    pub(crate) fn is_open_for(&self, epoch: u64) -> bool {
        self.state().is_none_or(|state| state.epoch == epoch)
    }

    /// A message of this epoch is answered with `retry`.
    pub(crate) fn give_up(&self, id: &ClientId, epoch: u64, now: Instant) {
        if let Some(mut state) = self.state()
            && state.epoch == epoch
        {
            state.epoch += 1;
            state.fence = Some(Fence { first: id.clone(), until: now + ABANDONED_AFTER });
        }
    }

    fn state(&self) -> Option<MutexGuard<'_, State>> {
        Some(self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ClientId {
        ClientId::parse(text).unwrap()
    }

    #[test]
    fn messages_after_one_given_up_wait_for_it() {
        let (fence, now) = (RetryFence::default(), Instant::now());
        let [one, two] = ["1", "2"].map(|text| fence.enter(&id(text), now).unwrap());
        fence.give_up(&id("1"), one, now);
        assert!(!fence.is_open_for(two));
        fence.give_up(&id("2"), two, now);
        assert_eq!(fence.enter(&id("3"), now), None);
        assert_eq!(fence.enter(&id("2"), now), None, "the second does not overtake the first");
        let again = fence.enter(&id("1"), now).unwrap();
        assert!(fence.is_open_for(again));
        assert_eq!(fence.enter(&id("2"), now), Some(again));
        assert_eq!(fence.enter(&id("3"), now), Some(again));
    }

    #[test]
    fn without_a_fence_no_message_waits() {
        let now = Instant::now();
        let epoch = RetryFence::NONE.enter(&id("1"), now).unwrap();
        RetryFence::NONE.give_up(&id("1"), epoch, now);
        assert!(RetryFence::NONE.is_open_for(RetryFence::NONE.enter(&id("2"), now).unwrap()));
    }

    #[test]
    fn a_client_that_abandons_a_message_is_not_blocked_forever() {
        let (fence, now) = (RetryFence::default(), Instant::now());
        let epoch = fence.enter(&id("1"), now).unwrap();
        fence.give_up(&id("1"), epoch, now);
        assert_eq!(fence.enter(&id("2"), now + ABANDONED_AFTER - Duration::from_millis(1)), None);
        assert!(fence.enter(&id("2"), now + ABANDONED_AFTER).is_some());
    }
}
