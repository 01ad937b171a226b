//! Who is told the temperature. Kept by the message API, so that a restart forgets nobody.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use protocol::UserName;
use serde_json::Value;
use transport::{ApiClient, ApiError, insist};

use crate::command::Wish;

/// Each costs a message every interval. Overflow rule: who comes later is told so.
const LIMIT: usize = 10_000;

/// The subscribers, as the message API has them.
///
/// Bound: [`LIMIT`] names.
pub(crate) struct Subscribers {
    api: ApiClient,
    owner: UserName,
    names: Mutex<BTreeMap<String, UserName>>,
}

/// Why a wish was not granted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubscribeError {
    /// There are [`LIMIT`] subscribers.
    #[error("take more than {LIMIT} subscribers")]
    Full,
    /// The message API refuses to keep it.
    #[error("keep a subscription")]
    Refused(#[source] ApiError),
}

impl Subscribers {
    /// Reads what was kept, and waits for the message API as long as that takes.
    pub(crate) async fn load(api: ApiClient, owner: UserName) -> Result<Self, ApiError> {
        let entries = insist(|| api.state(&owner)).await?.entries;
        let name = |(key, value): (String, Value)| {
            let text = value.as_str().unwrap_or(&key).to_owned();
            UserName::parse(&text).map(|name| (name.key().to_owned(), name)).ok()
        };
        let names: BTreeMap<_, _> = entries.into_iter().filter_map(name).take(LIMIT).collect();
        tracing::info!(subscribers = names.len(), "the subscriptions are read");
        Ok(Self { api, owner, names: Mutex::new(names) })
    }

    /// Grants a wish, and returns once it is kept.
    ///
    /// The caller makes one change after another: two at once could be kept in the other order.
    pub(crate) async fn change(&self, name: &UserName, wish: Wish) -> Result<(), SubscribeError> {
        let value = match wish {
            Wish::Subscribe if self.is_full_for(name) => return Err(SubscribeError::Full),
            Wish::Subscribe => Some(Value::from(name.as_str())),
            Wish::Unsubscribe => None,
        };
        let put = || self.api.put_state(&self.owner, name, value.clone());
        insist(put).await.map_err(SubscribeError::Refused)?;
        match wish {
            Wish::Subscribe => self.names().insert(name.key().to_owned(), name.clone()),
            Wish::Unsubscribe => self.names().remove(name.key()),
        };
        Ok(())
    }

    /// Everybody who is told the temperature.
    pub(crate) fn all(&self) -> Vec<UserName> {
        self.names().values().cloned().collect()
    }

    fn is_full_for(&self, name: &UserName) -> bool {
        let names = self.names();
        names.len() >= LIMIT && !names.contains_key(name.key())
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<String, UserName>> {
        self.names.lock().expect("nobody panics while holding this lock")
    }
}
