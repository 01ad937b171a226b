//! The feed: the stream of committed events.
//!
//! The life of an event: the store commits it and publishes it here; it gets the next index; each reader is woken and takes what it has not
//! sent yet, many lines at once. A reader that disconnected briefly resumes at its position; one that stayed away longer than the ring
//! reaches is told so and reads the store.
//!
//! A reader that appends events itself knows them already: it may ask for marks, which only tell where its batches are in the order of all
//! events. Whatever it cannot resolve it gets in full by reading again from there under another id, for marks are for one id.
//!
//! Indexes count the events of one epoch: a run of this process, or the part of it since events may have been missed. Nothing here survives
//! the process.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use protocol::api::{FeedFrame, FeedPosition, OwnBatch};
use protocol::{ConversationId, Event, UserName};
use tokio::sync::watch;
use uuid::Uuid;

use crate::store::{Committed, News};

/// A reader that received nothing for three times this long considers the connection dead.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// A few seconds at the highest write rate: enough to reconnect.
const RING_EVENTS: usize = 32 * 1024;
/// The approximate size of the ring, independent of the size of messages.
const RING_BYTES: usize = 16 * 1024 * 1024;
/// The approximate size of an event besides its text: its names, ids and times, as JSON or in memory.
const OVERHEAD: usize = 400;
/// The approximate size of a mark.
const MARK_BYTES: usize = 80;
/// The capacity with which a chunk begins: enough for one event or several marks.
const FIRST_BYTES: usize = 1024;
/// Why writing a line cannot fail.
const INTO_MEMORY: &str = "a frame serialises into memory";
/// A chunk has all complete lines that begin within this many bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// The feed.
///
/// Bound: 32,768 events and about 16 MiB. Overflow: the oldest are dropped, and readers that had not taken them are disconnected with
/// [`Lagged`]. Publishing never waits for a reader.
#[derive(Debug)]
pub struct Feed {
    ring: Mutex<Ring>,
    /// The position of the last event; readers wait for it to change.
    end: watch::Sender<FeedPosition>,
    events: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Ring {
    epoch: Uuid,
    entries: VecDeque<Entry>,
    /// The index of the last entry ever added.
    end: u64,
    bytes: usize,
}

#[derive(Debug, Clone)]
enum Entry {
    /// An event, and the draft of a reader's batch from which it became.
    Event {
        event: Event,
        own: Option<(OwnBatch, usize)>,
    },
    Seen {
        user: UserName,
        conversation: ConversationId,
        seq: u64,
    },
}

/// Where a reader begins, and what it needs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Opening {
    /// Right after this position. If it is `None` or too old, at the current end.
    pub from: Option<FeedPosition>,
    /// The store's log id, for the first line.
    pub log: Option<Uuid>,
    /// The id under which the reader appends: its batches are marked only.
    pub own: Option<Uuid>,
}

/// What a reader is sent next.
enum Piece {
    Entry(u64, Entry),
    /// Successive drafts of one of the reader's batches; `index` is that of the last.
    Own {
        index: u64,
        batch: u64,
        first: usize,
        count: usize,
    },
}

/// A reader's position in the feed.
#[derive(Debug)]
pub struct Reader<'f> {
    feed: &'f Feed,
    end: watch::Receiver<FeedPosition>,
    start: Option<Bytes>,
    at: FeedPosition,
    own: Option<Uuid>,
}

/// Events that the reader had not taken were dropped: it was too slow, or the feed began a new epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the feed does not go on where the reader is")]
pub struct Lagged;

impl Default for Feed {
    fn default() -> Self {
        Self::with_bounds(RING_EVENTS, RING_BYTES)
    }
}

impl Feed {
    /// A feed that keeps at most this many events and about this many bytes.
    #[must_use]
    pub fn with_bounds(events: usize, bytes: usize) -> Self {
        let ring = Ring { epoch: Uuid::new_v4(), entries: VecDeque::new(), end: 0, bytes: 0 };
        let end = watch::Sender::new(ring.position());
        Self { ring: Mutex::new(ring), end, events, bytes }
    }

    /// The current end.
    #[must_use]
    pub fn position(&self) -> FeedPosition {
        self.lock().position()
    }

    /// Starts reading.
    #[must_use]
    pub fn read(&self, Opening { from, log, own }: Opening) -> Reader<'_> {
        let end = self.end.subscribe();
        let ring = self.lock();
        let from = from.filter(|from| ring.reaches_back_to(*from));
        let (at, resumed) = from.map_or((ring.position(), false), |from| (from, true));
        let start =
            line(&FeedFrame::Start { epoch: at.epoch, index: at.index, resumed, log, own: own.is_some() });
        Reader { feed: self, end, start: Some(start), at, own }
    }

    /// Whether something for `user` was published after `from` that is not in `known`; also true if that is no longer known.
    #[must_use]
    pub fn has_other_for(&self, user: &UserName, from: FeedPosition, known: &[Event]) -> bool {
        let ring = self.lock();
        !ring.reaches_back_to(from)
            || ring.after(from).any(|entry| {
                let Entry::Event { event, .. } = entry else { return false };
                event.dm_receiver() == Some(user.key()) && !known.iter().any(|known| known.id == event.id)
            })
    }

    /// Publishes that a user has read a conversation outside of any session.
    pub fn tell_seen(&self, user: &UserName, conversation: &ConversationId, seq: u64) {
        let (user, conversation) = (user.clone(), conversation.clone());
        self.push([Entry::Seen { user, conversation, seq }]);
    }

    fn push(&self, entries: impl IntoIterator<Item = Entry>) {
        let mut ring = self.lock();
        for entry in entries {
            ring.push(entry);
        }
        ring.shrink(self.events, self.bytes);
        // Sent while the ring is locked: otherwise the end of one epoch could be sent after the next epoch began, and its readers would
        // wake for nothing, repeatedly.
        self.end.send_replace(ring.position());
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Committed for Feed {
    fn publish(&self, News { events, own }: News) {
        if events.is_empty() {
            return;
        }
        let mut runs = own.into_iter().peekable();
        self.push(events.into_iter().enumerate().map(move |(index, event)| {
            runs.next_if(|run| run.events.end <= index);
            let run = runs.peek().filter(|run| run.events.contains(&index));
            let own = run.map(|run| (run.batch, run.first + index - run.events.start));
            Entry::Event { event, own }
        }));
    }

    fn restart(&self) {
        let mut ring = self.lock();
        *ring = Ring { epoch: Uuid::new_v4(), entries: VecDeque::new(), end: 0, bytes: 0 };
        self.end.send_replace(ring.position());
    }
}

impl Entry {
    /// The approximate size in memory, and as JSON.
    fn size(&self) -> usize {
        match self {
            Self::Event { event, .. } => OVERHEAD + event.content_bytes(),
            Self::Seen { .. } => OVERHEAD,
        }
    }

    /// The batch and the draft from which it became, if the reader with this id appended it.
    fn draft_of(&self, reader: Option<Uuid>) -> Option<(u64, usize)> {
        let Self::Event { own: Some((batch, draft)), .. } = self else { return None };
        (Some(batch.reader) == reader).then_some((batch.number, *draft))
    }
}

impl Piece {
    /// Writes the line. An event's form is that of [`FeedFrame::Event`], but is not copied for it.
    fn write(self, chunk: &mut Vec<u8>) {
        let frame = match self {
            Self::Entry(index, Entry::Event { event, .. }) => {
                write!(chunk, r#"{{"type":"event","index":{index},"event":"#).expect(INTO_MEMORY);
                serde_json::to_writer(&mut *chunk, &event).expect(INTO_MEMORY);
                return chunk.extend_from_slice(b"}\n");
            }
            Self::Entry(index, Entry::Seen { user, conversation, seq }) => {
                FeedFrame::Seen { index, user, conversation, seq }
            }
            Self::Own { index, batch, first, count } => FeedFrame::Own { index, batch, first, count },
        };
        write_line(chunk, &frame);
    }
}

impl Ring {
    fn position(&self) -> FeedPosition {
        FeedPosition { epoch: self.epoch, index: self.end }
    }

    fn push(&mut self, entry: Entry) {
        self.bytes += entry.size();
        self.end += 1;
        self.entries.push_back(entry);
    }

    fn shrink(&mut self, events: usize, bytes: usize) {
        while self.entries.len() > events || self.bytes > bytes {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.size();
        }
    }

    /// Whether the ring has every event after `from`.
    fn reaches_back_to(&self, from: FeedPosition) -> bool {
        let FeedPosition { epoch, index } = from;
        epoch == self.epoch && index <= self.end && self.end - index <= self.entries.len() as u64
    }

    /// The entries after `from`; the ring must reach back to it.
    fn after(&self, from: FeedPosition) -> impl Iterator<Item = &Entry> {
        let count = usize::try_from(self.end - from.index).unwrap_or(usize::MAX);
        self.entries.range(self.entries.len().saturating_sub(count)..)
    }
}

impl Reader<'_> {
    /// The next lines: first the start of the feed, then events as they arrive, or a heartbeat if none do.
    ///
    /// # Errors
    /// If events were dropped that this reader had not taken. The reader must be dropped; a new one reports `resumed: false`.
    pub async fn next(&mut self) -> Result<Bytes, Lagged> {
        if let Some(start) = self.start.take() {
            return Ok(start);
        }
        let at = self.at;
        let news = self.end.wait_for(|end| end.epoch != at.epoch || end.index > at.index);
        let _ = tokio::time::timeout(HEARTBEAT, news).await;
        let lines = self.take()?;
        Ok(lines.unwrap_or_else(|| line(&FeedFrame::Heartbeat { index: self.at.index })))
    }

    fn take(&mut self) -> Result<Option<Bytes>, Lagged> {
        // Written only after the ring was unlocked: the store's writer does not wait for that.
        let pieces = self.pieces()?;
        let mut chunk = Vec::with_capacity(if pieces.is_empty() { 0 } else { FIRST_BYTES });
        pieces.into_iter().for_each(|piece| piece.write(&mut chunk));
        Ok(if chunk.is_empty() { None } else { Some(chunk.into()) })
    }

    fn pieces(&mut self) -> Result<Vec<Piece>, Lagged> {
        let ring = self.feed.lock();
        if !ring.reaches_back_to(self.at) {
            return Err(Lagged);
        }
        let (mut pieces, mut bytes) = (Vec::new(), 0);
        for entry in ring.after(self.at) {
            if bytes >= CHUNK_BYTES {
                break;
            }
            self.at.index += 1;
            let here = self.at.index;
            let Some((number, draft)) = entry.draft_of(self.own) else {
                bytes += entry.size();
                pieces.push(Piece::Entry(here, entry.clone()));
                continue;
            };
            match pieces.last_mut() {
                Some(Piece::Own { index, batch, first, count })
                    if *batch == number && *first + *count == draft =>
                {
                    (*index, *count) = (here, *count + 1);
                }
                Some(Piece::Own { .. } | Piece::Entry(..)) | None => {
                    bytes += MARK_BYTES;
                    pieces.push(Piece::Own { index: here, batch: number, first: draft, count: 1 });
                }
            }
        }
        Ok(pieces)
    }
}

fn line(frame: &FeedFrame) -> Bytes {
    let mut line = Vec::new();
    write_line(&mut line, frame);
    line.into()
}

fn write_line(chunk: &mut Vec<u8>, frame: &FeedFrame) {
    serde_json::to_writer(&mut *chunk, frame).expect(INTO_MEMORY);
    chunk.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    impl Feed {
        fn read_from(&self, from: Option<FeedPosition>, log: Option<Uuid>) -> Reader<'_> {
            self.read(Opening { from, log, own: None })
        }
    }

    fn frames(lines: &[u8]) -> Vec<FeedFrame> {
        lines
            .split(|b| *b == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    async fn next(reader: &mut Reader<'_>) -> Vec<FeedFrame> {
        frames(&reader.next().await.unwrap())
    }

    fn indexes(frames: &[FeedFrame]) -> Vec<u64> {
        let index = |frame: &FeedFrame| match frame {
            FeedFrame::Event { index, .. } => *index,
            FeedFrame::Start { .. }
            | FeedFrame::Own { .. }
            | FeedFrame::Seen { .. }
            | FeedFrame::Heartbeat { .. } => {
                panic!("not an event: {frame:?}")
            }
        };
        frames.iter().map(index).collect()
    }

    #[tokio::test]
    async fn every_event_comes_once_and_in_order() {
        let feed = Feed::default();
        feed.publish(vec![sample::event(1)].into());
        let mut reader = feed.read_from(None, None);
        let start = next(&mut reader).await;
        assert!(matches!(start[..], [FeedFrame::Start { index: 1, resumed: false, .. }]));
        let events = [sample::event(2), sample::event(3)];
        feed.publish(events.to_vec().into());
        let got = next(&mut reader).await;
        assert_eq!(indexes(&got), [2, 3]);
        let expected = FeedFrame::Event { index: 3, event: Box::new(events[1].clone()) };
        assert_eq!(got[1], expected, "the hand-written frame is what the type says");
    }

    /// A batch of four drafts, of which the third was a duplicate, and two more of others.
    fn batch_among_others(reader: Uuid) -> News {
        let batch = OwnBatch { reader, number: 7 };
        let mut news = News::from(vec![sample::event(1)]);
        for (draft, seq) in [(0, 2), (1, 3), (3, 4)] {
            news.push_own(sample::event(seq), batch, draft);
        }
        news.events.push(sample::event(5));
        news.push_own(sample::event(6), OwnBatch { reader: Uuid::from_u128(99), number: 7 }, 0);
        news
    }

    #[tokio::test]
    async fn a_reader_is_told_of_its_own_batches_only_where_they_are() {
        let (feed, reader) = (Feed::default(), Uuid::from_u128(1));
        let opening = Opening { own: Some(reader), ..Opening::default() };
        let mut own = feed.read(opening);
        assert!(matches!(next(&mut own).await[..], [FeedFrame::Start { own: true, .. }]));
        feed.publish(batch_among_others(reader));
        feed.publish(vec![sample::event(7)].into());
        let got = next(&mut own).await;
        let marks = [
            FeedFrame::Own { index: 3, batch: 7, first: 0, count: 2 },
            FeedFrame::Own { index: 4, batch: 7, first: 3, count: 1 },
        ];
        assert_eq!(got[1..3], marks);
        assert_eq!(indexes(&[&got[..1], &got[3..]].concat()), [1, 5, 6, 7]);
    }

    #[tokio::test]
    async fn under_another_id_and_without_one_a_reader_gets_every_event() {
        let (feed, reader) = (Feed::default(), Uuid::from_u128(1));
        let from = Some(feed.position());
        feed.publish(batch_among_others(reader));
        for own in [None, Some(Uuid::from_u128(2))] {
            let mut all = feed.read(Opening { from, log: None, own });
            assert!(
                matches!(next(&mut all).await[..], [FeedFrame::Start { own: o, .. }] if o == own.is_some())
            );
            assert_eq!(indexes(&next(&mut all).await), [1, 2, 3, 4, 5, 6]);
        }
    }

    #[tokio::test]
    async fn a_reader_resumes_at_its_position() {
        let feed = Feed::default();
        feed.publish(vec![sample::event(1), sample::event(2), sample::event(3)].into());
        let at = |index| Some(FeedPosition { index, ..feed.position() });
        let mut reader = feed.read_from(at(1), None);
        assert!(matches!(next(&mut reader).await[..], [FeedFrame::Start { index: 1, resumed: true, .. }]));
        assert_eq!(indexes(&next(&mut reader).await), [2, 3]);
        let mut other_run = feed.read_from(Some(FeedPosition { epoch: Uuid::new_v4(), index: 1 }), None);
        let start = next(&mut other_run).await;
        assert!(matches!(start[..], [FeedFrame::Start { index: 3, resumed: false, .. }]));
        let mut future = feed.read_from(at(4), None);
        assert!(matches!(next(&mut future).await[..], [FeedFrame::Start { index: 3, resumed: false, .. }]));
    }

    #[tokio::test]
    async fn a_lagged_reader_is_disconnected_and_told_when_it_reconnects() {
        let feed = Feed::with_bounds(2, usize::MAX);
        let mut slow = feed.read_from(None, None);
        next(&mut slow).await;
        for seq in 1..=3 {
            feed.publish(vec![sample::event(seq)].into());
        }
        assert_eq!(slow.next().await, Err(Lagged));
        let at = |index| Some(FeedPosition { index, ..feed.position() });
        let mut back = feed.read_from(at(0), None);
        assert!(matches!(next(&mut back).await[..], [FeedFrame::Start { index: 3, resumed: false, .. }]));
        let mut near = feed.read_from(at(1), None);
        assert!(matches!(next(&mut near).await[..], [FeedFrame::Start { index: 1, resumed: true, .. }]));
        assert_eq!(indexes(&next(&mut near).await), [2, 3]);
    }

    #[tokio::test]
    async fn a_new_epoch_disconnects_every_reader_and_none_resumes() {
        let feed = Feed::default();
        feed.publish(vec![sample::event(1)].into());
        let old = feed.position();
        let mut reader = feed.read_from(Some(old), None);
        next(&mut reader).await;
        let waiting = tokio::join!(reader.next(), async { feed.restart() });
        assert_eq!(waiting.0, Err(Lagged));
        feed.publish(vec![sample::event(2)].into());
        let mut back = feed.read_from(Some(old), None);
        assert!(matches!(next(&mut back).await[..], [FeedFrame::Start { index: 1, resumed: false, .. }]));
        assert!(feed.has_other_for(&sample::name("carol"), old, &[]), "it can no longer be told");
    }

    /// Sending the end waits while a receiver borrows the value. If the ring were not locked meanwhile, a new epoch could begin, and the
    /// end of the previous one would be sent after it: its readers would wake repeatedly.
    #[test]
    fn the_ring_is_locked_until_its_end_is_sent() {
        let feed = Feed::default();
        let (told, event) = (feed.end.subscribe(), sample::event(1));
        let changes: [&(dyn Fn() + Sync); 2] =
            [&|| feed.publish(vec![event.clone()].into()), &|| feed.restart()];
        for change in changes {
            std::thread::scope(|scope| {
                let held = told.borrow();
                let is_changed = || feed.ring.try_lock().ok().map(|ring| ring.position() != *held);
                scope.spawn(change);
                while is_changed() == Some(false) {
                    std::thread::yield_now();
                }
                let is_seen = (0..10_000).any(|_| {
                    std::thread::yield_now();
                    is_changed() == Some(true)
                });
                drop(held);
                assert!(!is_seen, "the ring was changed and unlocked, and its end is not told");
            });
            assert_eq!(*feed.end.borrow(), feed.position());
        }
    }

    #[tokio::test]
    async fn seen_messages_are_published_in_order() {
        let feed = Feed::default();
        let mut reader = feed.read_from(None, Some(Uuid::nil()));
        let start = next(&mut reader).await;
        assert!(matches!(start[..], [FeedFrame::Start { log: Some(log), .. }] if log == Uuid::nil()));
        let event = sample::event(1);
        feed.publish(vec![event.clone()].into());
        let (user, conversation) = (sample::name("bob"), event.conversation.clone());
        feed.tell_seen(&user, &conversation, 1);
        let got = next(&mut reader).await;
        assert_eq!(got[1], FeedFrame::Seen { index: 2, user: user.clone(), conversation, seq: 1 });
        let at = |index| FeedPosition { index, ..feed.position() };
        assert!(!feed.has_other_for(&user, at(1), &[]), "that is nothing to read");
    }

    #[tokio::test]
    async fn the_ring_is_bounded_in_bytes_too() {
        let feed = Feed::with_bounds(usize::MAX, 1000);
        for seq in 1..=100 {
            feed.publish(vec![sample::event(seq)].into());
        }
        assert!(feed.lock().bytes <= 1000);
        assert!(!feed.lock().entries.is_empty());
        assert_eq!(feed.position().index, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_feed_sends_heartbeats() {
        let feed = Feed::default();
        let mut reader = feed.read_from(None, None);
        next(&mut reader).await;
        let before = tokio::time::Instant::now();
        assert_eq!(next(&mut reader).await, [FeedFrame::Heartbeat { index: 0 }]);
        assert_eq!(before.elapsed(), HEARTBEAT);
    }

    #[test]
    fn it_knows_what_a_page_missed() {
        let feed = Feed::with_bounds(2, usize::MAX);
        let (one, two) = (sample::event(1), sample::event(2));
        let (alice, bob) = (sample::name("alice"), sample::name("bob"));
        let at = |index| FeedPosition { index, ..feed.position() };
        feed.publish(vec![one.clone(), two.clone()].into());
        assert!(feed.has_other_for(&bob, at(0), &[]));
        assert!(feed.has_other_for(&bob, at(0), std::slice::from_ref(&one)));
        assert!(!feed.has_other_for(&bob, at(0), &[one.clone(), two]));
        assert!(!feed.has_other_for(&bob, at(2), &[]));
        assert!(!feed.has_other_for(&alice, at(0), &[]));
        feed.publish(vec![sample::event(3)].into());
        assert!(feed.has_other_for(&alice, at(0), &[]), "it no longer knows");
    }
}
