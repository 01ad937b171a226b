//! The names of all registered users, which the book dialect lists at login.
//!
//! Read from the store in pages and shared by all sessions: a login reads only the users registered since the last read.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::UserName;
use protocol::limits::SERVER_FRAME_BYTES;
use tokio::sync::Mutex;
use transport::ApiError;

use crate::backend::Backend;

/// Several message APIs may store users in another order than that of their numbers, so this many of the last ones are read again.
const AGAIN: u64 = 256;

/// The book as read so far.
///
/// Bound: the size of a greeting, in bytes of names. Overflow rule: further names are left out.
#[derive(Debug, Default)]
pub(crate) struct ClientBook {
    /// Locked while the store is read.
    listed: Mutex<Listed>,
    /// The number of calls of `read`.
    asked: AtomicU64,
    /// Incremented when the store may have other users.
    generation: AtomicU64,
}

/// Names in order of registration.
#[derive(Debug, Default, Clone)]
pub(crate) struct Listed {
    names: Arc<Names>,
    /// The number of the last user read.
    last: u64,
    /// `asked` at the start of the last read: the book has everybody registered before that call.
    asked: u64,
    generation: u64,
}

#[derive(Debug, Default, Clone)]
struct Names {
    in_order: Vec<UserName>,
    known: HashSet<UserName>,
    bytes: usize,
}

impl ClientBook {
    /// Reads new users and returns the whole book. Concurrent calls share one read.
    pub(crate) async fn read(&self, backend: &Backend) -> Result<Listed, ApiError> {
        let ticket = self.asked.fetch_add(1, Ordering::Relaxed);
        let mut listed = self.listed.lock().await;
        let generation = self.generation.load(Ordering::Acquire);
        if listed.generation != generation {
            *listed = Listed { generation, ..Listed::default() };
        } else if listed.asked > ticket {
            return Ok(listed.clone());
        }
        let asked = self.asked.load(Ordering::Relaxed);
        let mut after = listed.last.saturating_sub(AGAIN);
        while !listed.is_full() {
            let page = backend.read_once(backend.api.users(after)).await?;
            page.users.into_iter().for_each(|user| listed.add(user.name));
            after = page.last;
            listed.last = page.last.max(listed.last);
            if !page.more {
                break;
            }
        }
        listed.asked = asked;
        Ok(listed.clone())
    }

    /// Forgets the names: the store may have other users from now on.
    pub(crate) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

impl Listed {
    fn is_full(&self) -> bool {
        self.names.bytes > SERVER_FRAME_BYTES
    }

    fn add(&mut self, name: UserName) {
        if self.is_full() || self.names.known.contains(&name) {
            return;
        }
        let names = Arc::make_mut(&mut self.names);
        names.bytes += name.as_str().len() + 2;
        names.known.insert(name.clone());
        names.in_order.push(name);
    }

    /// All names of the book, followed by users who are online but not in it.
    pub(crate) fn with<'l>(&'l self, online: &'l [UserName]) -> impl Iterator<Item = &'l UserName> {
        let unlisted = online.iter().filter(|name| !self.names.known.contains(*name));
        self.names.in_order.iter().chain(unlisted)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::simulation::{self, Dice, SimulatedApi};

    #[tokio::test(start_paused = true)]
    async fn all_users_are_read_page_by_page_and_once_for_everybody() {
        let name = |n: usize| UserName::parse(&format!("user{n}")).unwrap();
        let api = SimulatedApi::new(Arc::new(Dice::steady(Duration::from_millis(5))));
        api.state().faults = false;
        let (server, _workers) = simulation::server(&api, 1 << 20);
        let read = async || server.client_book.read(&server.backend).await.unwrap().names.in_order.clone();
        api.state().users = (0..2500).map(name).collect();
        assert_eq!(read().await, (0..2500).map(name).collect::<Vec<_>>());
        assert_eq!(std::mem::take(&mut api.state().user_pages), [0, 1000, 2000]);
        api.state().users.push(name(2500));
        assert_eq!(read().await.last(), Some(&name(2500)));
        assert_eq!(
            std::mem::take(&mut api.state().user_pages),
            [2500 - AGAIN],
            "only who is new, and a few before"
        );
        // Concurrent logins: one reads while the others wait, and the next read serves all of those.
        let all = futures_util::future::join_all((0..100).map(|_| read())).await;
        assert!(all.iter().all(|names| names.len() == 2501));
        assert!(api.state().user_pages.len() <= 2, "{:?}", api.state().user_pages);
    }
}
