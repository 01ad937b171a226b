//! The online users as existing pages receive them: a list with every change (WIRE §4).
//!
//! The cost of a list grows with its length, and a login is announced to everybody, so both are bounded: a list has at most [`LISTED`]
//! users, and about [`NAMES`] names are sent per window. The first change after a quiet period is announced at once; later ones together at
//! the end of the window. If that is too much, only the last ones get a frame of their own, and its list contains the others. Lists and
//! frames are created once for all pages ([`Lists`]).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use protocol::UserName;
use tokio::time::Instant;

use super::lists::{Announced, Change, List, Lists};
use crate::frame::system;
use crate::socket::to_json;

/// The window of announcements for short and for long lists.
const WINDOW: Duration = Duration::from_millis(100);
const LONG_WINDOW: Duration = Duration::from_secs(1);
/// Fewest names of a long list.
const LONG: usize = 100;
/// Most names in the lists of one window; one list is always sent completely.
const NAMES: usize = 512;
/// Most changes waiting for a frame. Overflow rule: the oldest is only included in the lists.
const WAITING: usize = 64;
/// Most changes without a frame of their own. Overflow rule: they are applied to the list, which costs its length.
const SILENT: usize = 256;

/// The online users, in the order of their logins.
#[derive(Debug)]
pub(super) struct Roster {
    lists: Arc<Lists>,
    user: UserName,
    list: Arc<List>,
    greeted: bool,
    /// Changes without a frame of their own. Bound: [`SILENT`].
    silent: Vec<Change>,
    /// Changes not announced yet. Bound: [`WAITING`].
    changes: Vec<Change>,
    told_at: Option<Instant>,
}

impl Roster {
    pub(super) fn new(user: UserName, lists: Arc<Lists>) -> Self {
        let list = Arc::default();
        Self { lists, user, list, greeted: false, silent: Vec::new(), changes: Vec::new(), told_at: None }
    }

    /// The user of the session.
    pub(super) fn user(&self) -> &UserName {
        &self.user
    }

    /// Whether the page has received its login's result.
    pub(super) fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// Connected: announces the login the first time, afterwards the changes during the disconnection.
    pub(super) fn connected(&mut self, online: Vec<UserName>) -> Vec<Utf8Bytes> {
        let list = self.lists.of(online);
        if !std::mem::replace(&mut self.greeted, true) {
            self.list = list;
            return vec![self.list.frame(&Announced::Login, &self.user)];
        }
        let silent = std::mem::take(&mut self.silent);
        self.list = self.lists.after(&self.list, silent.iter()).0;
        self.changes.clear();
        let gone = self.list.names().iter().filter(|name| !list.names().contains(name));
        let gone = gone.map(|name| (name.clone(), false));
        let changes = gone.chain(list.names().iter().map(|name| (name.clone(), true))).collect();
        let mut frames = vec![to_json(&system("The chat server is back.")).into()];
        frames.extend(self.apply(changes));
        // The same users; the list may be incomplete.
        if list.is_partial() {
            self.list = list;
        }
        frames
    }

    /// A user went online or offline; [`Roster::announce`] reports it when [`Roster::due`].
    pub(super) fn presence(&mut self, name: UserName, online: bool) {
        // A login and logout within a window cancel out.
        if let Some(at) = self.changes.iter().position(|(changed, came)| *changed == name && *came != online)
        {
            self.changes.remove(at);
            return;
        }
        self.changes.push((name, online));
        if self.changes.len() > WAITING {
            self.silent.push(self.changes.remove(0));
        }
        if self.silent.len() >= SILENT {
            let silent = std::mem::take(&mut self.silent);
            self.list = self.lists.after(&self.list, silent.iter()).0;
        }
    }

    /// When to announce changes: at once after a quiet period, otherwise at the end of the window.
    pub(super) fn due(&self) -> Option<Instant> {
        let now = Instant::now();
        let window = if self.list.len() < LONG { WINDOW } else { LONG_WINDOW };
        let due = || self.told_at.map_or(now, |at| self.lists.window_end(at, window));
        (!self.changes.is_empty()).then(due)
    }

    /// The frames about the changes since the last call.
    pub(super) fn announce(&mut self) -> Vec<Utf8Bytes> {
        let mut changes = std::mem::take(&mut self.silent);
        changes.append(&mut self.changes);
        self.told_at = Some(Instant::now());
        self.apply(changes)
    }

    fn apply(&mut self, changes: Vec<Change>) -> Vec<Utf8Bytes> {
        let (last, news) = self.lists.after(&self.list, changes.iter());
        let news: Vec<Change> =
            changes.into_iter().zip(news).filter_map(|(change, is)| is.then_some(change)).collect();
        let frames = (NAMES / last.len().max(1)).max(1);
        let (silent, told) = news.split_at(news.len().saturating_sub(frames));
        self.list = self.lists.after(&self.list, silent.iter()).0;
        let mut frames = Vec::new();
        for change in told {
            self.list = self.lists.after(&self.list, std::iter::once(change)).0;
            frames.push(self.list.frame(&Announced::of(change), &self.user));
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::super::lists::LISTED;
    use super::*;

    fn names(list: &[&str]) -> Vec<UserName> {
        list.iter().map(|name| UserName::parse(name).unwrap()).collect()
    }

    fn many(count: usize) -> Vec<UserName> {
        (0..count).map(|n| UserName::parse(&format!("user{n}")).unwrap()).collect()
    }

    fn json(frames: impl IntoIterator<Item = Utf8Bytes>) -> Vec<String> {
        frames.into_iter().map(|frame| frame.as_str().to_owned()).collect()
    }

    fn value(frame: &Utf8Bytes) -> serde_json::Value {
        serde_json::from_str(frame).unwrap()
    }

    fn alice() -> Roster {
        Roster::new(names(&["alice"])[0].clone(), Arc::default())
    }

    fn roster(online: Vec<UserName>) -> Roster {
        let mut roster = alice();
        roster.connected(online);
        roster
    }

    /// The names in a frame's list.
    fn listed(frame: &Utf8Bytes) -> usize {
        value(frame)["online_users"].as_array().unwrap().len()
    }

    #[test]
    fn every_change_comes_with_the_whole_list() {
        let mut roster = alice();
        assert!(!roster.is_greeted());
        let greeting = roster.connected(names(&["thermometer1", "alice"]));
        assert_eq!(json(greeting), [r#"{"type":"login_success","online_users":["thermometer1","alice"]}"#]);
        let mut after = |name: &str, online| {
            roster.presence(names(&[name])[0].clone(), online);
            json(roster.announce())
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
                r#"{"type":"user_joined","username":"carol","online_users":["carol","alice"]}"#,
            ]
        );
    }

    #[test]
    fn after_a_cut_from_a_large_site_the_page_still_hears_of_it() {
        let mut online = many(300);
        let mut roster = roster(online.clone());
        online.remove(7);
        let frames = roster.connected(online);
        assert_eq!(value(&frames[1])["username"], "user7");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_change_is_told_at_once_and_others_together() {
        let mut roster = roster(names(&["alice"]));
        assert_eq!(roster.due(), None);
        roster.presence(names(&["bob"])[0].clone(), true);
        assert_eq!(roster.due(), Some(Instant::now()));
        assert_eq!(roster.announce().len(), 1);
        for name in ["carol", "dave"] {
            roster.presence(names(&[name])[0].clone(), true);
        }
        roster.presence(names(&["dave"])[0].clone(), false);
        assert_eq!(roster.due(), Some(Instant::now() + WINDOW));
        let joined = r#"{"type":"user_joined","username":"carol","online_users":["alice","bob","carol"]}"#;
        assert_eq!(json(roster.announce()), [joined]);
    }

    #[test]
    fn a_storm_of_logins_costs_a_page_little() {
        for online in [10, 100, 100_000] {
            let mut roster = roster(many(online));
            for n in 0..10_000 {
                roster.presence(UserName::parse(&format!("new{n}")).unwrap(), true);
            }
            assert!(
                roster.changes.len() <= WAITING
                    && roster.silent.len() <= SILENT
                    && roster.list.len() <= LISTED
            );
            let frames = roster.announce();
            let sent: usize = frames.iter().map(listed).sum();
            assert!(!frames.is_empty() && sent <= 2 * (LISTED + 1), "{sent} names");
            let last = value(frames.last().unwrap());
            assert_eq!(last["username"], "new9999");
            assert!(last["online_users"].as_array().unwrap().contains(&"new9999".into()));
        }
    }

    #[test]
    fn of_a_large_site_a_page_is_told_a_part_and_itself() {
        let mut roster = alice();
        let mut online = many(100_000);
        online.extend(names(&["alice"]));
        let greeting = roster.connected(online).remove(0);
        assert_eq!(listed(&greeting), LISTED + 1);
        assert_eq!(value(&greeting)["online_users"][LISTED], "alice");
        roster.presence(UserName::parse("user99999").unwrap(), false);
        assert_eq!(json(roster.announce()).len(), 1, "who was not listed can leave");
    }

    #[tokio::test(start_paused = true)]
    async fn what_all_pages_are_told_is_written_once() {
        let lists = Arc::new(Lists::default());
        let mut pages: Vec<Roster> = (0..200)
            .map(|n| Roster::new(UserName::parse(&format!("page{n}")).unwrap(), Arc::clone(&lists)))
            .collect();
        // Each logged in after the previous one, and received the next ones in its own way.
        let everybody: Vec<UserName> = pages.iter().map(|page| page.user().clone()).collect();
        for (n, page) in pages.iter_mut().enumerate() {
            page.connected(everybody[..=n].to_vec());
            everybody[n + 1..].iter().for_each(|name| page.presence(name.clone(), true));
            page.announce();
        }
        let mut written = std::collections::HashSet::new();
        for n in 0..100 {
            for page in &mut pages {
                page.presence(UserName::parse(&format!("new{n}")).unwrap(), true);
                let frames = page.announce();
                assert_eq!((frames.len(), listed(&frames[frames.len() - 1])), (frames.len().max(1), 201 + n));
                written.extend(frames.iter().map(|frame| frame.as_ptr()));
            }
        }
        // Memory of a dropped frame may be reused, so there can be fewer addresses.
        assert!(written.len() <= 100, "{} frames were written for 100 changes and 200 pages", written.len());
    }
}
