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

    /// What has to be written now, in order; it counts as written afterwards. Nothing overtakes a message that waits to be sent
    /// again.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Send> {
        let waits = |entry: &Entry| matches!(entry.state, State::RetryAt(at) if at > now);
        let front = self.0.iter().position(waits).unwrap_or(self.0.len());
        let entries = self.0.iter_mut().take(front).filter(|entry| entry.state != State::Written);
        entries
            .map(|entry| {
                entry.state = State::Written;
                entry.send.clone()
            })
            .collect()
    }

    /// When the first message is due that the server asked to be sent again later.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.0.iter().find_map(|entry| match entry.state {
            State::RetryAt(at) => Some(at),
            State::Unwritten | State::Written => None,
        })
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
        outbox.take_due(now).iter().map(|send| send.client_id.to_string()).collect()
    }

    #[test]
    fn nothing_overtakes_what_must_be_sent_again() {
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
        outbox.rewind();
        assert_eq!(due(&mut outbox, now), ["1", "2", "3", "4"], "a new connection gets everything, in order");
    }
}
