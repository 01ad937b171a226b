//! The state and decisions of a native client, without sockets or clocks: requests of the caller go in and frames come out; frames go in
//! and reports to the caller come out.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::time::Duration;

use kit::Secret;
use lru::LruCache;
use protocol::ConversationId;
use protocol::native::{ClientFrame, ErrorCode, ErrorFrame, EventFrame, Hello, Seen, Send, ServerFrame};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Incoming, NativeOptions, SendError};
use crate::outbox::{Done, Outbox};

/// Most conversations whose last `seq` survives a reconnection. Overflow rule: the one without events for the longest time is dropped and
/// restarts at the user's cursor.
const CURSORS: usize = 256;
/// Most frames other than messages that wait to be written. Overflow rule: later ones are dropped.
const FRAMES: usize = 256;

/// The state of one client, across its connections.
#[derive(Debug)]
pub(super) struct State {
    token: Option<Secret>,
    /// Whether the token is the service token, which a welcome does not replace.
    is_service: bool,
    outbox: Outbox,
    /// The last event passed on, by conversation.
    known: LruCache<ConversationId, u64>,
    /// Cursors to move, at most `CURSORS`. Overflow rule: the oldest is dropped; its events arrive again and are recognised by their `seq`.
    seen: LruCache<ConversationId, u64>,
    /// Cursors being written. If the connection is lost meanwhile, they are written again: moving one twice is harmless.
    writing: Vec<Seen>,
    frames: VecDeque<ClientFrame>,
    /// The log to which the known positions belong.
    log: Option<Uuid>,
}

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// Lost for this reason; retry after at least this delay.
    Lost(String, Duration),
    /// The server rejected this user.
    Rejected(Box<ErrorFrame>),
    /// The caller closed the client.
    Unwanted,
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::Lost(error.to_string(), Duration::ZERO)
    }
}

pub(super) fn lost(reason: &str) -> End {
    End::Lost(reason.to_owned(), Duration::ZERO)
}

fn left(reason: String, reconnect_after_ms: Option<u64>) -> End {
    End::Lost(reason, Duration::from_millis(reconnect_after_ms.unwrap_or(0)))
}

/// Whether a welcome names another log than the known one: a backup was restored, and positions refer to other events.
#[must_use]
pub fn is_another(known: Option<Uuid>, welcome: Option<Uuid>) -> bool {
    known.is_some() && welcome.is_some() && known != welcome
}

impl State {
    pub(super) fn new(options: &NativeOptions) -> Self {
        let places = CURSORS.max(options.cursors.len());
        let mut known = LruCache::sparse(NonZeroUsize::new(places).expect("there are some places"));
        for (conversation, seq) in &options.cursors {
            known.put(conversation.clone(), *seq);
        }
        Self {
            token: options.token.clone(),
            is_service: options.token.is_some(),
            outbox: Outbox::default(),
            known,
            seen: LruCache::sparse(NonZeroUsize::new(CURSORS).expect("there are some places")),
            writing: Vec::new(),
            frames: VecDeque::new(),
            log: options.log,
        }
    }

    /// Whether the outbox has room.
    pub(super) fn has_room(&self) -> bool {
        !self.outbox.is_full()
    }

    /// Queues a message of the caller.
    pub(super) fn queue_message(&mut self, send: Send, done: Done) {
        self.outbox.push(send, done);
    }

    /// The caller has processed a conversation up to this event.
    pub(super) fn seen(&mut self, Seen { conversation, seq }: Seen) {
        let cursor = self.seen.get_or_insert_mut(conversation, || 0);
        *cursor = seq.max(*cursor);
    }

    /// Queues a request of the caller.
    pub(super) fn queue_frame(&mut self, frame: ClientFrame) {
        // They accumulate only while nothing can be written, and then nobody waits for the answers.
        if self.frames.len() < FRAMES {
            self.frames.push_back(frame);
        }
    }

    /// The first frame of a connection, `hello`.
    pub(super) fn hello(&self, options: &NativeOptions) -> Hello {
        Hello {
            token: self.token.as_ref().map(|token| token.expose().to_owned()),
            device: options.device.clone(),
            cursors: self.known.iter().map(|(conversation, seq)| (conversation.clone(), *seq)).collect(),
            presence: options.presence,
            conversations: options.conversations,
            log: self.log,
            ..Hello::new(options.name.clone())
        }
    }

    /// Handles the server's first frame.
    pub(super) fn handle_first_frame(&mut self, frame: ServerFrame) -> Result<Incoming, End> {
        match frame {
            ServerFrame::Welcome(welcome) => {
                if is_another(self.log, welcome.log) {
                    self.known.clear();
                    self.seen.clear();
                    self.writing.clear();
                }
                self.log = welcome.log.or(self.log);
                if !self.is_service {
                    self.token = Some(Secret::new(welcome.token.clone()));
                }
                // Requests of a lost connection have no answer any more.
                self.frames.clear();
                self.outbox.rewind();
                Ok(Incoming::Connected(Box::new(welcome)))
            }
            ServerFrame::Error(error) => Err(self.rejected(error)),
            ServerFrame::Bye { reason, reconnect_after_ms } => Err(left(reason, reconnect_after_ms)),
            other => Err(lost(&format!("the server answered the greeting with '{}'", other.kind()))),
        }
    }

    /// After a lost connection our old session may still be open on the server: a name that was ours is retried.
    fn rejected(&self, error: ErrorFrame) -> End {
        match error.code {
            ErrorCode::Taken if self.token.is_some() => End::Lost(error.message, Duration::from_millis(500)),
            ErrorCode::Full | ErrorCode::Retry => {
                End::Lost(error.message, Duration::from_millis(error.retry_after_ms.unwrap_or(1000)))
            }
            ErrorCode::Taken
            | ErrorCode::BadFrame
            | ErrorCode::UnknownType
            | ErrorCode::TooLong
            | ErrorCode::Refused
            | ErrorCode::ExpectedHello
            | ErrorCode::BadName
            | ErrorCode::Protected
            | ErrorCode::Reserved => End::Rejected(Box::new(error)),
        }
    }

    /// Handles any later frame; returns the report to the caller, if any.
    pub(super) fn handle_frame(&mut self, frame: ServerFrame, now: Instant) -> Result<Option<Incoming>, End> {
        match frame {
            ServerFrame::Ack(ack) => {
                let id = ack.client_id.clone();
                self.outbox.settle(&id, Ok(ack));
                Ok(None)
            }
            ServerFrame::Error(error) => Ok(self.failed(error, now)),
            ServerFrame::Event(event) => Ok(self.is_new(&event).then(|| Incoming::Event(Box::new(event)))),
            ServerFrame::Bye { reason, reconnect_after_ms } => Err(left(reason, reconnect_after_ms)),
            ServerFrame::Pong { .. } => Ok(None),
            // Frames that the client itself does not need.
            other => Ok(Some(Incoming::Frame(Box::new(other)))),
        }
    }

    fn failed(&mut self, error: ErrorFrame, now: Instant) -> Option<Incoming> {
        match (error.code, error.client_id.clone()) {
            (ErrorCode::Retry, Some(id)) => {
                let wait = Duration::from_millis(error.retry_after_ms.unwrap_or(500));
                self.outbox.retry_at(&id, now + wait);
                None
            }
            (_, Some(id)) => {
                self.outbox.settle(&id, Err(SendError::Refused(Box::new(error))));
                None
            }
            (_, None) => Some(Incoming::Frame(Box::new(ServerFrame::Error(error)))),
        }
    }

    /// Whether an event was not passed on yet; records it.
    fn is_new(&mut self, frame: &EventFrame) -> bool {
        let known = self.known.get_or_insert_mut_ref(&frame.event.conversation, || 0);
        let is_new = frame.event.seq > *known;
        *known = frame.event.seq.max(*known);
        is_new
    }

    /// The next frame to write: requests, then cursors, then messages, each in order.
    pub(super) fn next_frame(&mut self, now: Instant) -> Option<ClientFrame> {
        if let Some(frame) = self.frames.pop_front() {
            return Some(frame);
        }
        if let Some((conversation, seq)) = self.seen.pop_lru() {
            let seen = Seen { conversation, seq };
            self.writing.push(seen.clone());
            return Some(ClientFrame::Seen(seen));
        }
        self.outbox.next_due(now).map(ClientFrame::Send)
    }

    /// When the next retry of a message is due.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.outbox.next_retry()
    }

    /// All frames returned so far were written.
    pub(super) fn written(&mut self) {
        self.writing.clear();
    }

    /// The connection was lost.
    pub(super) fn disconnected(&mut self) {
        for seen in std::mem::take(&mut self.writing) {
            self.seen(seen);
        }
    }

    /// The caller skipped events: everything past the server's cursors is needed again.
    pub(super) fn forget_known(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use protocol::native::{Durability, Welcome};
    use protocol::{Event, UserName};

    use super::*;

    fn state() -> State {
        let name = UserName::parse("alice").unwrap();
        State::new(&NativeOptions::user(std::net::SocketAddr::from(([127, 0, 0, 1], 9)), name))
    }

    fn conversation(name: &str) -> ConversationId {
        ConversationId::parse(&format!("dm:alice:{name}")).unwrap()
    }

    fn event(other: &str, seq: u64) -> ServerFrame {
        let event = format!(
            r#"{{"id":"01890a5d-ac96-774b-bcce-b302099a8057","conversation":"dm:alice:{other}","seq":{seq},
            "at":"2026-11-20T23:21:22Z","sender":"{other}","destination":"alice","body":"hi","type":"chat",
            "client_id":"x{seq}","timestamp":"2026-11-20T23:21:22Z"}}"#
        );
        let event: Event = serde_json::from_str(&event).unwrap();
        ServerFrame::Event(EventFrame { event, replayed: false })
    }

    fn is_reported(state: &mut State, frame: ServerFrame) -> bool {
        matches!(state.handle_frame(frame, Instant::now()).unwrap(), Some(Incoming::Event(_)))
    }

    #[test]
    fn the_conversation_without_events_for_the_longest_time_is_dropped_and_not_the_first_by_name() {
        let mut state = state();
        assert!(is_reported(&mut state, event("bob", 1)));
        for n in 0..CURSORS {
            assert!(is_reported(&mut state, event(&format!("user{n}"), 1)));
            // An old conversation that stays active.
            assert!(is_reported(&mut state, event("bob", 2 + n as u64)));
        }
        assert!(!is_reported(&mut state, event("bob", 1)), "it was told of a moment ago");
        assert!(!is_reported(&mut state, event(&format!("user{}", CURSORS - 1), 1)));
        assert!(is_reported(&mut state, event("user0", 1)), "forgotten: it comes again rather than never");
    }

    #[test]
    fn cursors_to_move_are_dropped_by_age_and_not_by_name() {
        let mut state = state();
        for n in (0..=CURSORS).rev() {
            state.seen(Seen { conversation: conversation(&format!("user{n:04}")), seq: 7 });
        }
        let mut written = Vec::new();
        while let Some(ClientFrame::Seen(seen)) = state.next_frame(Instant::now()) {
            written.push(seen.conversation);
        }
        assert_eq!(written.len(), CURSORS);
        assert_eq!(written.last(), Some(&conversation("user0000")), "the latest one stays");
        assert!(!written.contains(&conversation(&format!("user{CURSORS:04}"))), "the oldest one went");
    }

    #[test]
    fn a_cursor_that_was_being_written_when_the_connection_broke_is_written_again() {
        let mut state = state();
        let seen = |seq| Seen { conversation: conversation("bob"), seq };
        state.seen(seen(3));
        assert_eq!(state.next_frame(Instant::now()), Some(ClientFrame::Seen(seen(3))));
        state.disconnected();
        assert_eq!(state.next_frame(Instant::now()), Some(ClientFrame::Seen(seen(3))));
        state.written();
        state.disconnected();
        assert_eq!(state.next_frame(Instant::now()), None);
    }

    fn welcome(log: Option<u128>) -> ServerFrame {
        let name = UserName::parse("alice").unwrap();
        let log = log.map(Uuid::from_u128);
        let (token, durability) = ("secret".to_owned(), Durability::Fsync);
        ServerFrame::Welcome(Welcome {
            name,
            token,
            online: Vec::new(),
            conversations: Vec::new(),
            durability,
            log,
        })
    }

    #[test]
    fn positions_in_one_log_do_not_hide_events_of_another() {
        let mut state = state();
        state.handle_first_frame(welcome(Some(1))).unwrap();
        assert!(is_reported(&mut state, event("bob", 7)));
        state.seen(Seen { conversation: conversation("bob"), seq: 7 });
        for same in [Some(1), None] {
            state.handle_first_frame(welcome(same)).unwrap();
            assert!(!is_reported(&mut state, event("bob", 7)), "{same:?}");
        }
        state.handle_first_frame(welcome(Some(2))).unwrap();
        let options = NativeOptions::user(
            std::net::SocketAddr::from(([127, 0, 0, 1], 9)),
            UserName::parse("alice").unwrap(),
        );
        let hello = state.hello(&options);
        assert_eq!((hello.cursors.len(), hello.log), (0, Some(Uuid::from_u128(2))));
        assert_eq!(
            state.next_frame(Instant::now()),
            None,
            "a cursor of the old log moves none in the new one"
        );
        assert!(is_reported(&mut state, event("bob", 7)));
    }
}
