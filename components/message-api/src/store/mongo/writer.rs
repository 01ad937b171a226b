//! The one task that appends. The life of a batch:
//!
//! * A caller puts it in the queue and waits. The task takes it together with whatever else queued up while the last insert ran.
//! * Each draft gets the next place in its conversation and one ordered `insert_many` writes them all, so at most one insert of
//!   this process is under way, and a log cannot get a hole: what follows a failed document was not tried.
//! * A place that is taken means that another process wrote: the head is read again. A client id that is taken means that the
//!   draft was stored before. After any other error nothing is known, so heads are forgotten and the client ids looked up.
//! * What was confirmed is published where no change stream does it, then the callers are answered. A caller gets an error when the fate of one of its drafts
//!   is not known in the end; sending them again tells.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bson::doc;
use lru::LruCache;
use mongodb::error::ErrorKind;
use protocol::api::Appended;
use protocol::{ConversationId, Draft, Event, Timestamp};
use tokio::sync::{mpsc, oneshot};

use super::call::{CallError, DUPLICATE_KEY};
use super::collections::Collections;
use super::document::{EventDocument, Placed};
use super::heads::{self, Head};
use super::progress::Progress;
use super::query;
use crate::store::{COMMITS, Committed, StoreError};

/// Batches that wait.
pub(super) const QUEUE: usize = 256;
/// Documents in one insert. More only makes the first wait for the last.
const INSERT: usize = 100;
/// So many heads are remembered, the ones used last.
const HEADS: NonZeroUsize = NonZeroUsize::new(16 * 1024).unwrap();
/// How long a group is tried before its callers are told that it does not work now; less than they wait.
const PATIENCE: Duration = Duration::from_secs(6);
/// After losing a place to another process we wait up to so long for each time it was lost: what took the place is seen only once
/// a majority has it, and two that wait differently do not collide for ever.
const BACKOFF: Duration = Duration::from_millis(4);
/// Drafts of unknown fate that are remembered, to publish them when they turn out to be stored.
const UNKNOWN: usize = 8192;

/// Drafts of one caller.
pub(super) struct Batch {
    pub(super) drafts: Vec<Draft>,
    pub(super) reply: oneshot::Sender<Result<Vec<Appended>, StoreError>>,
}

/// Who sent what: unique over all events.
type SentKey = (String, String);

/// The task and all it owns.
pub(super) struct Writer {
    collections: Collections,
    /// Who hears of it, where there is no change stream.
    committed: Option<Arc<dyn Committed>>,
    /// What the others stored, where there is a change stream.
    progress: Option<Arc<Progress>>,
    /// The ends of logs, confirmed by a majority.
    heads: LruCache<ConversationId, Head>,
    /// Bound: [`UNKNOWN`]. Overflow: all are forgotten; readers of the feed then find those events by the gap they leave.
    unknown: HashSet<SentKey>,
    last_order: i64,
    /// Whether what is stored is told to anybody.
    news: bool,
}

/// What became of the drafts of one insert, by their place in it.
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

    /// What it stores was said long ago.
    pub(super) fn without_news(self) -> Self {
        Self { news: false, ..self }
    }

    /// Writes these, outside of any queue.
    pub(super) async fn write_now(&mut self, drafts: Vec<Draft>) -> Result<Vec<Appended>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.write(vec![Batch { drafts, reply }]).await;
        answer.await.map_err(|_| StoreError::unavailable("the writer ended badly"))?
    }

    /// Writes until the queue is closed and empty.
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
                committed.publish(&group.stored);
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
            // A caller that went away is not told.
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
            if begun.elapsed() > PATIENCE {
                return Err(StoreError::unavailable("MongoDB did not confirm the messages in time"));
            }
            let documents = self.place(group, &pending).await?;
            look_up = self.insert(group, &pending, documents).await?;
            group.copy_repeated();
        }
    }

    /// Gives each pending draft the next place in its conversation.
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
            // Growing over all conversations too, so that a batch is handed over in its order, and whoever reads page by page is
            // given nothing that belongs before the pages that they have. People are shown `now`.
            let order = now.max(end.order + 1).max(self.last_order + 1).max(others + 1);
            self.last_order = order;
            let counted = end.counted.followed_by(&draft.conversation, draft.sender.key());
            *end = Head { seq: end.seq + 1, order, counted };
            let document = EventDocument::new(draft, end.seq, order, now, counted);
            documents.push(if self.news { document } else { document.without_news() });
        }
        Ok(documents)
    }

    /// Reads the heads that are not remembered, and makes conversations that are not there.
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

    /// Before its first event, so that a conversation that has events is always found by its members.
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

    /// Inserts, and notes what was confirmed. Answers whether the rest must be looked up before it is tried again.
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
                    self.doubt(group, pending);
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
            // Where another process took the place, the head we knew is an old one.
            self.heads.pop(&group.drafts[*index].conversation);
        }
        Ok(look_up)
    }

    /// Forgets what was assumed about the logs of these drafts, and remembers that nobody knows whether they are stored.
    fn doubt(&mut self, group: &Group<'_>, pending: &[usize]) {
        if self.unknown.len() + pending.len() > UNKNOWN {
            self.unknown.clear();
        }
        for draft in pending.iter().map(|index| group.drafts[*index]) {
            self.heads.pop(&draft.conversation);
            self.unknown.insert(sent_key(draft));
        }
    }

    /// Finds which of the pending drafts are stored. Those whose fate was unknown are published now.
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

/// Between nothing and `most`. The clock's last digits are random enough for two processes to differ.
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

/// Where an insert stopped at a taken key, and whether that was a client id. `None` when the error is of another kind, or a
/// majority did not confirm what went before.
fn first_duplicate(error: &CallError) -> Option<(usize, bool)> {
    let CallError::Driver(error) = error else { return None };
    let ErrorKind::InsertMany(failure) = &*error.kind else { return None };
    if failure.write_concern_error.is_some() {
        return None;
    }
    let first = failure.write_errors.as_ref()?.first()?;
    // The message names the index; where it is cut, looking up is right in either case.
    (first.code == DUPLICATE_KEY).then(|| (first.index, !first.message.contains("index: log ")))
}
