//! A web adapter on a free port, a scripted chat server, and a browser.

#![allow(dead_code, reason = "each test file uses its part of this")]
#![allow(clippy::unwrap_used, reason = "this is part of the tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use kit::{Context, Notifier, Secret};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;
use transport::lines::{Line, Lines};
use web_adapter::Config;

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("what was waited for did not come")
}

/// A running adapter, stopped on drop.
pub(crate) struct Adapter {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) ended: JoinHandle<Result<(), kit::Failure>>,
}

impl Adapter {
    pub(crate) async fn start(chat: SocketAddr) -> Self {
        Self::with(chat, Config::default()).await
    }

    pub(crate) async fn with(chat: SocketAddr, config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let context = Context {
            shutdown: shutdown.clone(),
            notifier: Notifier::default(),
            service_token: Secret::new("t".into()),
            data: std::env::temp_dir(),
        };
        let ended = tokio::spawn(web_adapter::serve(listener, config, chat, context));
        Self { address, shutdown, ended }
    }

    pub(crate) async fn browser(&self) -> Browser {
        self.browser_from(&[]).await.unwrap()
    }

    /// A browser behind a network that can lose data sent to it.
    pub(crate) async fn browser_behind(&self, network: &Network) -> Browser {
        let stream = TcpStream::connect(network.address).await.unwrap();
        let request = format!("ws://{}/ws", self.address).into_client_request().unwrap();
        let stream = MaybeTlsStream::Plain(stream);
        Browser(soon(tokio_tungstenite::client_async(request, stream)).await.unwrap().0)
    }

    /// A browser that sends these headers; an error has the response's status.
    pub(crate) async fn browser_from(&self, headers: &[(&'static str, &str)]) -> Result<Browser, u16> {
        let mut request = format!("ws://{}/ws", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match soon(connect_async(request)).await {
            Ok((socket, _)) => Ok(Browser(socket)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A network between a browser and the adapter. Both ends are acknowledged by it, as by a proxy.
pub(crate) struct Network {
    address: SocketAddr,
    swallows: Arc<AtomicBool>,
}

impl Network {
    pub(crate) async fn to(adapter: &Adapter) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, adapter) = (listener.local_addr().unwrap(), adapter.address);
        let swallows = Arc::new(AtomicBool::new(false));
        let lost = Arc::clone(&swallows);
        tokio::spawn(async move {
            let (browser, _) = listener.accept().await.unwrap();
            let (mut from_browser, mut to_browser) = browser.into_split();
            let (mut from_adapter, mut to_adapter) = TcpStream::connect(adapter).await.unwrap().into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_browser, &mut to_adapter).await });
            let mut buffer = vec![0; 65536];
            while let Ok(count @ 1..) = from_adapter.read(&mut buffer).await {
                if !lost.load(Ordering::Relaxed) && to_browser.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
        });
        Self { address, swallows }
    }

    /// Drops everything to the browser from now on.
    pub(crate) fn swallow(&self) {
        self.swallows.store(true, Ordering::Relaxed);
    }
}

/// One WebSocket.
pub(crate) struct Browser(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Browser {
    pub(crate) async fn say(&mut self, frame: &str) {
        self.0.send(Message::text(frame)).await.unwrap();
    }

    /// The next text frame, unparsed.
    pub(crate) async fn hear(&mut self) -> String {
        loop {
            match soon(self.0.next()).await.expect("the adapter closed without a word") {
                Ok(Message::Text(text)) => return text.as_str().to_owned(),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("not a text frame: {other:?}"),
            }
        }
    }

    pub(crate) async fn hear_json(&mut self) -> Value {
        serde_json::from_str(&self.hear().await).unwrap()
    }

    /// The next input of the chat server. Meanwhile the browser answers pings, as browsers do by themselves.
    pub(crate) async fn until_heard_by(&mut self, peer: &mut Peer) -> Value {
        loop {
            tokio::select! {
                frame = peer.hear() => return frame,
                message = self.0.next() => match message {
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => self.0.flush().await.unwrap(),
                    other => panic!("nothing was due: {other:?}"),
                },
            }
        }
    }

    /// The close code from the adapter.
    pub(crate) async fn closed(&mut self) -> u16 {
        match soon(self.0.next()).await {
            Some(Ok(Message::Close(Some(frame)))) => frame.code.into(),
            other => panic!("not a close frame: {other:?}"),
        }
    }

    /// Sends `login` and answers like the chat server.
    pub(crate) async fn login(&mut self, chat: &FakeChat, name: &str, online: &[&str]) -> Peer {
        self.say(&json!({"type": "login", "username": name}).to_string()).await;
        let mut peer = chat.accept().await;
        assert_eq!(peer.hear().await["name"], name);
        peer.welcome(name, online).await;
        assert_eq!(self.hear_json().await, json!({"type": "login_success", "online_users": online}));
        peer
    }
}

/// A scripted chat server.
pub(crate) struct FakeChat {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl FakeChat {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// One with minimal buffers.
    pub(crate) fn start_small() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1024).unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    pub(crate) async fn accept(&self) -> Peer {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        let (reader, mut writer) = stream.into_split();
        writer.write_all(b"Enter your username: ").await.unwrap();
        Peer { lines: Lines::new(reader, 1 << 20), writer }
    }
}

/// Our side of one connection to the chat server.
pub(crate) struct Peer {
    lines: Lines<OwnedReadHalf>,
    pub(crate) writer: OwnedWriteHalf,
}

impl Peer {
    /// The next frame other than a ping.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            match soon(self.lines.next()).await.unwrap() {
                Some(Line::Text(line)) => {
                    let frame: Value = serde_json::from_str(&line).unwrap();
                    if frame["type"] != "ping" {
                        return frame;
                    }
                }
                other => panic!("not a line: {other:?}"),
            }
        }
    }

    /// Waits for the adapter to close.
    pub(crate) async fn ended(&mut self) {
        while let Ok(Some(_)) = soon(self.lines.next()).await {}
    }

    pub(crate) async fn say(&mut self, frame: Value) {
        self.writer.write_all(format!("{frame}\n").as_bytes()).await.unwrap();
    }

    pub(crate) async fn welcome(&mut self, name: &str, online: &[&str]) {
        self.say(json!({
            "type": "welcome", "name": name, "token": "secret", "online": online, "conversations": [], "durability": "fsync"
        }))
        .await;
        self.say(json!({"type": "live"})).await;
    }

    /// An event for `alice` from `sender`.
    pub(crate) async fn event(&mut self, seq: u64, sender: &str, body: &str, more: Value) {
        let mut event = json!({
            "id": "0198c5a0-0000-7000-8000-000000000000", "conversation": format!("dm:alice:{sender}"), "seq": seq,
            "at": "2026-11-20T23:21:22.277391+00:00", "timestamp": "2026-11-20T23:21:22.277391+00:00",
            "sender": sender, "destination": "alice", "body": body, "client_id": format!("c{seq}")
        });
        let replayed = more["replayed"].as_bool().unwrap_or(false);
        for (key, value) in more.as_object().into_iter().flatten().filter(|(key, _)| *key != "replayed") {
            event[key] = value.clone();
        }
        self.say(json!({"type": "event", "event": event, "replayed": replayed})).await;
    }

    pub(crate) async fn ack(&mut self, send: &Value, online: bool) {
        self.say(json!({
            "type": "ack", "client_id": send["client_id"], "conversation": "dm:alice:bob", "seq": 1, "durability": "fsync",
            "id": "0198c5a0-0000-7000-8000-000000000000", "at": "2026-11-20T23:21:22.277391+00:00", "online": online
        }))
        .await;
    }
}
