//! Tests of a history file, as we and other programs see it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use protocol::native::{Ack, ConversationSummary, Durability, Send};
use protocol::{Body, ClientId, ConversationId, Event, MessageType, Metadata, Timestamp, UserName};
use rusqlite::Connection;
use uuid::Uuid;

use super::database::History;
use super::entry::State;
use super::open::{OpenError, path};
use super::write::Logs;
use super::*;

fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn event(from: &str, to: &str, seq: u64, text: &str) -> Event {
    Event {
        id: Uuid::now_v7(),
        conversation: ConversationId::dm(&name(from), &name(to)),
        seq,
        at: at("2026-11-20T23:21:22Z"),
        sender: name(from),
        body: Body::parse(text).unwrap(),
        kind: MessageType::Chat,
        metadata: Metadata::default(),
        client_id: ClientId::fresh(),
        timestamp: at("2026-11-20T23:21:22Z"),
    }
}

fn words(to: &str, text: &str) -> Send {
    Send {
        trace: false,
        client_id: ClientId::fresh(),
        to: name(to),
        body: Body::parse(text).unwrap(),
        kind: MessageType::Chat,
        metadata: Metadata::default(),
        timestamp: None,
    }
}

fn ack(send: &Send, seq: u64) -> Ack {
    Ack {
        client_id: send.client_id.clone(),
        conversation: ConversationId::dm(&name("alice"), &send.to),
        seq,
        id: Uuid::now_v7(),
        at: at("2026-11-20T23:21:22Z"),
        duplicate: false,
        durability: Durability::Fsync,
        online: true,
    }
}

struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        path(self.directory.path(), &name("alice"))
    }

    fn open(&self) -> History {
        let mut history = History::open(&self.file()).unwrap();
        history.attach("here:5000").unwrap();
        history
    }

    /// The result of another program's query.
    fn sql(&self, sql: &str) -> String {
        let output = std::process::Command::new("sqlite3").arg(self.file()).arg(sql).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn texts(history: &History, with: &str) -> Vec<String> {
    history.page(with, None, 100).unwrap().entries.into_iter().map(|entry| entry.text).collect()
}

#[test]
fn other_programs_find_the_table_that_they_know() {
    let home = Home::new();
    let mut history = home.open();
    let me = name("alice");
    history.receive(&[event("bob-1", "alice", 1, "hi")], &me).unwrap();
    let send = words("bob-1", "hello");
    history.say(&[(send.clone(), at("2026-11-20T23:21:30.5Z"))]).unwrap();
    history.acknowledge(&[ack(&send, 2)]).unwrap();
    let expected = "1|bob-1|Me|hi|2026-11-20 23:21:22\n2|Me|bob-1|hello|2026-11-20 23:21:30\n";
    assert_eq!(home.sql("SELECT id, sender, receiver, message, timestamp FROM messages"), expected);
    let columns = "0|id|INTEGER|0||1\n1|sender|TEXT|0||0\n2|receiver|TEXT|0||0\n3|message|TEXT|0||0\n\
                   4|timestamp|DATETIME|0|CURRENT_TIMESTAMP|0\n";
    assert_eq!(home.sql("PRAGMA table_info(messages)"), columns);
    let python = format!(
        "import sqlite3; print(list(sqlite3.connect({:?}).execute('SELECT sender, message FROM messages')))",
        home.file().display().to_string()
    );
    let output = std::process::Command::new("python3").args(["-c", &python]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "[('bob-1', 'hi'), ('Me', 'hello')]\n");
    assert_eq!(std::fs::metadata(home.file()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_is_said_is_private_even_where_another_program_made_the_file_for_everybody() {
    let home = Home::new();
    home.sql("CREATE TABLE x(y)");
    let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", home.file().display()));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    std::fs::write(beside("-wal"), "").unwrap();
    for path in [home.file(), beside("-wal")] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap();
    }
    let mut history = home.open();
    history.say(&[(words("bob", "hi"), at("2026-11-20T23:21:30Z"))]).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(&beside(suffix)), 0o600, "{suffix}");
    }
}

#[test]
fn a_file_that_another_program_made_is_taken_over_and_goes_on_being_theirs() {
    let home = Home::new();
    home.sql(
        "CREATE TABLE messages(id INTEGER PRIMARY KEY AUTOINCREMENT, sender TEXT, receiver TEXT, message TEXT,
         timestamp DATETIME DEFAULT CURRENT_TIMESTAMP);
         INSERT INTO messages(sender, receiver, message, timestamp) VALUES
         ('bob', 'Me', 'old', '2020-01-01 00:00:00'), ('Me', 'Bob', 'older answer', '2020-01-01 00:00:01'),
         (NULL, 'Me', NULL, 'no time')",
    );
    let mut history = home.open();
    history.receive(&[event("bob", "alice", 1, "new")], &name("alice")).unwrap();
    assert_eq!(texts(&history, "BOB"), ["old", "older answer", "new"]);
    assert_eq!(history.waiting_count().unwrap(), 0, "nothing of theirs is sent");
    drop(history);
    home.sql("INSERT INTO messages(sender, receiver, message) VALUES ('carol', 'Me', 'theirs')");
    assert_eq!(texts(&home.open(), "carol"), ["theirs"]);
}

#[test]
fn what_other_programs_do_to_their_table_while_it_is_open_breaks_nothing() {
    let home = Home::new();
    let mut history = home.open();
    let me = name("alice");
    home.sql("INSERT INTO messages(sender, receiver, message) VALUES ('carol', 'Me', 'theirs')");
    history.receive(&[event("bob", "alice", 1, "one"), event("bob", "alice", 2, "two")], &me).unwrap();
    let (first, second) = (words("bob", "three"), words("bob", "four"));
    history
        .say(&[(first.clone(), at("2026-11-20T23:21:30Z")), (second, at("2026-11-20T23:21:31Z"))])
        .unwrap();
    home.sql(
        "INSERT INTO messages(sender, receiver, message) VALUES ('Me', 'bob', 'said with the other program');
         DELETE FROM messages WHERE message IN ('one', 'four'); UPDATE messages SET message = NULL WHERE message = 'two'",
    );
    history.acknowledge(&[ack(&first, 3)]).unwrap();
    assert_eq!(history.receive(&[event("bob", "alice", 4, "five")], &me).unwrap().len(), 1);
    assert_eq!(texts(&history, "bob"), ["", "three", "five"], "what they deleted is gone");
    drop(history);
    let history = home.open();
    assert_eq!(texts(&history, "bob"), ["said with the other program", "", "three", "five"]);
    assert_eq!(texts(&history, "carol"), ["theirs"]);
    assert_eq!(history.waiting(0, 10).unwrap(), [], "nothing of theirs is sent, nor what they deleted");
    assert_eq!(home.sql("PRAGMA integrity_check; SELECT count(*) FROM messages"), "ok\n5\n");
}

#[test]
fn what_is_said_waits_until_it_is_answered_also_across_a_crash() {
    let home = Home::new();
    let mut history = home.open();
    let (first, second) = (words("bob", "one"), words("bob", "two"));
    history.say(&[(first.clone(), at("2026-11-20T23:21:22Z"))]).unwrap();
    history.say(&[(second.clone(), at("2026-11-20T23:21:23Z"))]).unwrap();
    history.say(&[(second.clone(), at("2026-11-20T23:21:24Z"))]).unwrap();
    // As after a crash: not closed.
    let mut history = std::mem::ManuallyDrop::new(home.open());
    let waiting = history.waiting(0, 10).unwrap();
    let ids: Vec<_> = waiting.iter().map(|one| one.send.client_id.clone()).collect();
    assert_eq!(ids, [first.client_id.clone(), second.client_id.clone()]);
    assert_eq!(
        waiting[0].send.timestamp,
        Some(at("2026-11-20T23:21:22Z")),
        "it keeps the time it was said at"
    );
    assert_eq!(history.waiting(waiting[0].row, 10).unwrap().len(), 1);
    let entry = history.acknowledge(&[ack(&first, 1)]).unwrap().remove(0).unwrap();
    assert_eq!((entry.state, entry.seq), (State::Stored, Some(1)));
    let entry = history.refuse(&second.client_id, "no").unwrap().unwrap();
    assert_eq!(entry.state, State::Refused);
    assert_eq!(history.waiting_count().unwrap(), 0);
    assert_eq!(texts(&history, "bob"), ["one", "two"]);
}

#[test]
fn what_waits_for_one_server_does_not_go_to_another() {
    let home = Home::new();
    let mut history = home.open();
    history.say(&[(words("bob", "secret"), at("2026-11-20T23:21:22Z"))]).unwrap();
    history.receive(&[event("bob", "alice", 7, "there")], &name("alice")).unwrap();
    history.attach("elsewhere:5000").unwrap();
    assert_eq!(history.waiting(0, 10).unwrap(), []);
    assert!(history.cursors(&name("alice")).unwrap().is_empty(), "its log is another one");
    history.receive(&[event("bob", "alice", 1, "elsewhere")], &name("alice")).unwrap();
    assert_eq!(texts(&history, "bob"), ["there", "elsewhere", "secret"]);
    history.attach("here:5000").unwrap();
    assert_eq!(history.waiting_count().unwrap(), 1);
}

#[test]
fn nothing_is_kept_twice_and_the_order_is_the_server_s() {
    let home = Home::new();
    let mut history = home.open();
    let me = name("alice");
    let send = words("bob", "mine");
    history.say(&[(send.clone(), at("2026-11-20T23:21:22Z"))]).unwrap();
    let (first, third) = (event("bob", "alice", 1, "first"), event("bob", "alice", 3, "third"));
    let mut own = event("alice", "bob", 2, "mine");
    own.client_id = send.client_id.clone();
    let news = history.receive(&[first.clone(), own, third.clone()], &me).unwrap();
    assert_eq!(news.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(history.receive(&[first, third], &me).unwrap(), [None, None]);
    assert_eq!(texts(&history, "bob"), ["first", "mine", "third"]);
    assert_eq!(history.cursors(&me).unwrap().into_values().collect::<Vec<_>>(), [3]);
    assert_eq!(home.sql("SELECT count(*) FROM messages"), "3\n");
}

#[test]
fn what_a_page_brought_early_is_still_told_when_it_comes() {
    let home = Home::new();
    let mut history = home.open();
    let (me, early) = (name("alice"), event("bob", "alice", 4, "early"));
    history.fill_in(std::slice::from_ref(&early), &me).unwrap();
    assert!(history.receive(&[early], &me).unwrap()[0].is_some());
    assert_eq!(texts(&history, "bob"), ["early"]);
}

#[test]
fn what_was_kept_and_not_shown_is_unseen() {
    let home = Home::new();
    let mut history = home.open();
    let me = name("alice");
    let events: Vec<Event> = (1..=3).map(|seq| event("bob", "alice", seq, &format!("m{seq}"))).collect();
    history.receive(&events, &me).unwrap();
    history.see("bob", 1).unwrap();
    let unseen = history.unseen(0, 10).unwrap();
    assert_eq!(unseen.iter().map(|entry| entry.text.as_str()).collect::<Vec<_>>(), ["m2", "m3"]);
    assert_eq!(history.unseen(unseen[0].row, 10).unwrap().len(), 1);
}

#[test]
fn a_server_that_begins_anew_is_asked_for_everything() {
    let home = Home::new();
    let mut history = home.open();
    let me = name("alice");
    history.receive(&[event("bob", "alice", 9, "before")], &me).unwrap();
    let conversation = ConversationId::dm(&me, &name("bob"));
    let summary = |head| ConversationSummary {
        conversation: conversation.clone(),
        with: name("bob"),
        head,
        seen: 0,
        unseen: head,
        last: None,
    };
    assert_eq!(history.greet(&[summary(9)], None, &me).unwrap(), Logs::Same);
    assert_eq!(history.greet(&[summary(1)], None, &me).unwrap(), Logs::Shorter);
    assert!(history.receive(&[event("bob", "alice", 1, "after")], &me).unwrap()[0].is_some());
    assert_eq!(texts(&history, "bob"), ["before", "after"]);
}

#[test]
fn another_log_hides_nothing_though_it_is_as_long_as_the_one_before() {
    let home = Home::new();
    let mut history = home.open();
    let me = name("alice");
    let (first, second) = (Some(Uuid::now_v7()), Some(Uuid::now_v7()));
    assert_eq!(history.greet(&[], first, &me).unwrap(), Logs::Same, "there was none before");
    let kept = event("bob", "alice", 1, "in both");
    history.receive(&[kept.clone(), event("bob", "alice", 2, "in the first")], &me).unwrap();
    history.see("bob", 2).unwrap();
    assert_eq!(history.cursors(&me).unwrap().len(), 1);
    drop(history);
    let mut history = home.open();
    assert_eq!((history.log().unwrap(), history.greet(&[], first, &me).unwrap()), (first, Logs::Same));
    assert_eq!(history.greet(&[], None, &me).unwrap(), Logs::Same, "a server that names none");
    assert_eq!(history.greet(&[], second, &me).unwrap(), Logs::Replaced);
    assert_eq!((history.log().unwrap(), history.cursors(&me).unwrap().len()), (second, 0));
    let news = history.receive(&[kept, event("bob", "alice", 2, "in the second")], &me).unwrap();
    assert!(news[1].is_some(), "the same place holds another message");
    let texts = texts(&history, "bob");
    assert!(texts.iter().any(|text| text == "in the second"), "{texts:?}");
    assert_eq!(texts.iter().filter(|text| *text == "in both").count(), 1, "what is known is known by its id");
    history.attach("elsewhere:5000").unwrap();
    assert_eq!(history.log().unwrap(), None, "the log is that of one server");
}

#[test]
fn bad_files_are_named_and_left_alone() {
    let home = Home::new();
    std::fs::write(
        home.file(),
        "these are not the bytes of a database, and there are more than a hundred of them: ".repeat(3),
    )
    .unwrap();
    let before = std::fs::read(home.file()).unwrap();
    let error = History::open(&home.file()).unwrap_err();
    assert!(matches!(error, OpenError::Foreign(_)), "{error:?}");
    let history = History::open_or_do_without(&home.file());
    let trouble = history.trouble.unwrap();
    assert!(
        trouble.starts_with("history is not saved: '") && trouble.contains("is not a chat history"),
        "{trouble}"
    );
    assert_eq!(std::fs::read(home.file()).unwrap(), before);

    let home = Home::new();
    home.sql("CREATE TABLE messages(something TEXT); INSERT INTO messages VALUES ('else')");
    let before = std::fs::read(home.file()).unwrap();
    let error = History::open(&home.file()).unwrap_err();
    assert!(matches!(error, OpenError::Foreign(_)), "{error:?}");
    assert_eq!(std::fs::read(home.file()).unwrap(), before);

    let home = Home::new();
    drop(home.open());
    home.sql("UPDATE p2p_schema SET version = 99");
    let before = std::fs::read(home.file()).unwrap();
    assert!(matches!(History::open(&home.file()), Err(OpenError::Newer(_))));
    assert_eq!(std::fs::read(home.file()).unwrap(), before);
}

#[test]
fn what_is_wrong_with_a_file_comes_with_what_to_do() {
    let said = |home: &Home| History::open(&home.file()).unwrap_err().to_string();
    let home = Home::new();
    drop(home.open());
    home.sql("PRAGMA journal_mode = DELETE");
    let mut bytes = std::fs::read(home.file()).unwrap();
    bytes[4096..].fill(0xab);
    std::fs::write(home.file(), &bytes).unwrap();
    let damaged = said(&home);
    assert!(damaged.contains("is damaged; move it away") && damaged.contains(".recover"), "{damaged}");
    assert_eq!(std::fs::read(home.file()).unwrap(), bytes);

    let home = Home::new();
    std::fs::create_dir_all(home.file()).unwrap();
    assert!(said(&home).ends_with("cannot be opened; fix that, or use another directory with --history"));

    let home = Home::new();
    let file = home.file();
    std::fs::write(&file, "").unwrap();
    let below = History::open(&file.join("chat_history_alice.db")).unwrap_err().to_string();
    assert_eq!(below, format!("'{}' is not a directory; choose another one with --history", file.display()));
}

#[test]
fn a_locked_file_is_waited_for_and_then_done_without() {
    let home = Home::new();
    home.open().say(&[(words("bob", "kept"), at("2026-11-20T23:21:22Z"))]).unwrap();
    let other = Connection::open(home.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(History::open(&home.file()), Err(OpenError::Locked(_))));
    let mut history = History::open_or_do_without(&home.file());
    assert!(history.trouble.as_ref().unwrap().contains("locked"));
    history.say(&[(words("bob", "only here"), at("2026-11-20T23:21:23Z"))]).unwrap();
    assert_eq!(texts(&history, "bob"), ["kept", "only here"]);
    drop(other);
    assert_eq!(home.sql("SELECT count(*) FROM messages"), "1\n");
}

#[test]
fn a_full_disk_ends_the_keeping_and_not_the_chat() {
    let home = Home::new();
    let mut history = home.open();
    history.say(&[(words("bob", "kept"), at("2026-11-20T23:21:22Z"))]).unwrap();
    // SQLite's own limit causes the same error as a full disk.
    history.connection.pragma_update(None, "max_page_count", 1).unwrap();
    let long = "x".repeat(16_000);
    let error = history.say(&[(words("bob", &long), at("2026-11-20T23:21:23Z"))]).unwrap_err();
    history.do_without(&home.file(), error);
    assert!(
        history.trouble.as_ref().unwrap().contains("is full; free some space, then start again"),
        "{:?}",
        history.trouble
    );
    history.say(&[(words("bob", &long), at("2026-11-20T23:21:23Z"))]).unwrap();
    assert_eq!(texts(&history, "bob"), ["kept", long.as_str()]);
    assert_eq!(home.sql("SELECT count(*) FROM messages; PRAGMA integrity_check"), "1\nok\n");
}

#[test]
fn a_user_s_file_is_found_however_the_name_is_written() {
    let home = Home::new();
    drop(home.open());
    assert_eq!(path(home.directory.path(), &name("ALICE")), home.file());
    assert!(path(home.directory.path(), &name("a-b")).ends_with("chat_history_a-b.db"));
}

fn exported(home: &Home, format: Format, with: Option<&str>, search: Option<&str>) -> String {
    let options = HistoryOptions {
        directory: home.directory.path().to_owned(),
        name: None,
        with: with.map(str::to_owned),
        search: search.map(str::to_owned),
        format,
    };
    let mut out = Vec::new();
    print(&options, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_history_is_written_for_people_and_for_programs() {
    let home = Home::new();
    let mut history = home.open();
    history.receive(&[event("bob", "alice", 1, "two\nlines, \"quoted\"")], &name("alice")).unwrap();
    history.say(&[(words("carol", "=1+1"), at("2026-11-20T23:21:30Z"))]).unwrap();
    let text = exported(&home, Format::Txt, None, None);
    let lines =
        "2026-11-20 23:21:22 <- bob: two lines, \"quoted\"\n2026-11-20 23:21:30 -> carol (waiting): =1+1\n";
    assert_eq!(text, lines);
    assert_eq!(exported(&home, Format::Txt, Some("BOB"), None).lines().count(), 1);
    assert_eq!(exported(&home, Format::Txt, None, Some("QUOTED")).lines().count(), 1);
    let json: serde_json::Value = serde_json::from_str(&exported(&home, Format::Json, None, None)).unwrap();
    assert_eq!(
        (json[0]["body"].as_str(), json[0]["direction"].as_str()),
        (Some("two\nlines, \"quoted\""), Some("in"))
    );
    assert_eq!((json[1]["state"].as_str(), json[1]["with"].as_str()), (Some("waiting"), Some("carol")));
    assert_eq!(exported(&home, Format::Json, Some("nobody"), None), "[\n]\n");
    assert_eq!(
        exported(&home, Format::Csv, None, None),
        "id,with,direction,timestamp,state,seq,kind,body\r\n\
         1,bob,in,2026-11-20T23:21:22.000000+00:00,stored,1,chat,\"two\nlines, \"\"quoted\"\"\"\r\n\
         2,carol,out,2026-11-20T23:21:30.000000+00:00,waiting,,chat,'=1+1\r\n"
    );
}
