//! The fake message API: the endpoints that services use.

use std::future::{Ready, ready};
use std::sync::Arc;

use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, put};
use axum::{Json, Router};
use protocol::api::{EventPage, StateEntries, StateValue};
use protocol::{ConversationId, UserName};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shared::Shared;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/state/{owner}", get(state))
        .route("/v1/state/{owner}/{key}", put(put_state))
        .route("/v1/conversations/{id}/events", get(events))
        .layer(from_fn_with_state(Arc::clone(&shared), check_token))
        .with_state(shared)
}

async fn check_token(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Result<Response, StatusCode> {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match header.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(token) if shared.token.matches(token) => Ok(next.run(request).await),
        _ => Err(StatusCode::UNAUTHORIZED),
    }
}

fn state(State(shared): State<Arc<Shared>>, Path(owner): Path<UserName>) -> Ready<Json<StateEntries>> {
    ready(Json(StateEntries { entries: shared.world().state(&owner) }))
}

fn put_state(
    State(shared): State<Arc<Shared>>,
    Path((owner, key)): Path<(UserName, String)>,
    Json(value): Json<StateValue>,
) -> Ready<Json<Value>> {
    shared.world().put_state(&owner, key, value.value);
    shared.changed();
    ready(Json(json!({})))
}

#[derive(Deserialize)]
struct Page {
    after: Option<u64>,
    before: Option<u64>,
    limit: usize,
}

fn events(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<ConversationId>,
    Query(page): Query<Page>,
) -> Ready<Json<EventPage>> {
    let (after, before) = (page.after.unwrap_or(0), page.before.unwrap_or(u64::MAX));
    let world = shared.world();
    let range = world.events(&id).iter().filter(|event| event.seq > after && event.seq < before);
    let mut events: Vec<_> = range.cloned().collect();
    let more = events.len() > page.limit;
    if page.after.is_some() {
        events.truncate(page.limit);
    } else {
        events.drain(..events.len().saturating_sub(page.limit));
    }
    ready(Json(EventPage { events, more }))
}
