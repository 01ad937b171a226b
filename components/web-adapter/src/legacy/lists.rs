//! Lists of online users and frames with them, created once and shared by all existing pages that need the same.
//!
//! Each page has its own pace and states which changes it has received; pages with the same changes share a list. A list is identified by
//! the sum of its names' keyed hashes, independent of order. Its frames are serialised when the first page needs them.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::ws::Utf8Bytes;
use protocol::UserName;
use protocol::web::AdapterFrame;
use tokio::time::{Duration, Instant};

use crate::socket::to_json;

/// Most users in a list: the chat server's first ones, and recent arrivals. A page's own user is added for that page.
pub(super) const LISTED: usize = 1000;
/// Most cached lists, beside those in use. Overflow rule: the oldest is dropped, and created again when another page needs it.
const REMEMBERED: usize = 64;
/// Most cached frames of one list, likewise.
const FRAMES: usize = 4;

/// A user went online (`true`) or offline.
pub(super) type Change = (UserName, bool);

/// The lists that pages share.
#[derive(Debug)]
pub(crate) struct Lists {
    keys: [RandomState; 2],
    began: Instant,
    recent: Mutex<VecDeque<Arc<List>>>,
}

/// The online users, in the order of their logins.
#[derive(Debug, Default)]
pub(super) struct List {
    /// Bound: [`LISTED`].
    online: Vec<UserName>,
    /// The first halves of their hashes, sorted.
    hashes: Vec<u64>,
    sum: u128,
    /// The list is incomplete, so that an unlisted name may be online.
    is_partial: bool,
    /// Serialised frames. Bound: [`FRAMES`].
    frames: Mutex<Vec<(Announced, Utf8Bytes)>>,
}

/// The change that a frame with a list announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Announced {
    Login,
    Joined(UserName),
    Left(UserName),
}

/// A list with pending changes.
struct Pending<'l> {
    lists: &'l Lists,
    from: &'l List,
    /// The differences.
    changed: HashMap<u64, bool>,
    length: usize,
    sum: u128,
    is_partial: bool,
}

impl Default for Lists {
    fn default() -> Self {
        let keys = [RandomState::new(), RandomState::new()];
        Self { keys, began: Instant::now(), recent: Mutex::default() }
    }
}

impl Lists {
    /// The list of these users.
    pub(super) fn of(&self, mut online: Vec<UserName>) -> Arc<List> {
        let is_partial = online.len() > LISTED;
        online.truncate(LISTED);
        let sum = online.iter().fold(0, |sum, name| sum ^ self.hash(name));
        self.find(sum, is_partial).unwrap_or_else(|| {
            let mut hashes: Vec<u64> = online.iter().map(|name| half(self.hash(name))).collect();
            hashes.sort_unstable();
            self.remember(List { online, hashes, sum, is_partial, frames: Mutex::default() })
        })
    }

    /// A list after some changes, and those that had an effect.
    pub(super) fn after<'c>(
        &self,
        list: &Arc<List>,
        changes: impl Iterator<Item = &'c Change> + Clone,
    ) -> (Arc<List>, Vec<bool>) {
        let mut ahead = Pending {
            lists: self,
            from: list,
            changed: HashMap::new(),
            length: list.online.len(),
            sum: list.sum,
            is_partial: list.is_partial,
        };
        let news: Vec<bool> = changes.clone().map(|change| ahead.change(change)).collect();
        let (sum, is_partial) = (ahead.sum, ahead.is_partial);
        if sum == list.sum && is_partial == list.is_partial {
            return (Arc::clone(list), news);
        }
        let next = self.find(sum, is_partial).unwrap_or_else(|| {
            let mut next = List {
                online: list.online.clone(),
                hashes: list.hashes.clone(),
                sum: list.sum,
                is_partial: list.is_partial,
                frames: Mutex::default(),
            };
            changes.for_each(|(name, online)| next.change(name, self.hash(name), *online));
            self.remember(next)
        });
        (next, news)
    }

    /// The end of the current time window. All pages share the windows, so that they come to the same lists.
    pub(super) fn window_end(&self, now: Instant, window: Duration) -> Instant {
        let since = now.saturating_duration_since(self.began).as_nanos();
        let left = window.as_nanos() - since % window.as_nanos();
        now + Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX))
    }

    fn hash(&self, name: &UserName) -> u128 {
        let [first, second] = &self.keys;
        u128::from(first.hash_one(name)) | u128::from(second.hash_one(name)) << 64
    }

    fn recent(&self) -> MutexGuard<'_, VecDeque<Arc<List>>> {
        self.recent.lock().expect("nobody panics while holding this lock")
    }

    fn find(&self, sum: u128, is_partial: bool) -> Option<Arc<List>> {
        let recent = self.recent();
        recent.iter().rev().find(|list| list.sum == sum && list.is_partial == is_partial).cloned()
    }

    fn remember(&self, list: List) -> Arc<List> {
        let list = Arc::new(list);
        let mut recent = self.recent();
        if recent.len() >= REMEMBERED {
            recent.pop_front();
        }
        recent.push_back(Arc::clone(&list));
        list
    }
}

impl Pending<'_> {
    /// Applies a change. Returns whether it had an effect.
    fn change(&mut self, (name, online): &Change) -> bool {
        let hash = self.lists.hash(name);
        let key = half(hash);
        let is_known = self.changed.get(&key).copied().unwrap_or_else(|| self.from.knows(key));
        match (is_known, online) {
            (false, true) if self.length < LISTED => self.length += 1,
            (false, true) => {
                self.is_partial = true;
                return true;
            }
            (true, false) => self.length -= 1,
            (false, false) => return self.is_partial,
            (true, true) => return false,
        }
        self.sum ^= hash;
        self.changed.insert(key, *online);
        true
    }
}

impl List {
    /// The number of listed users.
    pub(super) fn len(&self) -> usize {
        self.online.len()
    }

    pub(super) fn is_partial(&self) -> bool {
        self.is_partial
    }

    pub(super) fn names(&self) -> &[UserName] {
        &self.online
    }

    fn knows(&self, key: u64) -> bool {
        self.hashes.binary_search(&key).is_ok()
    }

    /// Applies a change by the same rule as [`Pending::change`].
    fn change(&mut self, name: &UserName, hash: u128, online: bool) {
        match (self.hashes.binary_search(&half(hash)), online) {
            (Err(at), true) if self.online.len() < LISTED => {
                self.hashes.insert(at, half(hash));
                self.online.push(name.clone());
                self.sum ^= hash;
            }
            (Err(_), true) => self.is_partial = true,
            (Ok(at), false) => {
                self.hashes.remove(at);
                self.online.retain(|listed| listed != name);
                self.sum ^= hash;
            }
            (Err(_), false) | (Ok(_), true) => {}
        }
    }

    /// The frame that announces this with this list, for a page of this user, who is always in it.
    pub(super) fn frame(&self, announced: &Announced, user: &UserName) -> Utf8Bytes {
        let text = self.shared(announced);
        let leaves = matches!(announced, Announced::Left(name) if name == user);
        if !self.is_partial || leaves || self.online.contains(user) || announced.adds(user) {
            return text;
        }
        let names = text.trim_end_matches("]}");
        let comma = if names.ends_with('[') { "" } else { "," };
        format!("{names}{comma}{}]}}", to_json(user)).into()
    }

    fn shared(&self, announced: &Announced) -> Utf8Bytes {
        let mut frames = self.frames.lock().expect("nobody panics while holding this lock");
        if let Some((_, text)) = frames.iter().find(|(of, _)| of == announced) {
            return text.clone();
        }
        let text = Utf8Bytes::from(to_json(&self.announce(announced)));
        if frames.len() >= FRAMES {
            frames.remove(0);
        }
        frames.push((announced.clone(), text.clone()));
        text
    }

    fn announce(&self, announced: &Announced) -> AdapterFrame {
        let mut online_users = self.online.clone();
        match announced.clone() {
            Announced::Login => AdapterFrame::LoginSuccess { online_users },
            Announced::Joined(username) => {
                if !online_users.contains(&username) {
                    online_users.push(username.clone());
                }
                AdapterFrame::UserJoined { username, online_users }
            }
            Announced::Left(username) => AdapterFrame::UserLeft { username, online_users },
        }
    }
}

impl Announced {
    pub(super) fn of((name, online): &Change) -> Self {
        if *online { Self::Joined(name.clone()) } else { Self::Left(name.clone()) }
    }

    fn adds(&self, user: &UserName) -> bool {
        matches!(self, Self::Joined(name) if name == user)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the half is what is wanted")]
fn half(hash: u128) -> u64 {
    hash as u64
}
