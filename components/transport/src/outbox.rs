//! What a native client has said and nobody has acknowledged yet.

use std::collections::VecDeque;

use protocol::ClientId;
use protocol::native::{Ack, Send};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::native::SendError;

/// Most messages on their way at once. Overflow rule: who wants to say more waits.
const LIMIT: usize = 1024;

/// Messages in the order they were said. The server tells those written twice by their `client_id`.
#[derive(Debug, Default)]
pub(crate) struct Outbox(VecDeque<Entry>);

/// Tells whoever said a message what became of it.
pub(crate) type Done = Option<oneshot::Sender<Result<Ack, SendError>>>;

#[derive(Debug)]
struct Entry {
    send: Send,
    state: State,
    done: Done,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Unwritten,
    Written,
    RetryAt(Instant),
}

impl Outbox {
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= LIMIT
    }

    pub(crate) fn push(&mut self, send: Send, done: Done) {
        self.0.push_back(Entry { send, state: State::Unwritten, done });
    }

    /// A new connection: everything has to be written again.
    pub(crate) fn rewind(&mut self) {
        for entry in &mut self.0 {
            entry.state = State::Unwritten;
        }
    }

    /// What has to be written now, in order; it counts as written afterwards.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Send> {
        let due = |state: &State| match state {
            State::Unwritten => true,
            State::Written => false,
            State::RetryAt(at) => *at <= now,
        };
        let entries = self.0.iter_mut().filter(|entry| due(&entry.state));
        entries
            .map(|entry| {
                entry.state = State::Written;
                entry.send.clone()
            })
            .collect()
    }

    /// When the next message is due that the server asked to be sent again later.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        let retry = |entry: &Entry| match entry.state {
            State::RetryAt(at) => Some(at),
            State::Unwritten | State::Written => None,
        };
        self.0.iter().filter_map(retry).min()
    }

    /// The server could not take the message now.
    pub(crate) fn retry_at(&mut self, id: &ClientId, at: Instant) {
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.send.client_id == *id) {
            entry.state = State::RetryAt(at);
        }
    }

    /// The message has its answer. Answers come about in order, so the search is short.
    pub(crate) fn settle(&mut self, id: &ClientId, result: Result<Ack, SendError>) {
        let Some(at) = self.0.iter().position(|entry| entry.send.client_id == *id) else { return };
        if let Some(done) = self.0.remove(at).and_then(|entry| entry.done) {
            // Whoever asked may have stopped waiting.
            let _ = done.send(result);
        }
    }
}
