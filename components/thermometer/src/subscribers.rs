//! The subscriptions, stored by the message API, so that they survive a restart.
//!
//! A subscription costs a stored message per interval, read or not, so it expires when it is unused: after some days in which its user was
//! offline at every update, or after a short time if the user has never been online, as with invented names. Time is counted from update to
//! update while we run, so changes of the system clock cannot end a subscription.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use protocol::UserName;
use serde_json::{Value, json};
use transport::{ApiClient, ApiError, retry};

use crate::command::Change;

const HOUR: Duration = Duration::from_secs(3600);

/// Limits of the subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Most subscribers. Overflow rule: a new one displaces the subscriber who was never online and has been offline the longest; if there
    /// is none, the new one is refused.
    pub(crate) subscribers: usize,
    /// A subscription expires when its user was offline for this long.
    pub(crate) offline: Duration,
    /// The same for a user who has never been online.
    pub(crate) never_online: Duration,
}

/// The subscribers, as stored by the message API.
///
/// Bound: [`Bounds::subscribers`], not counting those stored by an earlier version, until they expire.
pub(crate) struct Subscribers {
    api: ApiClient,
    owner: UserName,
    bounds: Bounds,
    all: Mutex<BTreeMap<String, Subscriber>>,
    /// Serialises changes: concurrent ones could be stored in the wrong order.
    writing: tokio::sync::Mutex<()>,
}

/// A subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Subscriber {
    name: UserName,
    /// Whether they were online at any update; unknown if stored by an earlier version.
    was_online: Option<bool>,
    /// How long they have been offline, as far as observed.
    offline: Duration,
    /// The value stored by the message API.
    kept: Value,
}

impl Subscriber {
    /// A new subscriber, and one stored by an earlier version: only the name.
    fn new(name: UserName, was_online: Option<bool>) -> Self {
        let kept = Value::from(name.as_str());
        Self { name, was_online, offline: Duration::ZERO, kept }
    }

    fn read(key: &str, kept: Value) -> Option<Self> {
        let name = kept["name"].as_str().or(kept.as_str()).unwrap_or(key);
        let was_online = kept["was_online"].as_bool();
        let hours = kept["offline_hours"].as_u64().unwrap_or(0);
        let hours = u32::try_from(hours).unwrap_or(u32::MAX);
        Some(Self { name: UserName::parse(name).ok()?, was_online, offline: HOUR * hours, kept })
    }

    fn to_stored(&self) -> Value {
        let hours = self.offline.as_secs() / HOUR.as_secs();
        json!({"name": self.name, "was_online": self.was_online, "offline_hours": hours})
    }

    /// Whether the subscription expires. If there are too many, those who were never online expire at once, and those of unknown status
    /// after the shorter time.
    fn is_expired(&self, bounds: Bounds, too_many: bool) -> bool {
        let longest = match self.was_online {
            Some(true) => bounds.offline,
            None if !too_many => bounds.offline,
            None | Some(false) => bounds.never_online,
        };
        self.offline >= longest || too_many && self.was_online == Some(false)
    }
}

/// Why a change failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubscribeError {
    /// The limit is reached.
    #[error("take more than {0} subscribers")]
    Full(usize),
    /// The message API rejected it.
    #[error("keep a subscription")]
    Refused(#[source] ApiError),
}

impl Subscribers {
    /// Loads the stored subscriptions, waiting for the message API as long as necessary.
    pub(crate) async fn load(api: ApiClient, owner: UserName, bounds: Bounds) -> Result<Self, ApiError> {
        let entries = retry(|| api.state(&owner)).await?.entries;
        let read = |(key, kept): (String, Value)| {
            Subscriber::read(&key, kept).map(|subscriber| (subscriber.name.key().to_owned(), subscriber))
        };
        let all: BTreeMap<_, _> = entries.into_iter().filter_map(read).collect();
        tracing::info!(subscribers = all.len(), "loaded the subscriptions");
        Ok(Self { api, owner, bounds, all: Mutex::new(all), writing: tokio::sync::Mutex::default() })
    }

    /// Executes a change, and returns once it is stored.
    pub(crate) async fn change(&self, name: &UserName, change: Change) -> Result<(), SubscribeError> {
        let _writing = self.writing.lock().await;
        match change {
            Change::Subscribe => {
                self.make_room(name).await?;
                let known = self.all().get(name.key()).map_or(Some(false), |known| known.was_online);
                let subscriber = Subscriber::new(name.clone(), known);
                self.store(name, Some(subscriber.kept.clone())).await.map_err(SubscribeError::Refused)?;
                self.all().insert(name.key().to_owned(), subscriber);
            }
            Change::Unsubscribe => self.remove(name).await.map_err(SubscribeError::Refused)?,
        }
        Ok(())
    }

    /// All subscribers.
    pub(crate) fn names(&self) -> Vec<UserName> {
        self.all().values().map(|subscriber| subscriber.name.clone()).collect()
    }

    /// Records whether a subscriber was online at an update, `elapsed` after the previous one.
    pub(crate) fn record_presence(&self, name: &UserName, online: bool, elapsed: Duration) {
        if let Some(subscriber) = self.all().get_mut(name.key()) {
            if online {
                subscriber.was_online = Some(true);
                subscriber.offline = Duration::ZERO;
            } else {
                subscriber.offline += elapsed;
            }
        }
    }

    /// Ends expired subscriptions and stores changes of the others. Returns the users whose subscriptions ended.
    pub(crate) async fn end_expired(&self) -> Vec<UserName> {
        let mut ended = Vec::new();
        for name in self.names() {
            let _writing = self.writing.lock().await;
            let subscriber = self.all().get(name.key()).cloned();
            let Some(subscriber) = subscriber else { continue };
            let too_many = self.all().len() > self.bounds.subscribers;
            let result = if subscriber.is_expired(self.bounds, too_many) {
                ended.push(name.clone());
                self.remove(&name).await
            } else {
                self.store_changes(&subscriber).await
            };
            if let Err(error) = result {
                tracing::error!(error = kit::failure::chain(&error), "cannot save a subscriber's state");
            }
        }
        ended
    }

    async fn store_changes(&self, subscriber: &Subscriber) -> Result<(), ApiError> {
        let value = subscriber.to_stored();
        if value == subscriber.kept {
            return Ok(());
        }
        self.store(&subscriber.name, Some(value.clone())).await?;
        if let Some(subscriber) = self.all().get_mut(subscriber.name.key()) {
            subscriber.kept = value;
        }
        Ok(())
    }

    /// Makes room for a new subscriber.
    async fn make_room(&self, name: &UserName) -> Result<(), SubscribeError> {
        let gives_way = {
            let all = self.all();
            if all.len() < self.bounds.subscribers || all.contains_key(name.key()) {
                return Ok(());
            }
            let never = all.values().filter(|subscriber| subscriber.was_online == Some(false));
            never.max_by_key(|subscriber| subscriber.offline).map(|subscriber| subscriber.name.clone())
        };
        let Some(gives_way) = gives_way else { return Err(SubscribeError::Full(self.bounds.subscribers)) };
        self.remove(&gives_way).await.map_err(SubscribeError::Refused)
    }

    async fn remove(&self, name: &UserName) -> Result<(), ApiError> {
        self.store(name, None).await?;
        self.all().remove(name.key());
        Ok(())
    }

    async fn store(&self, name: &UserName, value: Option<Value>) -> Result<(), ApiError> {
        retry(|| self.api.put_state(&self.owner, name, value.clone())).await
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Subscriber>> {
        self.all.lock().expect("nobody panics while holding this lock")
    }
}
