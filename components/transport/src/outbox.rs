//! Messages of a native client that are not acknowledged yet.

use std::collections::VecDeque;

use protocol::ClientId;
use protocol::native::{Ack, Send};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::native::SendError;

/// Most messages in flight. Overflow rule: callers wait.
const LIMIT: usize = 1024;

/// Messages in the order of submission. The server recognises duplicates by their `client_id`.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    entries: VecDeque<Entry>,
    /// The number of messages at the front that are written and wait for an answer.
    written: usize,
}

/// The channel for a message's result.
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
        self.entries.len() >= LIMIT
    }

    pub(crate) fn push(&mut self, send: Send, done: Done) {
        self.entries.push_back(Entry { send, state: State::Unwritten, done });
    }

    /// A new connection: all messages must be written again.
    pub(crate) fn rewind(&mut self) {
        self.written = 0;
        for entry in &mut self.entries {
            entry.state = State::Unwritten;
        }
    }

    /// The next message to write, in order; it counts as written afterwards. No message overtakes one that waits for a retry.
    pub(crate) fn next_due(&mut self, now: Instant) -> Option<Send> {
        while let Some(entry) = self.entries.get_mut(self.written) {
            match entry.state {
                State::RetryAt(at) if at > now => return None,
                State::Unwritten | State::RetryAt(_) => {
                    entry.state = State::Written;
                    self.written += 1;
                    return Some(entry.send.clone());
                }
                State::Written => self.written += 1,
            }
        }
        None
    }

    /// When the first retry that the server requested is due.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.entries.iter().skip(self.written).find_map(|entry| match entry.state {
            State::RetryAt(at) => Some(at),
            State::Unwritten | State::Written => None,
        })
    }

    /// The server asked to retry the message later.
    pub(crate) fn retry_at(&mut self, id: &ClientId, at: Instant) {
        let Some(place) = self.find(id) else { return };
        self.entries[place].state = State::RetryAt(at);
        self.written = self.written.min(place);
    }

    /// Settles a message. Answers arrive roughly in order, so the search is short.
    pub(crate) fn settle(&mut self, id: &ClientId, result: Result<Ack, SendError>) {
        let Some(place) = self.find(id) else { return };
        self.written -= usize::from(place < self.written);
        if let Some(done) = self.entries.remove(place).and_then(|entry| entry.done) {
            // The caller may have stopped waiting.
            let _ = done.send(result);
        }
    }

    fn find(&self, id: &ClientId) -> Option<usize> {
        self.entries.iter().position(|entry| entry.send.client_id == *id)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use protocol::{Body, MessageType, Metadata, UserName};

    use super::*;

    fn send(id: &str) -> Send {
        Send {
            client_id: ClientId::parse(id).unwrap(),
            to: UserName::parse("bob").unwrap(),
            body: Body::parse("x").unwrap(),
            kind: MessageType::Chat,
            metadata: Metadata::default(),
            timestamp: None,
            trace: false,
        }
    }

    fn due(outbox: &mut Outbox, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| outbox.next_due(now)).map(|send| send.client_id.to_string()).collect()
    }

    #[test]
    fn nothing_overtakes_a_message_that_waits_for_a_retry() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        let later = |ms| now + Duration::from_millis(ms);
        ["1", "2", "3"].iter().for_each(|id| outbox.push(send(id), None));
        assert_eq!(due(&mut outbox, now), ["1", "2", "3"]);
        outbox.retry_at(&ClientId::parse("2").unwrap(), later(500));
        outbox.retry_at(&ClientId::parse("3").unwrap(), later(400));
        outbox.push(send("4"), None);
        assert_eq!(due(&mut outbox, later(450)), [""; 0]);
        assert_eq!(outbox.next_retry(), Some(later(500)), "the third is due, and waits for the second");
        assert_eq!(due(&mut outbox, later(500)), ["2", "3", "4"]);
        outbox.settle(&ClientId::parse("2").unwrap(), Err(SendError::Ended));
        outbox.push(send("5"), None);
        assert_eq!(due(&mut outbox, now), ["5"], "an answer moves no other message");
        outbox.rewind();
        assert_eq!(due(&mut outbox, now), ["1", "3", "4", "5"], "a new connection gets everything, in order");
    }
}
