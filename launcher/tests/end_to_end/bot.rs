//! The bot with a model that is a script in this test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use crate::support::Home;
use crate::support::line_client::LineClient;

/// Answers each question by streaming it back in two pieces.
fn echoing_model() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let question = body["messages"].as_array().unwrap().last().unwrap()["content"].clone();
            let piece = |text: &serde_json::Value| {
                format!("data: {}\n\n", serde_json::json!({"choices": [{"delta": {"content": text}}]}))
            };
            let answer = format!("{}{}data: [DONE]\n\n", piece(&"You asked: ".into()), piece(&question));
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
            let _ = reader.get_mut().write_all(format!("{head}{answer}").as_bytes());
        }
    });
    port
}

#[test]
fn the_bot_answers_with_the_model_and_keeps_a_personality_per_user() {
    let port = echoing_model();
    let mut launcher = Home::new()
        .argument("--no-web")
        .argument("--no-thermometer")
        .set(&format!("openai-bot.base-url=http://127.0.0.1:{port}/v1"))
        .variable("OPENAI_API_KEY", "sk-a-secret-of-this-test")
        .up();
    let (mut alice, _) = LineClient::login(launcher.home.chat, "alice");
    alice.send("openai: Why is the SKY blue?\n");
    assert!(alice.line().ends_with("] You asked: Why is the SKY blue?\n"));
    alice.send("openai: personality spanish\n");
    alice.line();
    launcher.kill_component("openai-bot");
    alice.send("openai: help\n");
    let help = alice.line();
    assert!(help.contains("spanish") && help.contains("rotate"), "{help}");
    let logs = std::fs::read_to_string(launcher.home.logs().join("openai-bot.log")).unwrap();
    assert!(!logs.contains("sk-a-secret"), "{logs}");
}

#[test]
fn without_a_key_the_bot_is_not_started_and_status_says_why() {
    let launcher = Home::new().argument("--no-web").argument("--no-thermometer").up();
    let bot = launcher.component("openai-bot").unwrap();
    assert_eq!(bot["state"], "skipped");
    assert!(bot["reason"].as_str().unwrap().contains("OPENAI_API_KEY"), "{bot}");
}
