//! The client as a separate process, and a chat server that rejects everybody.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use protocol::native::{ErrorCode, ErrorFrame, ServerFrame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// The example that runs only the client; cargo builds it with the tests.
pub(crate) fn client() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let client = profile.join("examples/chat");
    assert!(
        client.exists(),
        "{} is missing: build it with `cargo build -p terminal --examples`",
        client.display()
    );
    client
}

/// The client that was started with these as its last arguments.
pub(crate) fn pid_of(arguments: &str) -> String {
    let found = std::process::Command::new("pgrep")
        .args(["-f", &format!("^{} {arguments}$", client().display())])
        .output()
        .unwrap();
    String::from_utf8(found.stdout).unwrap().trim().to_owned()
}

/// A client's exit status and output.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Starts the client with pipes; its history is in `home`.
pub(crate) fn start(home: &Path, arguments: &[&str]) -> Child {
    Command::new(client())
        .args(arguments)
        .env("XDG_STATE_HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Runs the client on this input to its end.
pub(crate) async fn run_in(home: &Path, arguments: &[&str], input: &str) -> Run {
    let mut child = start(home, arguments);
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output =
        tokio::time::timeout(Duration::from_secs(20), child.wait_with_output()).await.unwrap().unwrap();
    Run {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Queries a client's history with the sqlite3 program.
pub(crate) fn sql(home: &Path, user: &str, sql: &str) -> String {
    let file = home.join(format!("p2p-chat/chat_history_{user}.db"));
    let output = std::process::Command::new("sqlite3").arg(file).arg(sql).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A chat server that answers every `hello` with these bytes and keeps the connection open.
pub(crate) async fn hostile(bytes: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let _ = stream.write_all(b"\x1b]0;owned\x07\x1b[2JEnter your username: ").await;
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(&bytes).await;
                // Nothing more is sent while the client stays connected.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    address
}

/// Hostile output of a server.
pub(crate) fn mischief() -> Vec<(&'static str, Vec<u8>)> {
    let steer = "\\u001b]0;owned\\u0007\\u001b[2J\\u009b31m\\u202e";
    let welcome = |online: &str| {
        format!(
            r#"{{"type":"welcome","name":"alice","token":"t","online":[{online}],"conversations":[],"durability":"fsync"}}"#
        )
    };
    let event = format!(
        r#"{{"type":"event","event":{{"id":"019aa3c2-7f10-7abc-8def-0123456789ab","conversation":"dm:alice:bob","seq":1,"at":"2026-11-20T23:21:22Z","sender":"bob","destination":"alice","body":"steer{steer}ed","type":"chat","metadata":{{"k{steer}":"{steer}"}},"client_id":"x","timestamp":"2026-11-20T23:21:22Z"}}}}"#
    );
    let error = format!(r#"{{"type":"error","code":"refused","message":"wrong{steer}"}}"#);
    let bye = format!(r#"{{"type":"bye","reason":"because{steer}","reconnect_after_ms":50}}"#);
    vec![
        ("noise", (0..=255u8).cycle().take(100_000).collect()),
        ("a line of 10 MB", [vec![b'{'], vec![b'x'; 10_000_000], vec![b'\n']].concat()),
        ("a long frame", format!("{}\n", welcome(&format!("\"{}\"", "a".repeat(2_000_000)))).into_bytes()),
        (
            "orders",
            format!("{}\n{event}\n{error}\n{{\"type\":\"live\"}}\n{bye}\n", welcome("\"alice\""))
                .into_bytes(),
        ),
        ("deep", [welcome("").into_bytes(), b"\n".to_vec(), vec![b'['; 1_000_000], b"\n".to_vec()].concat()),
    ]
}

/// A chat server that answers every `hello` with this error.
pub(crate) async fn refusing(code: ErrorCode, message: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut greeting = [0; 1024];
            let _ = stream.read(&mut greeting).await;
            let error =
                ErrorFrame { code, message: message.to_owned(), client_id: None, retry_after_ms: None };
            let mut frame = serde_json::to_vec(&ServerFrame::Error(error)).unwrap();
            frame.push(b'\n');
            let _ = stream.write_all(&frame).await;
        }
    });
    address
}
