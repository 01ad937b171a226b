//! The shared state and its background tasks.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use kit::Failure;
use protocol::lan::NodeId;
use protocol::lan::datagram::Beacon;
use protocol::lan::view::Event;
use tokio::sync::{Notify, Semaphore, broadcast, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::book::Book;
use crate::choice::Choice;
use crate::config::Config;
use crate::interfaces::Interfaces;
use crate::legacy::send_locks::SendLocks;
use crate::metrics::Counters;
use crate::name;
use crate::presence::Proofs;
use crate::secure::handshakes::Handshakes;
use crate::secure::hint::Hint;
use crate::secure::identity::Identity;
use crate::secure::links::Links;
use crate::secure::tls::Tls;
use crate::store::{Quota, Store, StoreError};

/// The database file in the data directory.
const STORE: &str = "lan-peer.db";
/// The identity's file in the data directory.
const IDENTITY: &str = "lan-peer.key";
/// The interval of log messages about failures to store messages.
const COMPLAIN: Duration = Duration::from_secs(60);
/// Most batches of strangers' messages that wait for the store at once: known peers never wait behind dozens of them.
const STRANGERS_AT_ONCE: usize = 2;
/// Most events that a page may lag behind; then it is told to reload everything.
const EVENTS: usize = 256;

/// This node: state that several tasks use, each lock held for a few lines.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) counters: Counters,
    pub(crate) interfaces: watch::Sender<Interfaces>,
    pub(crate) send_locks: SendLocks,
    /// This node's id.
    pub(crate) me: NodeId,
    pub(crate) tls: Tls,
    pub(crate) links: Links,
    /// Incoming connections that have not authenticated yet.
    pub(crate) handshakes: Handshakes,
    /// Permits for storing strangers' messages.
    pub(crate) strangers: Semaphore,
    /// The TCP port of the secure protocol.
    pub(crate) port: u16,
    /// This node's beacon.
    pub(crate) beacon: Beacon,
    /// Challenges by which nodes prove their addresses.
    pub(crate) proofs: Proofs,
    /// The configured legacy peers.
    pub(super) given: HashSet<IpAddr>,
    pub(super) hints: mpsc::Sender<Hint>,
    /// The number of nodes that the dialler knows.
    pub(crate) found: AtomicUsize,
    /// Notified when there are too many new peers to answer each.
    pub(crate) crowd: Notify,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    troubles: Mutex<Troubles>,
    book: Mutex<Book>,
    events: broadcast::Sender<Event>,
    pub(super) changed: Notify,
}

/// Current failures.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    /// Why presence cannot be received.
    pub(crate) presence_error: Option<String>,
    /// Why legacy messages cannot be received.
    pub(crate) receiver_error: Option<String>,
    /// Why a message could not be stored, and when that was logged.
    pub(crate) store_error: Option<(String, Instant)>,
}

/// A node's environment, beside its configuration.
#[derive(Debug)]
pub(crate) struct Place<'p> {
    /// The data directory.
    pub(crate) data: &'p Path,
    /// The port of the secure protocol, already open.
    pub(crate) port: u16,
    /// The channel to the dialler.
    pub(crate) hints: mpsc::Sender<Hint>,
    /// Cancelled at shutdown.
    pub(crate) shutdown: CancellationToken,
}

impl Node {
    /// Opens the store and the identity, and loads the stored peers.
    pub(crate) async fn open(config: Config, place: Place<'_>) -> Result<Self, Failure> {
        let identity = Identity::load(&place.data.join(IDENTITY))?;
        let store = Store::open(&place.data.join(STORE), Quota::new(config.strangers_mib))?;
        let people = store.people().await?;
        let boot = getrandom::u64().map_err(std::io::Error::other)? >> 11;
        let beacon = Beacon::new(identity.id, place.port, boot);
        Ok(Self {
            given: config.legacy_peers().collect(),
            interfaces: watch::channel(Interfaces::look(&Choice::of(&config.interfaces))?).0,
            config,
            store,
            counters: Counters::default(),
            send_locks: SendLocks::default(),
            me: identity.id,
            tls: Tls::new(&identity)?,
            links: Links::default(),
            handshakes: Handshakes::default(),
            strangers: Semaphore::new(STRANGERS_AT_ONCE),
            port: place.port,
            beacon,
            proofs: Proofs::new()?,
            hints: place.hints,
            found: AtomicUsize::new(0),
            crowd: Notify::new(),
            tasks: TaskTracker::new(),
            shutdown: place.shutdown,
            troubles: Mutex::default(),
            book: Mutex::new(Book::new(people, Instant::now())),
            events: broadcast::channel(EVENTS).0,
            changed: Notify::new(),
        })
    }

    /// Spawns a task that is cancelled at shutdown.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move { shutdown.run_until_cancelled(task).await });
    }

    /// Waits for all spawned tasks, which end at their next await.
    pub(crate) async fn drained(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// This node's display name.
    pub(crate) fn name(&self) -> String {
        if self.config.name.is_empty() { name::of_this_machine() } else { self.config.name.clone() }
    }

    /// Current failures.
    pub(crate) fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().expect("nobody panics while holding this lock")
    }

    /// Records that a message could not be stored. Logged at once, and then once a minute while it lasts.
    pub(crate) fn report_store_error(&self, error: &StoreError) {
        let now = Instant::now();
        let mut troubles = self.troubles();
        let is_logged =
            troubles.store_error.as_ref().is_some_and(|(_, at)| now.duration_since(*at) < COMPLAIN);
        if !is_logged {
            let why = kit::failure::chain(error);
            tracing::error!("incoming messages are neither stored nor acknowledged: {why}");
            troubles.store_error = Some((why, now));
        }
    }

    /// Subscribes to events.
    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Notifies the pages.
    pub(crate) fn publish(&self, event: Event) {
        // Fails if no page follows events, which is fine.
        let _ = self.events.send(event);
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nobody panics while holding this lock")
    }
}
