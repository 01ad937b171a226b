//! The launcher with a real MongoDB that answers, rejects, is unsuitable, or stops.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "what is skipped is said")]

mod support;

use std::time::{Duration, Instant};

use mongodb::bson::doc;
use support::line_client::LineClient;
use support::mongo::Mongo;
use support::{Home, http, wait_for};

/// A running server, unless MongoDB is skipped.
fn mongo() -> Option<Mongo> {
    (!mongo_is_skipped()).then(Mongo::start)
}

fn mongo_is_skipped() -> bool {
    let is_skipped = std::env::var("P2P_TEST_SKIP_MONGO").is_ok_and(|skip| skip == "1");
    if is_skipped {
        eprintln!("P2P_TEST_SKIP_MONGO=1: nothing is tested on MongoDB");
    }
    is_skipped
}

/// The output of `launcher check` with this store, and its exit code.
fn check(url: &str) -> (Option<i32>, String) {
    let output = Home::new().variable("MONGO_URL", url).run(&["check"]);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn mongodb_is_greeted_and_each_way_to_fail_has_its_own_words() {
    let Some(mongo) = mongo() else { return };
    let (code, said) = check(&mongo.url);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("starts after mongodb"), "{said}");

    let host = mongo.url.strip_prefix("mongodb://").unwrap().split('/').next().unwrap();
    let cases = [
        (format!("mongodb://joe:hunter2@{host}/"), "does not accept the user name and password"),
        (format!("mongodb://joe:hunter2@{host}/?replicaSet=other"), "replica set called 'other'"),
        ("mongodb://joe:hunter2@no-such-host.invalid/".to_owned(), "unknown host 'no-such-host.invalid'"),
        ("mongodb://joe:hunter2@127.0.0.1:9/".to_owned(), "cannot reach MongoDB"),
    ];
    for (url, words) in cases {
        let (code, said) = check(&url);
        assert!(said.contains(words), "{url}: {said}");
        assert_eq!(code, Some(69), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn whoever_may_not_write_is_told_so_before_anything_starts() {
    if mongo_is_skipped() {
        return;
    }
    let mongo = Mongo::start_with_logins();
    let host = mongo.url.strip_prefix("mongodb://").unwrap().trim_end_matches('/');
    let (code, said) = check(&format!("mongodb://writer:hunter22@{host}/"));
    assert_eq!(code, Some(0), "{said}");
    let cases = [
        (mongo.url.clone(), "requires a login, but store.url has no user"),
        (
            format!("mongodb://reader:hunter22@{host}/"),
            "does not let the user 'reader' write to the database 'messaging_db'; grant the role readWrite",
        ),
        (
            format!("mongodb://writer:hunter22@{host}/other?authSource=admin"),
            "does not let the user 'writer' write to the database 'other'",
        ),
        (
            format!("mongodb://owner:hunter22@{host}/{}?authSource=admin", "x".repeat(64)),
            "in store.url: it is longer than 63 bytes",
        ),
    ];
    for (url, words) in cases {
        for command in ["check", "up"] {
            let output = Home::new().variable("MONGO_URL", &url).run(&[command]);
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(said.contains(words), "{command} {url}: {said}");
            assert_eq!(output.status.code(), Some(69), "{command} {said}");
            assert!(!said.contains("hunter22"), "{said}");
        }
    }
}

#[test]
fn what_an_older_program_left_is_told_taken_over_and_what_is_none_of_ours_is_left_out() {
    let Some(mongo) = mongo() else { return };
    let message = |from: &str, to: &str, text: &str, seen: bool| {
        doc! { "sender": from, "destination": to, "message": text, "type": "chat", "metadata": {},
        "timestamp": "2025-11-20T23:21:22.277391", "seen": seen }
    };
    let old = [
        message("alice", "bob", "read long ago", true),
        message("alice", "bob", "unread", false),
        doc! { "sender": "a b", "destination": "bob", "message": "from nobody" },
    ];
    mongo.insert("messages", old.to_vec());
    mongo.insert("events", vec![doc! { "_id": "aaa", "level": "info", "text": "another program's log" }]);
    let (code, said) = check(&mongo.url);
    let waiting =
        "the older program left 3 messages in the collection 'messages'; they are imported at the next start";
    assert!(said.contains(waiting), "{said}");
    assert_eq!(code, Some(0), "{said}");

    let import = || {
        let output = Home::new().variable("MONGO_URL", &mongo.url).run(&["import", "legacy"]);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{said}");
        said
    };
    let first = import();
    assert!(first.contains("2 messages of the older program: 1 seen, 1 unread; 1 left out: "), "{first}");
    let second = import();
    assert!(second.contains("1 seen, 1 unread, 2 of them taken over before"), "{second}");
    let (_, said) = check(&mongo.url);
    assert!(!said.contains("the older program left"), "{said}");

    let home = Home::new().variable("MONGO_URL", &mongo.url);
    let launcher = home.argument("--no-web").argument("--no-thermometer").up();
    let (mut bob, _) = LineClient::login(launcher.home.chat, "bob");
    let line = bob.line();
    assert!(line.starts_with("[Stored]") && line.ends_with("[alice] unread \n"), "{line}");
    assert!(bob.has_nothing_more(), "what was read there is not unread here");
    let (mut alice, _) = LineClient::login(launcher.home.chat, "alice");
    alice.send("bob: now\n");
    assert!(bob.line().ends_with("] now\n"));
    let backup = launcher.home.dir.path().join("all.backup");
    let taken = launcher.home.run(&["backup", backup.to_str().unwrap()]);
    let said = String::from_utf8(taken.stdout).unwrap();
    assert!(taken.status.success() && said.contains("3 messages in 1 conversation, "), "{said}");
}

#[test]
fn two_launchers_on_one_replica_set_are_one_chat() {
    let Some(mongo) = mongo() else { return };
    let up = || {
        let home = Home::new().variable("MONGO_URL", &mongo.url);
        home.argument("--no-web").argument("--no-thermometer").argument("--no-openai").up()
    };
    let (here, there) = (up(), up());
    let (mut alice, _) = LineClient::login(here.home.chat, "alice");
    let (mut bob, _) = LineClient::login(there.home.chat, "bob");
    for n in 0..20 {
        alice.send(&format!("bob: {n}\n"));
        let line = bob.line();
        assert!(line.starts_with("[alice][") && line.ends_with(&format!("] {n}\n")), "{line}");
        assert_eq!(alice.line(), "User 'bob' is offline. Message saved.\n", "nobody here is called bob");
        bob.send(&format!("alice: {n}\n"));
        let line = alice.line();
        assert!(line.starts_with("[bob][") && line.ends_with(&format!("] {n}\n")), "{line}");
        assert_eq!(bob.line(), "User 'alice' is offline. Message saved.\n");
    }
    bob.send("!check\n");
    assert!(bob.has_nothing_more(), "what was shown over there is not shown again");
}

/// An account that one of them changes is so for the other one, whose sessions are closed.
#[test]
fn two_launchers_on_one_mongodb_know_the_same_accounts() {
    let Some(mongo) = mongo() else { return };
    let up = || Home::new().variable("MONGO_URL", &mongo.url).argument("--no-thermometer").up();
    let (here, there) = (up(), up());
    let (mut impostor, _) = LineClient::login(there.home.chat, "alice");
    let run = |arguments: &[&str]| {
        let output = here.home.run(&[&["accounts"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    let first = run(&["add", "alice"]);
    impostor.rest();
    let second = run(&["token", "alice", "--label", "phone"]);
    let (mut desk, _) = LineClient::login(there.home.chat, &first);
    let (mut phone, _) = LineClient::login(there.home.chat, &second);
    let asked = Instant::now();
    run(&["revoke", "alice", "phone"]);
    phone.rest();
    // A second, and time for a busy machine.
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    eprintln!("closed after {:?}", asked.elapsed());
    let (mut bob, _) = LineClient::login(there.home.chat, "bob");
    bob.send("alice: still there\n");
    desk.until("] still there\n");
    for shown in ["alice", &second] {
        let mut refused = LineClient::connect(there.home.chat);
        refused.send(&format!("{shown}\n"));
        assert_eq!(refused.rest(), "Username already taken. Disconnecting...\n");
    }
}

#[test]
fn mongodb_going_away_is_shown_as_what_it_is() {
    let Some(mongo) = mongo() else { return };
    let idle = ["message-api", "chat-server", "web-adapter", "thermometer"];
    let home = Home::new().variable("MONGO_URL", &mongo.url);
    let home = idle.iter().fold(home, |home, name| home.set(&format!("{name}.command=sleep 600")));
    let launcher = home.up();
    let state = || {
        let status = launcher.status()?;
        let dependencies = status["dependencies"].as_array()?;
        dependencies.iter().find(|dependency| dependency["name"] == "mongodb").cloned()
    };
    wait_for("MongoDB to be there", || state().filter(|mongodb| mongodb["state"] == "ok"));
    drop(mongo);
    let degraded = wait_for("MongoDB's absence", || state().filter(|mongodb| mongodb["state"] == "degraded"));
    assert_eq!(degraded["reason"], "refuses connections", "{degraded}");
    let message_api = launcher.component("message-api").unwrap();
    assert_eq!(message_api["state"], "ready", "{message_api}");
}

/// It accepts connections and answers nothing: the least clear failure, with all default intervals.
#[test]
fn a_mongodb_that_hangs_is_told_within_seconds_and_restarts_nothing() {
    /// The store is probed each second, and one that takes longer than three is not ready; the rest is for a busy machine.
    const SOON: Duration = Duration::from_secs(10);
    let Some(mongo) = mongo() else { return };
    let home = Home::new().variable("MONGO_URL", &mongo.url);
    let launcher = home.argument("--no-web").argument("--no-thermometer").up();
    let pid = launcher.component_pid("message-api");
    let (mut alice, _) = LineClient::login(launcher.home.chat, "alice");
    mongo.signal("-STOP");
    let stopped = Instant::now();
    let tell = |what: &str, said: String| {
        eprintln!("{what} after {:?}: {said}", stopped.elapsed());
        assert!(stopped.elapsed() < SOON, "{what}: {said}");
    };
    let readyz = || {
        let answer = http::get(launcher.home.api, "/readyz");
        (answer.status == 503).then_some(answer.body)
    };
    tell("/readyz", wait_for("/readyz to say so", readyz));
    let status = || {
        let output = launcher.home.run(&["status"]);
        let said = String::from_utf8(output.stdout).unwrap();
        said.contains("unhealthy").then_some(said)
    };
    tell("status", wait_for("status to say so", status));
    let doctor = launcher.home.run(&["doctor"]);
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert!(said.lines().any(|line| line.starts_with("fail  store")), "{said}");
    assert_eq!(doctor.status.code(), Some(69), "{said}");
    tell("doctor", said);
    alice.send("bob: hi\n");
    assert!(alice.line().starts_with("Message not confirmed: "));

    mongo.signal("-CONT");
    wait_for("all to be well again", || launcher.status().filter(|status| status["healthy"] == true));
    assert_eq!(launcher.component_pid("message-api"), pid, "nothing was restarted");
}
