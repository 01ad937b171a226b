//! Bounds the memory of pages of events, over all sessions: while they are read from the store, and while they wait for a slow session.
//! Bounds that of greetings that wait, too.
//!
//! A page is bounded by its number of events, but the longest 200 events take 20 MiB while they are read and 1 MiB as a frame. Without this
//! bound sixteen concurrent reads would take 320 MiB, and 10,000 sessions that read nothing 10 GiB. A greeting lists all users online: the
//! greetings of 10,000 such sessions would take 3 GiB.
//!
//! Pages and greetings of at most [`SHORT`] bytes are not counted: every session may hold one, as it may hold as much in its output buffer.

use std::sync::Arc;

use protocol::Event;
use protocol::limits::{BODY_BYTES, METADATA_BYTES};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// The approximate size of an event besides its text and metadata.
const OVERHEAD: usize = 512;
/// The size of the longest event while it is read: its JSON, in which every character may be escaped, once in pieces and once joined, and
/// the parsed event.
const LONGEST: usize =
    2 * (2 * BODY_BYTES + METADATA_BYTES + OVERHEAD) + BODY_BYTES + METADATA_BYTES + OVERHEAD;
/// The bytes of events being read: three of the largest pages of history, or nine of unread messages.
const READING_BYTES: usize = 64 * 1024 * 1024;
/// The bytes of pages that wait for their sessions.
const WAITING_PAGES_BYTES: usize = 16 * 1024 * 1024;
/// The bytes of greetings that wait for their sessions. More than for pages, because after a restart all clients log in at once.
const WAITING_GREETINGS_BYTES: usize = 64 * 1024 * 1024;
/// Pages up to this size, and single events of any size, are not counted.
pub(crate) const SHORT: usize = 32 * 1024;

/// The memory budget of pages and greetings.
///
/// Bound: 64 MiB for pages being read, 16 MiB for pages that wait and 64 MiB for greetings that wait. Overflow rule: reads wait in order of
/// arrival; a page that cannot wait is read again in a shorter form, and a greeting lists less, so that a session that does not read delays
/// no other.
#[derive(Debug)]
pub(crate) struct PageBudget {
    /// Permits in events.
    reading: Semaphore,
    /// Permits in bytes.
    waiting: Arc<Semaphore>,
    /// Permits in bytes, for greetings.
    greetings: Arc<Semaphore>,
    short: usize,
}

/// A page's share of the budget, released when dropped. `None` for a short page.
#[derive(Debug, Default)]
pub(crate) struct PagePermit(Option<OwnedSemaphorePermit>);

impl Default for PageBudget {
    fn default() -> Self {
        Self::new(WAITING_PAGES_BYTES, SHORT)
    }
}

impl PageBudget {
    /// A budget of `waiting` bytes for pages that wait; pages up to `short` bytes are not counted.
    pub(crate) fn new(waiting: usize, short: usize) -> Self {
        let reading = Semaphore::new(READING_BYTES / LONGEST);
        let greetings = Arc::new(Semaphore::new(WAITING_GREETINGS_BYTES));
        Self { reading, waiting: Arc::new(Semaphore::new(waiting)), greetings, short }
    }

    /// Waits until this many events may be read. Hold the permit until they are rendered or have a [`PagePermit`].
    pub(crate) async fn permit_read(&self, events: usize) -> SemaphorePermit<'_> {
        let events = u32::try_from(events).expect("a page has a few hundred");
        self.reading.acquire_many(events).await.expect("the semaphore is never closed")
    }

    /// Reserves memory for these events if there is any left; a single event always gets it.
    pub(crate) fn reserve_events(&self, events: &[Event]) -> Option<PagePermit> {
        let size = |event: &Event| OVERHEAD + event.content_bytes();
        let bytes = events.iter().map(size).sum();
        if events.len() <= 1 || bytes <= self.short {
            Some(PagePermit::default())
        } else {
            self.reserve_bytes(bytes)
        }
    }

    /// Reserves this many bytes if they are left.
    pub(crate) fn reserve_bytes(&self, bytes: usize) -> Option<PagePermit> {
        reserve(&self.waiting, bytes)
    }

    /// Reserves this many bytes for a greeting if they are left.
    pub(crate) fn reserve_greeting(&self, bytes: usize) -> Option<PagePermit> {
        reserve(&self.greetings, bytes)
    }

    #[cfg(test)]
    pub(crate) fn left_to_read(&self) -> usize {
        self.reading.available_permits()
    }

    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.waiting.available_permits()
    }

    #[cfg(test)]
    pub(crate) fn left_for_greetings(&self) -> usize {
        self.greetings.available_permits()
    }
}

fn reserve(budget: &Arc<Semaphore>, bytes: usize) -> Option<PagePermit> {
    let bytes = u32::try_from(bytes).expect("a page is far below 4 GiB");
    Arc::clone(budget).try_acquire_many_owned(bytes).ok().map(|permit| PagePermit(Some(permit)))
}

impl PagePermit {
    /// Releases what the page does not need: it has at most this many bytes.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        if bytes <= SHORT {
            self.0 = None;
        } else if let Some(permit) = &mut self.0 {
            drop(permit.split(permit.num_permits().saturating_sub(bytes)));
        }
    }

    /// Whether the page is longer than [`SHORT`].
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
    async fn few_of_the_longest_pages_are_read_concurrently_and_in_order_of_arrival() {
        use futures_util::FutureExt;
        let pages = PageBudget::default();
        let reading = [pages.permit_read(PAGE_EVENTS).await, pages.permit_read(PAGE_EVENTS).await];
        let third = pages.permit_read(PAGE_EVENTS).await;
        let mut large = Box::pin(pages.permit_read(PAGE_EVENTS));
        let mut small = Box::pin(pages.permit_read(50));
        assert!((&mut large).now_or_never().is_none());
        assert!((&mut small).now_or_never().is_none(), "the larger one came before");
        drop(third);
        let large = large.now_or_never().expect("there is pages");
        assert!((&mut small).now_or_never().is_none());
        drop((reading, large));
        assert!(small.now_or_never().is_some());
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_short_is_free() {
        let pages = PageBudget::default();
        let body = Body::parse(&"x".repeat(16_000)).unwrap();
        let page = vec![Event { body, ..sample::event("bob", "alice", 1) }; 64];
        let kept: Vec<PagePermit> = std::iter::from_fn(|| pages.reserve_events(&page)).take(1000).collect();
        assert_eq!(kept.len(), 15, "of a megabyte and more each");
        assert!(pages.reserve_events(&page[..1]).is_some_and(|kept| !kept.is_long()));
        let short = vec![sample::event("bob", "alice", 1); 60];
        assert!(pages.reserve_events(&short).is_some_and(|kept| !kept.is_long()));
        drop(kept);
        assert_eq!(pages.left(), WAITING_PAGES_BYTES);
    }

    #[test]
    fn what_turns_out_to_be_smaller_takes_less() {
        let pages = PageBudget::default();
        let mut kept = pages.reserve_bytes(1 << 20).unwrap();
        kept.shrink_to(100_000);
        assert_eq!(pages.left(), WAITING_PAGES_BYTES - 100_000);
        kept.shrink_to(SHORT);
        assert!(pages.left() == WAITING_PAGES_BYTES && !kept.is_long());
    }
}
