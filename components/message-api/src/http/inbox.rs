//! `GET /messages/{user}` and `POST /messages/{user}/seen` (`WIRE` §3).
//!
//! The life of an answer: unread messages are read in pages of about [`CHUNK_BYTES`], each written before the next is read, so that a
//! client that does not read takes no more memory than that → the last bytes are sent → the client has received them
//! ([`crate::deliveries`]) → the cursors move. With `ack=manual` they move when the client confirms.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use kit::http::Connection;
use protocol::api::{CursorMove, Done, InboxMessage, SeenMessage};
use protocol::limits::PAGE_EVENTS;
use protocol::{ConversationId, Event, UserName};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::guard;
use super::input::{self, Asked, Seen};
use super::problem::Refusal;
use crate::deliveries::Ending;
use crate::service::Service;
use crate::store::{StoreError, Unseen};

/// The size of a chunk, and so the memory of a client that does not read; a longer message is written alone.
const CHUNK_BYTES: usize = 16 * 1024;
/// Messages in the first page, before their length is known: this bounds the cost of a request whose answer nobody reads.
const FIRST_PAGE: usize = 8;
/// Pages read into memory concurrently. Overflow rule: further ones wait.
const PAGES: usize = 4;

/// Space for what is before and between messages.
const EDGES: usize = 64;

static READING: Semaphore = Semaphore::const_new(PAGES);

/// How messages are delivered.
#[derive(Debug, Deserialize)]
pub(super) struct InboxQuery {
    ack: Option<Ack>,
    limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ack {
    /// When the answer was received.
    Auto,
    /// When the client confirms.
    Manual,
}

/// Delivers all unread messages of the user.
pub(super) async fn inbox(
    State(service): State<Arc<Service>>,
    connection: Option<Extension<Arc<Connection>>>,
    headers: HeaderMap,
    Path(user): Path<String>,
    Asked(query): Asked<InboxQuery>,
) -> Result<Response, Refusal> {
    let user = input::path("user", &user, UserName::parse)?;
    guard::name(&service, &headers, "user", &user).await?;
    let connection = connection.map(|Extension(connection)| connection);
    service.deliveries.settle(&user, connection.as_ref()).await;
    let mut delivery = Delivery::new(service, user, connection, &query);
    // The first page is read before the answer begins, so that an error can still be reported.
    delivery.step = Step::Page(delivery.read(None).await?);
    let body = Body::from_stream(stream::try_unfold(delivery, Delivery::next));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Marks messages as read that were delivered with `ack=manual`.
pub(super) async fn seen(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    Path(user): Path<String>,
    Seen(seen): Seen,
) -> Result<Json<Done>, Refusal> {
    let user = input::path("user", &user, UserName::parse)?;
    guard::name(&service, &headers, "user", &user).await?;
    let mut reached = BTreeMap::new();
    for SeenMessage { conversation, seq } in seen.messages {
        if !conversation.is_dm_of(&user) {
            let detail = format!("{user} takes no part in {conversation}");
            return Err(Refusal::field("conversation", detail));
        }
        let last: &mut u64 = reached.entry(conversation).or_default();
        *last = seq.max(*last);
    }
    service.read_over_rest(moves(&user, reached)).await?;
    Ok(Json(Done {}))
}

fn moves(user: &UserName, reached: BTreeMap<ConversationId, u64>) -> Vec<CursorMove> {
    reached
        .into_iter()
        .map(|(conversation, seq)| CursorMove { user: user.clone(), device: None, conversation, seq })
        .collect()
}

/// An answer being made.
struct Delivery {
    service: Arc<Service>,
    user: UserName,
    /// `None` if the router is called without a server.
    connection: Option<Arc<Connection>>,
    ack: Ack,
    /// Messages that may still be delivered.
    left: usize,
    /// Messages per page.
    page: usize,
    /// The connection's flush count before the last chunk was sent.
    flushes: Option<u64>,
    /// The last `seq` delivered of each conversation. Bound: one per conversation of the user.
    reached: BTreeMap<ConversationId, u64>,
    ending: Option<Ending>,
    step: Step,
    /// The beginning of the answer was sent.
    is_begun: bool,
    /// No message was sent.
    is_empty: bool,
}

enum Step {
    Page(Unseen),
    After(String),
    Close,
    Over,
}

impl Delivery {
    fn new(
        service: Arc<Service>,
        user: UserName,
        connection: Option<Arc<Connection>>,
        query: &InboxQuery,
    ) -> Self {
        Self {
            service,
            user,
            connection,
            ack: query.ack.unwrap_or(Ack::Auto),
            left: query.limit.unwrap_or(usize::MAX),
            page: FIRST_PAGE,
            flushes: None,
            reached: BTreeMap::new(),
            ending: None,
            step: Step::Close,
            is_begun: false,
            is_empty: true,
        }
    }

    async fn next(mut self) -> Result<Option<(Bytes, Self)>, StoreError> {
        let chunk = match std::mem::replace(&mut self.step, Step::Over) {
            Step::Page(page) => self.write(page),
            Step::After(end) => {
                self.wait_for_reader().await;
                let page = self.read(Some(&end)).await?;
                self.write(page)
            }
            Step::Close => {
                self.close().await?;
                Bytes::from_static(b"]}")
            }
            Step::Over => {
                self.over();
                return Ok(None);
            }
        };
        Ok(Some((chunk, self)))
    }

    /// A page of about [`CHUNK_BYTES`]. A longer one is read again with fewer messages: only the store knows where the next one begins.
    async fn read(&mut self, after: Option<&str>) -> Result<Unseen, StoreError> {
        let queued = self.connection.as_ref().map(|connection| connection.queue());
        let _turn = READING.acquire().await.expect("the semaphore is never closed");
        drop(queued);
        loop {
            let limit = self.page.min(self.left).max(1);
            let page = self.service.store.unseen(&self.user, after, limit).await?;
            let bytes: usize = page.events.iter().map(size).sum();
            let count = page.events.len();
            self.page = (CHUNK_BYTES * count.max(1) / bytes.max(1)).clamp(1, PAGE_EVENTS);
            if bytes <= CHUNK_BYTES + CHUNK_BYTES / 2 || count <= 1 || self.page >= limit {
                return Ok(page);
            }
        }
    }

    fn write(&mut self, page: Unseen) -> Bytes {
        let bytes: usize = page.events.iter().map(size).sum();
        let mut chunk = Vec::with_capacity(bytes + EDGES);
        if !std::mem::replace(&mut self.is_begun, true) {
            chunk.extend_from_slice(b"{\"messages\":[");
        }
        for event in page.events {
            let place = SeenMessage { conversation: event.conversation.clone(), seq: event.seq };
            let seq = self.reached.entry(event.conversation.clone()).or_default();
            if event.seq <= *seq {
                continue;
            }
            *seq = event.seq;
            if !std::mem::take(&mut self.is_empty) {
                chunk.push(b',');
            }
            self.left = self.left.saturating_sub(1);
            self.service.metrics.handed_over.add(1);
            let mut message = InboxMessage::new(event, &self.user);
            message.place = (self.ack == Ack::Manual).then_some(place);
            serde_json::to_writer(&mut chunk, &message).expect("a message serialises into memory");
        }
        self.step = if page.more && self.left > 0 { Step::After(page.end) } else { Step::Close };
        self.flushes = self.connection.as_ref().map(|connection| connection.flushes());
        // Nothing but the bytes is held: thousands of clients may read slowly.
        chunk.into_boxed_slice().into()
    }

    /// Waits until the previous chunk was taken.
    async fn wait_for_reader(&self) {
        if let (Some(connection), Some(flushes)) = (&self.connection, self.flushes) {
            connection.flushed_since(flushes).await;
        }
    }

    /// The last bytes of the body are next.
    async fn close(&mut self) -> Result<(), StoreError> {
        match (&self.connection, self.ack) {
            (_, Ack::Manual) => Ok(()),
            (Some(connection), Ack::Auto) => {
                let shutdown = &self.service.shutdown;
                let ending = self.service.deliveries.end(self.user.clone(), Arc::clone(connection), shutdown);
                self.ending = Some(ending);
                Ok(())
            }
            (None, Ack::Auto) => {
                let moves = moves(&self.user, std::mem::take(&mut self.reached));
                self.service.read_over_rest(moves).await
            }
        }
    }

    fn over(&mut self) {
        if let Some(ending) = self.ending.take() {
            let moves = moves(&self.user, std::mem::take(&mut self.reached));
            let service = Arc::clone(&self.service);
            ending.follow(async move { service.read_over_rest(moves).await });
        }
    }
}

/// The approximate size of a message in bytes.
fn size(event: &Event) -> usize {
    const FIELDS: usize = 250;
    FIELDS + event.content_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreConfig;
    use crate::sample;
    use std::time::Duration;

    #[tokio::test]
    async fn a_page_waits_until_one_of_the_few_that_are_read_at_once_is_done() {
        let directory = tempfile::tempdir().unwrap();
        let service = Arc::new(sample::service(directory.path(), &StoreConfig::default()).await);
        let others = READING.acquire_many(u32::try_from(PAGES).unwrap()).await.unwrap();
        let query = InboxQuery { ack: None, limit: None };
        let mut delivery = Delivery::new(service, sample::name("bob"), None, &query);
        let mut read = std::pin::pin!(delivery.read(None));
        let early = tokio::time::timeout(Duration::from_millis(300), &mut read).await;
        assert!(early.is_err(), "its turn has not come");
        drop(others);
        let page = tokio::time::timeout(Duration::from_secs(20), read).await.unwrap().unwrap();
        assert!(page.events.is_empty());
    }
}
