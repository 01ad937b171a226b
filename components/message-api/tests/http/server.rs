//! A message API on a free port, and a minimal client that exposes exactly what is on the wire.

use std::net::SocketAddr;

use kit::{Context, Failure, Notifier, Secret};
use message_api::StoreConfig;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const TOKEN: &str = "the-service-token";

/// A running server with its data in a temporary directory.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), Failure>>,
    data: tempfile::TempDir,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::on(tempfile::tempdir().unwrap(), "127.0.0.1:0").await
    }

    /// On an address that is not loopback alone.
    pub(crate) async fn start_everywhere() -> Self {
        Self::on(tempfile::tempdir().unwrap(), "0.0.0.0:0").await
    }

    async fn on(data: tempfile::TempDir, listen: &str) -> Self {
        let listener = kit::listen::bind(listen.parse().unwrap()).await.unwrap();
        let address = kit::listen::reachable(listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let context = Context {
            shutdown: shutdown.clone(),
            notifier: Notifier::default(),
            service_token: Secret::new(TOKEN.to_owned()),
            data: data.path().to_owned(),
        };
        let reserved = vec![protocol::UserName::parse("weather1").unwrap()];
        let running = tokio::spawn(message_api::serve(listener, StoreConfig::default(), reserved, context));
        Self { address, shutdown, running, data }
    }

    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        self.data
    }

    pub(crate) async fn restart(self) -> Self {
        Self::on(self.stop().await, "127.0.0.1:0").await
    }

    /// Sends a request as existing programs do, without a token.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask_with(method, path, "", body).await
    }

    /// Sends a request with the service token.
    pub(crate) async fn ask_v1(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask_with(method, path, &format!("Authorization: Bearer {TOKEN}\r\n"), body).await
    }

    /// Sends a request with more header lines, each with its end.
    pub(crate) async fn ask_with(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let host =
            if headers.contains("Host:") { String::new() } else { format!("Host: {}\r\n", self.address) };
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{host}{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        ask_raw(self.address, request.as_bytes()).await
    }
}

/// Sends bytes and reads until the server closes.
pub(crate) async fn ask_raw(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head[9..12].parse().unwrap();
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunk(body) } else { body.to_owned() };
    Answer { status, head: head.to_owned(), body }
}

/// Joins the chunks of a body (RFC 9112, 7.1).
fn unchunk(mut text: &str) -> String {
    let mut body = String::new();
    loop {
        let (size, rest) = text.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body.push_str(&rest[..size]);
        text = &rest[size + 2..];
    }
}
