//! Reads from the store what a session has not been sent, page by page, as fast as the session takes the pages.
//!
//! One task for each lap: conversations named one by one, then the unseen. It ends with the position of the feed at which the store
//! was read, or when the session does not want more pages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::api::FeedPosition;
use protocol::limits::PAGE_EVENTS;
use protocol::{ConversationId, Event, UserName};
use tokio::sync::{SemaphorePermit, mpsc};
use transport::ApiError;
use transport::api::Range;

use crate::backend::room::Kept;
use crate::backend::{Attempts, Trouble};
use crate::server::Server;

/// Events in one page. Of pages that are long, [`Room`](crate::backend::room::Room) bounds what all sessions hold together; of others a session
/// holds three at most: what it shows, what waits for it, and what is to wait next.
const PAGE: usize = 64;
/// While the store is away.
const FLUSH_AGAIN: Duration = Duration::from_millis(50);
/// A store that has been saying for this long that it cannot read will not be able to in a moment, and the user is told.
const TELL_AFTER: Duration = Duration::from_secs(3);
/// From this many conversations on it pays to ask first which of them have anything new.
const ASK_HEADS_FROM: usize = 4;

/// What to read.
#[derive(Debug)]
pub(crate) struct Lap {
    /// Whose.
    pub(crate) user: UserName,
    /// These conversations after that `seq`, first.
    pub(crate) known: BTreeMap<ConversationId, u64>,
    /// Then everything past the user's cursor.
    pub(crate) unseen: bool,
    /// Then these conversations after that `seq`.
    pub(crate) gaps: BTreeMap<ConversationId, u64>,
}

/// What was read.
#[derive(Debug)]
pub(crate) enum Page {
    /// The unseen are read from here on: what the feed had brought up to this position comes in a later page, or was seen.
    Unseen(FeedPosition),
    /// Events, in order within their conversation, and what they take of the room for pages until they were shown.
    Events(Vec<Event>, Kept),
    /// What is kept for the user cannot be read now; it will be tried until it can.
    Unreadable,
    /// The store refuses to hand it out; it will be tried, but somebody must repair that first.
    Refused,
    /// That was all, up to this position of the feed.
    End(FeedPosition),
}

/// The session does not want more.
struct Unwanted;

/// Starts a lap.
///
/// Bound: one page waits. Overflow rule: the next is not read before.
pub(crate) fn start(server: &Arc<Server>, lap: Lap) -> mpsc::Receiver<Page> {
    let (pages, receiver) = mpsc::channel(1);
    let server_of_task = Arc::clone(server);
    server.tasks.spawn(async move {
        let server = server_of_task;
        tokio::select! {
            biased;
            () = pages.closed() => {}
            // That the session does not want more is no failure.
            _ = read(&server, lap, &pages) => {}
        }
    });
    receiver
}

async fn read(server: &Server, lap: Lap, pages: &mpsc::Sender<Page>) -> Result<(), Unwanted> {
    let Lap { user, known, unseen, gaps } = lap;
    let mut reader = Reader { server, user: &user, pages, told: false, limit: PAGE };
    reader.conversations(known).await?;
    let mut position = None;
    if unseen {
        // What was seen and is still on its way to the store would be shown again.
        while !server.cursors.flush(&user).await {
            tokio::time::sleep(FLUSH_AGAIN).await;
        }
        position = Some(reader.unseen().await?);
    }
    if !gaps.is_empty() {
        reader.conversations(gaps).await?;
        position = None;
    }
    // The position must lie behind everything that was read.
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
    /// The session knows that something cannot be read.
    told: bool,
    /// How many events to ask for: fewer after a page for which there was no room.
    limit: usize,
}

impl<'a> Reader<'a> {
    /// Asks for so many events until there is an answer, which takes room as long as the permit is held. What stands in the way is told
    /// once.
    async fn ask<T, F: Future<Output = Result<T, ApiError>>>(
        &mut self,
        events: usize,
        read: impl Fn() -> F,
    ) -> (T, SemaphorePermit<'a>) {
        let backend = &self.server.backend;
        let mut attempts = Attempts::default();
        loop {
            let reading = backend.room.to_read(events).await;
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

    /// Tells the session, where there is a reason to; says whether it was told.
    async fn tell(&self, why: Trouble) -> bool {
        match why {
            Trouble::Unreachable => false,
            // Where a page waits for the session, it is told with a later attempt.
            Trouble::Unavailable(so_long) => {
                so_long >= TELL_AFTER && self.pages.try_send(Page::Unreadable).is_ok()
            }
            // The next attempt is not soon, so it can wait until the session has taken the page before.
            Trouble::Refused => self.pages.send(Page::Refused).await.is_ok(),
        }
    }

    /// Room for these events until the session has shown them; where there is none, they are read again one by one.
    fn keep(&mut self, events: &[Event]) -> Option<Kept> {
        let kept = self.server.backend.room.to_keep(events);
        self.limit = if kept.is_some() { PAGE.min(self.limit * 2) } else { 1 };
        kept
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

    /// Leaves out the conversations that end where the session is.
    async fn with_news(&mut self, mut after: BTreeMap<ConversationId, u64>) -> BTreeMap<ConversationId, u64> {
        if after.len() >= ASK_HEADS_FROM {
            let (api, user) = (&self.server.backend.api, self.user);
            // Each has its last event.
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
            let Some(kept) = self.keep(&page.events) else { continue };
            drop(reading);
            let Some(last) = page.events.last() else { return Ok(()) };
            after = last.seq;
            self.hand_on(Page::Events(page.events, kept)).await?;
            if !page.more {
                return Ok(());
            }
        }
    }

    async fn unseen(&mut self) -> Result<FeedPosition, Unwanted> {
        let (api, user) = (&self.server.backend.api, self.user);
        let mut next: Option<String> = None;
        loop {
            let limit = self.limit;
            let (page, reading) = self.ask(limit, || api.unseen(user, next.as_deref(), limit)).await;
            let Some(kept) = self.keep(&page.events) else { continue };
            drop(reading);
            if next.is_none() {
                self.hand_on(Page::Unseen(page.began)).await?;
            }
            if !page.events.is_empty() {
                self.hand_on(Page::Events(page.events, kept)).await?;
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
