//! Restarts of the bot and its servers.

use kit::{Exit, Secret};
use openai_bot::{Config, Credentials, Upstream};
use protocol::{Body, MessageType, Metadata};
use tokio_util::sync::CancellationToken;
use transport::service::Role;
use transport::testing::{FakeServers, name};
use transport::{Limits, Service};

use crate::harness::{ME, Stage};
use crate::script::Script;

#[tokio::test]
async fn a_question_under_way_at_a_restart_is_answered_once_after_it() {
    let mut stage = Stage::with([Script::stream().word("Half").stall(), Script::says(&["Whole."])]).await;
    let question = stage.say("alice", "?");
    stage.endpoint.requests(1).await;
    stage.stop_bot().await;
    stage.start_bot();
    assert_eq!(stage.answer_to(&question).await.body.as_str(), "Whole.");
    stage.servers.seen(ME, "alice", 1).await;
    assert_eq!(stage.servers.conversation("alice", ME, 2).await.len(), 2);
}

/// An earlier run that stored these parts of its answer and died before the question was marked as read.
async fn die_after(stage: &Stage, parts: &[&str]) {
    let context = stage.servers.context(CancellationToken::new());
    let role = Role {
        name: name(ME),
        kinds: &[MessageType::Chat],
        answers: MessageType::Chat,
        limits: Limits::default(),
    };
    let mut service = Service::start(stage.servers.chat, role, &context);
    let question = service.next().await.unwrap().unwrap();
    for (n, text) in (1..).zip(parts) {
        let body = Body::parse(text).unwrap();
        question.reply(n, body, Metadata::default()).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_was_stored_is_neither_asked_for_nor_given_again() {
    let mut stage = Stage::with([]).await;
    stage.stop_bot().await;
    stage.say("alice", "?");
    die_after(&stage, &["(1/2) The", "(2/2) answer"]).await;
    stage.start_bot();
    stage.servers.seen(ME, "alice", 1).await;
    assert_eq!(stage.servers.conversation("alice", ME, 3).await.len(), 3);
    assert!(stage.endpoint.seen().is_empty());
}

#[tokio::test]
async fn an_answer_that_was_stored_in_part_is_owned_up_to() {
    let mut stage = Stage::with([]).await;
    stage.stop_bot().await;
    let question = stage.say("alice", "?");
    die_after(&stage, &["(1/3) The"]).await;
    stage.start_bot();
    assert!(stage.part_of(&question, 2).await.body.as_str().contains("the rest of it is lost"));
    stage.servers.seen(ME, "alice", 1).await;
    assert!(stage.endpoint.seen().is_empty());
}

#[tokio::test]
async fn a_lost_connection_to_the_chat_loses_and_doubles_nothing() {
    let stage = Stage::with([Script::stream().wait(300).word("Still here.").end()]).await;
    let question = stage.say("alice", "?");
    stage.endpoint.requests(1).await;
    stage.servers.drop_connections();
    assert_eq!(stage.answer_to(&question).await.body.as_str(), "Still here.");
    stage.servers.seen(ME, "alice", 1).await;
    assert_eq!(stage.servers.conversation("alice", ME, 2).await.len(), 2);
    assert_eq!(stage.endpoint.seen().len(), 1);
}

#[tokio::test]
async fn a_key_that_cannot_be_one_is_a_mistake_in_the_configuration() {
    let servers = FakeServers::start().await;
    let upstream = Upstream { chat: servers.chat, api: servers.api };
    let credentials = Credentials { api_key: Secret::new("sk-a\nsk-b".to_owned()) };
    let context = servers.context(CancellationToken::new());
    let failure = openai_bot::run(Config::default(), upstream, credentials, context).await.unwrap_err();
    assert_eq!(failure.exit(), Exit::Config);
    let text = failure.to_string();
    assert!(text.contains("OPENAI_API_KEY") && !text.contains("sk-a"), "{text}");
}
