//! The model's context of earlier questions, and a context that is too long.

use crate::harness::{ME, Stage};
use crate::script::Script;

/// The error of llama.cpp.
fn too_long() -> Script {
    let body = r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#;
    Script::body("application/json", body).with_status(400)
}

/// The messages of one request, without the system prompt and the question.
fn told(stage: &Stage, request: usize) -> Vec<String> {
    let messages = stage.endpoint.seen()[request].messages();
    messages[1..messages.len() - 1].iter().map(|(_, text)| text.clone()).collect()
}

#[tokio::test]
async fn a_conversation_that_is_too_long_loses_its_older_half_and_the_question_is_answered() {
    let stage = Stage::with((1..=4).map(|n| Script::says(&[&format!("answer {n}")]))).await;
    for n in 1..=4 {
        stage.ask(&format!("question {n}")).await;
    }
    for script in [too_long(), too_long(), Script::says(&["It fits."]), Script::says(&["Still."])] {
        stage.endpoint.add(script);
    }
    assert_eq!(stage.ask("question 5").await, "It fits.");
    assert_eq!([4, 5, 6].map(|request| told(&stage, request).len()), [8, 4, 2]);
    assert_eq!(told(&stage, 6), ["question 4", "answer 4"]);
    assert_eq!(stage.ask("question 6").await, "Still.", "what was too long is not told again");
    assert_eq!(told(&stage, 7), ["question 4", "answer 4", "question 5", "It fits."]);
}

#[tokio::test]
async fn an_answer_for_which_the_context_has_no_room_is_asked_for_again_with_less() {
    let no_room =
        Script::stream().raw("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n");
    let stage = Stage::with([Script::says(&["one"]), no_room, Script::says(&["two"])]).await;
    stage.ask("first").await;
    assert_eq!(stage.ask("second").await, "two");
    assert!(told(&stage, 2).is_empty());
}

#[tokio::test]
async fn a_question_that_is_too_long_alone_is_told_so_and_not_asked_without_end() {
    let mut scripts = vec![Script::says(&["one"])];
    scripts.extend(std::iter::repeat_n(too_long(), 5));
    let stage = Stage::with(scripts).await;
    stage.ask("first").await;
    let text = stage.ask("second").await;
    assert!(text.contains("too long") && text.contains("shorter"), "{text}");
    assert_eq!(stage.endpoint.seen().len(), 3);
}

#[tokio::test]
async fn forget_and_new_begin_a_new_conversation() {
    let answers = ["one", "two", "three"].map(|answer| Script::says(&[answer]));
    let stage = Stage::with(answers).await;
    stage.ask("first").await;
    assert!(stage.ask("Forget").await.contains("forgotten what we said"));
    stage.ask("second").await;
    assert!(stage.ask("NEW").await.contains("forgotten what we said"));
    stage.ask("third").await;
    assert!(told(&stage, 1).is_empty() && told(&stage, 2).is_empty());
    assert!(stage.ask("help").await.contains("forget or new"));
}

#[tokio::test]
async fn what_was_said_is_known_after_a_restart() {
    let mut stage = Stage::with([Script::says(&["one"]), Script::status(400), Script::says(&["two"])]).await;
    stage.ask("first").await;
    assert!(stage.ask("refused").await.contains("refuses"));
    stage.ask("help").await;
    stage.stop_bot().await;
    stage.start_bot();
    stage.servers.online(ME).await;
    stage.ask("second").await;
    assert_eq!(told(&stage, 2), ["first", "one"]);
}

#[tokio::test]
async fn what_was_forgotten_stays_forgotten_after_a_restart() {
    let answers = ["one", "two", "three"].map(|answer| Script::says(&[answer]));
    let mut stage = Stage::with(answers).await;
    stage.ask("first").await;
    stage.ask("forget").await;
    stage.ask("second").await;
    stage.stop_bot().await;
    stage.start_bot();
    stage.ask("third").await;
    assert_eq!(told(&stage, 2), ["second", "two"]);
}

#[tokio::test]
async fn a_long_answer_is_recalled_without_the_numbers_of_its_parts() {
    // Three parts, and less than the limit per user.
    let words: Vec<_> = (0..4500).map(|n| format!("word{n} ")).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let mut stage = Stage::with([Script::says(&words), Script::says(&["two"])]).await;
    let question = stage.say("alice", "Tell me a lot");
    stage.part_of(&question, 3).await;
    stage.servers.seen(ME, "alice", 1).await;
    stage.stop_bot().await;
    stage.start_bot();
    stage.ask("second").await;
    let [asked, said] = &told(&stage, 1)[..] else { panic!("{:?}", told(&stage, 1)) };
    assert_eq!(asked, "Tell me a lot");
    assert!(said.split_whitespace().eq(words.iter().map(|word| word.trim_end())), "{said}");
}
