//! A message API, a connection to it that can be cut, and a chat server.

use std::net::SocketAddr;
use std::time::Duration;

use chat_server::{Config, Upstream};
use kit::{Context, Failure, Notifier, Secret};
use message_api::StoreConfig;
use protocol::api::RestoreRequest;
use protocol::{Body, Draft, Event, UserName};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use transport::ApiClient;

use crate::peer::Peer;
use crate::proxy::Proxy;

/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

/// A component that runs on a task of its own.
struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), Failure>>,
}

impl Running {
    fn start<F: Future<Output = Result<(), Failure>> + Send + 'static>(
        context: Context,
        run: impl FnOnce(Context) -> F,
    ) -> Self {
        Self { shutdown: context.shutdown.clone(), task: tokio::spawn(run(context)) }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

pub(crate) struct World {
    pub(crate) chat: SocketAddr,
    pub(crate) book: SocketAddr,
    /// Between the chat server and the message API.
    pub(crate) proxy: Proxy,
    /// Requests directly to the message API.
    pub(crate) api: ApiClient,
    pub(crate) token: Secret,
    api_address: SocketAddr,
    data: TempDir,
    message_api: Option<Running>,
    chat_server: Option<Running>,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With a configuration of its own.
    pub(crate) async fn with(configure: impl FnOnce(&mut Config)) -> Self {
        kit::context::install_tls();
        kit::log::to_stderr(protocol::sanitise::line);
        let [api_address, chat, book] = free_addresses();
        let token = Secret::random().unwrap();
        let mut world = Self {
            chat,
            book,
            proxy: Proxy::start(api_address).await,
            api: ApiClient::new(api_address, token.clone()),
            token,
            api_address,
            data: tempfile::tempdir().unwrap(),
            message_api: None,
            chat_server: None,
        };
        world.start_api().await;
        let (listen, book_listen) = (world.chat, world.book);
        let mut config = Config { listen, book_listen, messages_per_second: 0, ..Config::default() };
        configure(&mut config);
        let reserved = vec![name("openai"), name("thermometer1")];
        let upstream = Upstream { api: world.proxy.address, reserved };
        world.chat_server =
            Some(Running::start(world.context(), |context| chat_server::run(config, upstream, context)));
        reachable(world.chat).await;
        world
    }

    fn context(&self) -> Context {
        Context {
            shutdown: CancellationToken::new(),
            notifier: Notifier::default(),
            service_token: self.token.clone(),
            data: self.data.path().to_owned(),
        }
    }

    pub(crate) async fn start_api(&mut self) {
        let config = message_api::Config { listen: self.api_address, ..message_api::Config::default() };
        self.message_api = Some(Running::start(self.context(), |context| {
            message_api::run(config, StoreConfig::default(), Vec::new(), context)
        }));
        reachable(self.api_address).await;
    }

    pub(crate) async fn stop_api(&mut self) {
        self.message_api.take().unwrap().stop().await;
    }

    /// Stops the chat server within its time limit.
    pub(crate) async fn stop_chat(&mut self) {
        let stopping = self.chat_server.take().unwrap().stop();
        tokio::time::timeout(Duration::from_secs(3), stopping).await.expect("it stops in time");
    }

    /// Connects and is greeted with the prompt.
    pub(crate) async fn connect(&self) -> Peer {
        let mut peer = Peer::connect(self.chat).await;
        peer.expect("Enter your username: ").await;
        peer
    }

    /// Logs in in the text dialect; unread messages follow.
    pub(crate) async fn login(&self, who: &str) -> Peer {
        let mut peer = self.connect().await;
        peer.send(&format!("{who}\n")).await;
        let greeting = peer.line().await;
        assert!(greeting.starts_with("Connected! Users online: ") && greeting.ends_with(&format!("{who}\n")));
        peer
    }

    /// Logs in in the native dialect and returns the welcome; events follow.
    pub(crate) async fn hello(&self, hello: &str) -> (Peer, serde_json::Value) {
        let mut peer = self.connect().await;
        peer.send(&format!("{hello}\n")).await;
        let welcome = peer.frame().await;
        (peer, welcome)
    }

    /// A message is stored without the chat server, as by a REST client.
    pub(crate) async fn post(&self, from: &str, to: &str, text: &str) {
        let draft = Draft::chat(name(from), &name(to), Body::parse(text).unwrap());
        self.api.append(vec![draft]).await.unwrap();
    }

    /// The message API's answer to a GET of this path.
    pub(crate) async fn fetch(&self, path: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = TcpStream::connect(self.api_address).await.unwrap();
        let host = self.api_address;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Takes a backup, and restores it.
    pub(crate) async fn restore(&mut self) {
        use futures_util::TryStreamExt;
        let backup: Vec<bytes::Bytes> = self.api.backup().await.unwrap().try_collect().await.unwrap();
        let file = self.data.path().join("backup");
        std::fs::write(&file, backup.concat()).unwrap();
        self.api.call(&RestoreRequest { file }).await.unwrap();
    }

    /// A user's unread messages.
    pub(crate) async fn unseen(&self, user: &str) -> Vec<Event> {
        self.api.unseen(&name(user), None, 200).await.unwrap().events
    }

    /// Waits until a user has read everything.
    pub(crate) async fn nothing_unseen(&self, user: &str) {
        let wait = async {
            while !self.unseen(user).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the cursors move");
    }
}

/// Free ports, all different. The components take their address from the configuration, so it must be known before; all of 127/8 is
/// loopback, and each test process has an address of its own there, so that none takes another's port.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let [_, second, third, fourth] = std::process::id().to_be_bytes();
    let address = std::net::Ipv4Addr::new(127, second.max(1), third, fourth);
    // All are bound before any is released.
    let listeners = [(); N].map(|()| std::net::TcpListener::bind((address, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

async fn reachable(address: SocketAddr) {
    let connect = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, connect).await.expect("it listens");
}
