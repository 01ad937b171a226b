//! `GET /api/v1/events`: events as server-sent events, until the page disconnects or this process stops.

use std::convert::Infallible;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use protocol::lan::view;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::app::App;
use super::problem::problem;

struct Follower {
    events: Receiver<view::Event>,
    shutdown: CancellationToken,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn events(State(app): State<App>) -> Response {
    let Ok(place) = Arc::clone(&app.followers).try_acquire_owned() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "too many pages are open");
    };
    let follower = Follower { events: app.node.events(), shutdown: app.shutdown, _place: place };
    Sse::new(stream::unfold(follower, next)).keep_alive(KeepAlive::default()).into_response()
}

/// The next event; a follower that lags receives [`Event::Lagged`].
async fn next(mut follower: Follower) -> Option<(Result<Event, Infallible>, Follower)> {
    let event = match follower.shutdown.run_until_cancelled(follower.events.recv()).await? {
        Ok(event) => event,
        Err(RecvError::Lagged(_)) => view::Event::Lagged,
        Err(RecvError::Closed) => return None,
    };
    let json = serde_json::to_string(&event).expect("an event can be written as JSON");
    Some((Ok(Event::default().data(json)), follower))
}
