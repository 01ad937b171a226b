//! Limits per user.

use protocol::{MessageType, Metadata};

use crate::harness::{ME, Stage};
use crate::script::Script;

#[tokio::test]
async fn answers_are_marked_and_what_is_marked_is_not_answered() {
    let stage = Stage::with([Script::says(&["Hi."])]).await;
    let automatic = Metadata::default().into_automatic().unwrap();
    stage.servers.say_with("robot", ME, MessageType::Chat, "beep", automatic);
    let question = stage.say("robot", "hello");
    let answer = stage.answer_to(&question).await;
    assert!(answer.metadata.is_automatic());
    stage.servers.seen(ME, "robot", 2).await;
    assert_eq!(stage.servers.conversation("robot", ME, 3).await.len(), 3);
    assert_eq!(stage.endpoint.seen().len(), 1);
}

#[tokio::test]
async fn a_program_that_answers_every_answer_is_told_once_and_then_not_answered() {
    let scripts = (0..20).map(|_| Script::says(&["Interesting."]));
    let stage = Stage::configured(scripts, |config| config.messages_per_hour = 5).await;
    for n in 1..=5 {
        let question = stage.say("echo", &format!("you said {n}"));
        assert_eq!(stage.answer_to(&question).await.body.as_str(), "Interesting.");
    }
    let sixth = stage.say("echo", "you said 6");
    assert!(stage.answer_to(&sixth).await.body.as_str().contains("come back in"));
    for n in 7..=20 {
        stage.say("echo", &format!("you said {n}"));
    }
    stage.servers.seen(ME, "echo", 26).await;
    assert_eq!(stage.servers.conversation("echo", ME, 26).await.len(), 26);
    assert_eq!(stage.endpoint.seen().len(), 5);
    stage.endpoint.add(Script::says(&["Hello Bob."]));
    let bob = stage.say("bob", "hello");
    stage.answer_to(&bob).await;
}

#[tokio::test]
async fn tokens_are_counted_as_the_endpoint_tells_or_by_the_text() {
    let usage = "data: {\"choices\":[],\"usage\":{\"total_tokens\":900}}\n\n";
    let expensive = Script::stream().word("Yes.").raw(usage).end();
    let stage =
        Stage::configured([expensive.clone(), expensive], |config| config.tokens_per_hour = 1000).await;
    assert_eq!(stage.ask("?").await, "Yes.");
    assert_eq!(stage.ask("?").await, "Yes.");
    assert!(stage.ask("?").await.contains("come back in"));
    let long = Script::says(&["word "; 1000]);
    let stage = Stage::configured([long], |config| config.tokens_per_hour = 1000).await;
    stage.ask("?").await;
    assert!(stage.ask("?").await.contains("come back in"));
}
