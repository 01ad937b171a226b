//! Who is online, with which sessions. Pure: the hub holds the lock around it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kit::Secret;
use protocol::UserName;

use crate::delivery::outlet::Outlet;
use crate::directory::listing::Listing;
use crate::directory::presence::Presence;

/// Most sessions of one user at once; each costs every message for that user a little.
const SESSIONS: usize = 32;

/// Everybody online.
///
/// Bound: the listener's limit of connections, of which each is one session at most.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    people: HashMap<UserName, Person>,
    /// In the order they came.
    order: BTreeMap<u64, UserName>,
    /// Who is online, by what their name looks like.
    skeletons: HashMap<Arc<str>, UserName>,
    listing: Listing,
    arrivals: u64,
    presence: Presence,
}

#[derive(Debug)]
struct Person {
    name: UserName,
    arrival: u64,
    /// Opens the name to further sessions while it is online.
    token: Secret,
    sessions: Vec<Arc<Outlet>>,
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

impl Roster {
    /// Adds a session. `token` is what opens the name from now on if this is its first one.
    pub(crate) fn join(
        &mut self,
        name: &UserName,
        claim: Claim<'_>,
        outlet: &Arc<Outlet>,
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
            person.sessions.push(Arc::clone(outlet));
        } else {
            let skeleton = name.skeleton();
            match self.skeletons.get(&skeleton) {
                Some(other) if claim != Claim::Service => return Err(JoinError::LooksLike(other.clone())),
                Some(_) | None => self.arrive(name, skeleton, outlet, token),
            }
        }
        let person = &self.people[name];
        let (name, token) = (person.name.clone(), person.token.clone());
        Ok(Joined { name, token, presence: self.presence.latest() })
    }

    fn arrive(&mut self, name: &UserName, skeleton: Arc<str>, outlet: &Arc<Outlet>, token: Secret) {
        let (arrival, sessions) = (self.arrivals + 1, vec![Arc::clone(outlet)]);
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
    pub(crate) fn leave(&mut self, name: &UserName, outlet: &Outlet) -> bool {
        let Some(person) = self.people.get_mut(name) else { return false };
        person.sessions.retain(|session| session.id != outlet.id);
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
    pub(crate) fn sessions(&self, name: &UserName) -> &[Arc<Outlet>] {
        self.sessions_of(name.key())
    }

    /// The sessions of the user whose name has this key.
    pub(crate) fn sessions_of(&self, key: &str) -> &[Arc<Outlet>] {
        self.people.get(key).map_or(&[], |person| &person.sessions)
    }

    /// A user's sessions that get what the user says elsewhere.
    pub(crate) fn native_sessions(&self, name: &UserName) -> impl Iterator<Item = &Arc<Outlet>> {
        self.sessions(name).iter().filter(|session| !session.dialect.is_lines())
    }

    /// Every session, in the order their users came; then those of the probe.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Outlet>> {
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
mod tests {
    use super::*;
    use crate::delivery::inbox::{Backlog, Bounds};
    use crate::delivery::outlet::Dialect;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    fn outlet(id: u64) -> Arc<Outlet> {
        Outlet::new(id, Dialect::Native, Bounds { events: 1, bytes: 1 }, Backlog::default())
    }

    fn token(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn online(roster: &Roster) -> Vec<&str> {
        roster.online().map(UserName::as_str).collect()
    }

    #[test]
    fn a_name_is_its_first_sessions_and_opens_with_the_token() {
        let mut roster = Roster::default();
        let joined = roster.join(&name("Bob"), Claim::None, &outlet(1), token("t1")).unwrap();
        let mut again = |claim| roster.join(&name("bob"), claim, &outlet(2), token("t2")).map(|j| j.name);
        assert_eq!(again(Claim::None), Err(JoinError::Taken { leaving: false }));
        assert_eq!(again(Claim::Token("t2")), Err(JoinError::Taken { leaving: false }));
        assert_eq!(again(Claim::Token("t1")).unwrap().as_str(), "Bob");
        assert!(joined.token.matches("t1"));
        assert_eq!(online(&roster), ["Bob"]);
    }

    #[test]
    fn everybody_stands_in_the_order_they_came_until_their_last_session_ends() {
        let mut roster = Roster::default();
        let first = outlet(1);
        for (who, outlet) in [("z", &first), ("a", &outlet(2)), ("m", &outlet(3))] {
            roster.join(&name(who), Claim::None, outlet, token(who)).unwrap();
        }
        let second = outlet(4);
        roster.join(&name("z"), Claim::Token("z"), &second, token("x")).unwrap();
        assert!(!roster.leave(&name("z"), &first));
        assert_eq!(online(&roster), ["z", "a", "m"]);
        assert!(roster.leave(&name("z"), &second));
        assert!(!roster.leave(&name("z"), &second), "leaving twice is harmless");
        assert_eq!(online(&roster), ["a", "m"]);
        assert_eq!(roster.counts(), (2, 2));
    }

    #[test]
    fn a_name_that_looks_like_one_online_is_refused_until_that_one_left() {
        let mut roster = Roster::default();
        let bob = outlet(1);
        roster.join(&name("bob1"), Claim::None, &bob, token("t")).unwrap();
        let mut try_as = |claim| roster.join(&name("BobI"), claim, &outlet(2), token("u")).map(|j| j.name);
        assert_eq!(try_as(Claim::None), Err(JoinError::LooksLike(name("bob1"))));
        assert_eq!(try_as(Claim::Token("t")), Err(JoinError::LooksLike(name("bob1"))));
        assert!(roster.leave(&name("bob1"), &bob));
        let like = outlet(3);
        roster.join(&name("BobI"), Claim::None, &like, token("u")).unwrap();
        roster.join(&name("bob1"), Claim::Service, &bob, token("t")).unwrap();
        assert!(roster.leave(&name("bobi"), &like));
        let third = roster.join(&name("bobl"), Claim::None, &outlet(4), token("v"));
        assert_eq!(third.unwrap_err(), JoinError::LooksLike(name("bob1")));
    }

    #[test]
    fn the_probe_is_reached_and_stands_in_no_list_and_no_count() {
        let mut roster = Roster::default();
        let (probe, again) = (outlet(1), outlet(2));
        roster.join(&name("bob"), Claim::None, &outlet(3), token("b")).unwrap();
        let before = roster.presence().latest();
        for session in [&probe, &again] {
            roster.join(&UserName::probe(), Claim::Service, session, token("t")).unwrap();
        }
        assert_eq!(roster.sessions(&UserName::probe()).len(), 2);
        assert_eq!(roster.all().count(), 3, "what concerns every session concerns its own, too");
        assert_eq!((online(&roster), roster.counts()), (vec!["bob"], (1, 1)));
        assert_eq!(roster.listing().up_to(&name("bob")), "bob");
        assert!(!roster.leave(&UserName::probe(), &probe) && roster.leave(&UserName::probe(), &again));
        assert_eq!((roster.sessions(&UserName::probe()).len(), roster.counts()), (0, (1, 1)));
        assert_eq!(roster.presence().latest(), before, "nobody came and nobody went");
    }

    #[test]
    fn one_user_has_a_bounded_number_of_sessions() {
        let mut roster = Roster::default();
        for id in 0..SESSIONS as u64 {
            roster.join(&name("a"), Claim::Service, &outlet(id), token("t")).unwrap();
        }
        let one_more = roster.join(&name("a"), Claim::Service, &outlet(99), token("t"));
        assert_eq!(one_more.unwrap_err(), JoinError::TooMany);
    }

    #[test]
    fn a_name_whose_sessions_all_end_is_said_to_be_free_soon() {
        let mut roster = Roster::default();
        let leaving = outlet(1);
        roster.join(&name("a"), Claim::None, &leaving, token("t")).unwrap();
        leaving.leave();
        let taken = roster.join(&name("a"), Claim::None, &outlet(2), token("t"));
        assert_eq!(taken.unwrap_err(), JoinError::Taken { leaving: true });
    }
}
