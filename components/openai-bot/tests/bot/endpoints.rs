//! The response formats of real endpoints: vLLM, llama.cpp, Ollama, LM Studio, TGI, Mistral, DeepSeek, Perplexity, OpenRouter, and the
//! gateways before them. Each row is a format with its own test: a question is asked in the chat, a local HTTP server answers in that
//! format, and the answer is read in the chat.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::harness::Stage;
use crate::script::Script;

/// The answer of all endpoints below, in their own formats.
const HELLO: &str = "Hello there.";
const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const DONE: &str = "data: [DONE]\n\n";

/// The expected message in the chat.
enum Expected {
    /// Exactly this.
    Answer(&'static str),
    /// All of these, in an apology or after a partial answer; and without a retry.
    Told(&'static [&'static str]),
}

const SAYS_HELLO: Expected = Expected::Answer(HELLO);

async fn check(script: Script, expected: Expected) {
    let stage = Stage::with([script, Script::says(&["asked again"])]).await;
    let text = stage.ask("?").await;
    match expected {
        Expected::Answer(answer) => assert_eq!(text, answer),
        Expected::Told(words) => {
            for word in words {
                assert!(text.contains(word), "{word} in {text}");
            }
        }
    }
    assert_eq!(stage.endpoint.seen().len(), 1, "it was asked again");
}

/// One test per format.
macro_rules! ways {
    ($($name:ident: $script:expr, $expected:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            check($script, $expected).await;
        })*
    };
}

/// A stream that says hello in two pieces, with these fields around the text.
fn hello(before: &str, after: &str) -> String {
    let piece = |text: &str| format!("data: {before}\"{text}\"{after}\n\n");
    piece("Hello ") + &piece("there.")
}

/// The usual stream.
fn usual() -> String {
    hello(r#"{"choices":[{"index":0,"delta":{"content":"#, "}}]}") + "data: " + STOP + "\n\n" + DONE
}

fn stream(text: &str) -> Script {
    Script::stream().raw(text)
}

fn events(events: &[&str]) -> Script {
    let text: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    stream(&(text + DONE))
}

fn json(body: &str) -> Script {
    Script::body("application/json", body)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &str) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A gzip stream that is flushed after each event and only then ended.
fn gzip_stream() -> Script {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut script = Script::stream().header("content-encoding", "gzip");
    for event in usual().split_inclusive("\n\n") {
        encoder.write_all(event.as_bytes()).unwrap();
        encoder.flush().unwrap();
        script = script.bytes(&std::mem::take(encoder.get_mut())).wait(5);
    }
    script.bytes(&encoder.finish().unwrap())
}

// Framing of streams.
ways! {
    the_usual_stream: stream(&usual()), SAYS_HELLO;
    line_ends_of_carriage_return_and_newline: stream(&usual().replace('\n', "\r\n")), SAYS_HELLO;
    line_ends_of_carriage_return_alone: stream(&usual().replace('\n', "\r")), SAYS_HELLO;
    no_space_behind_data: stream(&usual().replace("data: ", "data:")), SAYS_HELLO;
    comments_between_events: stream(&usual().replace("data: ", ": OPENROUTER PROCESSING\n\ndata: ")), SAYS_HELLO;
    event_and_id_and_retry_lines:
        stream(&usual().replace("data: ", "event: message\nid: 7\nretry: 3000\ndata: ")), SAYS_HELLO;
    a_byte_order_mark: stream(&format!("\u{feff}{}", usual())), SAYS_HELLO;
    blank_lines_before_the_stream: stream(&format!("\n\r\n \n{}", usual())), SAYS_HELLO;
    no_done: stream(&usual().replace(DONE, "")), SAYS_HELLO;
    no_done_and_no_finish_reason: stream(&hello(r#"{"choices":[{"delta":{"content":"#, "}}]}")), SAYS_HELLO;
    no_blank_line_behind_the_last_event:
        stream(hello(r#"{"choices":[{"delta":{"content":"#, "}}]}").trim_end()), SAYS_HELLO;
    no_blank_lines_at_all: stream(&usual().replace("\n\n", "\n")), SAYS_HELLO;
    done_without_a_line_end: stream(usual().trim_end()), SAYS_HELLO;
    an_object_over_several_data_lines:
        stream(&usual().replace("{\"choices\":", "{\ndata: \"choices\":\ndata: ")), SAYS_HELLO;
    two_objects_in_one_event:
        stream(&usual().replacen("\n\ndata: ", "\ndata: ", 1)), SAYS_HELLO;
    data_that_only_keeps_the_connection_open: stream(&usual().replace("data: ", "data: ping\n\ndata: ")), SAYS_HELLO;
    words_of_json_that_only_keep_it_open:
        stream(&usual().replace("data: ", "data: {\"type\":\"ping\"}\n\ndata: ")), SAYS_HELLO;
    bytes_that_come_one_by_one: usual().as_bytes().iter().fold(Script::stream(), |s, b| s.bytes(&[*b])), SAYS_HELLO;
    a_stream_named_json: Script::body("application/json", &usual()), SAYS_HELLO;
    a_stream_named_plain_text: Script::body("text/plain; charset=utf-8", &usual()), SAYS_HELLO;
    a_stream_named_html: Script::body("text/html", &usual()), SAYS_HELLO;
    a_stream_without_a_name: Script::body("application/octet-stream", &usual()), SAYS_HELLO;
    a_connection_that_stays_open_behind_the_end: stream(&usual().replace(DONE, "")).stall(), SAYS_HELLO;
    a_whole_answer_in_one_very_long_line:
        stream(&format!("data: {{\"x\":\"{}\",\"choices\":[{{\"delta\":{{\"content\":\"{HELLO}\"}}}}]}}\n\n", "y".repeat(1_000_000))),
        SAYS_HELLO;
    a_line_without_end: Script::stream().raw(&format!("data: {}", "x".repeat(100_000))).forever(),
        Expected::Told(&["did not understand"]);
    a_connection_that_is_cut: Script::stream().word("Hello").wait(20).cut(),
        Expected::Told(&["Hello", "the connection to the model was lost"]);
    an_object_that_breaks_off: Script::stream().word("Hello").raw("data: {\"choices\":[{\"delta\":"),
        Expected::Told(&["Hello", "the connection to the model was lost"]);
}

// Content of events.
ways! {
    null_deltas: events(&[r#"{"choices":[{"delta":null}]}"#, &usual_piece(), r#"{"choices":[{"delta":{"content":null}}]}"#]), SAYS_HELLO;
    null_everywhere: events(&[
        r#"{"id":null,"error":null,"usage":null,"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":null,"refusal":null},"finish_reason":null,"logprobs":null}]}"#,
        &usual_piece()]), SAYS_HELLO;
    null_choices: events(&[r#"{"choices":null}"#, &usual_piece(), r#"{"choices":null,"usage":{"total_tokens":3}}"#]), SAYS_HELLO;
    no_choices: events(&[r#"{"choices":[]}"#, r#"{"prompt_filter_results":[]}"#, &usual_piece()]), SAYS_HELLO;
    usage_at_the_end: events(&[&usual_piece(), STOP, r#"{"choices":[],"usage":{"prompt_tokens":1,"total_tokens":3}}"#]), SAYS_HELLO;
    a_delta_without_content: events(&[r#"{"choices":[{"delta":{"role":"assistant"}}]}"#, &usual_piece()]), SAYS_HELLO;
    content_of_parts: events(&[
        r#"{"choices":[{"delta":{"content":[{"type":"text","text":"Hello "},{"type":"text","text":"there."}]}}]}"#]), SAYS_HELLO;
    content_of_texts: events(&[r#"{"choices":[{"delta":{"content":["Hello ","there."]}}]}"#]), SAYS_HELLO;
    content_of_one_part: events(&[r#"{"choices":[{"delta":{"content":{"type":"text","text":"Hello there."}}}]}"#]), SAYS_HELLO;
    parts_with_thoughts_and_references: events(&[
        r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}}]}"#,
        r#"{"choices":[{"delta":{"content":[{"type":"text","text":"Hello there."},{"type":"reference","reference_ids":[1]}]}}]}"#]), SAYS_HELLO;
    reasoning: events(&[r#"{"choices":[{"delta":{"reasoning":"hm"}}]}"#, &usual_piece()]), SAYS_HELLO;
    reasoning_content: events(&[r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#, &usual_piece()]), SAYS_HELLO;
    both_reasoning_and_reasoning_content: events(&[
        r#"{"choices":[{"delta":{"content":"","reasoning":"hm","reasoning_content":"hm"}}]}"#,
        r#"{"choices":[{"delta":{"content":"Hello there.","reasoning":null,"reasoning_content":null}}]}"#]), SAYS_HELLO;
    reasoning_details: events(&[
        r#"{"choices":[{"delta":{"content":"","reasoning":null,"reasoning_details":[{"type":"reasoning.text","text":"hm"}]}}]}"#,
        &usual_piece()]), SAYS_HELLO;
    thoughts_in_the_text: Script::says(&["<think>\nhm\n</think>\n\n", HELLO]), SAYS_HELLO;
    thoughts_in_pieces: Script::says(&["<", "thi", "nk>h", "m</t", "hink>", "\n\nHello ", "there."]), SAYS_HELLO;
    thoughts_without_an_end: Script::says(&["<think>", "hm hm"]), Expected::Told(&["nothing to say"]);
    thoughts_that_the_template_began: Script::says(&["I should greet.", "\n</think>\n\n", HELLO]), SAYS_HELLO;
    thoughts_of_another_kind: Script::says(&["[THINK]hm[/THINK]", HELLO]), SAYS_HELLO;
    the_second_answer_first: events(&[
        r#"{"choices":[{"index":1,"delta":{"content":"Goodbye."}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"Hello "}}]}"#,
        r#"{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"there."}}]}"#]), SAYS_HELLO;
    two_answers_in_one_event: events(&[
        r#"{"choices":[{"index":1,"delta":{"content":"Goodbye."}},{"index":0,"delta":{"content":"Hello there."}}]}"#]), SAYS_HELLO;
    only_an_answer_with_index_one: events(&[r#"{"choices":[{"index":1,"delta":{"content":"Hello there."}}]}"#]), SAYS_HELLO;
    a_message_instead_of_a_delta: stream(&(hello(r#"{"choices":[{"message":{"role":"assistant","content":"#, "}}]}") + DONE)), SAYS_HELLO;
    a_delta_beside_the_message_so_far: events(&[
        r#"{"choices":[{"message":{"content":"Hello "},"delta":{"content":"Hello "}}]}"#,
        r#"{"choices":[{"message":{"content":"Hello there."},"delta":{"content":"there."},"finish_reason":"stop"}]}"#]), SAYS_HELLO;
    the_whole_message_behind_its_pieces: events(&[&usual_piece(),
        r#"{"object":"chat.completion","choices":[{"message":{"content":"Hello there."},"finish_reason":"stop"}]}"#]), SAYS_HELLO;
    text_of_text_completions: stream(&(hello(r#"{"object":"text_completion","choices":[{"index":0,"text":"#, r#","finish_reason":null}]}"#) + DONE)), SAYS_HELLO;
    a_delta_that_is_the_text: stream(&(hello(r#"{"choices":[{"delta":"#, "}]}") + DONE)), SAYS_HELLO;
    an_empty_finish_reason: stream(&(hello(r#"{"choices":[{"finish_reason":"","delta":{"content":"#, "}}]}") + DONE)), SAYS_HELLO;
    a_finish_reason_with_every_piece: stream(&(hello(r#"{"choices":[{"finish_reason":"stop","delta":{"content":"#, "}}]}") + DONE)), SAYS_HELLO;
    a_finish_reason_with_every_piece_of_a_slow_answer:
        finished("Hello").wait(50).append(finished(" the")).wait(2000).append(finished("re")).wait(2000).append(finished(".")), SAYS_HELLO;
    the_end_with_the_last_words: events(&[
        r#"{"choices":[{"delta":{"content":"Hello "}}]}"#,
        r#"{"choices":[{"delta":{"content":"there."},"finish_reason":"stop"}]}"#]), SAYS_HELLO;
    a_refusal: events(&[r#"{"choices":[{"delta":{"content":null,"refusal":"I will not."}}]}"#, STOP]), Expected::Answer("I will not.");
    a_tool_call_without_content: events(&[
        r#"{"choices":[{"delta":{"content":null,"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#]), Expected::Told(&["wants to use a tool"]);
    an_answer_that_is_too_long_for_the_model: events(&[&usual_piece(), r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#]),
        Expected::Told(&[HELLO, "it got too long"]);
    an_answer_that_is_held_back: events(&[r#"{"choices":[{"delta":{},"finish_reason":"content_filter"}]}"#]),
        Expected::Told(&["holds the answer back"]);
}

/// A piece with an end mark.
fn finished(text: &str) -> Script {
    stream(&format!(
        "data: {{\"choices\":[{{\"finish_reason\":\"stop\",\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
    ))
}

fn usual_piece() -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{HELLO}"}}}}]}}"#)
}

/// Ollama's own format, one line each.
fn ollama() -> String {
    let piece = |text: &str, done: bool| {
        format!(
            "{{\"model\":\"m\",\"message\":{{\"role\":\"assistant\",\"content\":\"{text}\"}},\"done\":{done}}}\n"
        )
    };
    piece("Hello ", false) + &piece("there.", false) + &piece("", true)
}

const WHOLE: &str = r#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there."},"finish_reason":"stop"}],"usage":{"total_tokens":9}}"#;

// Responses other than streams.
ways! {
    one_object: json(WHOLE), SAYS_HELLO;
    one_object_named_a_stream: Script::body("text/event-stream", WHOLE), SAYS_HELLO;
    one_object_on_many_lines: json(&WHOLE.replace('{', "{\n  ").replace(',', ",\r\n  ")), SAYS_HELLO;
    one_object_behind_white_space: Script::body("application/json", "\n").raw("   \n\n").wait(5).raw(WHOLE), SAYS_HELLO;
    one_object_behind_a_byte_order_mark: json(&format!("\u{feff}{WHOLE}")), SAYS_HELLO;
    one_object_of_another_json_type: Script::body("application/vnd.api+json", WHOLE), SAYS_HELLO;
    one_object_with_text: json(r#"{"choices":[{"text":"Hello there.","finish_reason":"stop"}]}"#), SAYS_HELLO;
    one_object_with_thoughts: json(r#"{"choices":[{"message":{"content":"<think>hm</think>Hello there.","reasoning":"hm","reasoning_content":"hm"}}]}"#), SAYS_HELLO;
    one_object_with_parts: json(r#"{"choices":[{"message":{"content":[{"type":"text","text":"Hello there."}]}}]}"#), SAYS_HELLO;
    one_object_of_two_answers: json(r#"{"choices":[{"index":1,"message":{"content":"Goodbye."}},{"index":0,"message":{"content":"Hello there."}}]}"#), SAYS_HELLO;
    lines_of_pieces: Script::body("application/x-ndjson", &usual().replace("data: ", "").replace("\n\n", "\n").replace("[DONE]\n", "")), SAYS_HELLO;
    lines_of_ollama: Script::body("application/x-ndjson", &ollama()), SAYS_HELLO;
    lines_of_ollamas_older_kind: Script::body("application/x-ndjson", "{\"response\":\"Hello \",\"done\":false}\n{\"response\":\"there.\",\"done\":true}\n"), SAYS_HELLO;
    lines_without_a_line_end_at_the_end: Script::body("application/json", ollama().trim_end()), SAYS_HELLO;
    an_array_of_pieces: json(&format!("[{},\n{STOP}]", usual_piece())), SAYS_HELLO;
    llama_cpps_own_kind: stream("data: {\"content\":\"Hello \",\"stop\":false}\n\ndata: {\"content\":\"there.\",\"stop\":true}\n\n"), SAYS_HELLO;
    created: stream(&usual()).with_status(201), SAYS_HELLO;
    accepted: json(WHOLE).with_status(202), SAYS_HELLO;
    gzip_in_one_piece: Script::body("application/json", "").header("content-encoding", "gzip").bytes(&gzip(WHOLE)), SAYS_HELLO;
    gzip_that_is_streamed: gzip_stream(), SAYS_HELLO;
    gzip_that_is_not_told: Script::stream().bytes(&gzip(&usual())), SAYS_HELLO;
    deflate: Script::stream().header("content-encoding", "deflate").bytes(&zlib(&usual())), SAYS_HELLO;
}

// Errors, in place of an answer or after its start. They are reported, without a retry.
ways! {
    an_error_with_status_200: json(r#"{"error":{"message":"The model is not loaded.","code":500}}"#), Expected::Told(&["The model is not loaded."]);
    an_error_that_is_text: json(r#"{"error":"model 'm' not found, try pulling it first"}"#), Expected::Told(&["try pulling it first"]);
    an_error_that_is_the_object: json(r#"{"object":"error","message":"The model `m` does not exist.","code":404}"#), Expected::Told(&["does not exist"]);
    an_error_in_an_array: json(r#"[{"error":{"code":400,"message":"API key not valid."}}]"#), Expected::Told(&["API key not valid."]);
    an_error_of_a_gateway: json(r#"{"message":"no Route matched with those values"}"#), Expected::Told(&["no Route matched"]);
    an_error_in_a_list_of_errors: json(r#"{"success":false,"errors":[{"code":7003,"message":"Could not route."}]}"#), Expected::Told(&["Could not route."]);
    an_error_in_a_status_field: json(r#"{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#), Expected::Told(&["insufficient balance"]);
    an_error_in_the_stream: events(&[r#"{"error":{"message":"Provider returned error","code":502}}"#]), Expected::Told(&["Provider returned error"]);
    an_error_event: stream("event: error\ndata: {\"message\":\"CUDA out of memory\"}\n\n"), Expected::Told(&["CUDA out of memory"]);
    an_error_event_of_plain_text: stream("event: error\ndata: upstream timed out\n\n"), Expected::Told(&["upstream timed out"]);
    an_error_line: stream("error: {\"code\":500,\"message\":\"slot unavailable\"}\n\n"), Expected::Told(&["slot unavailable"]);
    an_error_behind_words: Script::stream().word("Hello").raw("data: {\"error\":{\"message\":\"overloaded\"}}\n\n"), Expected::Told(&["Hello", "broke off here", "overloaded"]);
    an_error_as_the_end: events(&[&usual_piece(), r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#]), Expected::Told(&[HELLO, "reports an error"]);
    an_error_that_repeats_the_key: json(r#"{"error":{"message":"Bad key sk-test-key or sk-other."}}"#), Expected::Told(&["Bad key *** or ***"]);
    an_error_with_status_400: Script::body("application/json", r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#).with_status(400), Expected::Told(&["field required"]);
    an_error_in_gzip: Script::body("application/json", "").with_status(400).header("content-encoding", "gzip").bytes(&gzip(r#"{"error":"no such voice"}"#)), Expected::Told(&["no such voice"]);
    a_web_page: Script::body("text/html", "<!doctype html><title>Sign in</title>"), Expected::Told(&["did not understand"]);
    an_object_of_another_kind: json(r#"{"jsonrpc":"2.0","id":1}"#), Expected::Told(&["did not understand"]);
    words_without_any_format: Script::body("text/plain", "Hello there."), Expected::Told(&["did not understand"]);
}
