//! Runs the thermometer.
//!
//! The life of a command: received from the service → `range`, `reboot` and unknown commands are each answered in a separate task →
//! `subscribe` and `unsubscribe` are processed one after another by the clerk, which stores them before it answers. The life of an update:
//! a tick → one reading → one message to each subscriber. The round ends when all of them are stored and expired subscriptions are ended.
//! Ticks that pass meanwhile are skipped, because an old temperature is worthless.

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

use crate::command::{self, Change, Command, parse};
use crate::config::{Checked, Upstream};
use crate::reading::Readings;
use crate::sensor::Sensor;
use crate::subscribers::{SubscribeError, Subscribers};

/// The types of messages that are commands; notifications of other services are not.
const KINDS: &[MessageType] = &[MessageType::Chat, MessageType::Command, MessageType::Subscription];
/// Duration of a simulated reboot.
const REBOOT: Duration = Duration::from_secs(2);
/// Most changes queued for the clerk: as many as a service has messages in flight, so it is never full.
const CLERK_QUEUE: usize = 512;
/// Most updates in flight.
const UPDATES_IN_FLIGHT: usize = 64;

/// Runs until the context's shutdown.
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
    tasks.spawn(run_clerk(changes, Arc::clone(&subscribers), tasks.clone(), context.shutdown.clone()));
    let updates = update(config.interval, service.client().clone(), subscribers, Arc::clone(&readings));
    let updates = tokio::spawn(context.shutdown.clone().run_until_cancelled_owned(updates));
    let dispatcher = Dispatcher { readings, clerk, tasks: tasks.clone(), shutdown: context.shutdown };
    let result = loop {
        match service.next().await {
            Ok(Some(question)) => dispatcher.take(question),
            Ok(None) => break Ok(()),
            Err(failure) => break Err(failure),
        }
    };
    drop(dispatcher);
    updates.abort();
    tasks.close();
    service.drain(tasks.wait()).await;
    result
}

/// Dispatches commands.
struct Dispatcher {
    readings: Arc<Readings>,
    clerk: mpsc::Sender<(Question, Change)>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Dispatcher {
    fn take(&self, question: Question) {
        match parse(question.event.body.as_str()) {
            Command::Subscription(requested) => {
                if self.clerk.try_send((question, requested)).is_err() {
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

/// Answers after a delay. Commands waiting at shutdown are answered after the next start.
async fn reboot(question: Question, shutdown: CancellationToken) {
    if shutdown.run_until_cancelled(tokio::time::sleep(REBOOT)).await.is_some() {
        answer(question, command::REBOOTED, Metadata::default()).await;
    }
}

/// The clerk: stores one change after another, and then confirms it.
async fn run_clerk(
    mut changes: mpsc::Receiver<(Question, Change)>,
    subscribers: Arc<Subscribers>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    while let Some((question, requested)) = changes.recv().await {
        let change = subscribers.change(&question.event.sender, requested);
        let Some(result) = shutdown.run_until_cancelled(change).await else { return };
        let text = match (result, requested) {
            (Ok(()), Change::Subscribe) => command::SUBSCRIBED,
            (Ok(()), Change::Unsubscribe) => command::UNSUBSCRIBED,
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
        send_updates(&client, &subscribers, &readings.one(), elapsed).await;
        for name in subscribers.end_expired().await {
            tracing::info!(user = %name, "subscription expired: its user was offline for too long");
            // Not awaited: it may be lost.
            let farewell = notification(name, command::ENDED, Metadata::default());
            let client = client.clone();
            tokio::spawn(async move { client.send(farewell).await });
        }
    }
}

/// One round: the same reading to all subscribers.
async fn send_updates(
    client: &NativeClient,
    subscribers: &Subscribers,
    reading: &Metadata,
    elapsed: Duration,
) {
    let mut under_way = FuturesOrdered::new();
    for subscriber in subscribers.names() {
        if under_way.len() >= UPDATES_IN_FLIGHT {
            under_way.next().await;
        }
        let send = notification(subscriber.clone(), command::UPDATE, reading.clone());
        under_way.push_back(async move {
            match client.send(send).await {
                Ok(ack) => subscribers.record_presence(&subscriber, ack.online, elapsed),
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
