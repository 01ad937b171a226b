use super::*;
use crate::sample::name;
use std::cell::Cell;
use std::rc::Rc;

#[derive(Clone)]
struct Session {
    id: u64,
    is_leaving: Rc<Cell<bool>>,
}

impl RosterSession for Session {
    fn id(&self) -> u64 {
        self.id
    }

    fn is_leaving(&self) -> bool {
        self.is_leaving.get()
    }
}

fn session(id: u64) -> Session {
    Session { id, is_leaving: Rc::default() }
}

fn token(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn online(roster: &Roster<Session>) -> Vec<&str> {
    roster.online().map(UserName::as_str).collect()
}

#[test]
fn a_name_is_its_first_sessions_and_opens_with_the_token() {
    let mut roster = Roster::default();
    let joined = roster.join(&name("Bob"), Claim::None, &session(1), token("t1")).unwrap();
    let mut again = |claim| roster.join(&name("bob"), claim, &session(2), token("t2")).map(|j| j.name);
    assert_eq!(again(Claim::None), Err(JoinError::Taken { leaving: false }));
    assert_eq!(again(Claim::Token("t2")), Err(JoinError::Taken { leaving: false }));
    assert_eq!(again(Claim::Token("t1")).unwrap().as_str(), "Bob");
    assert!(joined.token.matches("t1"));
    assert_eq!(online(&roster), ["Bob"]);
}

#[test]
fn users_are_listed_in_order_of_login_until_their_last_session_ends() {
    let mut roster = Roster::default();
    let first = session(1);
    for (who, session) in [("z", &first), ("a", &session(2)), ("m", &session(3))] {
        roster.join(&name(who), Claim::None, session, token(who)).unwrap();
    }
    let second = session(4);
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
    let bob = session(1);
    roster.join(&name("bob1"), Claim::None, &bob, token("t")).unwrap();
    let mut try_as = |claim| roster.join(&name("BobI"), claim, &session(2), token("u")).map(|j| j.name);
    assert_eq!(try_as(Claim::None), Err(JoinError::LooksLike(name("bob1"))));
    assert_eq!(try_as(Claim::Token("t")), Err(JoinError::LooksLike(name("bob1"))));
    assert!(roster.leave(&name("bob1"), &bob));
    let like = session(3);
    roster.join(&name("BobI"), Claim::None, &like, token("u")).unwrap();
    roster.join(&name("bob1"), Claim::Service, &bob, token("t")).unwrap();
    assert!(roster.leave(&name("bobi"), &like));
    let third = roster.join(&name("bobl"), Claim::None, &session(4), token("v"));
    assert_eq!(third.unwrap_err(), JoinError::LooksLike(name("bob1")));
}

#[test]
fn the_probe_is_reached_and_stands_in_no_list_and_no_count() {
    let mut roster = Roster::default();
    let (probe, again) = (session(1), session(2));
    roster.join(&name("bob"), Claim::None, &session(3), token("b")).unwrap();
    let before = roster.presence().latest();
    for session in [&probe, &again] {
        roster.join(&UserName::probe(), Claim::Service, session, token("t")).unwrap();
    }
    assert_eq!(roster.sessions(&UserName::probe()).len(), 2);
    assert_eq!(roster.all().count(), 3, "what concerns every session concerns its own, too");
    assert_eq!((online(&roster), roster.counts()), (vec!["bob"], (1, 1)));
    assert_eq!(roster.online_names().up_to(&name("bob")), "bob");
    assert!(!roster.leave(&UserName::probe(), &probe) && roster.leave(&UserName::probe(), &again));
    assert_eq!((roster.sessions(&UserName::probe()).len(), roster.counts()), (0, (1, 1)));
    assert_eq!(roster.presence().latest(), before, "nobody came and nobody went");
}

#[test]
fn one_user_has_a_bounded_number_of_sessions() {
    let mut roster = Roster::default();
    for id in 0..SESSIONS as u64 {
        roster.join(&name("a"), Claim::Service, &session(id), token("t")).unwrap();
    }
    let one_more = roster.join(&name("a"), Claim::Service, &session(99), token("t"));
    assert_eq!(one_more.unwrap_err(), JoinError::TooMany);
}

#[test]
fn a_name_whose_sessions_all_end_is_said_to_be_free_soon() {
    let mut roster = Roster::default();
    let leaving = session(1);
    roster.join(&name("a"), Claim::None, &leaving, token("t")).unwrap();
    leaving.is_leaving.set(true);
    let taken = roster.join(&name("a"), Claim::None, &session(2), token("t"));
    assert_eq!(taken.unwrap_err(), JoinError::Taken { leaving: true });
}
