//! The batches that this server appended itself, until the feed tells where their events are in the order of all events.
//!
//! The life of a batch: [`OwnBatches::begin`] gives it a number, under which it is sent → [`Begun::stored`], when the answer tells what its
//! drafts became → [`OwnBatches::take`], when the feed's marks reach it: its events are delivered in the feed's order, as those of others.
//! The mark may come before the answer; then it waits for it.
//!
//! What is not here when its mark comes (the answer was lost, or came too late, or the events took too much memory) is asked of the feed
//! again, in full. So nothing here needs to be kept, and every doubt is resolved by forgetting.
//!
//! Batches belong to a reader of the feed, and each connection of the feed is a new one: a feed marks only what was appended for it, so a new
//! connection brings everything before it in full.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use protocol::api::{Appended, OwnBatch};
use protocol::{Draft, Event};
use tokio::sync::Notify;
use uuid::Uuid;

/// How long the feed waits for an answer. Both come at once, but over two connections.
const ANSWER_WITHIN: Duration = Duration::from_millis(250);
/// The approximate size of an event besides its text and metadata.
const OVERHEAD: usize = 512;
/// Bytes of all events together. Overflow rule: the oldest batches are forgotten, and the feed is asked for them.
const BYTES: usize = 16 * 1024 * 1024;

/// Batches in flight, and those whose events the feed has not marked yet.
///
/// Bound: [`BYTES`], and one entry per batch in flight.
#[derive(Debug, Default)]
pub(crate) struct OwnBatches {
    state: Mutex<State>,
    /// A batch in flight was stored or forgotten.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The reader for whom batches are begun, while its feed has marks.
    reader: Option<Uuid>,
    last: u64,
    batches: BTreeMap<u64, Batch>,
    bytes: usize,
}

#[derive(Debug)]
enum Batch {
    InFlight,
    Stored(StoredBatch),
}

/// What became of the drafts.
#[derive(Debug)]
struct StoredBatch {
    /// By draft. A draft that was stored before has no event here, and one that was taken has none any more.
    events: Vec<Option<Event>>,
    /// How many are not taken.
    left: usize,
    bytes: usize,
}

/// A batch in flight. If it is dropped, its outcome is unknown.
#[derive(Debug)]
pub(crate) struct Begun<'b> {
    batches: &'b OwnBatches,
    own: OwnBatch,
}

impl OwnBatches {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding this lock")
    }

    /// Batches are for this reader from now on, or for none. Those of the reader before are forgotten.
    pub(crate) fn set_reader(&self, reader: Option<Uuid>) {
        let mut state = self.state();
        (state.reader, state.bytes) = (reader, 0);
        state.batches.clear();
        drop(state);
        self.changed.notify_waiters();
    }

    /// A batch is about to be sent. `None` if the feed brings its events anyway.
    pub(crate) fn begin(&self) -> Option<Begun<'_>> {
        let mut state = self.state();
        let reader = state.reader?;
        state.last += 1;
        let number = state.last;
        state.batches.insert(number, Batch::InFlight);
        Some(Begun { batches: self, own: OwnBatch { reader, number } })
    }

    /// Takes the events of these drafts, waiting for the batch's answer. `None` if one of them is not here.
    pub(crate) async fn take(&self, number: u64, first: usize, count: usize) -> Option<Vec<Event>> {
        let answered = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                // From here on no change is missed.
                changed.as_mut().enable();
                if !self.is_in_flight(number) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(ANSWER_WITHIN, answered).await.ok()?;
        self.state().take(number, first, count)
    }

    fn is_in_flight(&self, number: u64) -> bool {
        matches!(self.state().batches.get(&number), Some(Batch::InFlight))
    }
}

impl State {
    fn take(&mut self, number: u64, first: usize, count: usize) -> Option<Vec<Event>> {
        let Some(Batch::Stored(batch)) = self.batches.get_mut(&number) else { return None };
        let drafts = batch.events.get_mut(first..first.checked_add(count)?)?;
        let events: Vec<Event> = drafts.iter_mut().map(Option::take).collect::<Option<_>>()?;
        batch.left -= events.len();
        if batch.left == 0 {
            self.forget(number);
        }
        Some(events)
    }

    fn forget(&mut self, number: u64) {
        if let Some(Batch::Stored(batch)) = self.batches.remove(&number) {
            self.bytes -= batch.bytes;
        }
    }

    fn hold(&mut self, number: u64, batch: StoredBatch) {
        self.bytes += batch.bytes;
        self.batches.insert(number, Batch::Stored(batch));
        while self.bytes > BYTES {
            let is_stored = |(_, batch): &(&u64, &Batch)| matches!(batch, Batch::Stored(_));
            let Some(oldest) = self.batches.iter().find(is_stored).map(|(number, _)| *number) else { return };
            self.forget(oldest);
        }
    }
}

impl StoredBatch {
    fn new<'d>(drafts: impl Iterator<Item = &'d Draft>, results: &[Appended]) -> Self {
        let (mut left, mut bytes) = (0, 0);
        let mut event = |(draft, stored): (&Draft, &Appended)| {
            if stored.duplicate {
                return None;
            }
            left += 1;
            bytes += OVERHEAD + draft.content_bytes();
            Some(draft.clone().into_event(stored.id, stored.seq, stored.at))
        };
        let events = drafts.zip(results).map(&mut event).collect();
        Self { events, left, bytes }
    }
}

impl Begun<'_> {
    /// The number to send with the batch.
    pub(crate) fn own(&self) -> OwnBatch {
        self.own
    }

    /// The batch was answered.
    pub(crate) fn stored<'d>(self, drafts: impl Iterator<Item = &'d Draft>, results: &[Appended]) {
        let batch = StoredBatch::new(drafts, results);
        let mut state = self.batches.state();
        // It is not there any more if the reader is another one by now.
        if batch.left > 0 && state.batches.contains_key(&self.own.number) {
            state.hold(self.own.number, batch);
        }
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut state = self.batches.state();
        if matches!(state.batches.get(&self.own.number), Some(Batch::InFlight)) {
            state.batches.remove(&self.own.number);
        }
        drop(state);
        self.batches.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
