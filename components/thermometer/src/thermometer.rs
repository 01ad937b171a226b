//! The thermometer at work.
//!
//! The life of a command: taken from the service → `range`, `reboot` and what is unknown are answered each on a task of their own →
//! `subscribe` and `unsubscribe` go one after another to the clerk, who has them kept before the answer is said. The life of an
//! update: a tick → one reading → one message to each subscriber, and the round is over when all of them are stored, and the
//! subscriptions that nobody wants any more are ended. Ticks that pass meanwhile are skipped: a temperature that nobody could be told
//! is no news any more.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use kit::{Context, Failure};
use protocol::native::Send;
use protocol::{Body, ClientId, MessageType, Metadata, UserName};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transport::service::Role;
use transport::{ApiClient, Limits, NativeClient, Question, Service};

use crate::command::{self, Command, Wish, parse};
use crate::config::{Checked, Upstream};
use crate::reading::Readings;
use crate::sensor::Sensor;
use crate::subscribers::{SubscribeError, Subscribers};

/// What may ask for something; what other services tell is none of them.
const KINDS: &[MessageType] = &[MessageType::Chat, MessageType::Command, MessageType::Subscription];
/// How long a reboot takes.
const REBOOT: Duration = Duration::from_secs(2);
/// Changes of subscriptions that wait for the clerk: as many as a service has messages under way, so it is never full.
const CLERK_QUEUE: usize = 512;
/// Updates that are on their way at once.
const UPDATES_UNDER_WAY: usize = 64;

/// Works until the context's shutdown.
pub(crate) async fn serve(
    config: Checked,
    upstream: Upstream,
    sensor: Box<dyn Sensor>,
    context: Context,
) -> Result<(), Failure> {
    let api = ApiClient::new(upstream.api, context.service_token.clone());
    let load = Subscribers::load(api, config.name.clone(), config.bounds);
    let subscribers = tokio::select! {
        () = context.shutdown.cancelled() => return Ok(()),
        subscribers = load => Arc::new(subscribers?),
    };
    let role = Role {
        name: config.name,
        kinds: KINDS,
        answers: MessageType::Notification,
        limits: Limits { messages: config.messages_per_hour, cost: 0 },
    };
    let mut service = Service::start(upstream.chat, role, &context);
    let readings = Arc::new(Readings::of(sensor));
    let tasks = TaskTracker::new();
    let (clerk, changes) = mpsc::channel(CLERK_QUEUE);
    tasks.spawn(keep_changes(changes, Arc::clone(&subscribers), tasks.clone(), context.shutdown.clone()));
    let updates = update(config.interval, service.client().clone(), subscribers, Arc::clone(&readings));
    let updates = tokio::spawn(context.shutdown.clone().run_until_cancelled_owned(updates));
    let desk = Desk { readings, clerk, tasks: tasks.clone(), shutdown: context.shutdown };
    let result = loop {
        match service.next().await {
            Ok(Some(question)) => desk.take(question),
            Ok(None) => break Ok(()),
            Err(failure) => break Err(failure),
        }
    };
    drop(desk);
    updates.abort();
    tasks.close();
    service.drain(tasks.wait()).await;
    result
}

/// Gives each command to whoever deals with it.
struct Desk {
    readings: Arc<Readings>,
    clerk: mpsc::Sender<(Question, Wish)>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Desk {
    fn take(&self, question: Question) {
        match parse(question.event.body.as_str()) {
            Command::Subscription(wish) => {
                if self.clerk.try_send((question, wish)).is_err() {
                    tracing::warn!("too many unsaved subscriptions; this one is saved at the next start");
                }
            }
            Command::Range => {
                self.tasks.spawn(answer(question, command::RANGE, self.readings.range()));
            }
            Command::Reboot => {
                self.tasks.spawn(reboot(question, self.shutdown.clone()));
            }
            Command::Unknown => {
                self.tasks.spawn(answer(question, command::UNKNOWN, Metadata::default()));
            }
        }
    }
}

/// Answers after a while. Whoever is still waiting at the end is answered after the next start.
async fn reboot(question: Question, shutdown: CancellationToken) {
    if shutdown.run_until_cancelled(tokio::time::sleep(REBOOT)).await.is_some() {
        answer(question, command::REBOOTED, Metadata::default()).await;
    }
}

/// The clerk: has one change after another kept, and only then says so.
async fn keep_changes(
    mut changes: mpsc::Receiver<(Question, Wish)>,
    subscribers: Arc<Subscribers>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    while let Some((question, wish)) = changes.recv().await {
        let change = subscribers.change(&question.event.sender, wish);
        let Some(result) = shutdown.run_until_cancelled(change).await else { return };
        let text = match (result, wish) {
            (Ok(()), Wish::Subscribe) => command::SUBSCRIBED,
            (Ok(()), Wish::Unsubscribe) => command::UNSUBSCRIBED,
            (Err(SubscribeError::Full(_)), _) => command::FULL,
            (Err(error @ SubscribeError::Refused(_)), _) => {
                let error = kit::failure::chain(&error);
                tracing::error!(error, "cannot save a subscription");
                command::NOT_KEPT
            }
        };
        tasks.spawn(answer(question, text, Metadata::default()));
    }
}

async fn answer(question: Question, text: &'static str, metadata: Metadata) {
    match question.reply(1, body(text), metadata).await {
        Ok(_) => question.finish().await,
        Err(transport::SendError::Refused(error)) => {
            tracing::warn!(error = error.message, "an answer was rejected");
            question.finish().await;
        }
        // It is answered after the next start.
        Err(transport::SendError::Ended) => {}
    }
}

async fn update(
    interval: Duration,
    client: NativeClient,
    subscribers: Arc<Subscribers>,
    readings: Arc<Readings>,
) {
    let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut last = Instant::now();
    loop {
        let now = ticks.tick().await;
        let elapsed = now.duration_since(std::mem::replace(&mut last, now));
        tell(&client, &subscribers, &readings.one(), elapsed).await;
        for name in subscribers.tend().await {
            tracing::info!(user = %name, "subscription expired: its user was offline for too long");
            // Not waited for: it is no loss when it cannot be said.
            let farewell = notification(name, command::ENDED, Metadata::default());
            let client = client.clone();
            tokio::spawn(async move { client.send(farewell).await });
        }
    }
}

/// One round: the same reading to everybody.
async fn tell(client: &NativeClient, subscribers: &Subscribers, reading: &Metadata, elapsed: Duration) {
    let mut under_way = FuturesOrdered::new();
    for subscriber in subscribers.names() {
        if under_way.len() >= UPDATES_UNDER_WAY {
            under_way.next().await;
        }
        let send = notification(subscriber.clone(), command::UPDATE, reading.clone());
        under_way.push_back(async move {
            match client.send(send).await {
                Ok(ack) => subscribers.saw(&subscriber, ack.online, elapsed),
                Err(transport::SendError::Refused(error)) => {
                    tracing::warn!(error = error.message, "an update was rejected");
                }
                Err(transport::SendError::Ended) => {}
            }
        });
    }
    while under_way.next().await.is_some() {}
}

fn notification(to: UserName, text: &str, metadata: Metadata) -> Send {
    Send {
        trace: false,
        client_id: ClientId::fresh(),
        to,
        body: body(text),
        kind: MessageType::Notification,
        metadata: metadata.into_automatic().expect("our own metadata leave room for the mark"),
        timestamp: None,
    }
}

fn body(text: &str) -> Body {
    Body::parse(text).expect("our own words are a message")
}
