//! The users' chosen personalities, stored by the message API, so that they survive a restart.
//!
//! Anybody can invent names, and choosing is free, so a flood of names could choose. A choice has priority once the model has answered its
//! user a question, which uses an allowance. Choices of other users never displace these.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use protocol::UserName;
use serde_json::{Value, json};
use transport::{ApiClient, ApiError, retry};

use crate::personality::Personality;

/// Most users with a personality other than the default.
const LIMIT: usize = 10_000;

/// The choices by name key; other users have the default.
pub(crate) struct Profiles {
    api: ApiClient,
    owner: UserName,
    choices: Mutex<Choices>,
}

/// The choices in memory.
///
/// Bound: `limit` users. Overflow rule: the oldest choice of a user who was never answered is displaced. If there is none, the one with the
/// least recent answer is, but only by a user who was answered, too; others keep the default and are told so.
#[derive(Debug)]
struct Choices {
    limit: usize,
    of_users: BTreeMap<String, Profile>,
    /// A logical clock for the order of choices and answers.
    clock: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Profile {
    personality: Personality,
    /// Whether the model has answered the user.
    answered: bool,
    used: u64,
}

/// The result of a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// It takes effect.
    Fits,
    /// It takes effect and displaces this user's choice.
    InsteadOf(UserName),
    /// There is no room for it.
    NoRoom,
}

impl Profiles {
    /// Loads the stored choices, waiting for the message API as long as necessary.
    pub(crate) async fn load(api: ApiClient, owner: UserName) -> Result<Self, ApiError> {
        let entries = retry(|| api.state(&owner)).await?.entries;
        let mut read: Vec<_> =
            entries.into_iter().filter_map(|(key, kept)| Some((key, read(&kept)?))).collect();
        read.sort_by_key(|(_, profile)| !profile.answered);
        read.truncate(LIMIT);
        let choices = Choices { limit: LIMIT, of_users: read.into_iter().collect(), clock: 0 };
        Ok(Self { api, owner, choices: Mutex::new(choices) })
    }

    /// A user's personality.
    pub(crate) fn of(&self, user: &UserName) -> Personality {
        self.choices().of_users.get(user.key()).map(|profile| profile.personality).unwrap_or_default()
    }

    /// Changes a user's personality, effective for the next question. `answered` is whether the model has answered the user before.
    /// [`Profiles::store`] persists it, also for a displaced user.
    pub(crate) fn choose(&self, user: &UserName, personality: Personality, answered: bool) -> Chosen {
        self.choices().choose(user, personality, answered)
    }

    /// Records that the model has answered a user. Returns whether that must be stored.
    pub(crate) fn answered(&self, user: &UserName) -> bool {
        self.choices().answered(user)
    }

    /// Stores a user's current choice in the message API. Call it sequentially: concurrent calls could be stored in the wrong order.
    pub(crate) async fn store(&self, user: &UserName) -> Result<(), ApiError> {
        let value = self.choices().of_users.get(user.key()).map(written);
        retry(|| self.api.put_state(&self.owner, user, value.clone())).await
    }

    fn choices(&self) -> MutexGuard<'_, Choices> {
        self.choices.lock().expect("nobody panics while holding this lock")
    }
}

/// Parses a stored profile: only the personality, or also whether the user was answered.
fn read(kept: &Value) -> Option<Profile> {
    let personality = kept.as_str().or_else(|| kept.get("personality")?.as_str())?;
    let answered = kept.get("answered").and_then(Value::as_bool).unwrap_or(false);
    Some(Profile { personality: Personality::parse(personality)?, answered, used: 0 })
}

fn written(profile: &Profile) -> Value {
    let personality = profile.personality.as_str();
    if profile.answered {
        json!({ "personality": personality, "answered": true })
    } else {
        personality.into()
    }
}

impl Choices {
    fn choose(&mut self, user: &UserName, personality: Personality, answered: bool) -> Chosen {
        let before = self.of_users.get(user.key()).copied();
        if personality == Personality::default() {
            self.of_users.remove(user.key());
            return Chosen::Fits;
        }
        let answered = answered || before.is_some_and(|before| before.answered);
        let mut chosen = Chosen::Fits;
        if before.is_none() && self.of_users.len() >= self.limit {
            let Some(other) = self.make_room(answered) else { return Chosen::NoRoom };
            chosen = Chosen::InsteadOf(other);
        }
        self.clock += 1;
        let profile = Profile { personality, answered, used: self.clock };
        self.of_users.insert(user.key().to_owned(), profile);
        chosen
    }

    /// Displaces a choice for a user who was `answered` or not.
    fn make_room(&mut self, answered: bool) -> Option<UserName> {
        let longest_ago = |(_, profile): &(&String, &Profile)| (profile.answered, profile.used);
        let (key, profile) = self.of_users.iter().min_by_key(longest_ago)?;
        if profile.answered && !answered {
            return None;
        }
        let key = key.clone();
        self.of_users.remove(&key);
        // Keys of names are valid names.
        UserName::stored(&key).ok()
    }

    fn answered(&mut self, user: &UserName) -> bool {
        let Some(profile) = self.of_users.get_mut(user.key()) else { return false };
        self.clock += 1;
        profile.used = self.clock;
        !std::mem::replace(&mut profile.answered, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    fn choices(limit: usize) -> Choices {
        Choices { limit, of_users: BTreeMap::new(), clock: 0 }
    }

    #[test]
    fn invented_names_neither_displace_nor_block_real_users() {
        let mut choices = choices(3);
        let alice = name("alice");
        assert_eq!(choices.choose(&alice, Personality::Angry, false), Chosen::Fits);
        assert!(choices.answered(&alice) && !choices.answered(&alice), "once");
        for n in 0..100 {
            choices.choose(&name(&format!("invented{n}")), Personality::Spanish, false);
        }
        assert_eq!(choices.of_users.len(), 3);
        assert!(choices.of_users[alice.key()].answered, "she keeps hers");
        let others = ["bob", "carol"].map(name);
        let taken = others.each_ref().map(|user| choices.choose(user, Personality::Angry, true));
        assert_eq!(taken, ["invented98", "invented99"].map(|other| Chosen::InsteadOf(name(other))));
        assert_eq!(choices.choose(&name("invented"), Personality::Angry, false), Chosen::NoRoom);
        choices.answered(&alice);
        assert_eq!(
            choices.choose(&name("dan"), Personality::Angry, true),
            Chosen::InsteadOf(name("bob")),
            "who has not talked for the longest time"
        );
        assert_eq!(choices.choose(&alice, Personality::Happy, true), Chosen::Fits);
        assert_eq!(choices.of_users.len(), 2, "the first personality needs no place");
    }

    #[test]
    fn what_is_kept_is_read_again() {
        for profile in [
            Profile { personality: Personality::Angry, answered: false, used: 0 },
            Profile { personality: Personality::Spanish, answered: true, used: 0 },
        ] {
            assert_eq!(read(&written(&profile)), Some(profile));
        }
        assert_eq!(read(&json!("angry")).unwrap().personality, Personality::Angry, "of an earlier version");
        assert_eq!((read(&json!(7)), read(&json!({"personality": "grumpy"}))), (None, None));
    }
}
