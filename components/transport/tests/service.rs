//! A service against the fake servers: each message is answered once, whatever connections are lost.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use protocol::{Body, MessageType, Metadata};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transport::service::Role;
use transport::testing::{FakeServers, name};
use transport::{Limits, Question, Service};

const KINDS: &[MessageType] = &[MessageType::Chat, MessageType::Command];

fn start(servers: &FakeServers, shutdown: &CancellationToken) -> Service {
    start_as("echo", servers, shutdown, Limits::default())
}

fn start_limited(servers: &FakeServers, shutdown: &CancellationToken, limits: Limits) -> Service {
    start_as("echo", servers, shutdown, limits)
}

fn start_as(service: &str, servers: &FakeServers, shutdown: &CancellationToken, limits: Limits) -> Service {
    let role = Role { name: name(service), kinds: KINDS, answers: MessageType::Chat, limits };
    Service::start(servers.chat, role, &servers.context(shutdown.clone()))
}

async fn echo(question: Question) {
    let body = Body::parse(&format!("echo {}", question.event.body)).unwrap();
    question.reply(1, body, Metadata::default()).await.unwrap();
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
    question.reply(1, body, Metadata::default()).await.unwrap();
    // It dies here: the answer is stored, the question unread.
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
    // No answer until no more questions are returned.
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
    let other = start_as("other", &servers, &shutdown, Limits::default());
    let tasks = [tokio::spawn(serve(start(&servers, &shutdown))), tokio::spawn(serve(other))];
    servers.say("other", "echo", MessageType::Chat, "hello");
    servers.seen("other", "echo", 2).await;
    assert_eq!(servers.conversation("echo", "other", 2).await.len(), 2);
    shutdown.cancel();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_is_marked_and_what_is_marked_is_not_answered() {
    let servers = FakeServers::start().await;
    let shutdown = CancellationToken::new();
    let service = tokio::spawn(serve(start(&servers, &shutdown)));
    servers.online("echo").await;
    let automatic = Metadata::default().into_automatic().unwrap();
    servers.say_with("robot", "echo", MessageType::Chat, "I am a program", automatic);
    servers.say("robot", "echo", MessageType::Chat, "I am a person");
    servers.seen("echo", "robot", 2).await;
    let events = servers.conversation("robot", "echo", 3).await;
    assert_eq!(events.len(), 3);
    assert_eq!(events[2].body.as_str(), "echo I am a person");
    assert!(events[2].metadata.is_automatic());
    shutdown.cancel();
    service.await.unwrap();
}

#[tokio::test]
async fn whoever_asks_for_too_much_is_told_once_and_others_are_not_held_up() {
    let servers = FakeServers::start().await;
    let shutdown = CancellationToken::new();
    let limits = Limits { messages: 3, cost: 0 };
    let service = tokio::spawn(serve(start_limited(&servers, &shutdown, limits)));
    for n in 1..=20 {
        servers.say("alice", "echo", MessageType::Chat, &n.to_string());
    }
    servers.say("bob", "echo", MessageType::Chat, "hello");
    servers.seen("echo", "alice", 20).await;
    assert_eq!(servers.conversation("bob", "echo", 2).await.len(), 2);
    let events = servers.conversation("alice", "echo", 24).await;
    let answers: Vec<_> = events.iter().filter(|event| event.sender == name("echo")).collect();
    assert_eq!(answers.len(), 4, "three answers, and one that says that there will be no more");
    assert_eq!(
        answers.iter().filter(|event| event.body.as_str().contains("come back in 60 minutes")).count(),
        1
    );
    shutdown.cancel();
    service.await.unwrap();
}

/// A program like that in the README: it answers everything that a text client shows, and sees no mark.
#[tokio::test]
async fn two_programs_that_answer_each_other_fall_silent() {
    let servers = FakeServers::start().await;
    let shutdown = CancellationToken::new();
    let limits = Limits { messages: 10, cost: 0 };
    let service = tokio::spawn(serve(start_limited(&servers, &shutdown, limits)));
    servers.say("other", "echo", MessageType::Chat, "hello");
    for answers in 1..=11 {
        servers.conversation("other", "echo", 2 * answers).await;
        servers.say("other", "echo", MessageType::Chat, "you said something");
    }
    servers.seen("echo", "other", 23).await;
    let events = servers.conversation("other", "echo", 23).await;
    assert_eq!(events.iter().filter(|event| event.sender == name("echo")).count(), 11);
    shutdown.cancel();
    service.await.unwrap();
}
