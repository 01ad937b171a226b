//! Over real connections.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use rustls::version::TLS13;

use super::*;
use crate::tls::Protocol;
use crate::tls::tests::{Home, dial};

/// More than the kernel buffers for a connection.
const LARGE: usize = 16 * 1024 * 1024;

struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Running {
    async fn start(server: Server) -> Self {
        let listener = crate::listen::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(server.run(listener, shutdown.clone()));
        Self { address, shutdown }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

fn router() -> Router {
    health(|| true, String::new)
        .route("/large", get(|| std::future::ready(vec![0u8; LARGE])))
        .route("/length", post(|body: axum::body::Bytes| std::future::ready(body.len().to_string())))
}

const READY: &str = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Whether a connection answers; it is kept open.
async fn answers(stream: &mut TcpStream) -> bool {
    let mut status = [0; 15];
    stream.read_exact(&mut status).await.is_ok_and(|_| &status == b"HTTP/1.1 200 OK")
}

#[tokio::test]
async fn a_unix_socket_is_served_as_an_address_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(Server::new(router()).run(listener, shutdown.clone()));
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").await.unwrap();
    let mut answer = [0; 512];
    let count = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n3"), "{answer}");
    shutdown.cancel();
    server.await.unwrap();
}

#[tokio::test]
async fn serves_until_shutdown_and_then_returns() {
    let listener = crate::listen::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(serve(listener, router(), shutdown.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(READY.as_bytes()).await.unwrap();
    assert!(answers(&mut stream).await);
    shutdown.cancel();
    server.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_is_not_waited_for() {
    let server = Running::start(Server::new(router())).await;
    let mut stream = server.send("GET / HTTP/1.1\r\n").await;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_in_is_given_up() {
    let server = Running::start(Server::new(router())).await;
    let head = "POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
    let mut stream = server.send(head).await;
    let begun = tokio::time::Instant::now();
    let mut answer = [0; 12];
    while tokio::time::timeout(Duration::from_secs(1), stream.read_exact(&mut answer)).await.is_err() {
        // Far below the minimum rate.
        stream.write_all(b"x").await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    assert_eq!(&answer, b"HTTP/1.1 400");
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_cut_off() {
    let (sender, mut connections) = mpsc::channel(1);
    let handler = move |Extension(connection): Extension<Arc<Connection>>| {
        connection.set_patience(Duration::from_millis(200));
        sender.try_send(connection).unwrap();
        std::future::ready(vec![0u8; LARGE])
    };
    let server = Running::start(Server::new(Router::new().route("/large", get(handler)))).await;
    let mut stream = server.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    let connection = connections.recv().await.unwrap();
    // Only the end of the connection comes before that.
    connection.flushed_since(u64::MAX).await;
    drop(connection);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.len() < LARGE, "{} bytes were waiting", rest.len());
}

#[tokio::test]
async fn where_all_places_are_taken_the_slowest_gives_its_own_up() {
    let server = Running::start(Server::new(router()).with_places(Places::new(4, 0))).await;
    let mut silent = Vec::new();
    for n in 0..4 {
        // Some send nothing, some do not read.
        let request = if n % 2 == 0 { "" } else { "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n" };
        silent.push(server.send(request).await);
    }
    let mut later = Vec::new();
    for _ in 0..8 {
        let mut stream = server.send(READY).await;
        assert!(answers(&mut stream).await, "everybody who asks is answered");
        later.push(stream);
    }
    for mut stream in silent {
        let mut rest = Vec::new();
        // Reset, or closed.
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.len() < LARGE);
    }
}

/// Stays queued for ever.
async fn queue(Extension(connection): Extension<Arc<Connection>>) {
    let _queued = connection.queue();
    std::future::pending().await
}

#[tokio::test]
async fn requests_that_wait_for_their_turn_keep_nobody_out() {
    let router = router().route("/queue", get(queue));
    let server = Running::start(Server::new(router).with_places(Places::new(4, 0))).await;
    let mut queued = Vec::new();
    for _ in 0..4 {
        queued.push(server.send("GET /queue HTTP/1.1\r\nHost: localhost\r\n\r\n").await);
    }
    let mut later = Vec::new();
    for _ in 0..8 {
        let mut stream = server.send(READY).await;
        assert!(answers(&mut stream).await, "everybody who asks is answered");
        later.push(stream);
    }
    for mut stream in queued {
        let mut rest = Vec::new();
        // Reset, or closed.
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
    }
}

#[tokio::test]
async fn connections_with_the_token_keep_their_places() {
    let token = Secret::new("t".to_owned());
    let server = Server::new(router()).with_places(Places::new(4, 0)).with_token(token);
    let server = Running::start(server).await;
    let own = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer t\r\n\r\n";
    let mut ours = Vec::new();
    for _ in 0..3 {
        let mut stream = server.send(own).await;
        assert!(answers(&mut stream).await);
        ours.push(stream);
    }
    for _ in 0..16 {
        drop(server.connect().await);
    }
    for mut stream in ours {
        stream.write_all(own.as_bytes()).await.unwrap();
        let mut rest = vec![0; 4096];
        // The rest of the first answer, and the second.
        let mut text = String::new();
        while text.matches("HTTP/1.1 200 OK").count() < 1 || !text.ends_with("ready\n") {
            let count = stream.read(&mut rest).await.unwrap();
            assert!(count > 0, "{text}");
            text.push_str(std::str::from_utf8(&rest[..count]).unwrap());
        }
    }
}

#[tokio::test]
async fn a_bare_server_answers_only_under_names_of_this_machine() {
    let server = Running::start(Server::new(guarded(router()))).await;
    for (headers, status) in [
        ("Host: evil.example\r\n", "421"),
        ("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", "403"),
        ("Host: localhost\r\nOrigin: http://evil.example\r\n", "403"),
        ("Host: 127.0.0.1\r\n", "200"),
    ] {
        for path in ["/healthz", "/readyz", "/metrics"] {
            let mut stream = server.send(&format!("GET {path} HTTP/1.1\r\n{headers}\r\n")).await;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer[9..], status.as_bytes(), "{path} {headers}");
        }
    }
}

/// A server that reports whether its answers were read.
async fn telling() -> (Running, mpsc::Receiver<bool>, mpsc::Receiver<CancellationToken>) {
    let (fates, told) = mpsc::channel(8);
    let (hurries, hurry) = mpsc::channel(8);
    let handler = move |Extension(connection): Extension<Arc<Connection>>| {
        let hurry = CancellationToken::new();
        let receipt = connection.receipt(hurry.clone());
        let (fates, hurries) = (fates.clone(), hurries.clone());
        tokio::spawn(async move {
            hurries.send(hurry).await.unwrap();
            fates.send(receipt.is_read().await).await.unwrap();
        });
        std::future::ready("x".repeat(50_000))
    };
    (Running::start(Server::new(Router::new().route("/", get(handler)))).await, told, hurry)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

async fn read_all(stream: &mut TcpStream) {
    let mut answer = Vec::new();
    while !answer.ends_with(b"xxxx") || answer.len() < 50_000 {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
    }
}

#[tokio::test]
async fn an_answer_is_read_when_its_peer_closes_or_goes_on() {
    let (server, mut told, _hurry) = telling().await;
    let mut stream = server.send(GET).await;
    read_all(&mut stream).await;
    stream.write_all(GET.as_bytes()).await.unwrap();
    assert!(told.recv().await.unwrap(), "the next request shows it");
    read_all(&mut stream).await;
    drop(stream);
    assert!(told.recv().await.unwrap(), "so does an end in good order");
    let close = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut stream = server.send(close).await;
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    drop(stream);
    assert!(told.recv().await.unwrap(), "and after we have closed");
}

#[tokio::test]
async fn an_answer_that_its_peer_left_unread_is_not_read() {
    let (server, mut told, mut hurry) = telling().await;
    for _ in 0..20 {
        let mut stream = server.send(GET).await;
        stream.read_exact(&mut [0; 1000]).await.unwrap();
        drop(stream);
        assert!(!told.recv().await.unwrap());
        hurry.recv().await.unwrap();
    }
}

#[tokio::test]
async fn a_silent_peer_counts_as_having_read_where_somebody_has_to_know() {
    let (server, mut told, mut hurry) = telling().await;
    let mut stream = server.send(GET).await;
    read_all(&mut stream).await;
    hurry.recv().await.unwrap().cancel();
    let begun = std::time::Instant::now();
    assert!(told.recv().await.unwrap());
    assert!(begun.elapsed() < SILENT, "{:?}", begun.elapsed());
    let mut other = server.send(GET).await;
    read_all(&mut other).await;
    assert!(told.recv().await.unwrap(), "and after a while in any case");
}

/// Shorter than a receipt waits for a silent peer.
const SILENT: Duration = Duration::from_millis(2900);

/// A server with a TLS port, which is at the second address.
async fn with_tls(home: &Home) -> (Running, SocketAddr) {
    let listener = crate::listen::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let port = TlsPort::new(listener, home.tls().acceptor(Protocol::Http));
    (Running::start(Server::new(router()).with_tls(Some(port))).await, address)
}

#[tokio::test]
async fn requests_are_answered_over_tls_as_without_it() {
    let home = Home::new();
    let (server, address) = with_tls(&home).await;
    let mut stream = dial(address, home.certificate(), &[&TLS13]).await.unwrap();
    stream.write_all(READY.as_bytes()).await.unwrap();
    let mut status = [0; 15];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 OK");
    assert!(answers(&mut server.send(READY).await).await, "the plain port still answers");
    let mut stream = dial(address, home.certificate(), &[&TLS13]).await.unwrap();
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert!(heard.len() > LARGE);
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_told_so_and_tls_on_the_plain_port_is_refused() {
    let home = Home::new();
    let (server, address) = with_tls(&home).await;
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(READY.as_bytes()).await.unwrap();
    let mut heard = String::new();
    plain.read_to_string(&mut heard).await.unwrap();
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 Bad Request"), "{heard}");
    assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{heard}");
    assert!(body.contains("https://"), "{heard}");
    assert!(dial(server.address, home.certificate(), &[&TLS13]).await.is_err());
}
