//! The users online and their sessions. Pure: the hub holds the lock around it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kit::Secret;
use protocol::UserName;
use uuid::Uuid;

use crate::directory::online_names::OnlineNames;
use crate::directory::presence::Presence;

/// The maximum number of sessions of one user; each adds to the cost of every message for that user.
const SESSIONS: usize = 32;

/// A session as the roster sees it.
pub(crate) trait RosterSession: Clone {
    /// Distinguishes the sessions of one user.
    fn id(&self) -> u64;
    /// Whether it is ending.
    fn is_leaving(&self) -> bool;
}

/// All users online.
///
/// Bound: the listener's limit of connections, each of which is one session at most.
#[derive(Debug)]
pub(crate) struct Roster<S> {
    people: HashMap<UserName, OnlineUser<S>>,
    /// Users in order of login.
    order: BTreeMap<u64, UserName>,
    /// Users online by skeleton.
    skeletons: HashMap<Arc<str>, UserName>,
    online_names: OnlineNames,
    arrivals: u64,
    presence: Presence,
}

#[derive(Debug)]
struct OnlineUser<S> {
    name: UserName,
    arrival: u64,
    /// Grants access to the name to further sessions while it is online.
    token: Secret,
    sessions: Vec<S>,
}

/// The right by which a client uses a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim<'a> {
    /// None: the name must be free.
    None,
    /// The token that the welcome of the first session contained.
    Token(&'a str),
    /// The service token, for a name reserved for a service.
    Service,
    /// A token of the name's account.
    Account {
        /// Its id.
        id: Uuid,
        /// The token.
        token: &'a str,
    },
}

/// The result of a successful join.
#[derive(Debug)]
pub(crate) struct Joined {
    /// The name as the first session wrote it.
    pub(crate) name: UserName,
    /// Grants access to the name to further sessions.
    pub(crate) token: Secret,
    /// The index of the last presence change before the join.
    pub(crate) presence: u64,
}

/// Why a session cannot join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JoinError {
    /// Somebody is online under this name, and the token does not match.
    Taken {
        /// All of their sessions are ending.
        leaving: bool,
    },
    /// A user with a name of the same skeleton is online.
    LooksLike(UserName),
    /// The user has the maximum number of sessions.
    TooMany,
}

impl<S> Default for Roster<S> {
    fn default() -> Self {
        Self {
            people: HashMap::new(),
            order: BTreeMap::new(),
            skeletons: HashMap::new(),
            online_names: OnlineNames::default(),
            arrivals: 0,
            presence: Presence::default(),
        }
    }
}

impl<S: RosterSession> Roster<S> {
    /// Adds a session. If it is the user's first one, `token` becomes the name's token.
    pub(crate) fn join(
        &mut self,
        name: &UserName,
        claim: Claim<'_>,
        session: &S,
        token: Secret,
    ) -> Result<Joined, JoinError> {
        if let Some(user) = self.people.get_mut(name) {
            let may = match claim {
                Claim::None => false,
                Claim::Token(token) => user.token.matches(token),
                Claim::Service | Claim::Account { .. } => true,
            };
            if !may {
                return Err(JoinError::Taken { leaving: user.sessions.iter().all(|s| s.is_leaving()) });
            }
            if user.sessions.len() >= SESSIONS {
                return Err(JoinError::TooMany);
            }
            user.sessions.push(session.clone());
        } else {
            let skeleton = name.skeleton();
            match self.skeletons.get(&skeleton) {
                Some(other) if matches!(claim, Claim::None | Claim::Token(_)) => {
                    return Err(JoinError::LooksLike(other.clone()));
                }
                Some(_) | None => self.arrive(name, skeleton, session, token),
            }
        }
        let user = &self.people[name];
        let (name, token) = (user.name.clone(), user.token.clone());
        Ok(Joined { name, token, presence: self.presence.latest() })
    }

    fn arrive(&mut self, name: &UserName, skeleton: Arc<str>, session: &S, token: Secret) {
        let (arrival, sessions) = (self.arrivals + 1, vec![session.clone()]);
        self.arrivals = arrival;
        self.people.insert(name.clone(), OnlineUser { name: name.clone(), arrival, token, sessions });
        // The probe receives messages but is not listed as online.
        if name.is_probe() {
            return;
        }
        self.skeletons.insert(skeleton, name.clone());
        self.order.insert(arrival, name.clone());
        self.online_names.push(name);
        self.presence.change(name, true);
    }

    /// Removes a session; returns whether it was the user's last.
    pub(crate) fn leave(&mut self, name: &UserName, session: &S) -> bool {
        let Some(user) = self.people.get_mut(name) else { return false };
        user.sessions.retain(|other| other.id() != session.id());
        if !user.sessions.is_empty() {
            return false;
        }
        let arrival = user.arrival;
        if name.is_probe() {
            self.people.remove(name);
            return true;
        }
        if let Some(user) = self.people.remove(name) {
            self.online_names.remove(&user.name);
            // Two services may have the same skeleton, and the second one replaced the entry.
            let skeleton = user.name.skeleton();
            if self.skeletons.get(&skeleton) == Some(name) {
                self.skeletons.remove(&skeleton);
            }
        }
        self.order.remove(&arrival);
        self.presence.change(name, false);
        true
    }

    /// Whether a user has a session that is not ending.
    pub(crate) fn is_online(&self, name: &UserName) -> bool {
        self.sessions(name).iter().any(|session| !session.is_leaving())
    }

    /// All users online in order of login.
    pub(crate) fn online(&self) -> impl Iterator<Item = &UserName> {
        self.order.values()
    }

    /// The same as text.
    pub(crate) fn online_names(&self) -> &OnlineNames {
        &self.online_names
    }

    /// All other users online in order of login.
    pub(crate) fn others<'r>(&'r self, name: &'r UserName) -> impl Iterator<Item = &'r UserName> {
        self.online().filter(move |other| *other != name)
    }

    /// The sessions of a user.
    pub(crate) fn sessions(&self, name: &UserName) -> &[S] {
        self.sessions_of(name.key())
    }

    /// The sessions of the user whose name has this key.
    pub(crate) fn sessions_of(&self, key: &str) -> &[S] {
        self.people.get(key).map_or(&[], |user| &user.sessions)
    }

    /// All sessions in their users' order of login, then those of the probe.
    pub(crate) fn all(&self) -> impl Iterator<Item = &S> {
        let shown = self.online().flat_map(|name| self.sessions(name));
        shown.chain(self.sessions(&UserName::probe()))
    }

    /// The presence changes.
    pub(crate) fn presence(&self) -> &Presence {
        &self.presence
    }

    /// The number of sessions and of users, without the probe.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let people = self.people.values().filter(|user| !user.name.is_probe());
        (people.map(|user| user.sessions.len()).sum(), self.order.len())
    }
}

#[cfg(test)]
mod tests;
