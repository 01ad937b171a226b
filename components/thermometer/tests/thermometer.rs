//! The thermometer against stand-ins for the chat server and the message API.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::{Duration, Instant};

use protocol::{Event, MessageType};
use serde_json::json;
use thermometer::{Config, Upstream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use transport::testing::{FakeServers, name};

const ME: &str = "thermometer1";

struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), kit::Failure>>,
}

impl Running {
    fn start(servers: &FakeServers, interval: Duration) -> Self {
        Self::configured(servers, Config { interval, ..Config::default() })
    }

    fn configured(servers: &FakeServers, config: Config) -> Self {
        let shutdown = CancellationToken::new();
        let upstream = Upstream { chat: servers.chat, api: servers.api };
        let task = tokio::spawn(thermometer::run(config, upstream, servers.context(shutdown.clone())));
        Self { shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// Seldom enough that no test sees an update it did not ask for.
const NEVER: Duration = Duration::from_secs(3600);

async fn ask(servers: &FakeServers, text: &str) -> Event {
    let question = servers.say("alice", ME, MessageType::Command, text);
    answer(servers, &question).await
}

async fn answer(servers: &FakeServers, question: &Event) -> Event {
    let id = format!("re-{}", question.id);
    servers.until(|world| world.events_of(&name(ME)).find(|e| e.client_id.as_str() == id).cloned()).await
}

#[tokio::test]
async fn commands_are_answered_by_notifications() {
    let servers = FakeServers::start().await;
    let running = Running::start(&servers, NEVER);
    let range = ask(&servers, " RANGE ").await;
    assert_eq!((range.body.as_str(), range.kind), ("Temperature range data", MessageType::Notification));
    let keys: Vec<_> = range.metadata.object().keys().map(String::as_str).collect();
    assert_eq!(keys, ["temps", "time", "automatic"]);
    let temps = range.metadata.object()["temps"].as_array().unwrap();
    assert!(temps.len() == 5 && temps.iter().all(|t| (18.0..=26.0).contains(&t.as_f64().unwrap())));
    let unknown = ask(&servers, "dance").await;
    assert!(unknown.body.as_str().contains("subscribe, unsubscribe, range and reboot"));
    assert!(unknown.metadata.shown().is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_reboot_takes_two_seconds_and_nobody_waits_for_it() {
    let servers = FakeServers::start().await;
    let running = Running::start(&servers, NEVER);
    let start = Instant::now();
    let reboot = servers.say("alice", ME, MessageType::Chat, "Reboot");
    let range = servers.say("bob", ME, MessageType::Chat, "range");
    answer(&servers, &range).await;
    assert!(start.elapsed() < Duration::from_millis(1500));
    let rebooted = answer(&servers, &reboot).await;
    assert_eq!(rebooted.body.as_str(), "Reboot complete.");
    assert!(start.elapsed() >= Duration::from_secs(2));
    running.stop().await;
}

#[tokio::test]
async fn a_subscription_is_kept_before_it_is_confirmed_and_survives_a_restart() {
    let servers = FakeServers::start().await;
    let running = Running::start(&servers, NEVER);
    assert_eq!(ask(&servers, "Subscribe").await.body.as_str(), "Subscription confirmed.");
    assert_eq!(servers.state(ME, "alice"), Some(json!("alice")));
    running.stop().await;

    let running = Running::start(&servers, Duration::from_millis(100));
    let update = servers
        .until(|world| {
            world.events_of(&name("alice")).find(|e| e.body.as_str() == "Temperature update").cloned()
        })
        .await;
    assert_eq!(update.kind, MessageType::Notification);
    let keys: Vec<_> = update.metadata.object().keys().map(String::as_str).collect();
    assert_eq!(keys, ["temperature", "unit", "time", "automatic"]);
    assert_eq!(ask(&servers, "unsubscribe").await.body.as_str(), "Unsubscribed.");
    assert_eq!(servers.state(ME, "alice"), None);
    running.stop().await;
}

#[tokio::test]
async fn after_a_restart_nothing_is_answered_twice_and_nothing_is_left() {
    let servers = FakeServers::start().await;
    let running = Running::start(&servers, NEVER);
    ask(&servers, "range").await;
    let reboot = servers.say("alice", ME, MessageType::Chat, "reboot");
    running.stop().await;
    servers.say("alice", ME, MessageType::Chat, "range");
    let running = Running::start(&servers, NEVER);
    answer(&servers, &reboot).await;
    let events = servers.conversation("alice", ME, 6).await;
    assert_eq!(events.len(), 6);
    servers.seen(ME, "alice", 5).await;
    running.stop().await;
}

#[tokio::test]
async fn it_comes_back_by_itself_after_a_lost_connection() {
    let servers = FakeServers::start().await;
    let running = Running::start(&servers, NEVER);
    ask(&servers, "range").await;
    servers.drop_connections();
    ask(&servers, "range").await;
    assert_eq!(servers.conversation("alice", ME, 4).await.len(), 4);
    running.stop().await;
}

#[tokio::test]
async fn a_wrong_service_token_ends_it_with_a_reason() {
    let servers = FakeServers::start().await;
    let mut context = servers.context(CancellationToken::new());
    let upstream = Upstream { chat: servers.chat, api: servers.api };
    context.service_token = kit::Secret::new("wrong".to_owned());
    let failure = thermometer::run(Config::default(), upstream, context).await.unwrap_err();
    assert!(failure.to_string().contains("refuses"), "{failure}");
}

#[tokio::test]
async fn a_user_who_asks_without_end_is_not_answered_without_end() {
    let servers = FakeServers::start().await;
    let config = Config { interval: NEVER, messages_per_hour: 5, ..Config::default() };
    let running = Running::configured(&servers, config);
    for _ in 0..50 {
        servers.say("alice", ME, MessageType::Chat, "hello?");
    }
    servers.seen(ME, "alice", 50).await;
    assert_eq!(servers.conversation("alice", ME, 56).await.len(), 56);
    running.stop().await;
}
