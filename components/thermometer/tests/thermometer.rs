//! The thermometer against fakes of the chat server and the message API.
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

/// Rare enough that no test receives an unexpected update.
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
    let object = range.metadata.object();
    let keys: Vec<_> = object.keys().map(String::as_str).collect();
    assert_eq!(keys, ["temps", "time", "automatic"]);
    let temps = object["temps"].as_array().unwrap();
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
    let object = update.metadata.object();
    let keys: Vec<_> = object.keys().map(String::as_str).collect();
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

/// Frequent updates, and expiry after this many milliseconds offline.
fn short(never_online: u64, offline: u64) -> Config {
    let millis = Duration::from_millis;
    Config {
        interval: millis(100),
        never_online_expiry: millis(never_online),
        subscription_expiry: millis(offline),
        ..Config::default()
    }
}

#[tokio::test]
async fn an_invented_subscriber_is_forgotten_and_one_who_was_online_is_not() {
    let servers = FakeServers::start().await;
    servers.put_state(ME, "bob", json!({"name": "Bob", "was_online": true, "offline_hours": 3}));
    servers.put_state(ME, "carol", json!("Carol"));
    let running = Running::configured(&servers, short(300, 24 * 3_600_000));
    let invented = servers.say("invented", ME, MessageType::Chat, "subscribe");
    assert_eq!(answer(&servers, &invented).await.body.as_str(), "Subscription confirmed.");
    servers.until(|world| (!world.state(&name(ME)).contains_key("invented")).then_some(())).await;
    assert!(servers.state(ME, "bob").is_some() && servers.state(ME, "carol").is_some());
    let told = |world: &transport::testing::World| {
        let ended = |event: &&Event| event.body.as_str().starts_with("Your subscription has ended");
        world.events_of(&name("invented")).any(|event| ended(&event)).then_some(())
    };
    servers.until(told).await;
    running.stop().await;
}

#[tokio::test]
async fn a_full_thermometer_takes_a_real_subscriber_in_place_of_an_invented_one() {
    let servers = FakeServers::start().await;
    servers.put_state(ME, "real", json!({"name": "real", "was_online": true, "offline_hours": 0}));
    let running =
        Running::configured(&servers, Config { interval: NEVER, max_subscribers: 2, ..Config::default() });
    for user in ["invented1", "invented2"] {
        let question = servers.say(user, ME, MessageType::Chat, "subscribe");
        assert_eq!(answer(&servers, &question).await.body.as_str(), "Subscription confirmed.");
    }
    assert!(servers.state(ME, "real").is_some() && servers.state(ME, "invented1").is_none());
    assert!(servers.state(ME, "invented2").is_some());
    running.stop().await;
}

#[tokio::test]
async fn subscribers_that_an_earlier_version_took_beyond_the_limit_are_ended_if_nobody_has_seen_them() {
    let servers = FakeServers::start().await;
    for n in 0..10 {
        servers.put_state(ME, &format!("kept{n}"), json!(format!("kept{n}")));
    }
    for n in 0..10 {
        let subscriber = format!("invented{n}");
        servers.put_state(
            ME,
            &subscriber,
            json!({"name": subscriber, "was_online": false, "offline_hours": 1}),
        );
    }
    let config = Config { max_subscribers: 5, ..short(300, 24 * 3_600_000) };
    let running = Running::configured(&servers, config);
    servers.until(|world| (world.state(&name(ME)).len() == 5).then_some(())).await;
    running.stop().await;
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
