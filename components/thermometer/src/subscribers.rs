//! Who is told the temperature. Kept by the message API, so that a restart forgets nobody.
//!
//! A subscription costs a stored message every interval, read or not, so it ends when nobody seems to want it: after some days in
//! which its user was never online at an update, or after a short while when that user has never been online at all, as an invented
//! name is not. The time is counted while we run, from one update to the next: no clock that jumps can end a subscription.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use protocol::UserName;
use serde_json::{Value, json};
use transport::{ApiClient, ApiError, retry};

use crate::command::Wish;

const HOUR: Duration = Duration::from_secs(3600);

/// How many there may be, and for how long without being online.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Subscribers. Overflow rule: one who was never online gives way to whoever comes later, the one that was offline the longest
    /// first; where there is none, whoever comes later is told that there is no room.
    pub(crate) subscribers: usize,
    /// A subscription ends when its user was offline for this long.
    pub(crate) offline: Duration,
    /// The same for a user who has never been online.
    pub(crate) never_online: Duration,
}

/// The subscribers, as the message API has them.
///
/// Bound: [`Bounds::subscribers`], beside those that an earlier version kept, until they end.
pub(crate) struct Subscribers {
    api: ApiClient,
    owner: UserName,
    bounds: Bounds,
    all: Mutex<BTreeMap<String, Subscriber>>,
    /// One change after another: two at once could be kept in the other order.
    writing: tokio::sync::Mutex<()>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Subscriber {
    name: UserName,
    /// Whether they were online at any update; unknown of those whom an earlier version kept.
    was_online: Option<bool>,
    /// How long they have been offline, as far as we looked.
    offline: Duration,
    /// What the message API holds of them.
    kept: Value,
}

impl Subscriber {
    /// As it is kept at first, and as it was kept by earlier versions: the name alone.
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

    fn to_keep(&self) -> Value {
        let hours = self.offline.as_secs() / HOUR.as_secs();
        json!({"name": self.name, "was_online": self.was_online, "offline_hours": hours})
    }

    /// Whether the subscription ends. Where there are too many, those who were never online end at once, and those of whom that is
    /// not known get the shorter time.
    fn is_over(&self, bounds: Bounds, too_many: bool) -> bool {
        let longest = match self.was_online {
            Some(true) => bounds.offline,
            None if !too_many => bounds.offline,
            None | Some(false) => bounds.never_online,
        };
        self.offline >= longest || too_many && self.was_online == Some(false)
    }
}

/// Why a wish was not granted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubscribeError {
    /// There are as many as there may be.
    #[error("take more than {0} subscribers")]
    Full(usize),
    /// The message API refuses to keep it.
    #[error("keep a subscription")]
    Refused(#[source] ApiError),
}

impl Subscribers {
    /// Reads what was kept, and waits for the message API as long as that takes.
    pub(crate) async fn load(api: ApiClient, owner: UserName, bounds: Bounds) -> Result<Self, ApiError> {
        let entries = retry(|| api.state(&owner)).await?.entries;
        let read = |(key, kept): (String, Value)| {
            Subscriber::read(&key, kept).map(|subscriber| (subscriber.name.key().to_owned(), subscriber))
        };
        let all: BTreeMap<_, _> = entries.into_iter().filter_map(read).collect();
        tracing::info!(subscribers = all.len(), "loaded the subscriptions");
        Ok(Self { api, owner, bounds, all: Mutex::new(all), writing: tokio::sync::Mutex::default() })
    }

    /// Grants a wish, and returns once it is kept.
    pub(crate) async fn change(&self, name: &UserName, wish: Wish) -> Result<(), SubscribeError> {
        let _writing = self.writing.lock().await;
        match wish {
            Wish::Subscribe => {
                self.make_room(name).await?;
                let known = self.all().get(name.key()).map_or(Some(false), |known| known.was_online);
                let subscriber = Subscriber::new(name.clone(), known);
                self.keep(name, Some(subscriber.kept.clone())).await.map_err(SubscribeError::Refused)?;
                self.all().insert(name.key().to_owned(), subscriber);
            }
            Wish::Unsubscribe => self.forget(name).await.map_err(SubscribeError::Refused)?,
        }
        Ok(())
    }

    /// Everybody who is told the temperature.
    pub(crate) fn names(&self) -> Vec<UserName> {
        self.all().values().map(|subscriber| subscriber.name.clone()).collect()
    }

    /// Somebody was online, or not, at an update that came `elapsed` after the one before.
    pub(crate) fn saw(&self, name: &UserName, online: bool, elapsed: Duration) {
        if let Some(subscriber) = self.all().get_mut(name.key()) {
            if online {
                subscriber.was_online = Some(true);
                subscriber.offline = Duration::ZERO;
            } else {
                subscriber.offline += elapsed;
            }
        }
    }

    /// Ends the subscriptions that are over or too many, and keeps what was learned of the others. Returns whose ended.
    pub(crate) async fn tend(&self) -> Vec<UserName> {
        let mut ended = Vec::new();
        for name in self.names() {
            let _writing = self.writing.lock().await;
            let subscriber = self.all().get(name.key()).cloned();
            let Some(subscriber) = subscriber else { continue };
            let too_many = self.all().len() > self.bounds.subscribers;
            let result = if subscriber.is_over(self.bounds, too_many) {
                ended.push(name.clone());
                self.forget(&name).await
            } else {
                self.keep_learned(&subscriber).await
            };
            if let Err(error) = result {
                tracing::error!(error = kit::failure::chain(&error), "cannot save a subscriber's state");
            }
        }
        ended
    }

    async fn keep_learned(&self, subscriber: &Subscriber) -> Result<(), ApiError> {
        let value = subscriber.to_keep();
        if value == subscriber.kept {
            return Ok(());
        }
        self.keep(&subscriber.name, Some(value.clone())).await?;
        if let Some(subscriber) = self.all().get_mut(subscriber.name.key()) {
            subscriber.kept = value;
        }
        Ok(())
    }

    /// Room for one more, unless they are one of us.
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
        self.forget(&gives_way).await.map_err(SubscribeError::Refused)
    }

    async fn forget(&self, name: &UserName) -> Result<(), ApiError> {
        self.keep(name, None).await?;
        self.all().remove(name.key());
        Ok(())
    }

    async fn keep(&self, name: &UserName, value: Option<Value>) -> Result<(), ApiError> {
        retry(|| self.api.put_state(&self.owner, name, value.clone())).await
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Subscriber>> {
        self.all.lock().expect("nobody panics while holding this lock")
    }
}
