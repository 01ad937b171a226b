//! The endpoints that existing programs use (`WIRE` §3).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use protocol::api::{CursorMove, Health, InboxMessage, Stored, StoredStatus};
use protocol::limits::PAGE_EVENTS;
use protocol::{ClientId, ConversationId, Draft, NewName, UserName};

use super::input::{self, Posted};
use super::problem::Refusal;
use crate::service::Service;
use crate::store::{StoreError, Unseen};

/// `POST /messages/`: answered once the message is durable.
pub(super) async fn post(
    State(service): State<Arc<Service>>,
    Posted(message): Posted,
) -> Result<Json<Stored>, Refusal> {
    check_sender(&service, &message.sender).await?;
    let draft = Draft {
        sender: message.sender,
        destination: message.destination,
        body: message.message,
        kind: message.kind,
        metadata: message.metadata,
        client_id: ClientId::fresh(),
        timestamp: message.timestamp,
    };
    service.append(vec![draft]).await?;
    Ok(Json(Stored { status: StoredStatus::Stored }))
}

/// A new name must not be made to be taken for another. One that mixes scripts and was registered by an earlier version goes on.
async fn check_sender(service: &Service, sender: &UserName) -> Result<(), Refusal> {
    let Err(error) = NewName::new(sender.clone()) else { return Ok(()) };
    if service.store.known(vec![sender.clone()]).await?.contains(sender) {
        return Ok(());
    }
    Err(Refusal::field("sender", format!("sender: {error}")))
}

/// `GET /health`.
pub(super) async fn health() -> Json<Health> {
    Json(Health { status: "ok".to_owned() })
}

/// `GET /messages/{user}`: hands over what the user has not seen, however much it is, a page in memory at a time.
pub(super) async fn inbox(
    State(service): State<Arc<Service>>,
    Path(user): Path<String>,
) -> Result<Response, Refusal> {
    let user = input::path("user", &user, UserName::parse)?;
    // The first page is read before anything is answered, so that an error can still be one.
    let first = service.store.unseen(&user, None, PAGE_EVENTS).await?;
    let handover = Handover { service, user, reached: BTreeMap::new(), step: Step::Page(first), empty: true };
    let body = Body::from_stream(stream::try_unfold(handover, Handover::next));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// A handover under way. The cursors move after the last message was taken by the connection and before the closing bracket is:
/// whoever was cut off before the end gets everything again.
struct Handover {
    service: Arc<Service>,
    user: UserName,
    /// The last `seq` handed over of each conversation. Bound: one for each conversation of the user.
    reached: BTreeMap<ConversationId, u64>,
    step: Step,
    empty: bool,
}

enum Step {
    Page(Unseen),
    After(String),
    Close,
    Over,
}

impl Handover {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, StoreError> {
        let chunk = match std::mem::replace(&mut self.step, Step::Over) {
            Step::Page(page) => self.page(page),
            Step::After(end) => {
                let page = self.service.store.unseen(&self.user, Some(&end), PAGE_EVENTS).await?;
                self.page(page)
            }
            Step::Close => {
                self.move_cursors().await?;
                Bytes::from_static(b"]}")
            }
            Step::Over => return Ok(None),
        };
        Ok(Some((chunk, self)))
    }

    fn page(&mut self, page: Unseen) -> Bytes {
        let mut chunk = Vec::new();
        if self.empty {
            chunk.extend_from_slice(b"{\"messages\":[");
        }
        for event in page.events {
            let seq = self.reached.entry(event.conversation.clone()).or_default();
            if event.seq <= *seq {
                continue;
            }
            *seq = event.seq;
            if !std::mem::take(&mut self.empty) {
                chunk.push(b',');
            }
            self.service.metrics.handed_over.add(1);
            serde_json::to_writer(&mut chunk, &InboxMessage::from(event))
                .expect("a message serialises into memory");
        }
        self.step = if page.more { Step::After(page.end) } else { Step::Close };
        chunk.into()
    }

    async fn move_cursors(&mut self) -> Result<(), StoreError> {
        let user = &self.user;
        let moves: Vec<CursorMove> = std::mem::take(&mut self.reached)
            .into_iter()
            .map(|(conversation, seq)| CursorMove { user: user.clone(), device: None, conversation, seq })
            .collect();
        if moves.is_empty() {
            return Ok(());
        }
        self.service.store.move_cursors(moves.clone()).await?;
        // The user's sessions count what is unread, too.
        for CursorMove { user, conversation, seq, .. } in &moves {
            self.service.feed.tell_seen(user, conversation, *seq);
        }
        Ok(())
    }
}
