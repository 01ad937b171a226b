//! The client with pipes: lines in, lines out, and an exit code that tells whether all messages were stored.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use protocol::MessageType;
use protocol::native::ErrorCode;
use serde_json::Value;
use support::{Run, run_in, start};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use transport::testing::FakeServers;

/// Runs the client without a history on this input to its end.
async fn run(server: SocketAddr, name: &str, input: &str) -> Run {
    let home = tempfile::tempdir().unwrap();
    run_in(home.path(), &[&server.to_string(), name], input).await
}

#[tokio::test]
async fn a_piped_line_is_sent_and_answered_before_the_client_ends() {
    let servers = FakeServers::start().await;
    let run = run(servers.chat, "alice", "bob: hi").await;
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (Some(0), "", "bob is offline; saved\n"));
    let events = servers.conversation("alice", "bob", 1).await;
    assert_eq!((events[0].sender.as_str(), events[0].body.as_str()), ("alice", "hi"));
    servers.seen("alice", "bob", 1).await;
}

#[tokio::test]
async fn many_lines_arrive_once_and_in_order() {
    let servers = FakeServers::start().await;
    let input: String = (0..1200).map(|n| format!("bob: line {n}\n")).collect();
    let run = run(servers.chat, "alice", &input).await;
    assert_eq!((run.code, run.err.matches("bob is offline; saved").count()), (Some(0), 1), "{}", run.err);
    let events = servers.conversation("alice", "bob", 1200).await;
    let said: Vec<&str> = events.iter().map(|event| event.body.as_str()).collect();
    assert_eq!(said, (0..1200).map(|n| format!("line {n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn unseen_messages_are_printed_one_a_line_and_only_once() {
    let servers = FakeServers::start().await;
    servers.say("bob", "alice", MessageType::Chat, "first\nof two lines");
    servers.say("bob", "alice", MessageType::Chat, "second");
    let first = run(servers.chat, "alice", "").await;
    let shown: Vec<&str> = first.out.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!((first.code, shown), (Some(0), vec!["bob: first of two lines", "bob: second"]));
    servers.seen("alice", "bob", 2).await;
    assert_eq!(run(servers.chat, "alice", "").await.out, "");
}

#[tokio::test]
async fn commands_are_answered_on_standard_output() {
    let servers = FakeServers::start().await;
    let run = run(servers.chat, "alice", "bob: hi\n/who\n/history bob 5\n!check\nexit\n").await;
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.out.starts_with("online: alice\n"), "{}", run.out);
    assert_eq!(servers.conversation("alice", "bob", 1).await.len(), 1);
}

#[tokio::test]
async fn an_exit_in_a_pipe_comes_after_all_that_stands_before_it_and_drops_nothing_without_a_word() {
    let servers = FakeServers::start().await;
    let before: String = (0..300).map(|n| format!("bob: line {n}\n")).collect();
    let done = run(servers.chat, "alice", &format!("{before}exit\n\r\n")).await;
    assert_eq!((done.code, done.err.contains("exit")), (Some(0), false), "{}", done.err);
    assert_eq!(servers.conversation("alice", "bob", 300).await.len(), 300);
    for behind in ["bob: not this\n\ncarol: nor this", "{\"to\":\"bob\",\"body\":\"nor this\"}\nexit\n"] {
        let left = run(servers.chat, "alice", &format!("bob: hi\nexit\n{behind}")).await;
        assert_eq!(
            (left.code, left.err.contains("2 lines after 'exit' were not sent")),
            (Some(1), true),
            "{}",
            left.err
        );
    }
    assert_eq!(servers.conversation("alice", "bob", 302).await.len(), 302);
}

#[tokio::test]
async fn a_pipe_that_stays_open_after_exit_keeps_nobody_waiting() {
    let servers = FakeServers::start().await;
    let home = tempfile::tempdir().unwrap();
    let mut child = start(home.path(), &[&servers.chat.to_string(), "alice"]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"bob: hi\nexit\n").await.unwrap();
    assert!(child.wait().await.unwrap().success());
    servers.conversation("alice", "bob", 1).await;
}

#[tokio::test]
async fn input_is_taken_whatever_wrote_it_and_utf_16_is_named() {
    let servers = FakeServers::start().await;
    let home = tempfile::tempdir().unwrap();
    for (mode, input) in [
        ("plain", "\u{feff}bob: one\r\nbob: two\r\0bob: three\r"),
        ("json", "\u{feff}{\"to\":\"bob\",\"body\":\"four\"}\r\n{\"to\":\"bob\",\"body\":\"five\"}\r\0"),
    ] {
        let run = run_in(home.path(), &[&servers.chat.to_string(), "alice", mode], input).await;
        assert_eq!(run.code, Some(0), "{mode}: {} {}", run.out, run.err);
    }
    let events = servers.conversation("alice", "bob", 5).await;
    let said: Vec<&str> = events.iter().map(|event| event.body.as_str()).collect();
    assert_eq!(said, ["one", "two", "three", "four", "five"]);
    // Each of its bytes is valid UTF-8, too.
    let wide: String = "bob: hi\n".chars().flat_map(|c| [c, '\0']).collect();
    for (mode, at) in [("plain", "standard error"), ("json", "standard output")] {
        let run = run_in(home.path(), &[&servers.chat.to_string(), "alice", mode], &wide).await;
        let told = if mode == "plain" { &run.err } else { &run.out };
        let why = "cannot read the input: it is UTF-16; convert it to UTF-8 first";
        assert_eq!((run.code, told.matches(why).count()), (Some(1), 1), "{at}: {told}");
    }
    assert_eq!(servers.conversation("alice", "bob", 5).await.len(), 5);
}

#[tokio::test]
async fn a_line_that_cannot_be_sent_is_an_error_and_the_others_are_sent() {
    let servers = FakeServers::start().await;
    let run = run(servers.chat, "alice", "no receiver\nbob: hi\n").await;
    assert_eq!(run.code, Some(1));
    assert!(run.err.contains("error: no recipient"), "{}", run.err);
    servers.conversation("alice", "bob", 1).await;
}

#[tokio::test]
async fn without_a_server_nothing_is_sent_and_the_exit_code_says_so() {
    let run = run(SocketAddr::from(([127, 0, 0, 1], 9)), "alice", "bob: hi\n").await;
    assert_eq!(run.code, Some(69));
    assert!(run.err.contains("cannot reach 127.0.0.1:9"), "{}", run.err);
}

#[tokio::test]
async fn a_refused_name_is_an_error_and_cannot_steer_the_terminal() {
    let server =
        support::refusing(ErrorCode::Reserved, "this name is \u{1b}]0;taken\u{7} by a service").await;
    let run = run(server, "openai", "bob: hi\n").await;
    assert_eq!(run.code, Some(1));
    assert!(run.err.contains("rejected the name openai: this name is ]0;taken by a service"), "{}", run.err);
    let server = support::refusing(ErrorCode::Taken, "somebody is online under this name").await;
    let run = self::run(server, "alice", "bob: hi\n").await;
    assert_eq!((run.code, run.err.contains("somebody is online")), (Some(1), true), "{}", run.err);
}

#[tokio::test]
async fn a_name_is_needed_and_must_be_one() {
    let output =
        Command::new(support::client()).arg("127.0.0.1:9").stdin(Stdio::null()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(64));
    let run = run(SocketAddr::from(([127, 0, 0, 1], 9)), "two words", "").await;
    assert_eq!(
        (run.code, run.err.contains("invalid name 'two words': a name cannot hold a space")),
        (Some(64), true)
    );
}

#[tokio::test]
async fn a_lost_connection_comes_back_and_nothing_is_lost_or_doubled() {
    let servers = FakeServers::start().await;
    let home = tempfile::tempdir().unwrap();
    let mut child = start(home.path(), &[&servers.chat.to_string(), "alice"]);
    let mut input = child.stdin.take().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    servers.online("alice").await;
    for n in 0..20 {
        input.write_all(format!("bob: {n}\n").as_bytes()).await.unwrap();
        if n % 5 == 0 {
            servers.drop_connections();
        }
    }
    servers.say("bob", "alice", MessageType::Chat, "still there?");
    assert!(output.next_line().await.unwrap().unwrap().ends_with(" bob: still there?"));
    drop(input);
    assert!(child.wait().await.unwrap().success());
    let mut said = Vec::new();
    while let Some(line) = errors.next_line().await.unwrap() {
        said.push(line);
    }
    assert!(said.iter().any(|line| line.starts_with("connection lost")), "{said:?}");
    assert!(said.iter().any(|line| line == "reconnected"), "{said:?}");
    let events = servers.conversation("alice", "bob", 21).await;
    let mine =
        events.iter().filter(|event| event.sender.as_str() == "alice").map(|event| event.body.as_str());
    assert_eq!(mine.collect::<Vec<_>>(), (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_program_speaks_json_and_reads_what_becomes_of_it() {
    let servers = FakeServers::start().await;
    servers.say("bob", "alice", MessageType::Chat, "two\nlines \u{85} \u{202e}");
    let home = tempfile::tempdir().unwrap();
    let input =
        "{\"to\":\"carol\",\"body\":\"from a script\",\"client_id\":\"job-1\"}\nbob: hi\n{\"to\":1}\n";
    let arguments = [&servers.chat.to_string(), "alice", "json"];
    let run = run_in(home.path(), &arguments, input).await;
    assert_eq!(run.code, Some(1), "one line was wrong: {}", run.err);
    let lines: Vec<Value> = run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
    assert_eq!(of("connected")[0]["online"][0], "alice");
    assert!(of("message")[0]["body"].as_str().unwrap().starts_with("two\nlines"), "{}", run.out);
    let sent = of("sent");
    assert_eq!((sent[0]["client_id"].as_str(), sent[0]["with"].as_str()), (Some("job-1"), Some("carol")));
    assert_eq!((sent[1]["seq"].as_u64(), sent[1]["state"].as_str()), (Some(2), Some("stored")));
    assert!(of("error")[0]["text"].as_str().unwrap().contains("a message is {"), "{}", run.out);
    // A message repeated under the same id is sent once.
    let run = run_in(home.path(), &arguments, input).await;
    assert!(run.out.contains("\"job-1\""), "{}", run.out);
    assert_eq!(servers.conversation("alice", "carol", 1).await.len(), 1);
}

#[tokio::test]
async fn a_server_that_means_no_good_steers_nothing_in_any_mode() {
    for (what, bytes) in support::mischief() {
        for mode in ["plain", "json"] {
            let server = support::hostile(bytes.clone()).await;
            let home = tempfile::tempdir().unwrap();
            let mut child = start(home.path(), &[&server.to_string(), "alice", mode]);
            let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
            let (mut written, mut said) = (Vec::new(), Vec::new());
            // Each of them ends the connection, which is reported; only earlier output counts.
            let saying = async {
                loop {
                    tokio::select! {
                        read = out.read_buf(&mut written) => assert_ne!(read.unwrap(), 0, "{what} {mode}: it ended"),
                        read = err.read_buf(&mut said) => assert_ne!(read.unwrap(), 0, "{what} {mode}: it ended"),
                    }
                    let all = String::from_utf8([written.as_slice(), said.as_slice()].concat()).unwrap();
                    if ["cannot reach", "connection lost", "\"disconnected\""]
                        .iter()
                        .any(|end| all.contains(end))
                    {
                        return all;
                    }
                }
            };
            let all = tokio::time::timeout(Duration::from_secs(20), saying).await.unwrap();
            let steers = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
            assert!(!all.contains(steers), "{what} {mode}: {all:?}");
        }
    }
}
