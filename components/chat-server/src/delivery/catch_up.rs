//! Reads from the store what a session has not been sent, page by page, as fast as the session takes the pages.
//!
//! Each pass has a task of its own: first the conversations it lists, then unread messages. It ends with the feed position at which the
//! store was read, or when the session wants no more pages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::api::FeedPosition;
use protocol::limits::PAGE_EVENTS;
use protocol::{ConversationId, Event, UserName};
use tokio::sync::{SemaphorePermit, mpsc, oneshot};
use transport::ApiError;
use transport::api::Range;

use crate::backend::page_budget::PagePermit;
use crate::backend::{Attempts, ReadFailure};
use crate::server::Server;

/// Events per page. The [`PageBudget`](crate::backend::page_budget::PageBudget) bounds long pages of all sessions together; of short ones a
/// session holds at most three: the one it sends, one that waits, and one being read.
const PAGE: usize = 64;
/// The pause between flushes of the user's cursors while the store is unavailable.
const FLUSH_AGAIN: Duration = Duration::from_millis(50);
/// After the store has been unavailable for this long the user is told.
const TELL_AFTER: Duration = Duration::from_secs(3);
/// From this many conversations on, the pass first asks which of them have new events.
const ASK_HEADS_FROM: usize = 4;

/// What one pass reads.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) user: UserName,
    /// First these conversations, each after its `seq`.
    pub(crate) known: BTreeMap<ConversationId, u64>,
    /// Then everything after the user's cursor.
    pub(crate) unread: bool,
    /// Then these conversations, each after its `seq`.
    pub(crate) gaps: BTreeMap<ConversationId, u64>,
}

/// A result of the pass.
#[derive(Debug)]
pub(crate) enum Page {
    /// Unread messages are read from here on: events on the feed up to this position are in a later page or were already read.
    UnreadFrom(FeedPosition),
    /// Events in order within their conversation, and their share of the page budget until they have been sent.
    Events(Vec<Event>, PagePermit),
    /// The store is unavailable; the pass retries.
    Unreadable,
    /// The store rejects the read; the pass retries, but an operator must repair the store first.
    Refused,
    /// Everything up to this position of the feed was read.
    End(FeedPosition),
}

/// The session wants no more pages.
struct Unwanted;

/// The pages of a pass.
#[derive(Debug)]
pub(crate) enum Pages {
    /// The pass waits until it may read.
    Waiting(oneshot::Receiver<mpsc::Receiver<Page>>),
    Reading(mpsc::Receiver<Page>),
}

impl Pages {
    /// The next page; `None` if the pass was given up. Cancel-safe.
    pub(crate) async fn recv(&mut self) -> Option<Page> {
        if let Self::Waiting(begun) = self {
            *self = Self::Reading(begun.await.ok()?);
        }
        match self {
            Self::Waiting(_) => None,
            Self::Reading(pages) => pages.recv().await,
        }
    }
}

/// Starts a pass. It begins to read once it may read its first page: after a restart thousands of sessions wait for that, and until then
/// a pass takes a few hundred bytes.
///
/// Bound: one page waits. Overflow rule: the next one is not read before it is taken.
pub(crate) fn start(server: &Arc<Server>, pass: Pass) -> Pages {
    let (mut begin, begun) = oneshot::channel();
    let server_of_task = Arc::clone(server);
    server.spawn(async move {
        let server = server_of_task;
        let first = tokio::select! {
            biased;
            () = begin.closed() => return,
            first = server.backend.pages.permit_read(PAGE) => first,
        };
        let (pages, receiver) = mpsc::channel(1);
        if begin.send(receiver).is_err() {
            return;
        }
        tokio::select! {
            biased;
            () = pages.closed() => {}
            // The session may stop the pass at any time; that is no failure.
            _ = Box::pin(read(&server, pass, &pages, first)) => {}
        }
    });
    Pages::Waiting(begun)
}

async fn read(
    server: &Server,
    pass: Pass,
    pages: &mpsc::Sender<Page>,
    first: SemaphorePermit<'_>,
) -> Result<(), Unwanted> {
    let Pass { user, known, unread, gaps } = pass;
    let mut reader = Reader { server, user: &user, pages, told: false, limit: PAGE, first: Some(first) };
    reader.conversations(known).await?;
    let mut position = None;
    if unread {
        // Cursor moves that have not reached the store would make it return read messages again.
        while !server.cursors.flush(&user).await {
            reader.first = None;
            tokio::time::sleep(FLUSH_AGAIN).await;
        }
        position = Some(reader.unread().await?);
    }
    if !gaps.is_empty() {
        reader.conversations(gaps).await?;
        position = None;
    }
    // The position must not be before anything that was read.
    let end = match position {
        Some(position) => position,
        None => reader.ask(1, || server.backend.api.unseen(&user, None, 1)).await.0.position,
    };
    reader.hand_on(Page::End(end)).await
}

/// Reads for one session.
struct Reader<'a> {
    server: &'a Server,
    user: &'a UserName,
    pages: &'a mpsc::Sender<Page>,
    /// Whether the session was told about a failure.
    told: bool,
    /// Events to ask for: fewer after a page that did not fit into the budget.
    limit: usize,
    /// The permit with which the pass began, until its first read.
    first: Option<SemaphorePermit<'a>>,
}

impl<'a> Reader<'a> {
    /// Asks for this many events until the store answers; the permit reserves their memory. A failure is reported to the session once.
    async fn ask<T, F: Future<Output = Result<T, ApiError>>>(
        &mut self,
        events: usize,
        read: impl Fn() -> F,
    ) -> (T, SemaphorePermit<'a>) {
        let backend = &self.server.backend;
        let mut attempts = Attempts::default();
        loop {
            // One that is too small is released first: to wait for more with it would block those that wait for less.
            let reading = match self.first.take().filter(|first| first.num_permits() >= events) {
                Some(first) => first,
                None => backend.pages.permit_read(events).await,
            };
            match backend.attempt(&mut attempts, &read).await {
                Ok(answer) => return (answer, reading),
                Err(failed) => {
                    drop(reading);
                    self.told = self.told || self.tell(failed.why).await;
                    tokio::time::sleep(failed.pause).await;
                }
            }
        }
    }

    /// Reports a failure to the session if it must know; returns whether it did.
    async fn tell(&self, why: ReadFailure) -> bool {
        match why {
            ReadFailure::Unreachable => false,
            // If a page still waits for the session, a later attempt reports the failure.
            ReadFailure::Unavailable(so_long) => {
                so_long >= TELL_AFTER && self.pages.try_send(Page::Unreadable).is_ok()
            }
            // The next attempt is far away, so this can wait until the session has taken the page before.
            ReadFailure::Refused => self.pages.send(Page::Refused).await.is_ok(),
        }
    }

    /// Reserves memory for these events until the session has sent them; without it they are read again one by one.
    fn keep(&mut self, events: &[Event]) -> Option<PagePermit> {
        let permit = self.server.backend.pages.reserve_events(events);
        self.limit = if permit.is_some() { PAGE.min(self.limit * 2) } else { 1 };
        permit
    }

    async fn hand_on(&self, page: Page) -> Result<(), Unwanted> {
        self.pages.send(page).await.map_err(|_| Unwanted)
    }

    async fn conversations(&mut self, after: BTreeMap<ConversationId, u64>) -> Result<(), Unwanted> {
        for (conversation, seq) in self.with_news(after).await {
            self.conversation(&conversation, seq).await?;
        }
        Ok(())
    }

    /// Removes the conversations in which the session is up to date.
    async fn with_news(&mut self, mut after: BTreeMap<ConversationId, u64>) -> BTreeMap<ConversationId, u64> {
        if after.len() >= ASK_HEADS_FROM {
            let (api, user) = (&self.server.backend.api, self.user);
            // Each conversation has its last event.
            let (recent, _reading) = self.ask(PAGE_EVENTS, || api.conversations(user)).await;
            for summary in recent.conversations {
                if after.get(&summary.conversation).is_some_and(|seq| *seq >= summary.head) {
                    after.remove(&summary.conversation);
                }
            }
        }
        after
    }

    async fn conversation(&mut self, conversation: &ConversationId, mut after: u64) -> Result<(), Unwanted> {
        let api = &self.server.backend.api;
        loop {
            let limit = self.limit;
            let (page, reading) =
                self.ask(limit, || api.events(conversation, Range::After(after), limit)).await;
            let Some(permit) = self.keep(&page.events) else { continue };
            drop(reading);
            let Some(last) = page.events.last() else { return Ok(()) };
            after = last.seq;
            self.hand_on(Page::Events(page.events, permit)).await?;
            if !page.more {
                return Ok(());
            }
        }
    }

    async fn unread(&mut self) -> Result<FeedPosition, Unwanted> {
        let (api, user) = (&self.server.backend.api, self.user);
        let mut next: Option<String> = None;
        loop {
            let limit = self.limit;
            let (page, reading) = self.ask(limit, || api.unseen(user, next.as_deref(), limit)).await;
            let Some(permit) = self.keep(&page.events) else { continue };
            drop(reading);
            if next.is_none() {
                self.hand_on(Page::UnreadFrom(page.began)).await?;
            }
            if !page.events.is_empty() {
                self.hand_on(Page::Events(page.events, permit)).await?;
            }
            next = page.next;
            if next.is_none() {
                return Ok(page.position);
            }
        }
    }
}

#[cfg(test)]
mod tests;
