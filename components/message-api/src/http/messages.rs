//! The endpoints for existing programs (`WIRE` §3), except those that read: see [`super::inbox`].

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use protocol::api::{Health, Stored, StoredStatus};
use protocol::{ClientId, ConversationId, Draft, NewName, UserName};

use super::guard;
use super::input::Posted;
use super::problem::Refusal;
use crate::service::Service;

/// `POST /messages/`: answered once the message is durable.
pub(super) async fn post(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    Posted(message): Posted,
) -> Result<Json<Stored>, Refusal> {
    guard::name(&service, &headers, "sender", &message.sender).await?;
    check_sender(&service, &message.sender).await?;
    let draft = Draft {
        conversation: ConversationId::dm(&message.sender, &message.destination),
        sender: message.sender,
        body: message.message,
        kind: message.kind,
        metadata: message.metadata,
        client_id: ClientId::fresh(),
        timestamp: message.timestamp,
    };
    service.append(vec![draft], None).await?;
    Ok(Json(Stored { status: StoredStatus::Stored }))
}

/// A new name must not look like another. One that mixes scripts is accepted if an earlier version registered it.
async fn check_sender(service: &Service, sender: &UserName) -> Result<(), Refusal> {
    if let Some(other) = service.reserved.lookalike(sender) {
        let detail = format!(
            "sender: '{sender}' looks like '{other}', which is reserved for a service; choose another name"
        );
        return Err(Refusal::field("sender", detail));
    }
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
