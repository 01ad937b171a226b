//! Who is online, as an existing page is told: a list with every change (WIRE §4).
//!
//! A list costs what it is long, and one login is told to everybody, so both are bounded: a list names at most [`LISTED`] users, and
//! within a window at most about [`NAMES`] names are sent. The first change after a quiet while is told at once; those that follow are
//! told together at the end of the window. Where that would be too much, only the last ones have a frame of their own, and its list
//! tells of the others.

use std::time::Duration;

use protocol::UserName;
use protocol::web::AdapterFrame;
use tokio::time::Instant;

/// Users in a list at most: those that the chat server names first, the page's own user, and who came just now.
const LISTED: usize = 1000;
/// Changes are told this often at most, where the list is short and where it is long.
const WINDOW: Duration = Duration::from_millis(100);
const LONG_WINDOW: Duration = Duration::from_secs(1);
/// From so many names on a list is long.
const LONG: usize = 100;
/// Names in the lists of one window; one list is always sent whole.
const NAMES: usize = 512;
/// Changes that wait to be told. Overflow rule: the oldest is only told by the lists.
const WAITING: usize = 64;

/// The users online, in the order they came.
#[derive(Debug)]
pub(super) struct Roster {
    user: UserName,
    list: List,
    greeted: bool,
    /// What the page was not told. Bound: [`WAITING`].
    changes: Vec<(UserName, bool)>,
    told_at: Option<Instant>,
}

/// Those who are listed.
#[derive(Debug, Clone, Default)]
struct List {
    /// Bound: [`LISTED`].
    online: Vec<UserName>,
    /// There are more than are listed, so that a name that is not may be online.
    is_partial: bool,
}

impl Roster {
    pub(super) fn new(user: UserName) -> Self {
        Self { user, list: List::default(), greeted: false, changes: Vec::new(), told_at: None }
    }

    /// Whose session it is.
    pub(super) fn user(&self) -> &UserName {
        &self.user
    }

    /// Whether the page knows that its login worked.
    pub(super) fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// Connected with these online: a login the first time, afterwards who came and went while we were cut off.
    pub(super) fn connected(&mut self, online: Vec<UserName>) -> Vec<AdapterFrame> {
        let list = self.cut(online);
        if !std::mem::replace(&mut self.greeted, true) {
            self.list = list;
            return vec![AdapterFrame::LoginSuccess { online_users: self.list.online.clone() }];
        }
        self.changes.clear();
        let gone = self.list.online.iter().filter(|name| !list.online.contains(name));
        let gone: Vec<_> = gone.map(|name| (name.clone(), false)).collect();
        self.list.is_partial |= list.is_partial;
        let changes = gone.into_iter().chain(list.online.into_iter().map(|name| (name, true))).collect();
        let mut frames = vec![crate::frame::system("The chat server is back.")];
        frames.extend(self.apply(changes));
        frames
    }

    fn cut(&self, mut online: Vec<UserName>) -> List {
        let is_partial = online.len() > LISTED;
        if is_partial {
            online.truncate(LISTED);
            if !online.contains(&self.user) {
                online.pop();
                online.push(self.user.clone());
            }
        }
        List { online, is_partial }
    }

    /// Somebody came or went; [`Roster::tell`] says it when it is [`Roster::due`].
    pub(super) fn presence(&mut self, name: UserName, online: bool) {
        // Who came and went between two looks was never there.
        if let Some(at) = self.changes.iter().position(|(changed, came)| *changed == name && *came != online)
        {
            self.changes.remove(at);
            return;
        }
        self.changes.push((name, online));
        if self.changes.len() > WAITING {
            let (name, online) = self.changes.remove(0);
            self.list.change(&name, online);
        }
    }

    /// When there is something to tell.
    pub(super) fn due(&self) -> Option<Instant> {
        let now = Instant::now();
        let window = if self.list.online.len() < LONG { WINDOW } else { LONG_WINDOW };
        (!self.changes.is_empty()).then(|| self.told_at.map_or(now, |at| at + window))
    }

    /// What the page is told of the changes since.
    pub(super) fn tell(&mut self) -> Vec<AdapterFrame> {
        let changes = std::mem::take(&mut self.changes);
        self.told_at = Some(Instant::now());
        self.apply(changes)
    }

    fn apply(&mut self, mut changes: Vec<(UserName, bool)>) -> Vec<AdapterFrame> {
        let mut ahead = self.list.clone();
        changes.retain(|(name, online)| ahead.change(name, *online));
        let frames = (NAMES / ahead.online.len().max(1)).max(1);
        let silent = changes.len().saturating_sub(frames);
        let mut told = Vec::new();
        for (index, (username, online)) in changes.into_iter().enumerate() {
            self.list.change(&username, online);
            if index < silent {
                continue;
            }
            let mut online_users = self.list.online.clone();
            told.push(if online {
                if !online_users.contains(&username) {
                    online_users.push(username.clone());
                }
                AdapterFrame::UserJoined { username, online_users }
            } else {
                AdapterFrame::UserLeft { username, online_users }
            });
        }
        told
    }
}

impl List {
    /// Whether that is news.
    fn change(&mut self, name: &UserName, online: bool) -> bool {
        let known = self.online.iter().position(|listed| listed == name);
        match (known, online) {
            (None, true) if self.online.len() < LISTED => self.online.push(name.clone()),
            (None, true) => self.is_partial = true,
            (Some(at), false) => _ = self.online.remove(at),
            (None, false) => return self.is_partial,
            (Some(_), true) => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<UserName> {
        list.iter().map(|name| UserName::parse(name).unwrap()).collect()
    }

    fn many(count: usize) -> Vec<UserName> {
        (0..count).map(|n| UserName::parse(&format!("user{n}")).unwrap()).collect()
    }

    fn json(frames: impl IntoIterator<Item = AdapterFrame>) -> Vec<String> {
        frames.into_iter().map(|frame| serde_json::to_string(&frame).unwrap()).collect()
    }

    fn roster(online: Vec<UserName>) -> Roster {
        let mut roster = Roster::new(names(&["alice"])[0].clone());
        roster.connected(online);
        roster
    }

    /// The names in a frame's list.
    fn listed(frame: &AdapterFrame) -> usize {
        serde_json::to_value(frame).unwrap()["online_users"].as_array().unwrap().len()
    }

    #[test]
    fn every_change_comes_with_the_whole_list() {
        let mut roster = Roster::new(names(&["alice"])[0].clone());
        assert!(!roster.is_greeted());
        let greeting = roster.connected(names(&["thermometer1", "alice"]));
        assert_eq!(json(greeting), [r#"{"type":"login_success","online_users":["thermometer1","alice"]}"#]);
        let mut after = |name: &str, online| {
            roster.presence(names(&[name])[0].clone(), online);
            json(roster.tell())
        };
        let joined =
            r#"{"type":"user_joined","username":"bob","online_users":["thermometer1","alice","bob"]}"#;
        assert_eq!(after("bob", true), [joined]);
        assert_eq!(after("bob", true), [""; 0]);
        let left = r#"{"type":"user_left","username":"bob","online_users":["thermometer1","alice"]}"#;
        assert_eq!(after("bob", false), [left]);
        assert_eq!(after("bob", false), [""; 0]);
    }

    #[test]
    fn after_a_cut_the_page_hears_who_came_and_went_meanwhile() {
        let frames = json(roster(names(&["alice", "bob"])).connected(names(&["carol", "alice"])));
        assert_eq!(
            frames[1..],
            [
                r#"{"type":"user_left","username":"bob","online_users":["alice"]}"#,
                r#"{"type":"user_joined","username":"carol","online_users":["alice","carol"]}"#,
            ]
        );
    }

    #[test]
    fn after_a_cut_from_a_large_site_the_page_still_hears_of_it() {
        let mut online = many(300);
        let mut roster = roster(online.clone());
        online.remove(7);
        let frames = roster.connected(online);
        assert_eq!(serde_json::to_value(&frames[1]).unwrap()["username"], "user7");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_change_is_told_at_once_and_others_together() {
        let mut roster = roster(names(&["alice"]));
        assert_eq!(roster.due(), None);
        roster.presence(names(&["bob"])[0].clone(), true);
        assert_eq!(roster.due(), Some(Instant::now()));
        assert_eq!(roster.tell().len(), 1);
        for name in ["carol", "dave"] {
            roster.presence(names(&[name])[0].clone(), true);
        }
        roster.presence(names(&["dave"])[0].clone(), false);
        assert_eq!(roster.due(), Some(Instant::now() + WINDOW));
        let joined = r#"{"type":"user_joined","username":"carol","online_users":["alice","bob","carol"]}"#;
        assert_eq!(json(roster.tell()), [joined]);
    }

    #[test]
    fn a_storm_of_logins_costs_a_page_little() {
        for online in [10, 100, 100_000] {
            let mut roster = roster(many(online));
            for n in 0..10_000 {
                roster.presence(UserName::parse(&format!("new{n}")).unwrap(), true);
            }
            assert!(roster.changes.len() <= WAITING && roster.list.online.len() <= LISTED);
            let frames = roster.tell();
            let sent: usize = frames.iter().map(listed).sum();
            assert!(!frames.is_empty() && sent <= 2 * LISTED, "{sent} names");
            let last = serde_json::to_value(frames.last().unwrap()).unwrap();
            assert_eq!(last["username"], "new9999");
            assert_eq!(last["online_users"].as_array().unwrap().last().unwrap(), "new9999");
        }
    }

    #[test]
    fn of_a_large_site_a_page_is_told_a_part_and_itself() {
        let mut roster = Roster::new(names(&["alice"])[0].clone());
        let mut online = many(100_000);
        online.extend(names(&["alice"]));
        let greeting = roster.connected(online).remove(0);
        assert_eq!(listed(&greeting), LISTED);
        assert!(roster.list.online.contains(&names(&["alice"])[0]));
        roster.presence(UserName::parse("user99999").unwrap(), false);
        assert_eq!(json(roster.tell()).len(), 1, "who was not listed can leave");
    }
}
