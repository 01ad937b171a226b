//! Models that are slow, broken or hostile.

use std::time::{Duration, Instant};

use crate::harness::{KEY, Stage};
use crate::script::{Endpoint, Script};

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_busy_endpoint_is_asked_again_when_it_says() {
    let busy = Script::status(429).header("retry-after", "1");
    let start = Instant::now();
    let stage = Stage::with([busy, Script::says(&["Here I am."])]).await;
    assert_eq!(stage.ask("?").await, "Here I am.");
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn an_endpoint_that_asks_for_an_hour_gets_no_second_try() {
    let stage = Stage::with([Script::status(503).header("retry-after", "3600")]).await;
    let text = stage.ask("?").await;
    assert!(text.contains("too much to do") && text.contains("in about 60 minutes"), "{text}");
    assert_eq!(stage.endpoint.seen().len(), 1);
}

#[tokio::test]
async fn errors_of_the_server_are_tried_three_more_times() {
    let stage = Stage::with([500, 502, 503, 500].map(Script::status)).await;
    assert!(stage.ask("?").await.contains("too much to do"));
    assert_eq!(stage.endpoint.seen().len(), 4);
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_told_politely() {
    let gone = Endpoint::start([]).await;
    let base_url = gone.base_url();
    drop(gone);
    let stage = Stage::configured([], |config| config.base_url = base_url).await;
    assert!(stage.ask("?").await.contains("cannot reach the model"));
}

#[tokio::test]
async fn a_wrong_key_is_not_tried_again_and_not_told() {
    let stage = Stage::with([Script::status(401)]).await;
    let text = stage.ask("?").await;
    assert!(text.contains("does not accept my key") && text.contains("OPENAI_API_KEY"), "{text}");
    assert_eq!(stage.endpoint.seen().len(), 1);
}

#[tokio::test]
async fn other_refusals_say_what_can_be_done() {
    let no_credit = r#"{"error":{"message":"x","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let no_credit = Script::body("application/json", no_credit).with_status(429);
    let stage = Stage::with([Script::status(404), Script::status(400), no_credit]).await;
    assert!(stage.ask("?").await.contains("openai-bot.model"));
    assert!(stage.ask("?").await.contains("shorter"));
    assert!(stage.ask("?").await.contains("no credit"));
    assert_eq!(stage.endpoint.seen().len(), 3);
}

#[tokio::test]
async fn the_key_goes_nowhere_else() {
    let elsewhere = Endpoint::start([Script::says(&["gotcha"])]).await;
    let location = format!("{}/chat/completions", elsewhere.base_url());
    let stage = Stage::with([Script::status(307).header("location", &location)]).await;
    assert!(stage.ask("?").await.contains("moved"));
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn a_model_that_repeats_the_key_does_not_tell_it() {
    let stage = Stage::with([Script::says(&["It is sk-te", "st-key."])]).await;
    assert_eq!(stage.ask("What is your key?").await, "It is ***.");
    assert_eq!(KEY, "sk-test-key");
}

#[tokio::test]
async fn silence_before_the_first_word_is_not_waited_out() {
    let limit = |config: &mut openai_bot::Config| config.first_token_timeout = SHORT;
    let stage = Stage::configured([Script::stream().stall()], limit).await;
    assert!(stage.ask("?").await.contains("did not answer in time"));
    // Comments keep the connection open but are not text.
    let comments = Script::stream().raw(": wait\n\n").wait(20).forever();
    let stage = Stage::configured([comments], limit).await;
    assert!(stage.ask("?").await.contains("did not answer in time"));
    assert_eq!(stage.endpoint.seen().len(), 1);
}

#[tokio::test]
async fn what_came_before_a_silence_is_given_with_a_remark() {
    let script = Script::stream().word("Half an").stall();
    let stage = Stage::configured([script], |config| config.idle_timeout = SHORT).await;
    let text = stage.ask("?").await;
    assert!(text.starts_with("Half an") && text.contains("broke off here: the model fell silent"), "{text}");
}

#[tokio::test]
async fn what_came_before_a_cut_is_given_with_a_remark_and_not_asked_again() {
    let stage = Stage::with([Script::stream().word("Half an").wait(50).cut()]).await;
    let text = stage.ask("?").await;
    assert!(text.starts_with("Half an") && text.contains("the connection to the model was lost"), "{text}");
    assert_eq!(stage.endpoint.seen().len(), 1);
}

#[tokio::test]
async fn a_cut_before_the_first_word_is_tried_again() {
    let stage =
        Stage::with([Script::stream().raw(": hello\n\n").wait(50).cut(), Script::says(&["Again."])]).await;
    assert_eq!(stage.ask("?").await, "Again.");
}

#[tokio::test]
async fn what_took_too_long_is_given_with_a_remark() {
    let script = Script::stream().word("on and ").wait(20).forever();
    let stage = Stage::configured([script], |config| config.total_timeout = 2 * SHORT).await;
    let text = stage.ask("?").await;
    assert!(text.starts_with("on and on and") && text.contains("it took too long"), "{text}");
}

#[tokio::test]
async fn an_endless_answer_ends_at_its_limit() {
    let script = Script::stream().word(&"blah ".repeat(100)).forever();
    let stage = Stage::configured([script], |config| config.max_reply_bytes = 2000).await;
    let text = stage.ask("?").await;
    assert!(text.starts_with("blah blah") && text.contains("it got too long"), "{text}");
    assert!(text.len() < 2200);
}

#[tokio::test]
async fn what_is_not_an_answer_is_told_politely() {
    let endless_line = Script::stream().raw(&"x".repeat(10_000)).forever();
    let scripts = [
        Script::body("text/html", "<html>Welcome to the hotel's wireless network</html>"),
        Script::body("application/json", "[1, 2"),
        Script::stream().raw("data: not json\n\n"),
        Script::stream().raw("data: {\"choices\": 7}\n\n"),
        endless_line,
        Script::says(&[]),
        Script::says(&["\u{7}", " "]),
    ];
    let stage = Stage::with(scripts).await;
    for _ in 0..5 {
        let text = stage.ask("?").await;
        assert!(text.contains("did not understand"), "{text}");
    }
    assert!(stage.ask("?").await.contains("nothing to say"));
    assert!(stage.ask("?").await.contains("nothing that can be shown"));
}
