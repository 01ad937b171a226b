//! The client as a process of its own, and a chat server that refuses everybody.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use protocol::native::{ErrorCode, ErrorFrame, ServerFrame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

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
