//! The only task that appends. The life of a batch:
//!
//! * A caller queues it and waits. The task takes it together with everything that was queued during the last insert.
//! * Each draft gets the next `seq` in its conversation, and one ordered `insert_many` writes them all: at most one insert of this process
//!   is in flight, and a log cannot get a gap, because documents after a failed one are not tried.
//! * If a `seq` is taken, another process wrote: the head is read again. If a client id is taken, the draft was stored before. After any
//!   other error the outcome is unknown, so heads are forgotten and client ids looked up.
//! * Confirmed events are published if there is no change stream, then the callers are answered. A caller gets an error if the outcome of
//!   one of its drafts remains unknown; sending them again resolves that.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bson::doc;
use lru::LruCache;
use protocol::api::Appended;
use protocol::{ConversationId, Draft, Event, Timestamp};
use tokio::sync::{mpsc, oneshot};

use super::collections::Collections;
use super::document::{EventDocument, Placed};
use super::heads::{self, Head};
use super::progress::Progress;
use super::query;
use crate::store::{COMMITS, Committed, StoreError};
use mongo_client::CallError;

/// Batches in the queue.
pub(super) const QUEUE: usize = 256;
/// Documents per insert. More would only delay the first of them.
const INSERT: usize = 100;
/// The number of heads remembered, most recently used.
const HEADS: NonZeroUsize = NonZeroUsize::new(16 * 1024).unwrap();
/// Time limit for a group before its callers get an error; less than their own timeout.
const TIMEOUT: Duration = Duration::from_secs(6);
/// After losing a `seq` to another process, the maximum wait per loss: the winner becomes visible only once a majority has it, and random
/// waits avoid repeated collisions.
const BACKOFF: Duration = Duration::from_millis(4);
/// Drafts with unknown outcome that are remembered, to be published if they turn out to be stored.
const UNKNOWN: usize = 8192;

/// Drafts of one caller.
pub(super) struct Batch {
    pub(super) drafts: Vec<Draft>,
    pub(super) reply: oneshot::Sender<Result<Vec<Appended>, StoreError>>,
}

/// Sender and client id: unique over all events.
type SentKey = (String, String);

/// The task and its state.
pub(super) struct Writer {
    collections: Collections,
    /// Publishes events, if there is no change stream.
    committed: Option<Arc<dyn Committed>>,
    /// The progress of the change stream, if there is one.
    progress: Option<Arc<Progress>>,
    /// The ends of logs, confirmed by a majority.
    heads: LruCache<ConversationId, Head>,
    /// Bound: [`UNKNOWN`]. Overflow: all are forgotten; readers of the feed then detect those events by the gap.
    unknown: HashSet<SentKey>,
    last_order: i64,
    /// Whether stored events are published.
    news: bool,
}

/// The results of the drafts of one insert, by index.
struct Group<'d> {
    drafts: Vec<&'d Draft>,
    results: Vec<Option<Appended>>,
    stored: Vec<Event>,
}

impl Writer {
    pub(super) fn new(
        collections: Collections,
        committed: Option<Arc<dyn Committed>>,
        progress: Option<Arc<Progress>>,
    ) -> Self {
        let (heads, unknown) = (LruCache::sparse(HEADS), HashSet::new());
        Self { collections, committed, progress, heads, unknown, last_order: 0, news: true }
    }

    /// Does not publish what it stores.
    pub(super) fn unpublished(self) -> Self {
        Self { news: false, ..self }
    }

    /// Writes these drafts without the queue.
    pub(super) async fn write_now(&mut self, drafts: Vec<Draft>) -> Result<Vec<Appended>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.write(vec![Batch { drafts, reply }]).await;
        answer.await.map_err(|_| StoreError::unavailable("the writer ended badly"))?
    }

    /// Runs until the queue is closed and empty.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Batch>) {
        while let Some(first) = queue.recv().await {
            let mut size = first.drafts.len();
            let mut batches = vec![first];
            while size < INSERT
                && let Ok(batch) = queue.try_recv()
            {
                size += batch.drafts.len();
                batches.push(batch);
            }
            self.write(batches).await;
        }
    }

    async fn write(&mut self, batches: Vec<Batch>) {
        let drafts: Vec<&Draft> = batches.iter().flat_map(|batch| &batch.drafts).collect();
        let mut results = Vec::with_capacity(drafts.len());
        let mut failure = None;
        for part in drafts.chunks(INSERT) {
            let mut group =
                Group { drafts: part.to_vec(), results: vec![None; part.len()], stored: Vec::new() };
            if failure.is_none() {
                let begun = Instant::now();
                failure = self.store(&mut group).await.err();
                if !group.stored.is_empty() {
                    COMMITS.note(begun.elapsed());
                }
            }
            if let Some(committed) = &self.committed {
                committed.publish(std::mem::take(&mut group.stored).into());
            }
            results.extend(group.results);
        }
        if let Some(error) = &failure {
            tracing::error!(error = kit::failure::chain(error), "cannot store messages in MongoDB");
        }
        let mut results = results.into_iter();
        for batch in batches {
            let own: Vec<_> = results.by_ref().take(batch.drafts.len()).collect();
            let answer = own.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| {
                failure
                    .clone()
                    .unwrap_or_else(|| StoreError::unavailable("another writer was faster each time"))
            });
            // The caller may have disconnected.
            let _ = batch.reply.send(answer);
        }
    }

    /// Tries until every draft has a result.
    async fn store(&mut self, group: &mut Group<'_>) -> Result<(), StoreError> {
        let begun = Instant::now();
        let mut attempts = 0;
        let mut look_up = group.drafts.iter().any(|draft| self.unknown.contains(&sent_key(draft)));
        loop {
            if look_up {
                self.look_up(group).await?;
            }
            let pending = group.pending();
            if pending.is_empty() {
                return Ok(());
            }
            if attempts > 0 && !look_up {
                tokio::time::sleep(jittered(BACKOFF * attempts)).await;
            }
            attempts += 1;
            if begun.elapsed() > TIMEOUT {
                return Err(StoreError::unavailable("MongoDB did not confirm the messages in time"));
            }
            let documents = self.place(group, &pending).await?;
            look_up = self.insert(group, &pending, documents).await?;
            group.copy_repeated();
        }
    }

    /// Gives each pending draft the next `seq` in its conversation.
    async fn place(
        &mut self,
        group: &Group<'_>,
        pending: &[usize],
    ) -> Result<Vec<EventDocument>, StoreError> {
        self.read_heads(group, pending).await?;
        let others = self.progress.as_ref().map_or(0, |progress| progress.latest());
        let mut ends: HashMap<ConversationId, Head> = HashMap::new();
        let mut documents = Vec::with_capacity(pending.len());
        for draft in pending.iter().map(|index| group.drafts[*index]) {
            let cached = self.heads.get(&draft.conversation).copied();
            let end = ends.entry(draft.conversation.clone()).or_insert(cached.unwrap_or_default());
            let now = Timestamp::now().micros();
            // Increasing over all conversations too, so that a batch is delivered in its order, and a reader of pages gets nothing that
            // belongs to earlier ones. Users are shown `now`.
            let order = now.max(end.order + 1).max(self.last_order + 1).max(others + 1);
            self.last_order = order;
            let counted = end.counted.followed_by(&draft.conversation, draft.sender.key());
            *end = Head { seq: end.seq + 1, order, counted };
            let document = EventDocument::new(draft, end.seq, order, now, counted);
            documents.push(if self.news { document } else { document.unpublished() });
        }
        Ok(documents)
    }

    /// Reads the heads that are not remembered, and creates missing conversations.
    async fn read_heads(&mut self, group: &Group<'_>, pending: &[usize]) -> Result<(), StoreError> {
        let mut missing = HashSet::new();
        for draft in pending.iter().map(|index| group.drafts[*index]) {
            if self.heads.get(&draft.conversation).is_none() {
                missing.insert(draft.conversation.clone());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let (heads, floors) = tokio::try_join!(
            heads::heads(&self.collections, missing.iter()),
            query::floors(&self.collections, missing.iter())
        )?;
        let new = missing.iter().filter(|id| !heads.contains_key(*id));
        let new = new.map(|id| doc! { "_id": id.as_str(), "members": id.dm_members().collect::<Vec<_>>() });
        self.start_conversations(new.collect()).await?;
        for id in missing {
            let mut head = heads.get(&id).copied().unwrap_or_default();
            head.seq = head.seq.max(floors.get(id.as_str()).copied().unwrap_or(0));
            self.heads.put(id, head);
        }
        Ok(())
    }

    /// Before its first event, so that the members always find a conversation with events.
    async fn start_conversations(&self, new: Vec<bson::Document>) -> Result<(), StoreError> {
        if new.is_empty() {
            return Ok(());
        }
        match self.collections.insert(&self.collections.conversations, new, false).await {
            Ok(()) => Ok(()),
            Err(error) if error.says_only_duplicates() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Inserts, and records what was confirmed. Returns whether the rest must be looked up before it is tried again.
    async fn insert(
        &mut self,
        group: &mut Group<'_>,
        pending: &[usize],
        documents: Vec<EventDocument>,
    ) -> Result<bool, StoreError> {
        let inserted = self.collections.insert(&self.collections.events, documents.clone(), true).await;
        let (confirmed, look_up) = match &inserted {
            Ok(()) => (documents.len(), false),
            Err(error) => match first_duplicate(error) {
                Some((index, sent)) => (index, sent),
                None => {
                    tracing::warn!(
                        error = kit::failure::chain(error),
                        "an insert failed; looking up what it did"
                    );
                    self.forget_assumptions(group, pending);
                    (0, true)
                }
            },
        };
        for (document, index) in documents.into_iter().zip(pending).take(confirmed) {
            let counted = document.counted(&group.drafts[*index].conversation);
            let counted = counted.expect("what is stored has its numbers");
            let Placed { order, event } = document.into_placed()?;
            self.heads.put(event.conversation.clone(), Head { seq: event.seq, order, counted });
            group.results[*index] = Some(appended(&event, false));
            group.stored.push(event);
        }
        if inserted.is_err()
            && let Some(index) = pending.get(confirmed)
        {
            // If another process took the `seq`, the head we knew is outdated.
            self.heads.pop(&group.drafts[*index].conversation);
        }
        Ok(look_up)
    }

    /// Forgets assumptions about the logs of these drafts, and marks their outcome as unknown.
    fn forget_assumptions(&mut self, group: &Group<'_>, pending: &[usize]) {
        if self.unknown.len() + pending.len() > UNKNOWN {
            self.unknown.clear();
        }
        for draft in pending.iter().map(|index| group.drafts[*index]) {
            self.heads.pop(&draft.conversation);
            self.unknown.insert(sent_key(draft));
        }
    }

    /// Finds which of the pending drafts are stored. Those whose outcome was unknown are published now.
    async fn look_up(&mut self, group: &mut Group<'_>) -> Result<(), StoreError> {
        let pending = group.pending();
        let keys = pending
            .iter()
            .map(|index| group.drafts[*index])
            .map(|draft| doc! { "sender_key": draft.sender.key(), "client_id": draft.client_id.as_str() });
        let keys: Vec<_> = keys.collect();
        if keys.is_empty() {
            return Ok(());
        }
        let events = &self.collections.events;
        let found = self.collections.find(events, doc! { "$or": keys }, None).await?;
        let mut found: HashMap<SentKey, EventDocument> = found
            .into_iter()
            .map(|document| ((document.sender_key.clone(), document.client_id.clone()), document))
            .collect();
        let mut late = Vec::new();
        for index in pending {
            let key = sent_key(group.drafts[index]);
            let was_unknown = self.unknown.remove(&key);
            if let Some(document) = found.remove(&key) {
                let placed = document.into_placed()?;
                group.results[index] = Some(appended(&placed.event, !was_unknown));
                if was_unknown {
                    late.push(placed);
                }
            }
        }
        late.sort_by_key(|placed| (placed.order, placed.event.seq));
        group.stored.extend(late.into_iter().map(|placed| placed.event));
        group.copy_repeated();
        Ok(())
    }
}

impl Group<'_> {
    /// Drafts without a result, each client id once.
    fn pending(&self) -> Vec<usize> {
        let mut seen = HashSet::new();
        let open = (0..self.drafts.len()).filter(|index| self.results[*index].is_none());
        open.filter(|index| seen.insert(sent_key(self.drafts[*index]))).collect()
    }

    /// A draft that is in the group twice is stored once; the second gets the first one's result.
    fn copy_repeated(&mut self) {
        let mut first: HashMap<SentKey, Appended> = HashMap::new();
        for (draft, result) in self.drafts.iter().zip(&mut self.results) {
            let key = sent_key(draft);
            match (result.as_ref(), first.get(&key)) {
                (Some(stored), None) => drop(first.insert(key, stored.clone())),
                (None, Some(stored)) => *result = Some(Appended { duplicate: true, ..stored.clone() }),
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
    }
}

/// Between zero and `most`. The clock's last digits are random enough to distinguish two processes.
fn jittered(most: Duration) -> Duration {
    let digits = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos() / 64 % 1024);
    most * digits / 1024
}

fn sent_key(draft: &Draft) -> SentKey {
    (draft.sender.key().to_owned(), draft.client_id.as_str().to_owned())
}

fn appended(event: &Event, duplicate: bool) -> Appended {
    Appended {
        conversation: event.conversation.clone(),
        seq: event.seq,
        id: event.id,
        at: event.at,
        duplicate,
    }
}

/// Where an insert stopped at a taken key, and whether that was a client id. `None` if the error is of another kind, or a majority did not
/// confirm the documents before it.
fn first_duplicate(error: &CallError) -> Option<(usize, bool)> {
    let first = error.first_duplicate()?;
    // The message names the index; if it is truncated, looking up is correct in either case.
    Some((first.index, !first.message.contains("index: log ")))
}
