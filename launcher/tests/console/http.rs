//! What the API answers.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::line_client::LineClient;
use crate::support::{kill, wait_for};
use crate::{Console, curl, home, printed};

#[test]
fn everything_that_the_command_line_shows_is_answered() {
    let console = Console::start("");
    let status = console.json("/api/v1/status");
    assert_eq!(status["healthy"], true);
    assert!(status["load"]["memory_bytes"].as_u64().unwrap() > 100_000, "{status}");
    let listener = console.component("listener");
    assert_eq!((&listener["state"], &listener["needs"][0]), (&"ready".into(), &"talker".into()));
    assert_eq!(console.json("/api/v1/session")["read_only"], false);
    let why = console.json("/api/v1/components/listener");
    assert_eq!((&why["component"]["name"], &why["causes"]), (&"listener".into(), &Value::Array(vec![])));
    assert_eq!(console.get("/api/v1/components/nobody").status, 404);
    assert!(console.get("/api/v1/metrics").body.contains("launcher_component_ready{component=\"talker\"} 1"));
    let doctor = console.json("/api/v1/doctor");
    assert!(doctor["findings"].as_array().unwrap().len() > 8, "{doctor}");
    assert_eq!(console.json("/api/v1/logs/verify")["intact"], true);
    let plan = console.json("/api/v1/reload");
    assert_eq!((plan["kept"].as_array().unwrap().len(), &plan["restarted"]), (8, &Value::Array(vec![])));
    let document: Value =
        serde_json::from_str(&curl(&[&format!("http://{}/api/v1/openapi.json", console.address)])).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/logs"]["get"]["parameters"].as_array().unwrap().len() >= 4);
}

/// Which threads the launcher has for its console.
fn threads(console: &Console) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", console.launcher.pid())).unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "console-http").count()
}

#[test]
fn until_the_first_connection_there_is_only_a_socket() {
    let console = Console::start("");
    assert_eq!(threads(&console), 0);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let ask = || console.get("/api/v1/session").status;
        let at_once: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        at_once.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(answers, [200; 20]);
    assert_eq!(threads(&console), 1);
}

#[test]
fn logs_are_read_searched_and_bounded() {
    let many = "[components.many]\ncommand = ['sh', '-c', 'echo LOUD enough; seq 6000; exec sleep 600']\nneeds = []\n";
    let console = Console::start(many);
    wait_for("some lines", || {
        (console.json("/api/v1/logs?component=talker")["lines"].as_array()?.len() > 3).then_some(())
    });
    let lines = |query: &str| -> Vec<Value> {
        console.json(&format!("/api/v1/logs?{query}"))["lines"].as_array().unwrap().clone()
    };
    assert_eq!(lines("component=talker&lines=2").len(), 2);
    let ticks = lines("component=talker&search=TICK&since=1h");
    assert!(!ticks.is_empty() && ticks.iter().all(|line| line["text"] == "tick"), "{ticks:?}");
    assert_eq!(lines("search=no%20such%20text"), [] as [Value; 0]);
    assert!(lines("component=talker,launcher&lines=5000").iter().any(|line| line["component"] == "launcher"));
    wait_for("the last of many", || (lines("component=many&lines=1")[0]["text"] == "6000").then_some(()));
    // The case of letters is no matter, in what is searched for and in the lines.
    let loud: Vec<Value> =
        ["Loud", "loud"].map(|text| lines(&format!("component=many&search={text}%20enough"))).concat();
    assert_eq!(loud.iter().map(|line| &line["text"]).collect::<Vec<_>>(), ["LOUD enough"; 2]);
    let all = console.json("/api/v1/logs?component=many&lines=99999");
    assert_eq!((all["lines"].as_array().unwrap().len(), &all["truncated"]), (5000, &true.into()));
    // One that has said nothing has no log, and is no mistake.
    assert_eq!(lines("component=listener"), [] as [Value; 0]);
    for (query, status, says) in [
        ("component=nobody", 404, "no log of 'nobody'"),
        ("lines=many", 422, "not a whole number"),
        ("since=yesterday", 422, "10m"),
        ("color=red", 422, "unknown parameter 'color'; available: component, lines, since, search"),
    ] {
        let answer = console.get(&format!("/api/v1/logs?{query}"));
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
        assert!(answer.body.contains(says), "{query}: {}", answer.body);
        assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
    }
}

#[test]
fn components_are_stopped_started_and_restarted_several_at_once() {
    let console = Console::start("");
    let answer = console.post("/api/v1/stop", r#"{"components": ["listener", "talker"]}"#);
    assert_eq!(answer.status, 202, "{}", answer.body);
    wait_for("the stop", || (console.component("talker")["state"] == "stopped").then_some(()));
    assert_eq!(console.json("/api/v1/status")["healthy"], false);
    assert_eq!(console.post("/api/v1/start", r#"{"components": ["all"]}"#).status, 202);
    wait_for("the start", || (console.json("/api/v1/status")["healthy"] == true).then_some(()));
    let pid = console.component("talker")["pid"].clone();
    assert_eq!(console.post("/api/v1/restart", r#"{"components": ["talker"]}"#).status, 202);
    wait_for("the restart", || {
        let talker = console.component("talker");
        (talker["state"] == "ready" && talker["pid"] != pid).then_some(())
    });
    for (path, body, status, says) in [
        ("stop", r#"{"components": ["talker", "nobody"]}"#, 404, "unknown component 'nobody'"),
        ("stop", r#"{"components": []}"#, 422, "at least one"),
        ("stop", r#"{"component": "talker"}"#, 422, "unknown field"),
        ("stop", "", 422, "components"),
        ("stop", "{", 422, "EOF"),
        ("restart", r#"{"components": ["openai-bot"]}"#, 409, "openai-bot: "),
        ("frobnicate", "{}", 404, "openapi.json"),
    ] {
        let answer = console.post(&format!("/api/v1/{path}"), body);
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
        assert!(answer.body.contains(says), "{path} {body}: {}", answer.body);
    }
    assert_eq!(console.component("talker")["state"], "ready", "what was wrong has stopped nobody");
    assert_eq!(console.get("/api/v1/stop").status, 405);
}

#[test]
fn a_crash_is_in_the_events_the_reports_and_the_restarts() {
    let console = Console::start("groups = { both = ['talker', 'listener'], other = ['talker'] }\n");
    let pid = u32::try_from(console.component("listener")["pid"].as_u64().unwrap()).unwrap();
    kill(pid, "-SEGV");
    let crashes = wait_for("the report", || {
        let crashes = console.json("/api/v1/crashes")["crashes"].clone();
        (crashes.as_array()?.len() == 1).then_some(crashes)
    });
    assert_eq!(crashes[0]["component"], "listener");
    let id = crashes[0]["id"].as_str().unwrap();
    assert_eq!(console.json(&format!("/api/v1/crashes/{id}"))["exit"]["signal"], 11);
    assert_eq!(console.json("/api/v1/crashes/listener")["id"], crashes[0]["id"]);
    assert_eq!(console.get("/api/v1/crashes/..%2f..%2fetc").status, 404);
    for (query, count) in [("both", 1), ("talker,listener", 1), ("other", 0)] {
        let crashes = console.json(&format!("/api/v1/crashes?component={query}"));
        assert_eq!(crashes["crashes"].as_array().unwrap().len(), count, "{query}");
        let events = console.json(&format!("/api/v1/events?component={query}"));
        let of_listener = events["events"].as_array().unwrap().iter().any(|it| it["component"] == "listener");
        assert_eq!(of_listener, count > 0, "{query}: {events}");
    }
    let events = console.json("/api/v1/events?component=listener&since=10m&limit=50");
    let transitions: Vec<_> =
        events["events"].as_array().unwrap().iter().map(|event| event["to"].clone()).collect();
    assert!(transitions.contains(&"backoff".into()), "{events}");
    let file = console.launcher.home.logs().join("events.jsonl");
    let event = "{\"event\":\"x\",\"at\":\"2026-11-20T23:21:22.000Z\"}\n";
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{}{text}", event.repeat(2500))).unwrap();
    let events = console.json("/api/v1/events?limit=99999")["events"].as_array().unwrap().len();
    assert_eq!(events, 2000);
    let restarts = console.json("/api/v1/history")["restarts"]["listener"].clone();
    let counts = restarts.as_array().unwrap();
    assert_eq!((counts.len(), counts.iter().filter_map(Value::as_u64).sum::<u64>()), (60, 1));
}

#[test]
fn a_changed_configuration_is_shown_and_applied() {
    let console = Console::start("watch = false\n");
    let file = console.launcher.home.dir.path().join("console.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace("sleep 0.2", "sleep 0.3")
            .replace("watch = false", "watch = false\nconsole-read-only = true"),
    )
    .unwrap();
    let plan = console.json("/api/v1/reload");
    assert_eq!(plan["restarted"], serde_json::json!(["talker"]));
    assert!(plan["settings"].as_array().unwrap().contains(&"launcher.console-read-only".into()), "{plan}");
    assert_eq!(console.json("/api/v1/session")["read_only"], false, "a plan changes nothing");
    assert_eq!(console.post("/api/v1/reload", "{}").status, 200);
    wait_for("the reload", || (console.json("/api/v1/session")["read_only"] == true).then_some(()));
    let answer = console.post("/api/v1/reload", "{}");
    assert_eq!(answer.status, 403, "{}", answer.body);
    // Broken, it stays as it was, and says so.
    std::fs::write(&file, "[launcher").unwrap();
    let answer = console.get("/api/v1/reload");
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert!(answer.body.contains("console.toml"), "{}", answer.body);
}

#[test]
fn a_reload_opens_moves_and_closes_the_console() {
    let [first, second] = crate::support::free_addresses();
    let launcher = home("[launcher]\nwatch = false\n").up();
    let file = launcher.home.dir.path().join("console.toml");
    let output = launcher.home.run(&["console"]);
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && says.contains("launcher.console-listen"), "{says}");
    let reload = |settings: &str| {
        std::fs::write(&file, format!("[launcher]\nwatch = false\n{settings}\n{}", crate::PROGRAMS)).unwrap();
        printed(&launcher, &["reload"]);
    };
    let answers = |address| TcpStream::connect(address).is_ok();
    reload(&format!("console-listen = '{first}'"));
    wait_for("the console", || answers(first).then_some(()));
    reload(&format!("console-listen = '{second}'"));
    wait_for("it to move", || (answers(second) && !answers(first)).then_some(()));
    assert!(printed(&launcher, &["console"]).starts_with(&format!("http://{second}/#login=")));
    reload("");
    wait_for("its end", || (!answers(second)).then_some(()));
}

#[test]
fn the_launcher_can_be_stopped_from_it() {
    let mut console = Console::start("");
    assert_eq!(console.post("/api/v1/down", "{}").status, 202);
    let status = wait_for("the end", || console.launcher.ended());
    assert!(status.success(), "{status}");
}

#[test]
fn the_chats_servers_are_asked_for_users_and_traces() {
    let console = Console::start("");
    let chat = console.launcher.home.chat;
    let (mut bob, _) = LineClient::login(chat, "bob");
    let mut carol = LineClient::connect(chat);
    carol.send("{\"type\":\"hello\",\"name\":\"carol\"}\n{\"type\":\"send\",\"client_id\":\"c1\",\"to\":\"bob\",\"body\":\"x\"}\n");
    bob.line();
    let users = console.json("/api/v1/users");
    let names: Vec<_> = users["users"].as_array().unwrap().iter().map(|user| user["name"].clone()).collect();
    assert!(names.contains(&"bob".into()) && names.contains(&"carol".into()), "{users}");
    let last = users["last"].as_u64().unwrap();
    assert_eq!(console.json(&format!("/api/v1/users?after={last}"))["users"], serde_json::json!([]));
    let trace = wait_for("the message to be seen", || {
        let trace = console.json("/api/v1/trace/c1");
        (trace["steps"].as_array()?.last()?["stage"] == "seen").then_some(trace)
    });
    assert_eq!((&trace["client_id"], &trace["seq"]), (&"c1".into(), &1.into()));
    let unknown = console.get("/api/v1/trace/no-such-message");
    assert_eq!(unknown.status, 404, "{}", unknown.body);
    assert!(unknown.head.contains("application/problem+json"), "{}", unknown.head);
    // Kept forever, as it is by default.
    let expired = console.get("/api/v1/retention");
    assert_eq!(expired.status, 409, "{}", expired.body);
    assert!(expired.body.contains("store.retention-age"), "{}", expired.body);
}

#[test]
fn expired_messages_are_counted_and_deleted_only_on_demand() {
    let console = Console::start("[store]\nretention-count = 1\nretention-unseen = true\n");
    let (mut alice, _) = LineClient::login(console.launcher.home.chat, "alice");
    for text in ["one", "two"] {
        alice.send(&format!("bob: {text}\n"));
        alice.until("Message saved.\n");
    }
    for (body, says) in [("{}", "missing field"), (r#"{"yes": false}"#, "true deletes them")] {
        let answer = console.post("/api/v1/retention", body);
        assert_eq!(answer.status, 422, "{body}");
        assert!(answer.body.contains(says), "{}", answer.body);
    }
    let counted = console.json("/api/v1/retention");
    assert_eq!((&counted["messages"], &counted["deleted"]), (&2.into(), &0.into()));
    // What is younger than an hour never expires.
    let answer = console.post("/api/v1/retention", r#"{"yes": true}"#);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap()["messages"], 2);
}

#[test]
fn expired_messages_are_deleted_and_stay_so() {
    let console = Console::start("[store]\nretention-age = '1h'\nretention-unseen = true\n");
    if console.launcher.home.is_on_mongodb() {
        return;
    }
    let (mut alice, _) = LineClient::login(console.launcher.home.chat, "alice");
    for text in ["old", "older", "young"] {
        alice.send(&format!("bob: {text}\n"));
        alice.until("Message saved.\n");
    }
    let becomes = |verb: &str, state: &str| {
        let answer = console.post(&format!("/api/v1/{verb}"), r#"{"components": ["message-api"]}"#);
        assert_eq!(answer.status, 202, "{}", answer.body);
        wait_for(state, || (console.component("message-api")["state"] == state).then_some(()));
    };
    let bodies = || -> Vec<String> {
        let store = rusqlite::Connection::open(console.launcher.home.data().join("chat.db")).unwrap();
        let mut query = store.prepare("SELECT body FROM events WHERE body <> '' ORDER BY pos").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    becomes("stop", "stopped");
    let store = rusqlite::Connection::open(console.launcher.home.data().join("chat.db")).unwrap();
    let aged = store.execute("UPDATE events SET at = at - 7200000000 WHERE body LIKE 'old%'", []).unwrap();
    drop(store);
    assert_eq!(aged, 2);
    becomes("start", "ready");
    let counted = console.json("/api/v1/retention");
    assert_eq!((&counted["expired"], &counted["deleted"]), (&2.into(), &0.into()), "{counted}");
    assert_eq!(bodies(), ["old", "older", "young"], "counting deletes nothing");
    let answer = console.post("/api/v1/retention", r#"{"yes": true}"#);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap()["deleted"], 2, "{}", answer.body);
    assert_eq!(bodies(), ["young"]);
    let counted = console.json("/api/v1/retention");
    assert_eq!((&counted["expired"], &counted["deleted"]), (&0.into(), &0.into()), "{counted}");
    becomes("restart", "ready");
    assert_eq!(bodies(), ["young"]);
}

#[test]
fn a_backup_is_written_beside_the_data_and_never_over_another_one() {
    let console = Console::start("");
    let (mut alice, _) = LineClient::login(console.launcher.home.chat, "alice");
    alice.send("bob: hello\n");
    alice.until("Message saved.\n");
    let answer = console.post("/api/v1/backup", r#"{"name": "first.jsonl"}"#);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let taken: Value = serde_json::from_str(&answer.body).unwrap();
    let file = console.launcher.home.data().join("backups/first.jsonl");
    assert_eq!(taken["file"], file.to_str().unwrap());
    let meta = std::fs::metadata(&file).unwrap();
    assert_eq!((meta.permissions().mode() & 0o777, meta.len()), (0o600, taken["bytes"].as_u64().unwrap()));
    assert!(taken["totals"]["events"].as_u64().unwrap() >= 1, "{taken}");
    assert!(std::fs::read_to_string(&file).unwrap().contains("hello"));
    for (name, status, says) in [
        ("first.jsonl", 409, "already exists"),
        ("", 422, "name a file"),
        ("../escaped", 422, "name a file"),
        (".hidden", 422, "name a file"),
    ] {
        let answer = console.post("/api/v1/backup", &format!(r#"{{"name": "{name}"}}"#));
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
        assert!(answer.body.contains(says), "{name}: {}", answer.body);
    }
    let stop = console.post("/api/v1/stop", r#"{"components": ["message-api"]}"#);
    assert_eq!(stop.status, 202, "{}", stop.body);
    wait_for("its end", || (console.component("message-api")["state"] == "stopped").then_some(()));
    let answer = console.post("/api/v1/backup", r#"{"name": "second.jsonl"}"#);
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.contains("reach the message API"), "{}", answer.body);
    let left: Vec<_> = std::fs::read_dir(file.parent().unwrap()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn one_backup_is_taken_at_a_time_and_one_that_nobody_waits_for_is_given_up() {
    let console = Console::start("");
    let pid = u32::try_from(console.component("message-api")["pid"].as_u64().unwrap()).unwrap();
    let parts = || {
        let entries = std::fs::read_dir(console.launcher.home.data().join("backups")).into_iter().flatten();
        entries.flatten().count()
    };
    kill(pid, "-STOP");
    let mut first = TcpStream::connect(console.address).unwrap();
    let (address, bearer, body) = (console.address, console.bearer(), r#"{"name": "first"}"#);
    let length = body.len();
    write!(
        first,
        "POST /api/v1/backup HTTP/1.1\r\nHost: {address}\r\nAuthorization: {bearer}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    wait_for("it to begin", || (parts() == 1).then_some(()));
    let second = console.post("/api/v1/backup", r#"{"name": "second"}"#);
    assert_eq!(second.status, 409, "{}", second.body);
    drop(first);
    wait_for("it to be given up", || (parts() == 0).then_some(()));
    kill(pid, "-CONT");
    assert_eq!(console.post("/api/v1/backup", r#"{"name": "third"}"#).status, 200);
}
