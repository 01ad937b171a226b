//! Follows the feed of committed events and passes each to the hub, across restarts of the message API.
//!
//! Of what this server appended itself the feed has only marks, whose events are in [`OwnBatches`](crate::backend::own_batches). If they are
//! not, the feed is opened again where it was, and brings them in full.

use std::time::Duration;

use kit::backoff::Backoff;
use protocol::Event;
use protocol::api::{FeedFrame, FeedPosition};
use tokio::sync::watch;
use tokio::time::Instant;
use transport::FeedError;
use uuid::Uuid;

use crate::backend::Backend;
use crate::backend::api::ApiFeed;
use crate::delivery::hub::Hub;
use crate::directory::client_book::ClientBook;
use crate::metrics::Metrics;
use crate::traces::Traces;

/// The message API is back within a second after a crash; events wait for us meanwhile.
const RETRY_CAP: Duration = Duration::from_millis(500);

/// The state of the feed connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Untried,
    /// The message API did not answer, or the connection was lost.
    Down,
    /// Connected.
    Up,
}

/// What the feed updates besides the hub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observers<'s> {
    pub(crate) metrics: &'s Metrics,
    pub(crate) traces: &'s Traces,
    pub(crate) client_book: &'s ClientBook,
}

/// Why a feed connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Broken(#[from] FeedError),
    #[error("the feed skipped from {0} to {1}")]
    Gap(u64, u64),
    #[error("the feed did not say where it begins")]
    NoStart,
    #[error("an event of our own is not known here")]
    NotHeld,
}

/// Follows the feed, forever.
pub(crate) async fn follow(
    backend: &Backend,
    hub: &Hub,
    observers: Observers<'_>,
    link: &watch::Sender<Link>,
) {
    let mut position = None;
    let mut backoff = Backoff::new(Duration::from_millis(50), RETRY_CAP);
    loop {
        let Err(end) = connected(backend, hub, observers, link, &mut position, &mut backoff).await;
        backend.own.set_reader(None);
        // Nothing is wrong with the connection. The next one brings the event, so this does not repeat without progress.
        if matches!(end, End::NotHeld) {
            tracing::debug!(?position, "asking the feed for events of our own");
            continue;
        }
        let was = link.send_replace(Link::Down);
        let error = kit::failure::chain(&end);
        if was == Link::Up {
            tracing::warn!(error, "lost the message API's feed");
        } else {
            tracing::debug!(error, "cannot follow the message API's feed");
        }
        tokio::time::sleep(backoff.next_delay().max(Duration::from_millis(10))).await;
    }
}

async fn connected(
    backend: &Backend,
    hub: &Hub,
    observers: Observers<'_>,
    link: &watch::Sender<Link>,
    position: &mut Option<FeedPosition>,
    backoff: &mut Backoff,
) -> Result<std::convert::Infallible, End> {
    let reader = Uuid::new_v4();
    let mut feed = backend.api.feed(*position, reader).await?;
    let (mut at, has_marks) = start(&mut feed, hub, observers, *position).await?;
    *position = Some(at);
    backend.own.set_reader(has_marks.then_some(reader));
    // An empty batch stores nothing, and its answer has the store's durability.
    if let Ok(answer) = backend.api.append(Vec::new()).await {
        backend.set_durability(answer.durability);
    }
    backoff.reset();
    if link.send_replace(Link::Up) != Link::Up {
        tracing::info!(index = at.index, "following the message API's feed");
    }
    loop {
        match feed.next().await? {
            FeedFrame::Event { index, event } if index == at.index + 1 => {
                at.index = index;
                dispatch(*event, hub, observers, at);
                *position = Some(at);
            }
            FeedFrame::Own { index, batch, first, count } if index == at.index + count as u64 => {
                let events = backend.own.take(batch, first, count).await.ok_or(End::NotHeld)?;
                for event in events {
                    at.index += 1;
                    dispatch(event, hub, observers, at);
                }
                *position = Some(at);
            }
            FeedFrame::Seen { index, user, conversation, seq } if index == at.index + 1 => {
                at.index = index;
                hub.was_seen(&user, &conversation, seq, at);
                *position = Some(at);
            }
            FeedFrame::Heartbeat { index } if index == at.index => {}
            FeedFrame::Event { index, .. }
            | FeedFrame::Own { index, .. }
            | FeedFrame::Seen { index, .. }
            | FeedFrame::Heartbeat { index } => {
                return Err(End::Gap(at.index, index));
            }
            FeedFrame::Start { .. } => return Err(End::NoStart),
        }
    }
}

fn dispatch(event: Event, hub: &Hub, observers: Observers<'_>, at: FeedPosition) {
    let arrived = Instant::now();
    observers.metrics.events.add(1);
    observers.traces.on_feed(&event);
    let received = observers.metrics.receive_times.take(&event.sender, &event.client_id, arrived);
    hub.dispatch(event, received, at);
    observers.metrics.fan_out.note(arrived.elapsed());
}

/// Reads the first frame; returns the position and whether our own events are marked only. If it does not continue where we were, every
/// session must read from the store.
async fn start(
    feed: &mut ApiFeed,
    hub: &Hub,
    observers: Observers<'_>,
    wanted: Option<FeedPosition>,
) -> Result<(FeedPosition, bool), End> {
    let FeedFrame::Start { epoch, index, resumed, log, own } = feed.next().await? else {
        return Err(End::NoStart);
    };
    let at = FeedPosition { epoch, index };
    if let Some(log) = log {
        hub.set_log(log);
    }
    if !(resumed && wanted == Some(at)) {
        observers.client_book.forget();
        hub.restart(at);
    }
    Ok((at, own))
}
