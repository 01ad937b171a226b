//! The client without its server: messages wait in the history and are sent once.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use protocol::MessageType::Chat;
use proxy::Wire;
use support::{run_in, sql, start};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use transport::testing::FakeServers;

const WAITING: &str = "SELECT count(*) FROM p2p_messages WHERE state = 'waiting'";

/// Waits until a query of a client's history returns this.
async fn until(home: &Path, question: &str, answer: &str) {
    let looking = async {
        while sql(home, "alice", question) != answer {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(20), looking).await;
    assert!(found.is_ok(), "{question} is {}", sql(home, "alice", question));
}

#[tokio::test]
async fn what_is_piped_without_a_server_waits_and_goes_out_with_the_next_session_once() {
    let (servers, home) = (FakeServers::start().await, tempfile::tempdir().unwrap());
    let wire = Wire::cut_to(servers.chat).await;
    let arguments = [&wire.address.to_string(), "alice"];
    let run = run_in(home.path(), &arguments, "bob: one\nbob: two\n").await;
    assert_eq!(run.code, Some(69), "{}", run.err);
    assert_eq!(run.err.matches("your messages are saved").count(), 1, "it is said once: {}", run.err);
    let end = format!(
        "2 messages wait in the history of alice; they go out when alice next chats with {}",
        wire.address
    );
    assert!(run.err.contains("cannot reach a chat server at") && run.err.contains(&end), "{}", run.err);
    assert_eq!(sql(home.path(), "alice", WAITING), "2");
    wire.mend();
    for _ in 0..2 {
        let run = run_in(home.path(), &arguments, "").await;
        assert_eq!(run.code, Some(0), "{}", run.err);
    }
    let said = servers.conversation("alice", "bob", 2).await;
    assert_eq!(said.iter().map(|event| event.body.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(sql(home.path(), "alice", WAITING), "0");
}

#[tokio::test]
async fn a_program_is_told_once_that_what_it_says_waits() {
    let home = tempfile::tempdir().unwrap();
    let run =
        run_in(home.path(), &["127.0.0.1:9", "alice", "json"], "bob: one\nbob: two\nbob: three\n").await;
    assert_eq!((run.code, run.out.matches("\"notice\"").count()), (Some(69), 1), "{}", run.out);
    assert_eq!(run.out.matches("\"state\":\"waiting\"").count(), 3, "{}", run.out);
    assert!(run.err.contains("3 messages wait in the history of alice; they go out"), "{}", run.err);
}

#[tokio::test]
async fn what_was_shown_before_a_crash_is_hardly_shown_again() {
    const SAID: usize = 3000;
    let (servers, home) = (FakeServers::start().await, tempfile::tempdir().unwrap());
    for n in 0..SAID {
        servers.say("bob", "alice", Chat, &format!("line {n}."));
    }
    let arguments = [&servers.chat.to_string(), "alice"];
    let mut shown = Vec::new();
    // New messages, and then those that an earlier session saved but did not show.
    for stop in [800, 1600] {
        let mut client = start(home.path(), &arguments);
        let mut output = BufReader::new(client.stdout.take().unwrap()).lines();
        while shown.len() < stop {
            shown.push(output.next_line().await.unwrap().unwrap());
        }
        client.start_kill().unwrap();
        while let Some(line) = output.next_line().await.unwrap() {
            shown.push(line);
        }
    }
    let last = run_in(home.path(), &arguments, "").await;
    assert_eq!(last.code, Some(0), "{}", last.err);
    shown.extend(last.out.lines().map(str::to_owned));
    let all: std::collections::BTreeSet<&String> = shown.iter().collect();
    assert_eq!(all.len(), SAID, "nothing is lost");
    // At most one batch of output each time.
    assert!(shown.len() - all.len() < 400, "{} of {SAID} were shown twice", shown.len() - all.len());
}

#[tokio::test]
async fn what_was_said_before_a_crash_goes_out_once_whether_it_had_arrived_or_not() {
    let (servers, home) = (FakeServers::start().await, tempfile::tempdir().unwrap());
    let wire = Wire::cut_to(servers.chat).await;
    wire.mend();
    let mut expected = Vec::new();
    for round in 0..4 {
        let mut client = start(home.path(), &[&wire.address.to_string(), "alice"]);
        let mut input = client.stdin.take().unwrap();
        servers.online("alice").await;
        let said = |n| format!("round {round} line {n}");
        input.write_all(format!("bob: {}\n", said(0)).as_bytes()).await.unwrap();
        expected.push(said(0));
        let stored = "SELECT count(*) FROM p2p_messages WHERE state = 'stored'";
        until(home.path(), stored, &expected.len().to_string()).await;
        // The server receives it, but the client never learns; the next ones do not even arrive.
        wire.deafen();
        input.write_all(format!("bob: {}\n", said(1)).as_bytes()).await.unwrap();
        expected.push(said(1));
        servers.conversation("alice", "bob", expected.len()).await;
        wire.cut();
        for n in 2..5 {
            input.write_all(format!("bob: {}\n", said(n)).as_bytes()).await.unwrap();
            expected.push(said(n));
        }
        until(home.path(), WAITING, "4").await;
        client.kill().await.unwrap();
        wire.mend();
        let run = run_in(home.path(), &[&wire.address.to_string(), "alice"], "").await;
        assert_eq!(run.code, Some(0), "{}", run.err);
        let events = servers.conversation("alice", "bob", expected.len()).await;
        assert_eq!(events.iter().map(|event| event.body.as_str()).collect::<Vec<_>>(), expected);
        assert_eq!(sql(home.path(), "alice", "SELECT count(*) FROM messages"), expected.len().to_string());
    }
}

#[tokio::test]
async fn received_messages_are_kept_and_shown_once_also_when_the_client_is_killed() {
    let (servers, home) = (FakeServers::start().await, tempfile::tempdir().unwrap());
    let address = servers.chat.to_string();
    servers.say("bob", "alice", Chat, "first");
    let mut client = start(home.path(), &[&address, "alice"]);
    until(home.path(), "SELECT count(*) FROM messages WHERE sender = 'bob' AND receiver = 'Me'", "1").await;
    client.kill().await.unwrap();
    servers.say("bob", "alice", Chat, "second");
    let run = run_in(home.path(), &[&address, "alice"], "").await;
    assert_eq!(run.out.matches("second").count(), 1, "{}", run.out);
    let run = run_in(home.path(), &[&address, "alice"], "/search FIRST\n").await;
    assert_eq!((run.out.matches("first").count(), run.out.matches("second").count()), (1, 0), "{}", run.out);
    assert_eq!(sql(home.path(), "alice", "SELECT group_concat(message) FROM messages"), "first,second");
}

#[tokio::test]
async fn a_chat_goes_on_without_a_history_that_cannot_be_kept() {
    let servers = FakeServers::start().await;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("p2p-chat/chat_history_alice.db");
    std::fs::create_dir(home.path().join("p2p-chat")).unwrap();
    let rubbish = "no database, but more than the hundred bytes of a database's head. ".repeat(3);
    std::fs::write(&file, &rubbish).unwrap();
    let run = run_in(home.path(), &[&servers.chat.to_string(), "alice"], "bob: hi\n").await;
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(
        run.err.contains("history is not saved: ") && run.err.contains("is not a chat history"),
        "{}",
        run.err
    );
    assert_eq!(servers.conversation("alice", "bob", 1).await.len(), 1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), rubbish);
}

#[tokio::test]
async fn when_a_chat_is_over_its_history_is_one_file_with_everything_in_it() {
    let (servers, home) = (FakeServers::start().await, tempfile::tempdir().unwrap());
    let run = run_in(home.path(), &[&servers.chat.to_string(), "alice"], "bob: hi\n").await;
    assert_eq!(run.code, Some(0), "{}", run.err);
    let files = std::fs::read_dir(home.path().join("p2p-chat")).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["chat_history_alice.db"]);
    assert_eq!(sql(home.path(), "alice", "SELECT message FROM messages"), "hi");
}

#[tokio::test]
async fn a_name_with_a_hyphen_has_a_history_like_any_other() {
    let (servers, home) = (FakeServers::start().await, tempfile::tempdir().unwrap());
    let run = run_in(home.path(), &[&servers.chat.to_string(), "mary-jane"], "jean-luc: hi-there\n").await;
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert_eq!(
        sql(home.path(), "mary-jane", "SELECT sender, receiver, message FROM messages"),
        "Me|jean-luc|hi-there"
    );
    let file = home.path().join("p2p-chat/chat_history_mary-jane.db");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}
