//! The client of the message API against a server whose listen queue is full.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;
use std::time::Duration;

use kit::Secret;
use protocol::UserName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use transport::ApiClient;

/// The kernel repeats a lost SYN after a second.
const RETRANSMISSION: Duration = Duration::from_secs(1);

/// A listening socket with as many connections as it takes before it is asked to accept one.
async fn full() -> (TcpListener, SocketAddr, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    // `listen(2)`: the kernel takes one connection more than the backlog.
    for _ in 0..2 {
        waiting.push(TcpStream::connect(address).await.unwrap());
    }
    (listener, address, waiting)
}

/// Waits until somebody tries to connect to this port in vain: state SYN_SENT of `proc_net_tcp(5)`.
async fn tried(port: u16) {
    let line = format!("0100007F:{port:04X} 02 ");
    while !std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&line) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn answer(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 4096];
    assert!(stream.read(&mut request).await.unwrap() > 0);
    let body = r#"{"conversations":[]}"#;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_lost_connection_attempt_costs_less_than_a_second() {
    kit::context::install_tls();
    let (listener, address, waiting) = full().await;
    let api = ApiClient::new(address, Secret::new("token".to_owned()));
    let call = tokio::spawn(async move { api.conversations(&UserName::parse("alice").unwrap()).await });
    tried(address.port()).await;
    for _ in &waiting {
        listener.accept().await.unwrap();
    }
    let answered = tokio::time::timeout(RETRANSMISSION * 9 / 10, answer(&listener)).await;
    answered.expect("another attempt before the kernel's own");
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_accepts_nobody_is_unreachable() {
    kit::context::install_tls();
    let (_listener, address, _waiting) = full().await;
    let api = ApiClient::new(address, Secret::new("token".to_owned()));
    let error = api.conversations(&UserName::parse("alice").unwrap()).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}
