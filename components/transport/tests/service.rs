//! A service against the stand-in servers: each message is answered once, whatever is lost in between.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use protocol::{Body, MessageType, Metadata};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transport::testing::{FakeServers, name};
use transport::{Question, Service};

const KINDS: &[MessageType] = &[MessageType::Chat, MessageType::Command];

fn start(servers: &FakeServers, shutdown: &CancellationToken) -> Service {
    Service::start(servers.chat, name("echo"), KINDS, &servers.context(shutdown.clone()))
}

async fn echo(question: Question) {
    let body = Body::parse(&format!("echo {}", question.event.body)).unwrap();
    question.reply(1, MessageType::Chat, body, Metadata::default()).await.unwrap();
    question.finish().await;
}

async fn serve(mut service: Service) {
    let tasks = TaskTracker::new();
    while let Some(question) = service.next().await.unwrap() {
        tasks.spawn(echo(question));
    }
    tasks.close();
    service.drain(tasks.wait()).await;
}

#[tokio::test]
async fn a_message_is_answered_once_and_seen() {
    let servers = FakeServers::start().await;
    servers.say("alice", "echo", MessageType::Chat, "before");
    let shutdown = CancellationToken::new();
    let service = tokio::spawn(serve(start(&servers, &shutdown)));
    servers.online("echo").await;
    servers.say("alice", "echo", MessageType::Notification, "not a question");
    servers.say("alice", "echo", MessageType::Chat, "after");
    let events = servers.conversation("alice", "echo", 5).await;
    servers.seen("echo", "alice", 3).await;
    let answers: Vec<_> = events.iter().filter(|event| event.sender == name("echo")).collect();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0].client_id.as_str(), format!("re-{}", events[0].id));
    shutdown.cancel();
    service.await.unwrap();
}

#[tokio::test]
async fn an_answer_that_was_stored_is_not_given_again_after_a_restart() {
    let servers = FakeServers::start().await;
    let shutdown = CancellationToken::new();
    let mut first = start(&servers, &shutdown);
    servers.say("alice", "echo", MessageType::Chat, "one");
    let question = first.next().await.unwrap().unwrap();
    let body = Body::parse("the first answer").unwrap();
    question.reply(1, MessageType::Chat, body, Metadata::default()).await.unwrap();
    // It dies here: stored, and not seen.
    drop((question, first));
    let second = tokio::spawn(serve(start(&servers, &shutdown)));
    servers.seen("echo", "alice", 1).await;
    assert_eq!(servers.conversation("alice", "echo", 2).await.len(), 2);
    shutdown.cancel();
    second.await.unwrap();
}

#[tokio::test]
async fn a_flood_that_does_not_fit_is_answered_in_the_end() {
    let servers = FakeServers::start().await;
    for n in 0..1500 {
        servers.say(&format!("user{}", n % 7), "echo", MessageType::Chat, &format!("question {n}"));
    }
    let shutdown = CancellationToken::new();
    let mut service = start(&servers, &shutdown);
    // Nobody answers until nothing more is handed out.
    let mut held = Vec::new();
    for _ in 0..512 {
        held.push(service.next().await.unwrap().unwrap());
    }
    let tasks = TaskTracker::new();
    for question in held {
        tasks.spawn(echo(question));
    }
    let service = tokio::spawn(serve(service));
    let count = servers
        .until(|world| {
            let count = world.events_of(&name("echo")).count();
            (count >= 3000).then_some(count)
        })
        .await;
    assert_eq!(count, 3000);
    shutdown.cancel();
    service.await.unwrap();
}

#[tokio::test]
async fn services_do_not_keep_each_other_talking() {
    let servers = FakeServers::start().await;
    let shutdown = CancellationToken::new();
    let other = Service::start(servers.chat, name("other"), KINDS, &servers.context(shutdown.clone()));
    let tasks = [tokio::spawn(serve(start(&servers, &shutdown))), tokio::spawn(serve(other))];
    servers.say("other", "echo", MessageType::Chat, "hello");
    servers.seen("other", "echo", 2).await;
    assert_eq!(servers.conversation("echo", "other", 2).await.len(), 2);
    shutdown.cancel();
    for task in tasks {
        task.await.unwrap();
    }
}
