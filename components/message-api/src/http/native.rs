//! The endpoints for the project's own servers, `/v1`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, Path, Request, State};
use protocol::api::{
    AppendRequest, AppendResponse, Conversations, CursorMoves, Done, EventPage, NameAsked, Names,
    RegisterUser, Standing, StateEntries, StateValue, UnseenPage, Users,
};
use protocol::limits::{BATCH_DRAFTS, KNOWN_NAMES, PAGE_EVENTS, PAGE_USERS};
use protocol::{ConversationId, Timestamp, UserName};
use serde::Deserialize;

use super::input::{self, Asked, Body};
use super::problem::Refusal;
use crate::service::Service;
use crate::store::{Range, StatePut};

type Shared = State<Arc<Service>>;

/// The longest address of a registration: an IPv6 address with zone and port.
const ADDRESS_BYTES: usize = 100;

/// `POST /v1/append`. The body is read only once there is a permit for it.
pub(super) async fn append(
    State(service): Shared,
    request: Request,
) -> Result<Json<AppendResponse>, Refusal> {
    let _place = service.batches.acquire().await.expect("the semaphore is never closed");
    let Body(AppendRequest { drafts, own }) = Body::from_request(request, &()).await?;
    if drafts.len() > BATCH_DRAFTS {
        return Err(Refusal::field("drafts", format!("a batch has at most {BATCH_DRAFTS} drafts")));
    }
    let results = if drafts.is_empty() {
        Vec::new()
    } else {
        service.append(drafts, own).await.map_err(Refusal::of_batch)?
    };
    Ok(Json(AppendResponse { results, durability: service.store.durability() }))
}

/// The query of a page.
#[derive(Debug, Deserialize)]
pub(super) struct UnseenQuery {
    after: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/users/{user}/unseen`.
pub(super) async fn unseen(
    State(service): Shared,
    Path(user): Path<String>,
    Asked(query): Asked<UnseenQuery>,
) -> Result<Json<UnseenPage>, Refusal> {
    let user = input::path("user", &user, UserName::parse)?;
    let limit = query.limit.unwrap_or(PAGE_EVENTS);
    if query.after.is_none() {
        service.deliveries.settle(&user, None).await;
    }
    Ok(Json(service.unseen(&user, query.after.as_deref(), limit).await?))
}

/// `GET /v1/users/{user}/conversations`.
pub(super) async fn conversations(
    State(service): Shared,
    Path(user): Path<String>,
) -> Result<Json<Conversations>, Refusal> {
    let user = input::path("user", &user, UserName::parse)?;
    service.deliveries.settle(&user, None).await;
    let conversations = service.store.conversations(&user, PAGE_EVENTS).await?;
    Ok(Json(Conversations { conversations }))
}

/// `POST /v1/cursors`.
pub(super) async fn cursors(service: Arc<Service>, moves: CursorMoves) -> Result<Done, Refusal> {
    let CursorMoves { moves } = moves;
    if let Some(stranger) = moves.iter().find(|to| !to.conversation.is_dm_of(&to.user)) {
        let detail = format!("{} takes no part in {}", stranger.user, stranger.conversation);
        return Err(Refusal::field("conversation", detail));
    }
    if !moves.is_empty() {
        service.store.move_cursors(moves).await?;
    }
    Ok(Done {})
}

/// The query of a conversation's events.
#[derive(Debug, Deserialize)]
pub(super) struct EventsQuery {
    after: Option<u64>,
    before: Option<u64>,
    limit: Option<usize>,
}

/// `GET /v1/conversations/{id}/events`.
pub(super) async fn events(
    State(service): Shared,
    Path(id): Path<String>,
    Asked(query): Asked<EventsQuery>,
) -> Result<Json<EventPage>, Refusal> {
    let id = input::path("id", &id, ConversationId::parse)?;
    let range = match (query.after, query.before) {
        (Some(after), None) => Range::After(after),
        (None, Some(before)) => Range::Before(before),
        (None, None) => Range::Before(u64::MAX),
        (Some(_), Some(_)) => return Err(Refusal::field("before", "either after or before, not both")),
    };
    let limit = query.limit.unwrap_or(PAGE_EVENTS).clamp(1, PAGE_EVENTS);
    Ok(Json(service.store.events(&id, range, limit).await?))
}

/// The query of a page of users.
#[derive(Debug, Deserialize)]
pub(super) struct UsersQuery {
    after: Option<u64>,
    limit: Option<usize>,
}

/// `GET /v1/users`.
pub(super) async fn users(
    State(service): Shared,
    Asked(query): Asked<UsersQuery>,
) -> Result<Json<Users>, Refusal> {
    let limit = query.limit.unwrap_or(PAGE_USERS).clamp(1, PAGE_USERS);
    Ok(Json(service.store.users(query.after.unwrap_or(0), limit).await?))
}

/// `POST /v1/users`.
pub(super) async fn register(service: Arc<Service>, user: RegisterUser) -> Result<Done, Refusal> {
    if user.address.as_ref().is_some_and(|address| address.len() > ADDRESS_BYTES) {
        return Err(Refusal::field("address", format!("an address has at most {ADDRESS_BYTES} bytes")));
    }
    service.store.register(user).await?;
    Ok(Done {})
}

/// `POST /v1/users/known`.
pub(super) async fn known(service: Arc<Service>, asked: Names) -> Result<Names, Refusal> {
    let Names { names } = asked;
    if names.len() > KNOWN_NAMES {
        return Err(Refusal::field("names", format!("at most {KNOWN_NAMES} names at once")));
    }
    let names = if names.is_empty() { names } else { service.store.known(names).await? };
    Ok(Names { names })
}

/// `POST /v1/users/standing`.
pub(super) async fn standing(service: Arc<Service>, asked: NameAsked) -> Result<Standing, Refusal> {
    let NameAsked { name, token } = asked;
    let now = Timestamp::now();
    let registered = service.store.known(vec![name.clone()]).await?.contains(&name);
    let looks_like = if registered { None } else { service.store.lookalike(&name).await? };
    let access = service.accounts.access(&name, token.as_deref()).await?;
    Ok(Standing { registered, looks_like, access, now })
}

/// `GET /v1/state/{owner}`.
pub(super) async fn state(
    State(service): Shared,
    Path(owner): Path<String>,
) -> Result<Json<StateEntries>, Refusal> {
    let owner = input::path("owner", &owner, UserName::parse)?;
    Ok(Json(StateEntries { entries: service.store.state(&owner).await? }))
}

/// `PUT /v1/state/{owner}/{key}`.
pub(super) async fn put_state(
    State(service): Shared,
    Path((owner, key)): Path<(String, String)>,
    Body(StateValue { value }): Body<StateValue>,
) -> Result<Json<Done>, Refusal> {
    let owner = input::path("owner", &owner, UserName::parse)?;
    service.store.put_state(StatePut::new(owner, &key, value.as_ref())?).await?;
    Ok(Json(Done {}))
}
