//! Online users and recent partners: the names for completion.

use std::collections::VecDeque;

use protocol::UserName;

/// Most online users tracked. Overflow rule: later ones are not listed.
const ONLINE: usize = 4096;
/// Most recent partners. Overflow rule: the least recent is dropped.
const MET: usize = 64;

/// The known users.
#[derive(Debug, Default)]
pub(crate) struct People {
    online: Vec<UserName>,
    /// Recent partners, the latest first.
    met: VecDeque<UserName>,
    /// Whether the names changed since they were last taken.
    changed: bool,
}

impl People {
    /// Sets the online users from a greeting.
    pub(crate) fn come(&mut self, mut online: Vec<UserName>) {
        online.truncate(ONLINE);
        self.online.clear();
        self.changed = true;
        for name in online {
            self.turn(name, true);
        }
    }

    /// A user went online or offline. Returns whether that is a change.
    pub(crate) fn turn(&mut self, name: UserName, online: bool) -> bool {
        let place = self.online.iter().position(|other| *other == name);
        match (place, online) {
            (None, true) if self.online.len() < ONLINE => self.online.push(name),
            (Some(at), false) => {
                self.online.remove(at);
            }
            (None, true | false) | (Some(_), true) => return false,
        }
        self.changed = true;
        true
    }

    /// Records a message to or from a user.
    pub(crate) fn met(&mut self, name: &UserName) {
        self.changed |= !self.met.contains(name);
        self.met.retain(|other| other != name);
        self.met.push_front(name.clone());
        self.met.truncate(MET);
    }

    pub(crate) fn is_online(&self, name: &UserName) -> bool {
        self.online.contains(name)
    }

    /// The name in its owner's spelling, if known.
    pub(crate) fn spelling(&self, name: UserName) -> UserName {
        self.online.iter().chain(&self.met).find(|known| **known == name).cloned().unwrap_or(name)
    }

    /// All online users, in the order of their logins.
    pub(crate) fn online(&self) -> Vec<String> {
        self.online.iter().map(UserName::to_string).collect()
    }

    /// The names for completion, if they changed since the last call.
    pub(crate) fn take_names(&mut self) -> Option<Vec<String>> {
        std::mem::take(&mut self.changed).then(|| self.names())
    }

    /// Online users, then recent partners.
    fn names(&self) -> Vec<String> {
        let away = self.met.iter().filter(|name| !self.is_online(name));
        self.online.iter().chain(away).map(|name| name.as_str().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    #[test]
    fn everybody_is_there_once_and_spelled_as_they_spell_themselves() {
        let mut people = People::default();
        people.come(vec![name("Bob"), name("alice"), name("bob")]);
        assert_eq!(people.online(), ["Bob", "alice"]);
        assert!(!people.turn(name("BOB"), true));
        assert_eq!(people.spelling(name("bob")).as_str(), "Bob");
        assert!(people.turn(name("bob"), false));
        people.met(&name("carol"));
        assert_eq!(people.names(), ["alice", "carol"]);
    }

    #[test]
    fn a_crowd_is_bounded() {
        let mut people = People::default();
        people.come((0..2 * ONLINE).map(|n| name(&format!("u{n}"))).collect());
        assert_eq!(people.online.len(), ONLINE);
        for n in 0..2 * MET {
            people.met(&name(&format!("m{n}")));
        }
        assert_eq!(people.met.len(), MET);
    }
}
