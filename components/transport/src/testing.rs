//! Fakes of the chat server and the message API, for tests of their clients. They keep everything in memory, follow the contracts that
//! clients rely on, and report what happened.
//!
//! Not included: the text dialect, limits, and faults other than a lost connection.

mod api;
mod chat;
mod shared;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use kit::{Context, Notifier, Secret};
use protocol::{Body, ClientId, ConversationId, Draft, Event, MessageType, Metadata, UserName};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use shared::Shared;
pub use world::World;

/// A name for a test.
///
/// # Panics
/// When the name is invalid.
#[must_use]
pub fn name(text: &str) -> UserName {
    UserName::parse(text).expect("a test uses valid names")
}

/// Both servers, with shared state.
#[derive(Debug)]
pub struct FakeServers {
    /// Where the chat server listens.
    pub chat: SocketAddr,
    /// Where the message API listens.
    pub api: SocketAddr,
    shared: Arc<Shared>,
    _shutdown: DropGuard,
}

impl FakeServers {
    /// Starts both on free ports of loopback.
    ///
    /// # Panics
    /// When the system has no port or no randomness left.
    pub async fn start() -> Self {
        kit::context::install_tls();
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let chat = bind().await.expect("loopback has a free port");
        let api = bind().await.expect("loopback has a free port");
        let address =
            |listener: &TcpListener| listener.local_addr().expect("a bound listener has an address");
        let (chat_address, api_address) = (address(&chat), address(&api));
        let shutdown = CancellationToken::new();
        let shared = Arc::new(Shared {
            world: Mutex::default(),
            changes: watch::Sender::default(),
            connections: Mutex::new(shutdown.child_token()),
            token: Secret::random().expect("the system has randomness"),
        });
        tokio::spawn(chat::serve(chat, Arc::clone(&shared), shutdown.clone()));
        tokio::spawn(kit::http::serve(api, api::router(Arc::clone(&shared)), shutdown.clone()));
        Self { chat: chat_address, api: api_address, shared, _shutdown: shutdown.drop_guard() }
    }

    /// The context of a component that uses these servers and ends with `shutdown`.
    #[must_use]
    pub fn context(&self, shutdown: CancellationToken) -> Context {
        Context {
            shutdown,
            notifier: Notifier::default(),
            service_token: self.shared.token.clone(),
            data: std::env::temp_dir(),
        }
    }

    /// Sends a message as another client.
    ///
    /// # Panics
    /// When the names or the text are not valid.
    pub fn say(&self, from: &str, to: &str, kind: MessageType, text: &str) -> Event {
        self.say_with(from, to, kind, text, Metadata::default())
    }

    /// Sends a message with metadata as another client.
    ///
    /// # Panics
    /// When the names or the text are not valid.
    pub fn say_with(&self, from: &str, to: &str, kind: MessageType, text: &str, metadata: Metadata) -> Event {
        let draft = Draft {
            conversation: ConversationId::dm(&name(from), &name(to)),
            sender: name(from),
            body: Body::parse(text).expect("a test says valid texts"),
            kind,
            metadata,
            client_id: ClientId::fresh(),
            timestamp: None,
        };
        self.shared.append(draft).0
    }

    /// Waits until `look` finds something in the servers' state, and returns it.
    ///
    /// # Panics
    /// When that takes longer than a minute.
    pub async fn until<T>(&self, mut look: impl FnMut(&World) -> Option<T>) -> T {
        let mut changes = self.shared.changes.subscribe();
        let found = async {
            loop {
                if let Some(found) = look(&self.shared.world()) {
                    return found;
                }
                changes.changed().await.expect("the sender lives as long as we do");
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), found)
            .await
            .unwrap_or_else(|_| panic!("what was waited for did not happen in {:#?}", self.shared.world()))
    }

    /// Waits until two users' conversation has this many events, and returns them.
    pub async fn conversation(&self, one: &str, other: &str, length: usize) -> Vec<Event> {
        let (one, other) = (name(one), name(other));
        self.until(|world| {
            let events = world.conversation(&one, &other);
            (events.len() >= length).then(|| events.to_vec())
        })
        .await
    }

    /// Waits until a user has read a conversation up to `seq`.
    pub async fn seen(&self, user: &str, other: &str, seq: u64) {
        let (user, other) = (name(user), name(other));
        self.until(|world| (world.cursor(&user, &other) >= seq).then_some(())).await;
    }

    /// Waits until a user is online.
    pub async fn online(&self, user: &str) {
        let user = name(user);
        self.until(|world| world.online().contains(&user).then_some(())).await;
    }

    /// A value of a service's state.
    #[must_use]
    pub fn state(&self, owner: &str, key: &str) -> Option<Value> {
        self.shared.world().state(&name(owner)).get(name(key).key()).cloned()
    }

    /// Sets a value of a service's state, as if from an earlier run.
    pub fn put_state(&self, owner: &str, key: &str, value: Value) {
        self.shared.world().put_state(&name(owner), name(key).key().to_owned(), Some(value));
        self.shared.changed();
    }

    /// Closes every connection to the chat server; new ones are accepted.
    ///
    /// # Panics
    /// Never: the lock is held for one line.
    pub fn drop_connections(&self) {
        let mut token = self.shared.connections.lock().expect("nobody panics while holding this lock");
        std::mem::take(&mut *token).cancel();
    }
}
