//! What all parts share.

use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use kit::Failure;
use protocol::Timestamp;
use protocol::lan::PeerKey;
use protocol::lan::view::{Entry, Event, Overview};
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;

use crate::book::{Book, Sign};
use crate::config::Config;
use crate::interfaces::Interfaces;
use crate::metrics::Counters;
use crate::name;
use crate::old::outlet::Turns;
use crate::store::{Person, Store, StoreError};

/// Events that a page may be behind; one that is further behind is told so and asks again.
const EVENTS: usize = 256;
/// Pages hear of changes among the peers at most this often.
const CHANGES: Duration = Duration::from_millis(250);
/// Who went is noticed this often.
const EXPIRE: Duration = Duration::from_secs(1);

/// Something that goes on as long as the process.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// This node: state that several tasks use, each lock held for a few lines.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) counters: Counters,
    pub(crate) interfaces: watch::Sender<Interfaces>,
    pub(crate) turns: Turns,
    book: Mutex<Book>,
    events: broadcast::Sender<Event>,
    changed: Notify,
}

/// What became of a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Somebody who was not there before.
    New,
    /// Somebody who was.
    Known,
    /// An address that no peer can have: our own, or on no network of ours.
    Nobody,
    /// There is no room for one more.
    NoRoom,
}

impl Node {
    /// Opens the store, and remembers who is kept there.
    pub(crate) async fn open(config: Config, store: &Path) -> Result<Self, Failure> {
        let store = Store::open(store)?;
        let people = store.people().await?;
        Ok(Self {
            config,
            store,
            counters: Counters::default(),
            interfaces: watch::channel(Interfaces::look()?).0,
            turns: Turns::default(),
            book: Mutex::new(Book::new(people, Instant::now())),
            events: broadcast::channel(EVENTS).0,
            changed: Notify::new(),
        })
    }

    /// What this node calls itself.
    pub(crate) fn name(&self) -> String {
        if self.config.name.is_empty() { name::of_this_machine() } else { self.config.name.clone() }
    }

    /// Somebody at this address gave a sign of life.
    pub(crate) fn heard(&self, ip: IpAddr) -> Heard {
        if !self.is_peer(ip) {
            return Heard::Nobody;
        }
        match self.book().sign(PeerKey::Old(ip), Instant::now(), Timestamp::now()) {
            Sign::New => {
                self.changed.notify_one();
                Heard::New
            }
            Sign::Known => Heard::Known,
            Sign::NoRoom => Heard::NoRoom,
        }
    }

    fn is_peer(&self, ip: IpAddr) -> bool {
        self.interfaces.borrow().can_be_peer(ip) || self.is_given(ip)
    }

    fn is_given(&self, ip: IpAddr) -> bool {
        self.config.given().any(|given| given == PeerKey::Old(ip))
    }

    /// Whether we may connect to this peer: it was discovered, or the operator named it.
    pub(crate) fn may_send(&self, peer: PeerKey) -> bool {
        let PeerKey::Old(ip) = peer;
        self.book().knows(peer) || self.is_given(ip)
    }

    /// A message came or went: its peer is kept from now on, and the pages are told.
    pub(crate) async fn said(&self, entry: Entry) -> Result<(), StoreError> {
        let person = self.book().keep(entry.peer, Timestamp::now());
        if let Some(person) = person {
            self.keep_person(person).await?;
        }
        self.publish(Event::Message { entry });
        Ok(())
    }

    /// Gives a peer another name here. Returns whether there is such a peer.
    pub(crate) async fn rename(&self, peer: PeerKey, name: &str) -> Result<bool, StoreError> {
        let person: Option<Person> = self.book().rename(peer, name::tidy(name));
        let Some(person) = person else { return Ok(false) };
        self.keep_person(person).await?;
        Ok(true)
    }

    async fn keep_person(&self, person: Person) -> Result<(), StoreError> {
        let gone = self.store.keep_person(person).await?;
        self.book().let_go(&gone);
        self.changed.notify_one();
        Ok(())
    }

    /// Everybody, for the page.
    pub(crate) fn overview(&self) -> Overview {
        Overview { name: self.name(), peers: self.book().list(Instant::now()) }
    }

    /// How many are there.
    pub(crate) fn online(&self) -> usize {
        self.book().online(Instant::now())
    }

    /// Everybody who is there, and when they were heard.
    pub(crate) fn present(&self) -> Vec<(PeerKey, Timestamp)> {
        self.book().present(Instant::now()).collect()
    }

    /// What happens from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    fn publish(&self, event: Event) {
        // Without a page nobody listens.
        let _ = self.events.send(event);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nobody panics while holding this lock")
    }
}

/// Tells the pages of comings and goings, and notices who went, for ever.
pub(crate) async fn tell_changes(node: Arc<Node>) {
    let mut ticks = tokio::time::interval(EXPIRE);
    loop {
        tokio::select! {
            () = node.changed.notified() => {
                node.publish(Event::Peers);
                tokio::time::sleep(CHANGES).await;
            }
            _ = ticks.tick() => {
                if node.book().expire(Instant::now()) {
                    node.changed.notify_one();
                }
            }
        }
    }
}
