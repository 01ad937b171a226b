//! The context of a contract case: a store of either kind that can be reopened on the same data.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use message_api::store::{self, Committed, News, OwnRun, Store, StoreError};
use message_api::{StoreConfig, archive};
use protocol::api::{Appended, CursorMove};
use protocol::native::Device;
use protocol::{Body, ClientId, ConversationId, Draft, Event, UserName};
use tokio::sync::Notify;

/// The location of a case's data.
pub(crate) struct Bench {
    pub(crate) config: StoreConfig,
    pub(crate) data: PathBuf,
}

/// Remembers what was published.
#[derive(Default)]
pub(crate) struct Published {
    events: Mutex<Vec<Event>>,
    own: Mutex<Vec<OwnRun>>,
    news: Notify,
    restarts: AtomicUsize,
}

impl Committed for Published {
    fn publish(&self, news: News) {
        self.own.lock().unwrap().extend(news.own);
        self.events.lock().unwrap().extend(news.events);
        self.news.notify_waiters();
    }

    fn restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }
}

impl Published {
    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// The runs of readers' own events, each counted within what was published with it.
    pub(crate) fn own(&self) -> Vec<OwnRun> {
        self.own.lock().unwrap().clone()
    }

    pub(crate) fn restarts(&self) -> usize {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Everything that was published, once there are at least this many events.
    pub(crate) async fn at_least(&self, count: usize) -> Vec<Event> {
        let enough = async {
            loop {
                let news = self.news.notified();
                let events = self.events();
                if events.len() >= count {
                    return events;
                }
                news.await;
            }
        };
        let events = tokio::time::timeout(Duration::from_secs(20), enough).await;
        events.unwrap_or_else(|_| panic!("{} of {count} events were published", self.events().len()))
    }
}

/// An open store.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) published: Arc<Published>,
}

impl Bench {
    /// Opens the store, also while it is open already, as another process would.
    pub(crate) async fn open(&self) -> Opened {
        let published = Arc::new(Published::default());
        let store =
            store::open(&self.config, &self.data, published.clone(), store::no_progress()).await.unwrap();
        Opened { store, published }
    }
}

impl Opened {
    pub(crate) async fn say(&self, from: &str, to: &str, body: &str) -> Appended {
        self.append(vec![draft(from, to, body)]).await.remove(0)
    }

    pub(crate) async fn append(&self, drafts: Vec<Draft>) -> Vec<Appended> {
        self.store.append(drafts).await.unwrap()
    }

    /// The texts of all unread messages, read in pages.
    pub(crate) async fn unseen(&self, user: &str, page: usize) -> Vec<String> {
        let user = name(user);
        let (mut bodies, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.unseen(&user, after.as_deref(), page).await.unwrap();
            bodies.extend(page.events.iter().map(|event| event.body.to_string()));
            if !page.more {
                return bodies;
            }
            after = Some(page.end);
        }
    }

    /// A backup of all of it.
    pub(crate) async fn backup(&self) -> Vec<u8> {
        let (chunks, mut waiting) = tokio::sync::mpsc::channel::<bytes::Bytes>(1);
        let collecting = async {
            let mut bytes: Vec<u8> = Vec::new();
            while let Some(chunk) = waiting.recv().await {
                bytes.extend_from_slice(&chunk);
            }
            bytes
        };
        let (exported, bytes) = tokio::join!(archive::export(&*self.store, chunks), collecting);
        exported.unwrap();
        bytes
    }

    pub(crate) async fn see(&self, user: &str, other: &str, seq: u64) {
        self.try_see(user, other, seq, None).await.unwrap();
    }

    pub(crate) async fn try_see(
        &self,
        user: &str,
        other: &str,
        seq: u64,
        device: Option<&str>,
    ) -> Result<(), StoreError> {
        let device = device.map(|device| Device::parse(device).unwrap());
        let to = CursorMove { user: name(user), device, conversation: dm(user, other), seq };
        self.store.move_cursors(vec![to]).await
    }
}

pub(crate) fn name(text: &str) -> UserName {
    UserName::parse(text).unwrap()
}

pub(crate) fn dm(one: &str, other: &str) -> ConversationId {
    ConversationId::dm(&name(one), &name(other))
}

pub(crate) fn draft(from: &str, to: &str, body: &str) -> Draft {
    Draft::chat(name(from), &name(to), Body::parse(body).unwrap())
}

pub(crate) fn draft_with_id(from: &str, to: &str, id: &str) -> Draft {
    Draft { client_id: ClientId::parse(id).unwrap(), ..draft(from, to, id) }
}
