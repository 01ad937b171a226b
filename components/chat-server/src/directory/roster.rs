//! Who is online, with which sessions. Pure: the hub holds the lock around it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kit::Secret;
use protocol::UserName;

use crate::directory::listing::Listing;
use crate::directory::presence::Presence;

/// Most sessions of one user at once; each costs every message for that user a little.
const SESSIONS: usize = 32;

/// A session, as the roster knows it.
pub(crate) trait Seat: Clone {
    /// Tells the sessions of one user apart.
    fn id(&self) -> u64;
    /// Whether it is ending.
    fn is_leaving(&self) -> bool;
}

/// Everybody online.
///
/// Bound: the listener's limit of connections, of which each is one session at most.
#[derive(Debug)]
pub(crate) struct Roster<S> {
    people: HashMap<UserName, Person<S>>,
    /// In the order they came.
    order: BTreeMap<u64, UserName>,
    /// Who is online, by what their name looks like.
    skeletons: HashMap<Arc<str>, UserName>,
    listing: Listing,
    arrivals: u64,
    presence: Presence,
}

#[derive(Debug)]
struct Person<S> {
    name: UserName,
    arrival: u64,
    /// Opens the name to further sessions while it is online.
    token: Secret,
    sessions: Vec<S>,
}

/// By what right somebody takes a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim<'a> {
    /// None: the name must be free.
    None,
    /// A token that the first session's welcome gave out.
    Token(&'a str),
    /// The service token, for a name that belongs to a service.
    Service,
}

/// A session is in.
#[derive(Debug)]
pub(crate) struct Joined {
    /// The name as its first session wrote it.
    pub(crate) name: UserName,
    /// Opens the name to further sessions.
    pub(crate) token: Secret,
    /// Changes of presence after this one are news to it.
    pub(crate) presence: u64,
}

/// Why a session is not in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JoinError {
    /// Somebody is online under this name and the token is not theirs.
    Taken {
        /// All of their sessions are ending.
        leaving: bool,
    },
    /// Somebody is online whose name looks the same and is another.
    LooksLike(UserName),
    /// The user has as many sessions as one may have.
    TooMany,
}

impl<S> Default for Roster<S> {
    fn default() -> Self {
        Self {
            people: HashMap::new(),
            order: BTreeMap::new(),
            skeletons: HashMap::new(),
            listing: Listing::default(),
            arrivals: 0,
            presence: Presence::default(),
        }
    }
}

impl<S: Seat> Roster<S> {
    /// Adds a session. `token` is what opens the name from now on if this is its first one.
    pub(crate) fn join(
        &mut self,
        name: &UserName,
        claim: Claim<'_>,
        session: &S,
        token: Secret,
    ) -> Result<Joined, JoinError> {
        if let Some(person) = self.people.get_mut(name) {
            let may = match claim {
                Claim::None => false,
                Claim::Token(token) => person.token.matches(token),
                Claim::Service => true,
            };
            if !may {
                return Err(JoinError::Taken { leaving: person.sessions.iter().all(|s| s.is_leaving()) });
            }
            if person.sessions.len() >= SESSIONS {
                return Err(JoinError::TooMany);
            }
            person.sessions.push(session.clone());
        } else {
            let skeleton = name.skeleton();
            match self.skeletons.get(&skeleton) {
                Some(other) if claim != Claim::Service => return Err(JoinError::LooksLike(other.clone())),
                Some(_) | None => self.arrive(name, skeleton, session, token),
            }
        }
        let person = &self.people[name];
        let (name, token) = (person.name.clone(), person.token.clone());
        Ok(Joined { name, token, presence: self.presence.latest() })
    }

    fn arrive(&mut self, name: &UserName, skeleton: Arc<str>, session: &S, token: Secret) {
        let (arrival, sessions) = (self.arrivals + 1, vec![session.clone()]);
        self.arrivals = arrival;
        self.people.insert(name.clone(), Person { name: name.clone(), arrival, token, sessions });
        // Messages reach it, and nobody is told that it is there.
        if name.is_probe() {
            return;
        }
        self.skeletons.insert(skeleton, name.clone());
        self.order.insert(arrival, name.clone());
        self.listing.push(name);
        self.presence.change(name, true);
    }

    /// Removes a session; says whether it was the user's last.
    pub(crate) fn leave(&mut self, name: &UserName, session: &S) -> bool {
        let Some(person) = self.people.get_mut(name) else { return false };
        person.sessions.retain(|other| other.id() != session.id());
        if !person.sessions.is_empty() {
            return false;
        }
        let arrival = person.arrival;
        if name.is_probe() {
            self.people.remove(name);
            return true;
        }
        if let Some(person) = self.people.remove(name) {
            self.listing.remove(&person.name);
            // Two services may look alike, and the second one took the place.
            let skeleton = person.name.skeleton();
            if self.skeletons.get(&skeleton) == Some(name) {
                self.skeletons.remove(&skeleton);
            }
        }
        self.order.remove(&arrival);
        self.presence.change(name, false);
        true
    }

    /// Whether a user is online: has a session that is not ending.
    pub(crate) fn is_online(&self, name: &UserName) -> bool {
        self.sessions(name).iter().any(|session| !session.is_leaving())
    }

    /// Everybody online in the order they came.
    pub(crate) fn online(&self) -> impl Iterator<Item = &UserName> {
        self.order.values()
    }

    /// The same as a text.
    pub(crate) fn listing(&self) -> &Listing {
        &self.listing
    }

    /// Everybody else online in the order they came.
    pub(crate) fn others<'r>(&'r self, name: &'r UserName) -> impl Iterator<Item = &'r UserName> {
        self.online().filter(move |other| *other != name)
    }

    /// A user's sessions.
    pub(crate) fn sessions(&self, name: &UserName) -> &[S] {
        self.sessions_of(name.key())
    }

    /// The sessions of the user whose name has this key.
    pub(crate) fn sessions_of(&self, key: &str) -> &[S] {
        self.people.get(key).map_or(&[], |person| &person.sessions)
    }

    /// Every session, in the order their users came; then those of the probe.
    pub(crate) fn all(&self) -> impl Iterator<Item = &S> {
        let shown = self.online().flat_map(|name| self.sessions(name));
        shown.chain(self.sessions(&UserName::probe()))
    }

    /// Who came and went.
    pub(crate) fn presence(&self) -> &Presence {
        &self.presence
    }

    /// How many sessions and users there are, without the probe.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let people = self.people.values().filter(|person| !person.name.is_probe());
        (people.map(|person| person.sessions.len()).sum(), self.order.len())
    }
}

#[cfg(test)]
mod tests;
