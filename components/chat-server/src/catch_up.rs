//! Reads from the store what a session has not been sent, page by page, as fast as the session takes the pages.
//!
//! One task for each lap: conversations named one by one, then the unseen. It ends with the position of the feed at which the store
//! was read, or when the session does not want more pages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::api::FeedPosition;
use protocol::{ConversationId, Event, UserName};
use tokio::sync::mpsc;
use transport::api::Range;

use crate::server::Server;

/// Events in one page. At most two pages are held for a session.
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
    /// Events, in order within their conversation.
    Events(Vec<Event>),
    /// What is kept for the user cannot be read now; it will be tried until it can.
    Unreadable,
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
    read_conversations(server, &user, known, pages).await?;
    let mut position = None;
    if unseen {
        // What was seen and is still on its way to the store would be shown again.
        while !server.cursors.flush(&user).await {
            tokio::time::sleep(FLUSH_AGAIN).await;
        }
        position = Some(read_unseen(server, &user, pages).await?);
    }
    if !gaps.is_empty() {
        read_conversations(server, &user, gaps, pages).await?;
        position = None;
    }
    // The position must lie behind everything that was read.
    let end = match position {
        Some(position) => position,
        None => server.backend.read(|| server.backend.api.unseen(&user, None, 1)).await.position,
    };
    pages.send(Page::End(end)).await.map_err(|_| Unwanted)
}

async fn read_conversations(
    server: &Server,
    user: &UserName,
    after: BTreeMap<ConversationId, u64>,
    pages: &mpsc::Sender<Page>,
) -> Result<(), Unwanted> {
    for (conversation, seq) in with_news(server, user, after).await {
        read_conversation(server, &conversation, seq, pages).await?;
    }
    Ok(())
}

/// Leaves out the conversations that end where the session is.
async fn with_news(
    server: &Server,
    user: &UserName,
    mut after: BTreeMap<ConversationId, u64>,
) -> BTreeMap<ConversationId, u64> {
    if after.len() >= ASK_HEADS_FROM {
        let recent = server.backend.read(|| server.backend.api.conversations(user)).await;
        for summary in recent.conversations {
            if after.get(&summary.conversation).is_some_and(|seq| *seq >= summary.head) {
                after.remove(&summary.conversation);
            }
        }
    }
    after
}

async fn read_conversation(
    server: &Server,
    conversation: &ConversationId,
    mut after: u64,
    pages: &mpsc::Sender<Page>,
) -> Result<(), Unwanted> {
    loop {
        let read = || server.backend.api.events(conversation, Range::After(after), PAGE);
        let page = server.backend.read(read).await;
        let Some(last) = page.events.last() else { return Ok(()) };
        after = last.seq;
        pages.send(Page::Events(page.events)).await.map_err(|_| Unwanted)?;
        if !page.more {
            return Ok(());
        }
    }
}

async fn read_unseen(
    server: &Server,
    user: &UserName,
    pages: &mpsc::Sender<Page>,
) -> Result<FeedPosition, Unwanted> {
    let (mut next, mut told): (Option<String>, bool) = (None, false);
    loop {
        let read = || server.backend.api.unseen(user, next.as_deref(), PAGE);
        // Where a page waits for the session, it is told with a later attempt.
        let refused =
            |so_long| told = told || so_long >= TELL_AFTER && pages.try_send(Page::Unreadable).is_ok();
        let page = server.backend.read_or_tell(read, refused).await;
        if next.is_none() {
            pages.send(Page::Unseen(page.began)).await.map_err(|_| Unwanted)?;
        }
        if !page.events.is_empty() {
            pages.send(Page::Events(page.events)).await.map_err(|_| Unwanted)?;
        }
        next = page.next;
        if next.is_none() {
            return Ok(page.position);
        }
    }
}
