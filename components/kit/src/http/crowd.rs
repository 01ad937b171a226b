//! Allocates places to connections, and closes slow connections when all are taken.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;
use crate::places::{NoPlace, Place, Places};

/// Most connections closed at once; amortises the scan over all of them.
const AT_ONCE: usize = 16;
/// The interval of log messages about closed connections.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// The open connections.
///
/// Bound: one entry for each place. Overflow rule: when all places are taken, the connections that have kept us waiting the longest are
/// closed, at most [`AT_ONCE`] of them; a queued request counts as waiting. Connections that carried the service token, and those with a
/// request in progress, are never closed; if there are no others, the new connection is refused.
#[derive(Debug)]
pub(super) struct Crowd {
    places: Places,
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    last: u64,
    open: HashMap<u64, (Arc<Connection>, Place)>,
    said_at: Option<Instant>,
    closed: u64,
}

/// A connection's place, released on drop.
pub(super) struct Member {
    crowd: Arc<Crowd>,
    id: u64,
}

impl Crowd {
    pub(super) fn new(places: Places) -> Arc<Self> {
        Arc::new(Self { places, members: Mutex::default() })
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().expect("nobody panics while holding this lock")
    }

    /// Admits a connection if a place is free or can be freed.
    pub(super) fn admit(self: &Arc<Self>, connection: &Arc<Connection>) -> Result<Member, NoPlace> {
        let mut members = self.members();
        let place = self.take(&mut members, || self.places.take(connection.client.ip()))?;
        members.last += 1;
        let id = members.last;
        members.open.insert(id, (Arc::clone(connection), place));
        Ok(Member { crowd: Arc::clone(self), id })
    }

    /// Takes a place for a connection whose client is not known yet.
    pub(super) fn take_any(&self) -> Result<Place, NoPlace> {
        self.take(&mut self.members(), || self.places.take_any())
    }

    /// Takes a free place, or frees one.
    fn take(
        &self,
        members: &mut Members,
        take: impl Fn() -> Result<Place, NoPlace>,
    ) -> Result<Place, NoPlace> {
        match take() {
            Err(NoPlace::Full) if members.close_slowest((self.places.taken() / 64).clamp(1, AT_ONCE)) => {
                take()
            }
            taken => taken,
        }
    }

    /// Reports a refused connection.
    pub(super) fn refuse(&self, client: SocketAddr) {
        self.members().say(client);
    }
}

impl Members {
    /// Closes the slowest connections; false if there is none to close.
    fn close_slowest(&mut self, count: usize) -> bool {
        let waiting = |(id, (connection, _)): (&u64, &(Arc<Connection>, Place))| {
            connection.idle_since().map(|since| (since, *id))
        };
        let mut waiting: Vec<_> = self.open.iter().filter_map(waiting).collect();
        let count = count.min(waiting.len());
        if count > 0 {
            waiting.select_nth_unstable(count - 1);
        }
        for (_, id) in &waiting[..count] {
            if let Some((connection, _place)) = self.open.remove(id) {
                connection.closed.cancel();
                self.say(connection.client);
            }
        }
        count > 0
    }

    fn say(&mut self, client: SocketAddr) {
        self.closed += 1;
        if self.said_at.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
            self.said_at = Some(Instant::now());
            let count = std::mem::take(&mut self.closed);
            tracing::warn!(%client, count, "too many HTTP connections; closing the slowest");
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let member = self.crowd.members().open.remove(&self.id);
        drop(member);
    }
}
