//! Protected names, at every door: nobody but their owner uses them, and names without an account are as free as ever.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::http::{get, request};
use crate::support::line_client::LineClient;
use crate::support::{Home, Launcher, kill};
use crate::websocket::{connect, hear, say};

/// What old clients are told.
const TAKEN: &str = "Username already taken. Disconnecting...\n";

/// Runs a command on the launcher; what it printed.
fn run(launcher: &Launcher, arguments: &[&str]) -> String {
    let output = launcher.home.run(&[&["accounts"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The token in `alice:TOKEN`.
fn token(printed: &str) -> &str {
    printed.split_once(':').unwrap().1
}

/// A way to use a name. Each answers whether it could be used, and panics at an answer that is neither yes nor no.
type Door = (&'static str, fn(&Home, &str, Option<&str>) -> bool);

const DOORS: [Door; 9] = [
    ("text", |home, name, token| line(home.chat, "Enter your username: ", "Connected!", name, token)),
    ("book", |home, name, token| line(home.book, "Enter your username: ", "Client book => ", name, token)),
    ("native", native),
    ("WebSocket, native", |home, name, token| {
        let mut hello = json!({"type": "hello", "name": name});
        if let Some(token) = token {
            hello["token"] = token.into();
        }
        web(home.page, &hello, &["welcome", "error"], "welcome")
    }),
    ("WebSocket, as before", |home, name, token| {
        let username = token.map_or(name.to_owned(), |token| format!("{name}:{token}"));
        let port = home.chat.port().to_string();
        let login = json!({"type": "login", "username": username, "server_host": home.chat.ip().to_string(), "server_port": port});
        web(home.page, &login, &["login_success", "system", "error"], "login_success")
    }),
    ("send over REST", |home, name, token| {
        let body = json!({"sender": name, "destination": "nobody", "message": "hi"}).to_string();
        rest(home.api, "POST", "/messages/", &body, token)
    }),
    ("read over REST", |home, name, token| {
        rest(home.api, "GET", &format!("/messages/{name}?ack=manual&limit=1"), "", token)
    }),
    ("drain over REST", |home, name, token| {
        let body = json!({"messages": []}).to_string();
        rest(home.api, "POST", &format!("/messages/{name}/seen"), &body, token)
    }),
    ("read over REST, other spelling", |home, name, token| {
        rest(home.api, "GET", &format!("/messages/{}?ack=manual&limit=1", name.to_uppercase()), "", token)
    }),
];

fn line(address: SocketAddr, prompt: &str, welcome: &str, name: &str, token: Option<&str>) -> bool {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    let typed = token.map_or(name.to_owned(), |token| format!("{name}:{token}"));
    stream.write_all(format!("{typed}\n").as_bytes()).unwrap();
    let (mut heard, mut buffer) = (String::new(), [0; 4096]);
    loop {
        if heard.contains(welcome) {
            return true;
        }
        if heard == format!("{prompt}{TAKEN}") {
            return false;
        }
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "neither yes nor no: {heard:?}");
        heard.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
}

fn native(home: &Home, name: &str, token: Option<&str>) -> bool {
    let mut hello = json!({"type": "hello", "name": name});
    if let Some(token) = token {
        hello["token"] = token.into();
    }
    let mut client = LineClient::connect(home.chat);
    client.send(&format!("{hello}\n"));
    let answer: Value = serde_json::from_str(&client.line()).unwrap();
    match answer["type"].as_str() {
        Some("welcome") => true,
        Some("error") if answer["code"] == "protected" => false,
        _ => panic!("neither yes nor no: {answer}"),
    }
}

fn web(page: SocketAddr, first: &Value, kinds: &[&str], yes: &str) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut socket = connect(page).await;
        say(&mut socket, first.clone()).await;
        let answer = hear(&mut socket, kinds).await;
        let no = answer["code"] == "protected" || answer["message"] == TAKEN.trim_end();
        assert!(no || answer["type"] == yes, "neither yes nor no: {answer}");
        !no
    })
}

fn rest(api: SocketAddr, method: &str, path: &str, body: &str, token: Option<&str>) -> bool {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    let answer = request(api, method, path, &headers, body);
    match answer.status {
        200 => true,
        401 => false,
        status => panic!("neither yes nor no: {status} {}", answer.body),
    }
}

/// Every door × what is shown × a name that is protected, suspended, deleted, or free.
#[test]
fn every_door_opens_a_protected_name_to_its_owner_alone() {
    let launcher = Home::new().argument("--no-thermometer").up();
    let alice = run(&launcher, &["add", "alice"]);
    let (right, other) = (token(&alice), run(&launcher, &["add", "carol"]));
    let revoked = run(&launcher, &["token", "alice", "--label", "lost phone"]);
    run(&launcher, &["revoke", "alice", "lost phone"]);
    let [asleep, gone] = ["asleep", "gone"].map(|name| run(&launcher, &["add", name]));
    run(&launcher, &["suspend", "asleep"]);
    run(&launcher, &["delete", "gone", "--yes"]);
    let made_up = format!("p2p_dev_{}", "0".repeat(64));
    let cases: [(&str, Option<&str>, bool); 12] = [
        ("alice", None, false),
        ("alice", Some(right), true),
        ("Alice", Some(right), true),
        ("alice", Some(token(&other)), false),
        ("alice", Some(token(&revoked)), false),
        ("alice", Some(&made_up), false),
        ("alice", Some(&right[..right.len() - 1]), false),
        ("asleep", Some(token(&asleep)), false),
        ("gone", Some(token(&gone)), false),
        ("gone", None, false),
        ("bob", Some(right), false),
        ("bob", None, true),
    ];
    for (door, opens) in DOORS {
        for (name, shown, expected) in cases {
            assert_eq!(opens(&launcher.home, name, shown), expected, "{door}: {name} with {shown:?}");
        }
    }
}

/// Waits until the connection has ended, and returns how long that took.
fn ended(client: &mut LineClient) -> Duration {
    let asked = Instant::now();
    client.rest();
    asked.elapsed()
}

#[test]
fn what_is_revoked_ends_at_once_and_what_is_not_goes_on() {
    let launcher = Home::new().argument("--no-thermometer").up();
    let chat = launcher.home.chat;
    // Somebody has the name before its owner.
    let (mut impostor, _) = LineClient::login(chat, "alice");
    let desk = run(&launcher, &["add", "alice", "--label", "desk"]);
    assert!(ended(&mut impostor) < Duration::from_secs(5));
    let phone = run(&launcher, &["token", "alice", "--label", "phone"]);
    // Two devices join each other without tricks, whatever they speak.
    let (mut at_desk, _) = LineClient::login(chat, &desk);
    let (mut on_phone, _) = LineClient::login(chat, &phone);
    let (mut bob, _) = LineClient::login(chat, "bob");
    bob.send("alice: to both\n");
    at_desk.until("] to both\n");
    on_phone.until("] to both\n");
    run(&launcher, &["revoke", "alice", "phone"]);
    assert!(ended(&mut on_phone) < Duration::from_secs(5));
    bob.send("alice: to one\n");
    at_desk.until("] to one\n");
    run(&launcher, &["suspend", "alice"]);
    assert!(ended(&mut at_desk) < Duration::from_secs(5));
    assert!(!native(&launcher.home, "alice", Some(token(&desk))));
    run(&launcher, &["resume", "alice"]);
    let (mut at_desk, _) = LineClient::login(chat, &desk);
    run(&launcher, &["delete", "alice", "--yes"]);
    assert!(ended(&mut at_desk) < Duration::from_secs(5));
}

#[test]
fn an_account_outlives_a_restart_and_is_in_a_backup_without_its_tokens() {
    let mut launcher = Home::new().argument("--no-thermometer").up();
    let alice = run(&launcher, &["add", "alice"]);
    launcher.kill_component("message-api");
    launcher.wait_until_healthy();
    assert!(!native(&launcher.home, "alice", None));
    assert!(native(&launcher.home, "alice", Some(token(&alice))));
    let file = launcher.home.dir.path().join("backup.jsonl");
    let saved = launcher.home.run(&["backup", file.to_str().unwrap()]);
    assert!(saved.status.success(), "{saved:?}");
    let lines = std::fs::read_to_string(&file).unwrap();
    assert!(lines.contains("\"sha256\"") && !lines.contains("p2p_dev_"), "hashes and no tokens: {lines}");
    if launcher.home.is_on_mongodb() {
        return;
    }
    run(&launcher, &["revoke", "alice", "first"]);
    let restored = launcher.home.run(&["restore", "--yes", file.to_str().unwrap()]);
    assert!(restored.status.success(), "{restored:?}");
    launcher.wait_until_healthy();
    assert!(native(&launcher.home, "alice", Some(token(&alice))), "as it was when the backup was taken");
    assert!(!native(&launcher.home, "alice", None));
}

#[test]
fn what_an_account_cannot_be_is_said() {
    let launcher = Home::new().argument("--no-thermometer").up();
    let said = |arguments: &[&str]| {
        let output = launcher.home.run(&[&["accounts"], arguments].concat());
        assert!(!output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    run(&launcher, &["add", "alice"]);
    assert!(said(&["add", "Alice"]).contains("'Alice' is registered already"));
    assert!(said(&["add", "a1ice"]).contains("looks like 'alice'"));
    assert!(said(&["add", "thermometer1"]).contains("reserved for a service"));
    assert!(said(&["add", "p2p-accounts"]).contains("'p2p-'"));
    assert!(said(&["add", "two words"]).contains("invalid name"));
    assert!(said(&["token", "alice", "--label", "first"]).contains("has a token 'first' already"));
    assert!(said(&["token", "alice", "--label", ""]).contains("1 to 64 bytes"));
    assert!(said(&["token", "bob", "--label", "x"]).contains("there is no account 'bob'"));
    assert!(said(&["revoke", "alice", "x"]).contains("has no token 'x'"));
    assert!(said(&["delete", "alice"]).contains("--yes"));
    run(&launcher, &["delete", "alice", "--yes"]);
    assert!(said(&["add", "alice"]).contains("registered already"), "a name is never given to somebody else");
    assert!(said(&["resume", "alice"]).contains("there is no account"));
    let listed: Value = serde_json::from_str(&run(&launcher, &["list", "--json"])).unwrap();
    assert_eq!(listed[0]["state"], "deleted");
    assert_eq!(listed[0]["tokens"], json!([]));
}

/// The secrets stand in no log, no metric, no crash report, and in nobody's environment or command line.
#[test]
fn a_token_stands_nowhere() {
    let launcher = Home::new().argument("--no-thermometer").up();
    let alice = run(&launcher, &["add", "alice"]);
    for (door, opens) in DOORS {
        assert!(opens(&launcher.home, "alice", Some(token(&alice))), "{door}");
        assert!(!opens(&launcher.home, "alice", Some(&token(&alice)[..40])), "{door}");
    }
    let file = launcher.home.dir.path().join("token");
    std::fs::write(&file, &alice).unwrap();
    let chatted =
        launcher.home.run(&["chat", "--name", "alice", "--plain", "--token-file", file.to_str().unwrap()]);
    assert!(chatted.status.success(), "{chatted:?}");
    let part = &token(&alice)[..30];
    let metrics = get(launcher.home.api, "/metrics").body + &get(launcher.home.page, "/metrics").body;
    assert!(!metrics.contains(part));
    std::fs::remove_file(&file).unwrap();
    let mut pending = vec![launcher.home.dir.path().to_owned()];
    while let Some(path) = pending.pop() {
        assert!(!path.to_string_lossy().contains(part));
        if path.is_dir() {
            pending.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.is_file() {
            let content = std::fs::read(&path).unwrap();
            let found = memchr::memmem::find(&content, part.as_bytes());
            assert_eq!(found, None, "{} has a token", path.display());
        }
    }
    for component in ["message-api", "chat-server", "web-adapter"] {
        let pid = launcher.component_pid(component).unwrap();
        for file in ["environ", "cmdline"] {
            let content = std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
            assert_eq!(memchr::memmem::find(&content, part.as_bytes()), None, "{component}: {file}");
        }
    }
}

/// While the message API stands still, nobody can say whose a protected name is.
#[test]
fn a_protected_name_is_nobodys_while_the_store_does_not_answer() {
    let launcher = Home::new().argument("--no-thermometer").up();
    let (alice, chat) = (run(&launcher, &["add", "alice"]), launcher.home.chat);
    // The chat server knows of the account.
    let (mut alice_is, _) = LineClient::login(chat, &alice);
    run(&launcher, &["revoke", "alice", "first"]);
    ended(&mut alice_is);
    let pid = launcher.component_pid("message-api").unwrap();
    kill(pid, "-STOP");
    for typed in ["alice", &alice] {
        let mut impostor = LineClient::connect(chat);
        impostor.send(&format!("{typed}\n"));
        let said = impostor.rest();
        assert_eq!(said, "The server cannot verify this name now, please try again. Disconnecting...\n");
    }
    // As ever: others come in, and are caught up later.
    LineClient::login(chat, "bob");
    kill(pid, "-CONT");
}
