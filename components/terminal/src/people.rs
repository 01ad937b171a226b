//! Who is online, and with whom there was something to say: the names one may mean.

use std::collections::VecDeque;

use protocol::UserName;

/// Most people online that are known. Overflow rule: those who come later are not listed.
const ONLINE: usize = 4096;
/// Most people met. Overflow rule: the one met longest ago is forgotten.
const MET: usize = 64;

/// The people around.
#[derive(Debug, Default)]
pub(crate) struct People {
    online: Vec<UserName>,
    /// The latest met at the front.
    met: VecDeque<UserName>,
    /// The names may differ from those told last.
    changed: bool,
}

impl People {
    /// Everybody online, as a greeting tells.
    pub(crate) fn come(&mut self, mut online: Vec<UserName>) {
        online.truncate(ONLINE);
        self.online.clear();
        self.changed = true;
        for name in online {
            self.turn(name, true);
        }
    }

    /// Somebody came or went. Whether that is news.
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

    /// There was something to say to, or from, somebody.
    pub(crate) fn met(&mut self, name: &UserName) {
        self.changed |= !self.met.contains(name);
        self.met.retain(|other| other != name);
        self.met.push_front(name.clone());
        self.met.truncate(MET);
    }

    pub(crate) fn is_online(&self, name: &UserName) -> bool {
        self.online.contains(name)
    }

    /// The name as its owner writes it, where that is known.
    pub(crate) fn spelling(&self, name: UserName) -> UserName {
        self.online.iter().chain(&self.met).find(|known| **known == name).cloned().unwrap_or(name)
    }

    /// Everybody online, in the order they came.
    pub(crate) fn online(&self) -> Vec<String> {
        self.online.iter().map(UserName::to_string).collect()
    }

    /// Names that may be meant, if they changed since they were last taken.
    pub(crate) fn take_names(&mut self) -> Option<Vec<String>> {
        std::mem::take(&mut self.changed).then(|| self.names())
    }

    /// Those online, then those met.
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
