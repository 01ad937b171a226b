//! The client as a process of its own, and a chat server that refuses everybody.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use protocol::native::{ErrorCode, ErrorFrame, ServerFrame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// The example that is nothing but the client; cargo builds it with the tests.
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

/// How a client ended, and what it wrote.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Starts the client between pipes; its history is in `home`.
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

/// Asks a client's history with the sqlite3 program.
pub(crate) fn sql(home: &Path, user: &str, sql: &str) -> String {
    let file = home.join(format!("p2p-chat/chat_history_{user}.db"));
    let output = std::process::Command::new("sqlite3").arg(file).arg(sql).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A chat server that answers every greeting with this refusal.
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
