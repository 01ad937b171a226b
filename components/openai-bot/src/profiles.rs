//! Which personality each user has chosen. Kept by the message API, so that a restart forgets none.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use protocol::UserName;
use serde_json::Value;
use transport::{ApiClient, ApiError, insist};

use crate::personality::Personality;

/// Users who chose another personality than the first. Overflow rule: whoever comes later keeps the first one and is told so.
const LIMIT: usize = 10_000;

/// The choices, by the key of the user's name; who is not in it has the default.
///
/// Bound: [`LIMIT`] users.
pub(crate) struct Profiles {
    api: ApiClient,
    owner: UserName,
    chosen: Mutex<BTreeMap<String, Personality>>,
}

impl Profiles {
    /// Reads what was kept, and waits for the message API as long as that takes.
    pub(crate) async fn load(api: ApiClient, owner: UserName) -> Result<Self, ApiError> {
        let entries = insist(|| api.state(&owner)).await?.entries;
        let choice = |(key, value): (String, Value)| Some((key, Personality::parse(value.as_str()?)?));
        let chosen: BTreeMap<_, _> = entries.into_iter().filter_map(choice).take(LIMIT).collect();
        Ok(Self { api, owner, chosen: Mutex::new(chosen) })
    }

    /// The personality a user has chosen.
    pub(crate) fn of(&self, user: &UserName) -> Personality {
        self.chosen().get(user.key()).copied().unwrap_or_default()
    }

    /// Takes effect for the user's next question at once; says whether there was room. [`Profiles::keep`] makes it last.
    pub(crate) fn choose(&self, user: &UserName, personality: Personality) -> bool {
        let mut chosen = self.chosen();
        if personality == Personality::default() {
            chosen.remove(user.key());
            return true;
        }
        let fits = chosen.len() < LIMIT || chosen.contains_key(user.key());
        if fits {
            chosen.insert(user.key().to_owned(), personality);
        }
        fits
    }

    /// Has the message API keep a choice. The caller keeps one after another: two at once could be kept in the other order.
    pub(crate) async fn keep(&self, user: &UserName, personality: Personality) -> Result<(), ApiError> {
        let value = (personality != Personality::default()).then(|| Value::from(personality.as_str()));
        insist(|| self.api.put_state(&self.owner, user, value.clone())).await
    }

    fn chosen(&self) -> MutexGuard<'_, BTreeMap<String, Personality>> {
        self.chosen.lock().expect("nobody panics while holding this lock")
    }
}
