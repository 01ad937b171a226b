//! Which personality each user has chosen. Kept by the message API, so that a restart forgets none.
//!
//! Anybody can take any name, and choosing costs nothing: a thousand invented names could choose. So a choice counts for more once the
//! model has answered its user a question, which costs of an allowance. Choices of users who only chose never take the place of others'.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use protocol::UserName;
use serde_json::{Value, json};
use transport::{ApiClient, ApiError, retry};

use crate::personality::Personality;

/// Users who chose another personality than the first.
const LIMIT: usize = 10_000;

/// The choices, by the key of the user's name; who is not in it has the default.
pub(crate) struct Profiles {
    api: ApiClient,
    owner: UserName,
    choices: Mutex<Choices>,
}

/// What is known of them.
///
/// Bound: `limit` users. Overflow rule: of those who only chose, the one who did so longest ago gives up the place. Where there is none, of
/// those who were answered the one whose last answer is the oldest does, but only to somebody who was answered, too; others keep the
/// first personality and are told so.
#[derive(Debug)]
struct Choices {
    limit: usize,
    of_users: BTreeMap<String, Profile>,
    /// Counts up, to tell who came longest ago.
    clock: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Profile {
    personality: Personality,
    /// The model has answered the user.
    answered: bool,
    used: u64,
}

/// What came of a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// It takes effect.
    Fits,
    /// It does, and this user has the first personality again.
    InsteadOf(UserName),
    /// There is no room for it.
    NoRoom,
}

impl Profiles {
    /// Reads what was kept, and waits for the message API as long as that takes.
    pub(crate) async fn load(api: ApiClient, owner: UserName) -> Result<Self, ApiError> {
        let entries = retry(|| api.state(&owner)).await?.entries;
        let mut read: Vec<_> =
            entries.into_iter().filter_map(|(key, kept)| Some((key, read(&kept)?))).collect();
        read.sort_by_key(|(_, profile)| !profile.answered);
        read.truncate(LIMIT);
        let choices = Choices { limit: LIMIT, of_users: read.into_iter().collect(), clock: 0 };
        Ok(Self { api, owner, choices: Mutex::new(choices) })
    }

    /// The personality a user has chosen.
    pub(crate) fn of(&self, user: &UserName) -> Personality {
        self.choices().of_users.get(user.key()).map(|profile| profile.personality).unwrap_or_default()
    }

    /// Takes effect for the user's next question at once. `answered` says whether the model has answered the user before.
    /// [`Profiles::keep`] makes it last, and for whoever gave up a place, too.
    pub(crate) fn choose(&self, user: &UserName, personality: Personality, answered: bool) -> Chosen {
        self.choices().choose(user, personality, answered)
    }

    /// The model has answered a user. Says whether that must be kept.
    pub(crate) fn answered(&self, user: &UserName) -> bool {
        self.choices().answered(user)
    }

    /// Has the message API keep what a user has chosen now. The caller keeps one after another: two at once could be kept in the other
    /// order.
    pub(crate) async fn keep(&self, user: &UserName) -> Result<(), ApiError> {
        let value = self.choices().of_users.get(user.key()).map(written);
        retry(|| self.api.put_state(&self.owner, user, value.clone())).await
    }

    fn choices(&self) -> MutexGuard<'_, Choices> {
        self.choices.lock().expect("nobody panics while holding this lock")
    }
}

/// As it was kept: the personality alone, or with a note that its user was answered.
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

    /// Takes a place from whoever must give it up to somebody who was `answered` or not.
    fn make_room(&mut self, answered: bool) -> Option<UserName> {
        let longest_ago = |(_, profile): &(&String, &Profile)| (profile.answered, profile.used);
        let (key, profile) = self.of_users.iter().min_by_key(longest_ago)?;
        if profile.answered && !answered {
            return None;
        }
        let key = key.clone();
        self.of_users.remove(&key);
        // What is in here was a name's key, which is a name.
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
    fn invented_names_neither_push_out_nor_keep_out_who_really_talks() {
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
