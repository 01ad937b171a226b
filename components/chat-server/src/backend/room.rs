//! What events that are read from the store may hold, all sessions together: while they are read, and while they wait for a session that
//! takes them slowly.
//!
//! Pages are bounded by the number of their events, and the longest 200 take 20 MiB while they are read and a megabyte as a frame: sixteen
//! at a time were 320 MiB, and 10,000 sessions that read nothing 10 GiB.
//!
//! Leaves out what is [`SHORT`], which every session may hold beside what is counted here, as much as it has in its outgoing buffer.

use std::sync::Arc;

use protocol::Event;
use protocol::limits::{BODY_BYTES, METADATA_BYTES};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// What an event holds beside its text and metadata, about.
const BESIDE: usize = 512;
/// What the longest event takes while it is read: its JSON, in which every character of the text may be escaped, as it comes and once more
/// in one piece; and what it becomes.
const LONGEST: usize = 2 * (2 * BODY_BYTES + METADATA_BYTES + BESIDE) + BODY_BYTES + METADATA_BYTES + BESIDE;
/// What events may take while they are read: three of the largest pages of history, nine of what is unread.
const READING_BYTES: usize = 64 * 1024 * 1024;
/// What pages may hold that wait for their sessions.
const KEPT_BYTES: usize = 16 * 1024 * 1024;
/// A page of so many bytes takes no room; nor does a single event, however long.
pub(crate) const SHORT: usize = 32 * 1024;

/// Room for pages.
///
/// Bound: 64 MiB for what is read and 16 for what waits. Overflow rule: who would read waits, first come, first served; what would
/// wait is read again in a shorter page, so that a session that does not read holds up nobody.
#[derive(Debug)]
pub(crate) struct Room {
    /// In events.
    reading: Semaphore,
    /// In bytes.
    kept: Arc<Semaphore>,
    short: usize,
}

/// A page's part of the room, given back when this is dropped. None where the page is short.
#[derive(Debug, Default)]
pub(crate) struct Kept(Option<OwnedSemaphorePermit>);

impl Default for Room {
    fn default() -> Self {
        Self::new(KEPT_BYTES, SHORT)
    }
}

impl Room {
    /// With so many bytes for pages that wait, and as many that need none.
    pub(crate) fn new(kept: usize, short: usize) -> Self {
        let reading = Semaphore::new(READING_BYTES / LONGEST);
        Self { reading, kept: Arc::new(Semaphore::new(kept)), short }
    }

    /// Waits until so many events may be read. To be held until they are read and said, or there is room to keep them.
    pub(crate) async fn to_read(&self, events: usize) -> SemaphorePermit<'_> {
        let events = u32::try_from(events).expect("a page has a few hundred");
        self.reading.acquire_many(events).await.expect("the semaphore is never closed")
    }

    /// Room to keep these events, if there is any; for a single one there always is.
    pub(crate) fn to_keep(&self, events: &[Event]) -> Option<Kept> {
        let size = |event: &Event| BESIDE + event.body.as_str().len() + event.metadata.bytes();
        let bytes = events.iter().map(size).sum();
        if events.len() <= 1 || bytes <= self.short {
            Some(Kept::default())
        } else {
            self.to_keep_bytes(bytes)
        }
    }

    /// Room for so many bytes, if there is any.
    pub(crate) fn to_keep_bytes(&self, bytes: usize) -> Option<Kept> {
        let bytes = u32::try_from(bytes).expect("a page is far below 4 GiB");
        Arc::clone(&self.kept).try_acquire_many_owned(bytes).ok().map(|permit| Kept(Some(permit)))
    }

    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.kept.available_permits()
    }
}

impl Kept {
    /// The page has no more bytes than this.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        if bytes <= SHORT {
            self.0 = None;
        } else if let Some(permit) = &mut self.0 {
            drop(permit.split(permit.num_permits().saturating_sub(bytes)));
        }
    }

    /// Whether the page is long.
    pub(crate) fn is_long(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Body;
    use protocol::limits::PAGE_EVENTS;

    use crate::sample;

    #[tokio::test]
    async fn few_of_the_longest_pages_are_read_at_once_and_the_first_to_come_is_the_first_served() {
        use futures_util::FutureExt;
        let room = Room::default();
        let reading = [room.to_read(PAGE_EVENTS).await, room.to_read(PAGE_EVENTS).await];
        let third = room.to_read(PAGE_EVENTS).await;
        let mut large = Box::pin(room.to_read(PAGE_EVENTS));
        let mut small = Box::pin(room.to_read(50));
        assert!((&mut large).now_or_never().is_none());
        assert!((&mut small).now_or_never().is_none(), "the larger one came before");
        drop(third);
        let large = large.now_or_never().expect("there is room");
        assert!((&mut small).now_or_never().is_none());
        drop((reading, large));
        assert!(small.now_or_never().is_some());
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_short_is_free() {
        let room = Room::default();
        let body = Body::parse(&"x".repeat(16_000)).unwrap();
        let page = vec![Event { body, ..sample::event("bob", "alice", 1) }; 64];
        let kept: Vec<Kept> = std::iter::from_fn(|| room.to_keep(&page)).take(1000).collect();
        assert_eq!(kept.len(), 15, "of a megabyte and more each");
        assert!(room.to_keep(&page[..1]).is_some_and(|kept| !kept.is_long()));
        let short = vec![sample::event("bob", "alice", 1); 60];
        assert!(room.to_keep(&short).is_some_and(|kept| !kept.is_long()));
        drop(kept);
        assert_eq!(room.left(), KEPT_BYTES);
    }

    #[test]
    fn what_turns_out_to_be_smaller_takes_less() {
        let room = Room::default();
        let mut kept = room.to_keep_bytes(1 << 20).unwrap();
        kept.shrink_to(100_000);
        assert_eq!(room.left(), KEPT_BYTES - 100_000);
        kept.shrink_to(SHORT);
        assert!(room.left() == KEPT_BYTES && !kept.is_long());
    }
}
