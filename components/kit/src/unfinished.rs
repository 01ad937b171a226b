//! A memory limit for incomplete input, across all connections of a process.
//!
//! Each connection holds at most the longest frame, but four thousand of them would be a gigabyte. So they share one budget. The reader
//! reports how much a connection holds ([`Unfinished::holds`]), and closes the connection once [`Unfinished::refused`]. Small frames are
//! exempt: below [`FREE`] nothing is counted and no lock is taken.

use std::collections::{BTreeSet, HashMap};
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use tokio_util::sync::CancellationToken;

use crate::places::network_of;

/// The part of each connection's input that does not count; 40 MiB for ten thousand connections.
const FREE: usize = 4 * 1024;
/// The limit for all connections together, beyond that: more than a hundred of the longest lines at once.
const BUDGET: usize = 8 * 1024 * 1024;

/// The message for a client whose connection is closed.
pub const REFUSAL: &str =
    "Too many unfinished messages at once, and this connection holds the most of them; try again later";

/// The budget of a process. Cheap to clone; clones share it.
///
/// Bound: 8 MiB, without each connection's first 4 KiB. Overflow rule: of the address that holds the most, the connection that holds the
/// most is closed, until the rest fits (longest queue drop: Suter et al., "Design considerations for supporting TCP with per-flow
/// queueing", INFOCOM 1998). So a frame is refused only if its connection holds more than every other of its address, and its address more
/// than every other. A refused connection releases its memory when its task next runs; while refused connections hold more than the budget
/// again, no connection that holds anything continues to read ([`Unfinished::room`]).
#[derive(Debug, Clone)]
pub struct UnfinishedInput {
    budget: usize,
    held: Arc<Mutex<Held>>,
    /// Memory that refused connections have not released. Separate, so that reading it takes no lock.
    refused: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    last_id: u64,
    by_address: HashMap<IpAddr, Share>,
    /// The same addresses, ordered by what they hold.
    order: BTreeSet<(usize, IpAddr)>,
    /// Connections that wait until refused ones have released their memory. Bound: one entry per connection.
    waiting: HashMap<u64, Waker>,
}

/// What the connections of one address hold.
#[derive(Debug, Default)]
struct Share {
    total: usize,
    /// Its connections, ordered by what they hold.
    order: BTreeSet<(usize, u64)>,
    ends: HashMap<u64, CancellationToken>,
}

/// One connection's share, released on drop.
#[derive(Debug)]
pub struct Unfinished {
    input: UnfinishedInput,
    address: IpAddr,
    id: u64,
    held: usize,
    end: Option<CancellationToken>,
}

impl Default for UnfinishedInput {
    fn default() -> Self {
        Self { budget: BUDGET, held: Arc::default(), refused: Arc::default() }
    }
}

impl UnfinishedInput {
    /// Registers a connection from this address, which holds nothing yet.
    #[must_use]
    pub fn of(&self, ip: IpAddr) -> Unfinished {
        Unfinished { input: self.clone(), address: network_of(ip), id: 0, held: 0, end: None }
    }

    fn has_room(&self) -> bool {
        self.refused.load(Ordering::Relaxed) <= self.budget
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("nobody panics while holding this lock")
    }
}

impl Unfinished {
    /// Sets the number of bytes of incomplete input that this connection holds.
    pub fn holds(&mut self, bytes: usize) {
        let bytes = bytes.saturating_sub(FREE);
        if bytes == self.held {
            return;
        }
        let end = self.end.get_or_insert_with(CancellationToken::new);
        let mut held = self.input.held();
        if self.id == 0 {
            held.last_id += 1;
            self.id = held.last_id;
        }
        let is_refused = !held.set(self.address, self.id, self.held, bytes, end);
        let (mut refused, mut given_back) = (0, 0);
        if is_refused {
            (refused, given_back) = (bytes, self.held);
        }
        while held.total > self.input.budget {
            refused += held.drop_longest();
        }
        self.input.refused.fetch_add(refused, Ordering::Relaxed);
        self.input.refused.fetch_sub(given_back, Ordering::Relaxed);
        let woken = if self.input.has_room() { std::mem::take(&mut held.waiting) } else { HashMap::new() };
        drop(held);
        woken.into_values().for_each(Waker::wake);
        self.held = bytes;
    }

    /// Waits until more may be read: not while refused connections have memory to release. A connection that holds nothing, or is
    /// refused itself, never waits.
    pub async fn room(&self) {
        poll_fn(|context| self.poll_room(context)).await;
    }

    /// The same for polling.
    pub fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.held == 0 || self.input.has_room() || self.is_refused() {
            return Poll::Ready(());
        }
        let mut held = self.input.held();
        // Memory is released under this lock.
        if self.input.has_room() {
            return Poll::Ready(());
        }
        held.waiting.insert(self.id, context.waker().clone());
        Poll::Pending
    }

    /// Whether the connection must be closed because it holds more than its share.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.may_be_refused() && self.end.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    /// Waits until the connection must be closed.
    pub async fn refused(&self) {
        match &self.end {
            Some(end) if self.may_be_refused() => end.cancelled().await,
            Some(_) | None => std::future::pending().await,
        }
    }

    /// Most connections never hold enough to be counted. Then nobody refuses them, and asking their token would only take its locks.
    fn may_be_refused(&self) -> bool {
        self.id > 0
    }

    /// A token that is cancelled when the connection must be closed.
    pub fn end(&mut self) -> CancellationToken {
        self.end.get_or_insert_with(CancellationToken::new).clone()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.holds(0);
        if self.id > 0 {
            self.input.held().waiting.remove(&self.id);
        }
    }
}

impl Held {
    /// Updates what a connection holds from `before` to `now`. Returns whether it still counts: not if it was refused; one that ended for
    /// another reason counts until its end.
    fn set(&mut self, address: IpAddr, id: u64, before: usize, now: usize, end: &CancellationToken) -> bool {
        let is_counted = |share: &Share| share.ends.contains_key(&id);
        if end.is_cancelled() && !self.by_address.get(&address).is_some_and(is_counted) {
            return false;
        }
        let share = self.by_address.entry(address).or_default();
        self.order.remove(&(share.total, address));
        share.order.remove(&(before, id));
        share.total = share.total - before + now;
        self.total = self.total - before + now;
        if now > 0 {
            share.order.insert((now, id));
            share.ends.insert(id, end.clone());
        } else {
            share.ends.remove(&id);
        }
        self.file(address);
        true
    }

    /// Refuses the largest connection of the address that holds the most; returns its size.
    fn drop_longest(&mut self) -> usize {
        let Some((_, address)) = self.order.pop_last() else { return 0 };
        let Some(share) = self.by_address.get_mut(&address) else { return 0 };
        let mut dropped = 0;
        if let Some((bytes, id)) = share.order.pop_last() {
            share.total -= bytes;
            self.total -= bytes;
            dropped = bytes;
            if let Some(end) = share.ends.remove(&id) {
                end.cancel();
            }
            // It must be closed and not wait.
            if let Some(waker) = self.waiting.remove(&id) {
                waker.wake();
            }
        }
        self.file(address);
        dropped
    }

    /// Updates an address's position in the order.
    fn file(&mut self, address: IpAddr) {
        match self.by_address.get(&address).map_or(0, |share| share.total) {
            0 => _ = self.by_address.remove(&address),
            total => _ = self.order.insert((total, address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    fn input(budget: usize) -> UnfinishedInput {
        UnfinishedInput { budget, ..UnfinishedInput::default() }
    }

    fn holding(input: &UnfinishedInput, ip: &str, bytes: usize) -> Unfinished {
        let mut unfinished = input.of(ip.parse().unwrap());
        unfinished.holds(bytes);
        unfinished
    }

    #[test]
    fn thousands_of_long_frames_hold_no_more_than_the_budget_and_usual_ones_get_through() {
        let input = UnfinishedInput::default();
        let usual = holding(&input, "127.0.0.1", 16 * KIB);
        let hostile: Vec<_> = (0..4096).map(|_| holding(&input, "127.0.0.1", 256 * KIB)).collect();
        assert!(input.held().total <= BUDGET);
        let held = hostile.iter().filter(|one| !one.is_refused()).count();
        assert!((30..=33).contains(&held), "{held}");
        assert!(!usual.is_refused(), "it holds less than the others");
        drop((hostile, usual));
        let held = input.held();
        assert!(held.total == 0 && held.by_address.is_empty() && held.order.is_empty());
    }

    #[test]
    fn the_address_that_holds_the_most_loses() {
        let input = input(300 * KIB);
        let other = holding(&input, "10.0.0.2", 64 * KIB);
        let hostile: Vec<_> = (0..64).map(|_| holding(&input, "10.0.0.1", 20 * KIB)).collect();
        assert!(!other.is_refused() && hostile.iter().any(Unfinished::is_refused));
        assert!(input.held().total <= 300 * KIB);
    }

    #[test]
    fn who_finishes_is_counted_no_more_and_who_was_refused_holds_nothing() {
        let input = input(100 * KIB);
        let mut first = holding(&input, "::1", 60 * KIB);
        first.holds(0);
        let mut second = holding(&input, "::1", 80 * KIB);
        let third = holding(&input, "::1", 70 * KIB);
        assert!(second.is_refused() && !first.is_refused() && !third.is_refused());
        second.holds(90 * KIB);
        second.holds(0);
        assert_eq!(input.held().total, 66 * KIB);
    }

    #[test]
    fn who_was_ended_for_another_reason_gives_back_what_was_counted() {
        let input = input(100 * KIB);
        let mut first = holding(&input, "::1", 60 * KIB);
        first.end().cancel();
        first.holds(70 * KIB);
        assert_eq!(input.held().total, 66 * KIB);
        drop(first);
        assert_eq!(input.held().total, 0);
    }

    fn may_read(one: &Unfinished) -> bool {
        one.poll_room(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn nobody_reads_on_before_refused_connections_gave_back_what_they_hold() {
        let input = input(100 * KIB);
        let reader = holding(&input, "10.0.0.2", 20 * KIB);
        let mut hostile: Vec<_> = (0..8).map(|_| holding(&input, "10.0.0.1", 64 * KIB)).collect();
        assert!(!reader.is_refused() && !may_read(&reader), "seven were refused and hold it all still");
        let refused = hostile.iter().find(|one| one.is_refused()).unwrap();
        assert!(may_read(refused) && may_read(&holding(&input, "10.0.0.2", FREE)), "these never wait");
        let waits = tokio::spawn(async move {
            reader.room().await;
            reader
        });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        // One discards its input, others disconnect.
        hostile[0].holds(0);
        hostile.truncate(1);
        let reader = tokio::time::timeout(std::time::Duration::from_secs(10), waits).await.unwrap().unwrap();
        assert!(may_read(&reader));
        drop((hostile, reader));
        assert_eq!(input.refused.load(Ordering::Relaxed), 0);
        assert!(input.held().waiting.is_empty());
    }

    #[test]
    fn what_is_small_is_free() {
        let input = input(0);
        let small: Vec<_> = (0..100).map(|_| holding(&input, "10.0.0.1", FREE)).collect();
        assert!(small.iter().all(|one| one.end.is_none() && !one.is_refused()));
    }
}
