//! Who is let in.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use serde_json::Value;

use crate::support::http::request;
use crate::support::{Launcher, free_address, wait_for};
use crate::{Console, curl, home, printed};

const OPEN: &str = "/api/v1/openapi.json";
const STATUS: &str = "/api/v1/status";

#[test]
fn nothing_is_shown_or_changed_without_the_token() {
    let console = Console::start("");
    let document: Value = serde_json::from_str(&console.get(OPEN).body).unwrap();
    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = format!("/api/v1{}", path.replace("{name}", "talker").replace(['{', '}'], ""));
        for (method, operation) in item.as_object().unwrap() {
            let is_open = operation["security"].as_array().unwrap().is_empty();
            let headers: &[(&str, &str)] = &[("Content-Type", "application/json")];
            let answer = request(console.address, &method.to_uppercase(), &path, headers, "{}");
            let expected = if !is_open {
                401
            } else if method == "get" {
                200
            } else {
                422
            };
            assert_eq!(answer.status, expected, "{method} {path}: {}", answer.body);
            assert!(answer.head.contains("content-security-policy: default-src 'none'"), "{}", answer.head);
            assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen}");
    assert_eq!(console.component("talker")["state"], "ready");
    let file = console.launcher.home.data().join("console.token");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    for page in ["/", "/scripts/main.js", "/styles/base.css"] {
        let answer = request(console.address, "GET", page, &[], "");
        assert_eq!(answer.status, 200, "{page}");
        assert!(answer.head.contains("frame-ancestors 'none'"), "{page}: {}", answer.head);
    }
}

#[test]
fn wrong_tokens_are_counted_and_the_right_one_is_let_in_all_the_same() {
    let console = Console::start("");
    let with = |token: &str| {
        request(console.address, "GET", STATUS, &[("Authorization", &format!("Bearer {token}"))], "")
    };
    let wrong = "0".repeat(64);
    let statuses: Vec<u16> = (0..14).map(|_| with(&wrong).status).collect();
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[12..], [429; 2], "{statuses:?}");
    let refused = with(&wrong);
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
    assert_eq!(with(&console.token).status, 200);
    // Whoever renews the token locks out who has the earlier one, at once.
    let new = printed(&console.launcher, &["console", "--renew", "--token"]);
    assert_ne!(new, console.token);
    assert_eq!(with(&new).status, 200);
    assert_ne!(with(&console.token).status, 200);
}

#[test]
fn other_pages_and_other_names_are_kept_out() {
    let console = Console::start("");
    let ask = |method: &str, path: &str, more: &[(&str, &str)]| {
        let bearer = console.bearer();
        let mut headers = vec![("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        headers.extend(more);
        request(console.address, method, path, &headers, "{}").status
    };
    let ours = format!("http://{}", console.address);
    assert_eq!(ask("GET", STATUS, &[("Origin", &ours)]), 200);
    for foreign in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        for (method, path) in [
            ("GET", STATUS),
            ("POST", "/api/v1/down"),
            ("GET", "/scripts/main.js"),
            ("POST", "/api/v1/login"),
        ] {
            assert_eq!(ask(method, path, &[foreign]), 403, "{method} {path} {foreign:?}");
        }
    }
    // A link to the page may be anywhere.
    let link =
        [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")];
    assert_eq!(ask("GET", "/", &link), 200);
    let host = |host: &str| {
        let url = format!("http://{}{STATUS}", console.address);
        curl(&[
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-H",
            &format!("Host: {host}"),
            "-H",
            &format!("Authorization: {}", console.bearer()),
            &url,
        ])
    };
    assert_eq!(host("rebound.example"), "421");
    assert_eq!(host("localhost:9200"), "200");
    // A form could send what is no JSON.
    let bearer = console.bearer();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "text/plain; application/json"] {
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", kind)];
        assert_eq!(request(console.address, "POST", "/api/v1/down", &headers, "{}").status, 415, "{kind}");
    }
}

#[test]
fn a_read_only_console_shows_everything_and_changes_nothing() {
    let console = Console::start("console-read-only = true\n");
    for path in [STATUS, "/api/v1/logs", "/api/v1/events", "/api/v1/reload", "/api/v1/crashes"] {
        assert_eq!(console.get(path).status, 200, "{path}");
    }
    let document: Value = serde_json::from_str(&console.get(OPEN).body).unwrap();
    let changes =
        document["paths"].as_object().unwrap().iter().filter(|(_, item)| item.get("post").is_some());
    let changes: Vec<&str> =
        changes.map(|(path, _)| path.as_str()).filter(|path| *path != "/login").collect();
    assert!(changes.len() >= 7, "{changes:?}");
    for path in changes {
        let answer = console.post(&format!("/api/v1{path}"), r#"{"components": ["talker"]}"#);
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.body.contains("console-read-only"), "{}", answer.body);
    }
    assert_eq!(console.json("/api/v1/session")["read_only"], true);
    assert_eq!(console.component("talker")["state"], "ready");
}

#[test]
fn a_login_link_gives_the_token_once() {
    let console = Console::start("");
    let link = printed(&console.launcher, &["console"]);
    let (page, code) = link.split_once("#login=").unwrap();
    assert_eq!(page, format!("http://{}/", console.address));
    assert!(!link.contains(&console.token));
    let login = |code: &str| {
        let body = serde_json::json!({ "code": code }).to_string();
        request(console.address, "POST", "/api/v1/login", &[("Content-Type", "application/json")], &body)
    };
    let answer = login(code);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap()["token"], *console.token);
    let forged = format!("9{code}");
    for wrong in [code, &forged, "x", ""] {
        assert_eq!(login(wrong).status, 401, "{wrong}");
    }
    let statuses: Vec<u16> = (0..12).map(|_| login("x").status).collect();
    assert_eq!(statuses[10..], [429; 2], "{statuses:?}");
    let link = printed(&console.launcher, &["console"]);
    assert_eq!(
        login(link.split_once("#login=").unwrap().1).status,
        200,
        "the right one is let in all the same"
    );
    let log = wait_for("the login to be logged", || {
        let log = std::fs::read_to_string(console.launcher.home.logs().join("launcher.log")).unwrap();
        log.contains("a login link was used").then_some(log)
    });
    assert!(!log.contains(&console.token) && !log.contains(code), "{log}");
}

#[test]
fn what_is_too_large_is_refused() {
    let console = Console::start("");
    let large = format!(r#"{{"components": ["{}"]}}"#, "x".repeat(70_000));
    assert_eq!(console.post("/api/v1/stop", &large).status, 413);
    let mut stream = TcpStream::connect(console.address).unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(64_000));
    // The server may close before it has read all of it.
    let _ = stream.write_all(head.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(console.get(STATUS).status, 200);
}

#[test]
fn an_address_that_others_can_reach_is_warned_of() {
    let port = free_address().port();
    let launcher = home(&format!("[launcher]\nconsole-listen = '0.0.0.0:{port}'\n")).up();
    let log = std::fs::read_to_string(launcher.home.logs().join("launcher.log")).unwrap();
    assert!(log.contains("the console is unencrypted"), "{log}");
}

#[test]
fn a_unix_socket_is_for_its_owner_and_needs_no_token() {
    let mut launcher = home("[launcher]\nconsole-listen = 'unix:console.sock'\n").up();
    let path = launcher.home.data().join("console.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(printed(&launcher, &["console"]), format!("unix:{}", path.display()));
    let socket = path.to_str().unwrap();
    let status: Value =
        serde_json::from_str(&curl(&["--unix-socket", socket, "http://localhost/api/v1/status"])).unwrap();
    assert_eq!(status["healthy"], true);
    let foreign = [
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "--unix-socket",
        socket,
        "http://evil.example/api/v1/status",
    ];
    assert_eq!(curl(&foreign), "421");
    assert!(!launcher.home.data().join("console.token").exists() || status["console"] == "unix:console.sock");
    // What a killed launcher leaves is no hindrance.
    launcher.end("-KILL");
    assert!(path.exists() && UnixStream::connect(&path).is_err());
    launcher.start_again();
    wait_for("the console", || UnixStream::connect(&path).ok());
    launcher.wait_until_healthy();
    launcher.end("-TERM");
    assert!(!path.exists());
}

/// It must end by itself, and say why.
fn is_refused(launcher: &mut Launcher, reason: &str) {
    launcher.start_again();
    let status = wait_for("the launcher to refuse", || launcher.ended());
    assert!(!status.success() && launcher.printed().contains(reason), "{}", launcher.printed());
}

#[test]
fn a_foreign_file_or_listener_at_the_sockets_path_is_not_touched() {
    let mut launcher = home("[launcher]\nconsole-listen = 'unix:console.sock'\n").idle();
    let path = launcher.home.data().join("console.sock");
    std::fs::create_dir_all(launcher.home.data()).unwrap();
    std::fs::write(&path, "mine").unwrap();
    is_refused(&mut launcher, "another file is there");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    std::fs::remove_file(&path).unwrap();
    let foreign = UnixListener::bind(&path).unwrap();
    foreign.set_nonblocking(true).unwrap();
    is_refused(&mut launcher, "another program listens there");
    // That was the launcher's question; whoever connects now reaches the same listener.
    while foreign.accept().is_ok() {}
    let _client = UnixStream::connect(&path).unwrap();
    assert!(foreign.accept().is_ok());
}
