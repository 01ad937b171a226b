//! Stores messages: those of many sessions in one request, and a few requests at a time.
//!
//! The life of a message: [`Appender::submit`] → its sender's queue → while one batch is in flight the next one gathers → `append` → the
//! outcome goes to its session. A failed batch is sent again with the same drafts, which is safe because of their ids, until a message's
//! deadline; then its session asks the client to send it again. A message is acknowledged only once the message API has acknowledged it.
//!
//! Messages of one user stay in order: they share a queue, a batch and its results are in order, a batch is settled before the next one of
//! its queue, and a message that must be sent again raises the session's [`RetryFence`].

use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use protocol::api::{AppendRequest, Appended};
use protocol::limits::BATCH_DRAFTS;
use protocol::native::Durability;
use protocol::{Draft, UserName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use transport::ApiError;

use crate::backend::Backend;
use crate::backend::own_batches::Begun;
use crate::delivery::retry_fence::RetryFence;
use crate::metrics::Metrics;
use crate::outcome::Outcome;
use crate::traces::Traces;

/// A sender learns the outcome of a message within a second, so that a person knows whether to type it again.
const ANSWER_WITHIN: Duration = Duration::from_millis(900);
/// The least time for one attempt, even for a message that waited long in the queue.
const LEAST_ATTEMPT: Duration = Duration::from_millis(50);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// Batches in flight at once: while one is written to the disk, another is read or its senders are answered. The store commits concurrent
/// batches together, so more of them would only be smaller.
const QUEUES: usize = 2;
/// Messages in a queue that wait for a batch. Overflow rule: their sessions wait for a place until the message's deadline.
const QUEUE: usize = 4096;
/// Bytes of all messages that are queued or in flight to the store: four batches. Overflow rule: as above.
const WAITING_BYTES: usize = 16 * 1024 * 1024;
/// The approximate size of a message besides its text and metadata.
const OVERHEAD: usize = 512;
/// Bytes of text and metadata in one batch, so that a request stays at a few MiB even for the longest messages.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Accepts messages. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Appender {
    queues: Arc<[mpsc::Sender<Submission>]>,
    /// What is left of [`WAITING_BYTES`].
    room: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// A message that waits for a place in the queue. If dropped, the message is given up and its outcome never arrives.
pub(crate) type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Debug)]
struct Submission {
    draft: Draft,
    fence: RetryFence,
    /// The epoch of the fence when the message entered.
    epoch: u64,
    deadline: Instant,
    outcome: oneshot::Sender<Outcome>,
    /// Released when the submission is dropped.
    room: Option<OwnedSemaphorePermit>,
}

impl Appender {
    /// An appender, and the workers to run for it.
    pub(crate) fn new(
        backend: &Arc<Backend>,
        metrics: &Arc<Metrics>,
        traces: &Arc<Traces>,
    ) -> (Self, Vec<Worker>) {
        let queue = |_| {
            let (queue, waiting) = mpsc::channel(QUEUE);
            let (backend, metrics, traces) = (Arc::clone(backend), Arc::clone(metrics), Arc::clone(traces));
            (queue, Worker { backend, metrics, traces, waiting, left_over: None })
        };
        let (queues, workers): (Vec<_>, Vec<_>) = (0..QUEUES).map(queue).unzip();
        let room = Arc::new(Semaphore::new(WAITING_BYTES));
        (Self { queues: queues.into(), room, metrics: Arc::clone(metrics) }, workers)
    }

    /// The queue of a user; the same for all of their sessions.
    fn queue_of(&self, sender: &UserName) -> &mpsc::Sender<Submission> {
        let mut hasher = DefaultHasher::new();
        sender.hash(&mut hasher);
        let place = hasher.finish() % self.queues.len() as u64;
        &self.queues[usize::try_from(place).expect("there are few queues")]
    }

    /// Queues a message, waiting for a place if necessary; its outcome arrives within a second.
    pub(crate) async fn submit(&self, draft: Draft, fence: &RetryFence) -> oneshot::Receiver<Outcome> {
        let (outcome, waiting) = self.offer(draft, fence);
        if let Some(waiting) = waiting {
            waiting.await;
        }
        outcome
    }

    /// Like [`Self::submit`], but without waiting. If there is no place, the returned future waits for one; offering the next message of
    /// the same sender before that future has finished breaks their order.
    pub(crate) fn offer(
        &self,
        draft: Draft,
        fence: &RetryFence,
    ) -> (oneshot::Receiver<Outcome>, Option<Waiting>) {
        let (outcome, receiver) = oneshot::channel();
        let waits = |submission| -> Waiting {
            let appender = self.clone();
            Box::pin(async move { appender.wait_for_place(submission).await })
        };
        (receiver, self.try_submit(draft, fence, outcome).map(waits))
    }

    /// Returns the message if there is no place for it now.
    fn try_submit(
        &self,
        draft: Draft,
        fence: &RetryFence,
        outcome: oneshot::Sender<Outcome>,
    ) -> Option<Submission> {
        let now = Instant::now();
        self.metrics.receive_times.receive(&draft.sender, &draft.client_id, now);
        let Some(epoch) = fence.enter(&draft.client_id, now) else {
            self.metrics.outcome(&Outcome::Unknown);
            let _ = outcome.send(Outcome::Unknown);
            return None;
        };
        let (fence, deadline) = (fence.clone(), now + ANSWER_WITHIN);
        let mut submission = Submission { draft, fence, epoch, deadline, outcome, room: None };
        match Arc::clone(&self.room).try_acquire_many_owned(submission.held()) {
            Ok(room) => submission.room = Some(room),
            Err(_) => return Some(submission),
        }
        match self.queue_of(&submission.draft.sender).try_send(submission) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(submission)) => Some(submission),
            Err(mpsc::error::TrySendError::Closed(submission)) => {
                submission.settle(Outcome::Unknown, &self.metrics);
                None
            }
        }
    }

    async fn wait_for_place(&self, mut submission: Submission) {
        let queue = self.queue_of(&submission.draft.sender);
        let room = submission.room.take();
        let place = async {
            let room = match room {
                Some(room) => room,
                None => Arc::clone(&self.room).acquire_many_owned(submission.held()).await.ok()?,
            };
            Some((room, queue.reserve().await.ok()?))
        };
        match tokio::time::timeout_at(submission.deadline, place).await {
            Ok(Some((room, place))) => place.send(Submission { room: Some(room), ..submission }),
            Ok(None) | Err(_) => submission.settle(Outcome::Unknown, &self.metrics),
        }
    }
}

impl Submission {
    fn bytes(&self) -> usize {
        self.draft.content_bytes()
    }

    /// The approximate number of bytes it takes in memory.
    fn held(&self) -> u32 {
        u32::try_from(self.bytes() + OVERHEAD).expect("a message is far below 4 GiB")
    }

    fn settle(self, outcome: Outcome, metrics: &Metrics) {
        metrics.outcome(&outcome);
        if outcome == Outcome::Unknown {
            self.fence.give_up(&self.draft.client_id, self.epoch, Instant::now());
        }
        // A session that has ended needs no answer; the message is stored anyway.
        let _ = self.outcome.send(outcome);
    }
}

/// Sends the batches of one queue until every [`Appender`] is dropped and the queue is empty.
#[derive(Debug)]
pub(crate) struct Worker {
    backend: Arc<Backend>,
    metrics: Arc<Metrics>,
    traces: Arc<Traces>,
    waiting: mpsc::Receiver<Submission>,
    /// The message that did not fit into the last batch.
    left_over: Option<Submission>,
}

impl Worker {
    /// Runs until the queue is closed.
    pub(crate) async fn run(mut self) {
        while let Some(batch) = self.next_batch().await {
            self.store(batch).await;
        }
    }

    async fn next_batch(&mut self) -> Option<Vec<Submission>> {
        let first = match self.left_over.take() {
            Some(submission) => submission,
            None => self.waiting.recv().await?,
        };
        let mut bytes = first.bytes();
        let mut batch = vec![first];
        while batch.len() < BATCH_DRAFTS
            && let Ok(submission) = self.waiting.try_recv()
        {
            bytes += submission.bytes();
            if bytes > BATCH_BYTES {
                self.left_over = Some(submission);
                break;
            }
            batch.push(submission);
        }
        Some(batch)
    }

    async fn store(&self, mut batch: Vec<Submission>) {
        let mut pause = Duration::from_millis(20);
        loop {
            batch = self.without_fenced(batch);
            if batch.is_empty() {
                return;
            }
            match self.attempt(&batch).await {
                Ok((results, durability)) => {
                    for (submission, appended) in batch.drain(..).zip(results) {
                        let draft = &submission.draft;
                        self.traces.stored(&draft.sender, &draft.client_id, &appended);
                        submission.settle(Outcome::Stored(appended, durability), &self.metrics);
                    }
                }
                Err(Failed::Refused(detail)) if batch.len() == 1 => {
                    let refused = Outcome::Refused(detail);
                    batch.drain(..).for_each(|submission| submission.settle(refused.clone(), &self.metrics));
                }
                // One of the messages is rejected; sent one by one, each gets its own answer.
                Err(Failed::Refused(_)) => {
                    for submission in batch.drain(..) {
                        Box::pin(self.store(vec![submission])).await;
                    }
                }
                Err(Failed::Unknown) => {
                    batch = self.expire(batch);
                    if let Some(deadline) = first_deadline(&batch) {
                        tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
            }
        }
    }

    async fn attempt(&self, batch: &[Submission]) -> Result<(Vec<Appended>, Durability), Failed> {
        let drafts: Vec<Draft> = batch.iter().map(|submission| submission.draft.clone()).collect();
        let count = drafts.len();
        let until = first_deadline(batch).into_iter().fold(Instant::now() + LEAST_ATTEMPT, Instant::max);
        let begun = Instant::now();
        let own = self.backend.own.begin();
        let request = AppendRequest { drafts, own: own.as_ref().map(Begun::own) };
        let answer = tokio::time::timeout_at(until, self.backend.api.append_batch(request)).await;
        self.metrics.appends.note(begun.elapsed());
        match answer {
            Ok(Ok(answer)) if answer.results.len() == count => {
                self.backend.set_durability(answer.durability);
                if let Some(own) = own {
                    own.stored(batch.iter().map(|submission| &submission.draft), &answer.results);
                }
                Ok((answer.results, answer.durability))
            }
            Ok(Err(ApiError::Refused(detail))) => Err(Failed::Refused(detail)),
            Ok(Err(error)) => {
                tracing::debug!(error = %kit::failure::chain(&error), "a batch was not stored");
                Err(Failed::Unknown)
            }
            Ok(Ok(_)) | Err(_) => Err(Failed::Unknown),
        }
    }

    /// Gives up the messages that follow one that was given up.
    fn without_fenced(&self, batch: Vec<Submission>) -> Vec<Submission> {
        let (open, fenced): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|submission| submission.fence.is_open_for(submission.epoch));
        fenced.into_iter().for_each(|submission| submission.settle(Outcome::Unknown, &self.metrics));
        open
    }

    /// Answers the messages past their deadline; the others stay, in order.
    fn expire(&self, batch: Vec<Submission>) -> Vec<Submission> {
        let now = Instant::now();
        let (late, rest): (Vec<_>, Vec<_>) = batch.into_iter().partition(|s| s.deadline <= now);
        if !late.is_empty() {
            tracing::warn!(
                messages = late.len(),
                "not stored in time; their senders are asked to send them again"
            );
        }
        late.into_iter().for_each(|submission| submission.settle(Outcome::Unknown, &self.metrics));
        rest
    }
}

enum Failed {
    Refused(String),
    Unknown,
}

fn first_deadline(batch: &[Submission]) -> Option<Instant> {
    batch.iter().map(|submission| submission.deadline).min()
}
