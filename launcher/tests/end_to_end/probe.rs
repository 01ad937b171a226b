//! The launcher's probe by message: what is restarted when it fails, what is not, and that users do not see it.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::http::{get, request};
use crate::support::line_client::LineClient;
use crate::support::{Home, Launcher, PATIENCE, kill, wait_for};
use crate::websocket;

const NAME: &str = "p2p-probe";
/// The time that a wait for the probe can take, with three failures.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// A launcher with frequent probes and short timeouts. Nothing else detects that a component hangs.
fn asking_often(home: Home, patience: &str) -> Home {
    let liveness = format!("{{ message = true, interval = '100ms', timeout = '{patience}', failures = 3 }}");
    ["chat-server", "message-api"].into_iter().fold(home, |home, name| {
        home.set(&format!("components.{name}.liveness={liveness}"))
            .set(&format!("components.{name}.watchdog=0s"))
            .set(&format!("components.{name}.stop-grace=200ms"))
    })
}

fn home() -> Home {
    Home::new().argument("--no-thermometer").argument("--no-openai")
}

fn liveness(launcher: &Launcher, component: &str) -> Option<Value> {
    launcher.component(component)?.get("liveness").cloned()
}

fn restarts(launcher: &Launcher, component: &str) -> Option<u64> {
    launcher.component(component)?["restarts"].as_u64()
}

fn probe(home: &Home, arguments: &[&str]) -> (Option<i32>, String) {
    let output = home.run(&[&["probe"], arguments].concat());
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// The stored messages of the probe: their number, and the last `seq`.
fn kept(home: &Home) -> Option<(usize, u64)> {
    let token = std::fs::read_to_string(home.data().join("service.token")).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let path = format!("/v1/conversations/dm:{NAME}:{NAME}/events?limit=200");
    let answer = request(home.api, "GET", &path, &[("Authorization", &bearer)], "");
    let page: Value = serde_json::from_str(&answer.body).ok()?;
    let events = page["events"].as_array()?;
    Some((events.len(), events.last()?["seq"].as_u64()?))
}

/// A client of the native dialect, with everything that it received.
struct Native {
    reader: BufReader<TcpStream>,
    heard: String,
}

impl Native {
    fn login(address: SocketAddr, hello: &Value) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        writeln!(stream, "{hello}").unwrap();
        Self { reader: BufReader::new(stream), heard: String::new() }
    }

    fn until(&mut self, text: &str) {
        while !self.heard.contains(text) {
            assert!(self.reader.read_line(&mut self.heard).unwrap() > 0, "{text} is not in {}", self.heard);
        }
    }
}

#[test]
fn it_passes_and_stands_in_no_list_and_three_hundred_of_its_messages_are_a_hundred() {
    let numbers = crate::support::free_address();
    let often = "{ message = true, interval = '5ms' }";
    let home = home().set(&format!("components.chat-server.liveness={often}"));
    let home = home.set(&format!("components.message-api.liveness={often}"));
    let launcher = home.set(&format!("chat-server.http-listen={numbers}")).up();
    let home = &launcher.home;
    let passed = wait_for("a probe to pass", || liveness(&launcher, "chat-server"));
    assert_eq!((&passed["error"], &passed["remark"]), (&Value::Null, &Value::Null), "{passed}");
    let mut native = Native::login(home.chat, &json!({"type": "hello", "name": "native"}));
    native.until("welcome");
    // MongoDB on a busy machine needs time for each.
    for count in [100, 150, 200, 250, 300] {
        wait_for("three hundred probes", || (kept(home)?.1 >= count).then_some(()));
    }
    wait_for("the old ones to be removed", || (kept(home)?.0 <= 100).then_some(()));

    let (mut alice, greeting) = LineClient::login(home.chat, "alice");
    assert_eq!(greeting, "Connected! Users online: native, alice\n");
    let mut bob = LineClient::connect(home.book);
    bob.send("bob\n");
    bob.until("Client book => ");
    let book = format!("{}{}{}", bob.line(), bob.line(), bob.line());
    assert!(book.contains("alice") && !book.contains(NAME), "{book}");
    alice.send("exit\n");
    native.until(r#""name":"alice","online":false"#);
    assert!(!native.heard.contains(NAME), "{}", native.heard);
    let users = String::from_utf8(home.run(&["users"]).stdout).unwrap();
    assert!(users.contains("native") && !users.contains(NAME), "{users}");
    let metrics = get(numbers, "/metrics").body;
    assert!(metrics.lines().any(|line| line == "chat_server_users 2"), "{metrics}");
    page_is_not_told(home);

    nobody_else_takes_the_name(home);
    let backup = home.dir.path().join("backup").display().to_string();
    assert!(home.run(&["backup", &backup]).status.success());
    let metrics = String::from_utf8(home.run(&["metrics"]).stdout).unwrap();
    for sample in ["component_probe_up", "component_probe_failures_total"] {
        let line = format!("launcher_{sample}{{component=\"chat-server\"}} ");
        assert!(metrics.contains(&line), "{metrics}");
    }
    let status = String::from_utf8(home.run(&["status"]).stdout).unwrap();
    assert!(status.contains("probe passed in "), "{status}");
    let doctor = String::from_utf8(home.run(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains("chat-server answered in "), "{doctor}");
    assert_eq!(liveness(&launcher, "chat-server").unwrap()["failures"], 0);
}

fn page_is_not_told(home: &Home) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (chat, port) = (home.chat.ip().to_string(), home.chat.port().to_string());
    let login = json!({"type": "login", "username": "page", "server_host": chat, "server_port": port});
    let success = runtime.block_on(async {
        let mut page = websocket::connect(home.page).await;
        websocket::say(&mut page, login).await;
        websocket::hear(&mut page, &["login_success"]).await
    });
    assert_eq!(success["online_users"], json!(["native", "bob", "page"]));
}

fn nobody_else_takes_the_name(home: &Home) {
    let mut text = LineClient::connect(home.chat);
    text.send("p2p-probe\n");
    assert!(text.rest().contains("reserved for a service"));
    let mut book = LineClient::connect(home.book);
    book.send("P2P-Probe\n");
    assert!(book.rest().contains("reserved for a service"));
    Native::login(home.chat, &json!({"type": "hello", "name": NAME, "token": "wrong"})).until("reserved");
    Native::login(home.chat, &json!({"type": "hello", "name": "p2p-pr0be"})).until("looks like");
    let message = r#"{"sender":"p2p-probe","destination":"alice","message":"hi"}"#;
    let posted = crate::support::http::post(home.api, "/messages/", message);
    assert!(posted.status >= 400, "{}", posted.body);
}

#[test]
fn a_frozen_chat_server_is_restarted_and_what_it_acknowledged_is_delivered() {
    let launcher = asking_often(home(), "500ms").up();
    let (mut alice, _) = LineClient::login(launcher.home.chat, "alice");
    alice.send("bob: before\n");
    assert_eq!(alice.line(), "User 'bob' is offline. Message saved.\n");
    wait_for("a probe to pass", || liveness(&launcher, "chat-server"));
    let (frozen, since) = (launcher.component_pid("chat-server").unwrap(), Instant::now());
    kill(frozen, "-STOP");
    wait_for("the next one", || {
        let component = launcher.component("chat-server")?;
        (component["restarts"] == 1 && component["state"] == "ready").then_some(())
    });
    assert!(since.elapsed() < SEEN_WITHIN, "{:?}", since.elapsed());
    let error = launcher.component("chat-server").unwrap()["last_error"].to_string();
    assert!(error.contains("does not answer a login within 500ms"), "{error}");
    let (mut bob, _) = LineClient::login(launcher.home.chat, "bob");
    let line = bob.line();
    assert!(line.ends_with("[alice] before \n"), "{line}");
    wait_for("a probe to pass again", || {
        (liveness(&launcher, "chat-server")?["failures_in_a_row"] == 0).then_some(())
    });
    assert_eq!(restarts(&launcher, "message-api"), Some(0));
}

#[test]
fn a_frozen_message_api_is_restarted_and_the_chat_server_is_not() {
    let launcher = asking_often(home(), "2s").up();
    wait_for("a probe to pass", || liveness(&launcher, "message-api"));
    kill(launcher.component_pid("message-api").unwrap(), "-STOP");
    wait_for("the next one", || {
        let component = launcher.component("message-api")?;
        (component["restarts"] == 1 && component["state"] == "ready").then_some(())
    });
    let (mut alice, _) = LineClient::login(launcher.home.chat, "alice");
    wait_for("messages to be stored again", || {
        alice.send("bob: again\n");
        (alice.line() == "User 'bob' is offline. Message saved.\n").then_some(())
    });
    assert_eq!(restarts(&launcher, "chat-server"), Some(0));
}

#[test]
fn where_the_store_refuses_nobody_is_restarted_and_status_says_why() {
    let mut launcher = asking_often(home(), "30s").up();
    wait_for("a probe to pass", || liveness(&launcher, "chat-server"));
    let chat = launcher.component_pid("chat-server");
    let _lock = take_store_away(&mut launcher);
    let refused = |component: &str| {
        let remark = liveness(&launcher, component)?["remark"].as_str()?.to_owned();
        remark.starts_with("not stored: the store refuses").then_some(remark)
    };
    wait_for("the store to refuse", || refused("chat-server"));
    wait_for("status to say so", || {
        let status = String::from_utf8(launcher.home.run(&["status"]).stdout).unwrap();
        (status.contains("not stored: the store refuses") && status.contains("unhealthy")).then_some(())
    });
    let restarted = restarts(&launcher, "message-api");
    // A rejection takes at most a second, so there are several more; three failures would cause a restart.
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(launcher.component_pid("chat-server"), chat);
    }
    assert_eq!(
        (restarts(&launcher, "chat-server"), restarts(&launcher, "message-api")),
        (Some(0), restarted)
    );
    assert_eq!(liveness(&launcher, "chat-server").unwrap()["failures"], 0);
}

/// While this exists nothing can be stored: MongoDB is stopped, or another program holds the write lock of the file.
fn take_store_away(launcher: &mut Launcher) -> Option<rusqlite::Connection> {
    if launcher.home.is_on_mongodb() {
        launcher.home.kill_store();
        return None;
    }
    let file = rusqlite::Connection::open(launcher.home.data().join("chat.db")).unwrap();
    file.busy_timeout(PATIENCE).unwrap();
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    Some(file)
}

#[test]
fn by_hand_it_says_what_did_not_happen() {
    let home = home().argument("--no-web");
    let (code, said) = probe(&home, &[]);
    assert!(code == Some(1) && said.contains("no launcher has run with"), "{said}");
    let mut launcher = home.up();
    let (code, said) = probe(&launcher.home, &[]);
    let words = format!("delivered a message through the chat server at {} in ", launcher.home.chat);
    assert!(code == Some(0) && said.starts_with(&words), "{said}");
    let file = launcher.home.data().join("service.token");
    let token = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, "wrong").unwrap();
    let (code, said) = probe(&launcher.home, &[]);
    assert!(
        code == Some(1) && said.contains("answers and refuses: the name 'p2p-probe' is reserved"),
        "{said}"
    );
    std::fs::write(&file, token).unwrap();
    let pid = launcher.component_pid("chat-server").unwrap();
    kill(pid, "-STOP");
    let (code, said) = probe(&launcher.home, &["--timeout", "300ms"]);
    kill(pid, "-CONT");
    let words = "accepts connections but does not answer a login within 300ms";
    assert!(code == Some(1) && said.contains(words) && said.lines().count() == 1, "{said}");
    assert!(launcher.end("-TERM").success());
    let (code, said) = probe(&launcher.home, &[]);
    assert!(code == Some(1) && said.contains("cannot connect to the chat server at "), "{said}");
}

/// With the default number of places.
#[test]
fn it_gets_in_where_others_have_every_place_and_so_does_a_trace() {
    const PLACES: usize = 10_000;
    // A connection has two ends, and the server's are in another process.
    kit::listen::raise_file_limit();
    let launcher = home().argument("--no-web").up();
    let (mut alice, _) = LineClient::login(launcher.home.chat, "alice");
    alice.send("bob: where is this?\n");
    assert_eq!(alice.line(), "User 'bob' is offline. Message saved.\n");
    let id = unread_by_bob(&launcher.home);
    let others: Vec<_> = (1..PLACES).map(|_| TcpStream::connect(launcher.home.chat).unwrap()).collect();
    let said = wait_for("every place to be taken", || {
        let mut other = TcpStream::connect(launcher.home.chat).unwrap();
        other.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut said = [0; 64];
        let count = std::io::Read::read(&mut other, &mut said).unwrap_or(0);
        Some(String::from_utf8_lossy(&said[..count]).into_owned())
            .filter(|said| said != "Enter your username: ")
    });
    assert_eq!(said, "The server is full, please try again later. Disconnecting...\n");
    let (code, said) = probe(&launcher.home, &[]);
    assert_eq!(code, Some(0), "{said}");
    let traced = launcher.home.run(&["trace", &id]);
    let shown = String::from_utf8_lossy(&[traced.stdout, traced.stderr].concat()).into_owned();
    assert!(traced.status.success() && shown.contains("alice, text session"), "{shown}");
    drop(others);
}

/// The id of the only message that Bob has not seen.
fn unread_by_bob(home: &Home) -> String {
    let token = std::fs::read_to_string(home.data().join("service.token")).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let path = "/v1/conversations/dm:alice:bob/events?limit=1";
    let answer = request(home.api, "GET", path, &[("Authorization", &bearer)], "");
    let page: Value = serde_json::from_str(&answer.body).unwrap();
    page["events"][0]["id"].as_str().unwrap().to_owned()
}
