//! The names of everybody who ever registered, as the book dialect shows them at login.
//!
//! Read from the store a page at a time, and once for everybody: a login reads who is new since the one before.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::UserName;
use protocol::limits::SERVER_FRAME_BYTES;
use tokio::sync::Mutex;
use transport::ApiError;

use crate::backend::Backend;

/// Several message APIs give out numbers in another order than they store users: so many of the last ones are read once more.
const AGAIN: u64 = 256;

/// The book, as far as it was read.
///
/// Bound: names of as many bytes as a greeting may have. Overflow rule: further names are left out.
#[derive(Debug, Default)]
pub(crate) struct ClientBook {
    /// Held while the store is read.
    listed: Mutex<Listed>,
    /// How many have asked.
    asked: AtomicU64,
    /// How often the store began to hold other users.
    generation: AtomicU64,
}

/// Names in order of first registration.
#[derive(Debug, Default, Clone)]
pub(crate) struct Listed {
    names: Arc<Names>,
    /// The number of the last user who was read.
    last: u64,
    /// Those who had asked when it was read last: it holds everybody registered before.
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
    /// Reads who is new, and answers the whole book. Many who ask at the same time have it read once.
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

    /// The store may hold other users from now on.
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

    /// Everybody in the book, then who is online without being in it.
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
        // Many come at the same time: one reads while the others wait, and the next read is for all of those.
        let all = futures_util::future::join_all((0..100).map(|_| read())).await;
        assert!(all.iter().all(|names| names.len() == 2501));
        assert!(api.state().user_pages.len() <= 2, "{:?}", api.state().user_pages);
    }
}
