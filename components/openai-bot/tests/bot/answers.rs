//! Questions that are answered.

use protocol::MessageType;

use crate::harness::{KEY, ME, Stage};
use crate::script::Script;

#[tokio::test]
async fn a_question_goes_to_the_model_as_typed_and_comes_back_once() {
    let stage = Stage::with([Script::says(&["For", "ty-", "two."]), Script::says(&["Yes."])]).await;
    assert_eq!(stage.ask("What  is: 6 * 7 ?").await, "Forty-two.");
    assert_eq!(stage.ask("Sure?").await, "Yes.");
    let seen = stage.endpoint.seen();
    assert_eq!(seen[0].authorization.as_deref(), Some(&*format!("Bearer {KEY}")));
    assert_eq!((&seen[0].body["model"], &seen[0].body["stream"]), (&"test-model".into(), &true.into()));
    assert_eq!(seen[0].messages()[1..], [("user".to_owned(), "What  is: 6 * 7 ?".to_owned())]);
    let told: Vec<_> =
        seen[1].messages().into_iter().skip(1).map(|(role, text)| format!("{role}: {text}")).collect();
    assert_eq!(told, ["user: What  is: 6 * 7 ?", "assistant: Forty-two.", "user: Sure?"]);
    stage.servers.seen(ME, "alice", 3).await;
    assert_eq!(stage.servers.conversation("alice", ME, 4).await.len(), 4);
}

#[tokio::test]
async fn comments_odd_line_ends_and_unknown_fields_do_not_matter() {
    let script = Script::stream()
        .raw(": PROCESSING\r\n\r\nevent: message\r\nid: 7\r\ndata: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\r\n\r\n")
        .raw("data: {\"choices\":[{\"delta\":{\"content\":\"caf")
        .raw("é\"},\"x\":{}}],\"usage\":null}\r\n\r\ndata:{\"choices\":[]}\n\n")
        .raw("data: [DONE]\n\n");
    assert_eq!(Stage::with([script]).await.ask("?").await, "café");
}

#[tokio::test]
async fn an_endpoint_that_does_not_stream_is_understood() {
    let body =
        r#"{"choices":[{"message":{"role":"assistant","content":"All at once."},"finish_reason":"stop"}]}"#;
    assert_eq!(Stage::with([Script::body("application/json", body)]).await.ask("?").await, "All at once.");
}

#[tokio::test]
async fn a_stream_that_ends_without_saying_so_is_whole_after_its_last_word() {
    let script = Script::stream()
        .raw("data: {\"choices\":[{\"delta\":{\"content\":\"Done.\"},\"finish_reason\":\"stop\"}]}\n\n");
    assert_eq!(Stage::with([script]).await.ask("?").await, "Done.");
}

#[tokio::test]
async fn a_long_answer_comes_in_numbered_parts() {
    let words: Vec<_> = (0..6000).map(|n| format!("word{n} ")).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let stage = Stage::with([Script::says(&words)]).await;
    let question = stage.say("alice", "Tell me a lot");
    let mut text = String::new();
    for part in 1..=4 {
        let body = stage.part_of(&question, part).await.body.to_string();
        text.push_str(body.strip_prefix(&format!("({part}/4) ")).unwrap());
        text.push(' ');
    }
    let said: Vec<_> = text.split_whitespace().collect();
    let meant: Vec<_> = words.iter().map(|word| word.trim()).collect();
    assert_eq!(said, meant);
}

#[tokio::test]
async fn one_question_runs_three_wait_and_others_are_not_held_up() {
    let stage = Stage::configured([Script::stream().stall()], |config| config.max_concurrent = 2).await;
    stage.say("alice", "question 1");
    stage.endpoint.requests(1).await;
    for n in 2..=4 {
        stage.say("alice", &format!("question {n}"));
    }
    assert!(stage.ask("question 5").await.contains("still busy with your earlier questions"));
    assert!(stage.ask("help").await.contains("Commands"));
    stage.endpoint.add(Script::says(&["Hi Bob."]));
    let bob = stage.say("bob", "hello");
    assert_eq!(stage.answer_to(&bob).await.body.as_str(), "Hi Bob.");
    assert_eq!(stage.endpoint.seen().len(), 2);
}

#[tokio::test]
async fn waiting_questions_are_answered_in_their_order() {
    let stage = Stage::with([]).await;
    for n in 1..=4 {
        stage.endpoint.add(Script::stream().wait(20).word(&format!("answer {n}")).end());
    }
    let questions: Vec<_> = (1..=4).map(|n| stage.say("alice", &format!("question {n}"))).collect();
    for (n, question) in (1..).zip(&questions) {
        assert_eq!(stage.answer_to(question).await.body.as_str(), format!("answer {n}"));
    }
    stage.servers.seen(ME, "alice", 4).await;
}

#[tokio::test]
async fn its_own_words_and_other_services_are_not_answered() {
    let stage = Stage::with([Script::says(&["ok"])]).await;
    stage.servers.say("thermometer1", ME, MessageType::Notification, "Temperature update");
    stage.servers.say(ME, ME, MessageType::Chat, "talking to myself");
    stage.servers.seen(ME, "thermometer1", 1).await;
    stage.servers.seen(ME, ME, 1).await;
    stage.ask("?").await;
    assert_eq!(stage.endpoint.seen().len(), 1);
}
