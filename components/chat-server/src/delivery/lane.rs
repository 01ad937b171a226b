//! Keeps one sender's messages in order when some of them must be sent again.
//!
//! A native client sends on while earlier messages are under way. When one of them is answered with `retry`, those behind it must not
//! be stored before it comes again. So a lane is *fenced* by the first message that is given up: what was submitted before then and
//! is still under way is given up too, and what comes in is answered with `retry` until that message comes again, or its client
//! seems to have let it go.
//!
//! * [`Lane::enter`], when a message comes in: it is told the lane's epoch, or that the lane is fenced.
//! * [`Lane::is_open_for`], before each attempt to store it: whether that epoch still lasts.
//! * [`Lane::give_up`]: the message is answered with `retry`; if it is of this epoch, that fences the lane and ends the epoch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::ClientId;
use tokio::time::Instant;

/// Clients are asked to send again after half a second. One that does not for this long goes on without the message.
const LET_GO: Duration = Duration::from_secs(3);

/// The way of one session's messages to the store. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lane(Arc<Mutex<State>>);

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

impl Lane {
    /// A message comes in. `None` where it must be sent again later.
    pub(crate) fn enter(&self, id: &ClientId, now: Instant) -> Option<u64> {
        let mut state = self.state();
        if let Some(fence) = &mut state.fence {
            if fence.first != *id && now < fence.until {
                // Its client still sends; it has not seen the answer yet, or waits for it.
                return None;
            }
            state.fence = None;
        }
        Some(state.epoch)
    }

    /// Whether messages that entered in this epoch may be stored.
    pub(crate) fn is_open_for(&self, epoch: u64) -> bool {
        self.state().epoch == epoch
    }

    /// A message that entered in this epoch is answered with `retry`.
    pub(crate) fn give_up(&self, id: &ClientId, epoch: u64, now: Instant) {
        let mut state = self.state();
        if state.epoch == epoch {
            state.epoch += 1;
            state.fence = Some(Fence { first: id.clone(), until: now + LET_GO });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ClientId {
        ClientId::parse(text).unwrap()
    }

    #[test]
    fn what_is_behind_a_message_given_up_waits_for_it() {
        let (lane, now) = (Lane::default(), Instant::now());
        let [one, two] = ["1", "2"].map(|text| lane.enter(&id(text), now).unwrap());
        lane.give_up(&id("1"), one, now);
        assert!(!lane.is_open_for(two));
        lane.give_up(&id("2"), two, now);
        assert_eq!(lane.enter(&id("3"), now), None);
        assert_eq!(lane.enter(&id("2"), now), None, "the second does not overtake the first");
        let again = lane.enter(&id("1"), now).unwrap();
        assert!(lane.is_open_for(again));
        assert_eq!(lane.enter(&id("2"), now), Some(again));
        assert_eq!(lane.enter(&id("3"), now), Some(again));
    }

    #[test]
    fn a_client_that_lets_a_message_go_is_not_held_up_for_ever() {
        let (lane, now) = (Lane::default(), Instant::now());
        let epoch = lane.enter(&id("1"), now).unwrap();
        lane.give_up(&id("1"), epoch, now);
        assert_eq!(lane.enter(&id("2"), now + LET_GO - Duration::from_millis(1)), None);
        assert!(lane.enter(&id("2"), now + LET_GO).is_some());
    }
}
