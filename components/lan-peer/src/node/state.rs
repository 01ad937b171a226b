//! The state, and what works on it in the background.

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
use crate::metrics::Counters;
use crate::name;
use crate::old::turns::Turns;
use crate::presence::Proofs;
use crate::secure::handshakes::Handshakes;
use crate::secure::hint::Hint;
use crate::secure::identity::Identity;
use crate::secure::links::Links;
use crate::secure::tls::Tls;
use crate::store::{Quota, Store, StoreError};

/// Where messages are kept, below the data directory.
const STORE: &str = "lan-peer.db";
/// Where the identity is kept.
const IDENTITY: &str = "lan-peer.key";
/// That messages are not kept is logged this often.
const COMPLAIN: Duration = Duration::from_secs(60);
/// Batches of strangers' messages that may wait for the store at once: whom people know never waits behind those of dozens.
const STRANGERS_AT_ONCE: usize = 2;
/// Events that a page may be behind; one that is further behind is told so and asks again.
const EVENTS: usize = 256;

/// This node: state that several tasks use, each lock held for a few lines.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) counters: Counters,
    pub(crate) interfaces: watch::Sender<Interfaces>,
    pub(crate) turns: Turns,
    /// Who we are.
    pub(crate) me: NodeId,
    pub(crate) tls: Tls,
    pub(crate) links: Links,
    /// Connections that others have made and in which they have not said who they are.
    pub(crate) handshakes: Handshakes,
    /// Turns for what strangers said to be stored.
    pub(crate) strangers: Semaphore,
    /// The TCP port at which nodes of ours reach us.
    pub(crate) port: u16,
    /// What we send to tell them.
    pub(crate) beacon: Beacon,
    /// How others show that they are where their beacons come from.
    pub(crate) proofs: Proofs,
    /// Peers of the old kind that the operator named.
    pub(super) given: HashSet<IpAddr>,
    pub(super) hints: mpsc::Sender<Hint>,
    /// Nodes of ours that the dialler has heard of.
    pub(crate) found: AtomicUsize,
    /// Told when there were too many newcomers to answer each.
    pub(crate) crowd: Notify,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    troubles: Mutex<Troubles>,
    book: Mutex<Book>,
    events: broadcast::Sender<Event>,
    pub(super) changed: Notify,
}

/// What does not work.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    /// Why presence cannot be heard.
    pub(crate) deaf: Option<String>,
    /// Why messages of the old kind cannot come in.
    pub(crate) closed: Option<String>,
    /// Why something that came was not kept, and when that was logged.
    pub(crate) unstored: Option<(String, Instant)>,
}

/// Where a node works, beside its configuration.
#[derive(Debug)]
pub(crate) struct Place<'p> {
    /// The data directory.
    pub(crate) data: &'p Path,
    /// The port of the secure protocol, open already.
    pub(crate) port: u16,
    /// To the dialler.
    pub(crate) hints: mpsc::Sender<Hint>,
    /// When everything ends.
    pub(crate) shutdown: CancellationToken,
}

impl Node {
    /// Opens the store and the identity, and remembers who is kept.
    pub(crate) async fn open(config: Config, place: Place<'_>) -> Result<Self, Failure> {
        let identity = Identity::load(&place.data.join(IDENTITY))?;
        let store = Store::open(&place.data.join(STORE), Quota::new(config.strangers_mib))?;
        let people = store.people().await?;
        let boot = getrandom::u64().map_err(std::io::Error::other)? >> 11;
        let beacon = Beacon::new(identity.id, place.port, boot);
        Ok(Self {
            given: config.old().collect(),
            interfaces: watch::channel(Interfaces::look(&Choice::of(&config.interfaces))?).0,
            config,
            store,
            counters: Counters::default(),
            turns: Turns::default(),
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

    /// Does something until it is done or everything ends.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move { shutdown.run_until_cancelled(task).await });
    }

    /// Waits for all that was spawned; all of it ends at its next wait.
    pub(crate) async fn drained(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// What this node calls itself.
    pub(crate) fn name(&self) -> String {
        if self.config.name.is_empty() { name::of_this_machine() } else { self.config.name.clone() }
    }

    /// What does not work.
    pub(crate) fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().expect("nobody panics while holding this lock")
    }

    /// Something that came was not kept. It is logged at once, and once a minute while it goes on.
    pub(crate) fn not_kept(&self, error: &StoreError) {
        let now = Instant::now();
        let mut troubles = self.troubles();
        let is_logged = troubles.unstored.as_ref().is_some_and(|(_, at)| now.duration_since(*at) < COMPLAIN);
        if !is_logged {
            let why = kit::failure::chain(error);
            tracing::error!("incoming messages are neither stored nor acknowledged: {why}");
            troubles.unstored = Some((why, now));
        }
    }

    /// What happens from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Tells the pages.
    pub(crate) fn publish(&self, event: Event) {
        // Without a page nobody listens.
        let _ = self.events.send(event);
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nobody panics while holding this lock")
    }
}
