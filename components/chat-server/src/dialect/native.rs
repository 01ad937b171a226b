//! The native dialect, held to the size of a frame. The frames are `protocol::native`.

use bytes::Bytes;
use protocol::limits::{LINE_BYTES, SERVER_FRAME_BYTES};
use protocol::native::{
    self, Ack, ClientFrame, ErrorCode, ErrorFrame, EventFrame, HistoryPage, Send, ServerFrame, Trace, Welcome,
};
use protocol::{ClientId, ConversationId, Draft, Event, UserName};

use super::framing::Message;
use super::request::{Outgoing, Request};
use super::speech::{Greeting, Lists, Manner, Notice, Receipts, Refusal, Reply, Speech, Step};
use crate::outcome::{Outcome, Said};

/// How long a client waits before it sends again what could not be stored.
const RETRY_AFTER_MS: u64 = 500;
/// Room for what a frame holds beside its list.
const FRAME_REST: usize = 4096;

/// JSON lines.
pub(super) struct Native;

impl Speech for Native {
    fn manner(&self) -> &'static Manner {
        &Manner {
            name: "native",
            prompt: "",
            first_byte: Some(b'{'),
            silence: None,
            lists: Lists::Conversations,
            has_ids: true,
            mirrors: true,
            receipts: Receipts::Client,
            asks: false,
        }
    }

    fn identify(&self, message: Message) -> Step {
        let line = match message {
            Message::Text(line) if line.trim().is_empty() => return Step::Again(Bytes::new()),
            Message::Text(line) => line,
            Message::TooLong => return Step::Again(too_long()),
        };
        match native::parse_client_frame(&line) {
            Ok(ClientFrame::Hello(hello)) => Step::Is(Box::new(hello)),
            Ok(ClientFrame::Trace(request)) => Step::Asks(request),
            Ok(
                ClientFrame::Send(_)
                | ClientFrame::Seen(_)
                | ClientFrame::History(_)
                | ClientFrame::Ping { .. },
            ) => Step::Refused(self.refusal(&Refusal::Unnamed)),
            Err(problem) if problem.code == ErrorCode::BadName => {
                Step::Refused(self.refusal(&Refusal::BadName(&problem.message)))
            }
            Err(problem) => Step::Again(error(problem.code, &problem.message, problem.client_id, None)),
        }
    }

    fn refusal(&self, why: &Refusal<'_>) -> Bytes {
        let (code, words, retry_after) = match why {
            Refusal::Unnamed => (ErrorCode::ExpectedHello, "the first frame must be hello".to_owned(), None),
            Refusal::Unfinished(words) => (ErrorCode::Full, (*words).to_owned(), None),
            Refusal::TooOften(words, wait) => (ErrorCode::Full, (*words).to_owned(), Some(*wait)),
            Refusal::BadName(why) => (ErrorCode::BadName, why.to_string(), None),
            Refusal::Taken(name) => {
                (ErrorCode::Taken, format!("somebody is online under the name '{name}'"), None)
            }
            Refusal::Reserved(name) => {
                (ErrorCode::Reserved, format!("the name '{name}' is reserved for a service"), None)
            }
            Refusal::TooMany(name) => {
                (ErrorCode::Full, format!("too many sessions under the name '{name}'"), None)
            }
        };
        error(code, &words, None, retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    fn greeting(&self, greeting: Greeting<'_>) -> Bytes {
        welcome(Welcome {
            name: greeting.name.clone(),
            token: greeting.token.to_owned(),
            online: greeting.online,
            conversations: greeting.conversations,
            durability: greeting.durability,
            log: greeting.log,
        })
    }

    fn interpret(&self, user: &UserName, message: Message) -> Request {
        let line = match message {
            Message::Text(line) if line.trim().is_empty() => return Request::Nothing,
            Message::Text(line) => line,
            Message::TooLong => return Request::TooLong(too_long()),
        };
        match native::parse_client_frame(&line) {
            Ok(ClientFrame::Hello(_)) => {
                mistake(ErrorCode::BadFrame, "this connection has said hello already")
            }
            Ok(ClientFrame::Send(send)) => Request::Say(Box::new(outgoing(user, send))),
            Ok(ClientFrame::Trace(request)) => Request::Trace(request),
            Ok(ClientFrame::Seen(seen)) if !seen.conversation.is_dm_of(user) => {
                mistake(ErrorCode::Refused, &format!("{user} takes no part in {}", seen.conversation))
            }
            Ok(ClientFrame::Seen(seen)) => Request::Seen(seen),
            Ok(ClientFrame::History(request)) => Request::History(request),
            Ok(ClientFrame::Ping { nonce }) => Request::Ping(nonce),
            Err(error) => Request::Mistake(frame(&ServerFrame::Error(*error))),
        }
    }

    fn outcome(&self, said: &Said, outcome: Outcome, online: bool) -> Option<Bytes> {
        let client_id = said.client_id.clone();
        Some(match outcome {
            Outcome::Stored(stored, durability) => frame(&ServerFrame::Ack(Ack {
                client_id,
                conversation: stored.conversation,
                seq: stored.seq,
                id: stored.id,
                at: stored.at,
                duplicate: stored.duplicate,
                durability,
                online,
            })),
            Outcome::Refused(reason) => error(ErrorCode::Refused, &reason, Some(client_id), None),
            Outcome::Later => {
                let message = "the store is unavailable; send it again";
                error(ErrorCode::Retry, message, Some(client_id), Some(RETRY_AFTER_MS))
            }
        })
    }

    fn live(&self, event: &Event) -> Bytes {
        frame(&ServerFrame::Event(EventFrame { event: event.clone(), replayed: false }))
    }

    fn replayed(&self, event: &Event, _kept: bool) -> Bytes {
        frame(&ServerFrame::Event(EventFrame { event: event.clone(), replayed: true }))
    }

    fn notice(&self, notice: Notice<'_>) -> Option<Bytes> {
        Some(frame(&match notice {
            Notice::Live => ServerFrame::Live,
            Notice::Seen(seen) => ServerFrame::Seen(seen),
            Notice::Delivered(delivered) => ServerFrame::Delivered(delivered),
            Notice::Presence(name, online) => ServerFrame::Presence { name, online },
            Notice::Unreadable(words) => return Some(error(ErrorCode::Retry, words, None, None)),
            // The end says so.
            Notice::Unfinished(_) => return None,
            Notice::Bye(reason, reconnect_after_ms) => {
                ServerFrame::Bye { reason: reason.to_owned(), reconnect_after_ms: Some(reconnect_after_ms) }
            }
        }))
    }

    fn reply(&self, reply: Reply) -> Bytes {
        match reply {
            Reply::Pong(nonce) => frame(&ServerFrame::Pong { nonce }),
            Reply::Trace(found) => trace(found),
            Reply::History(page, most) => history(page, most),
            Reply::AskAgain => {
                error(ErrorCode::Retry, "the store is unavailable; ask again", None, Some(RETRY_AFTER_MS))
            }
        }
    }
}

/// A frame as one line.
fn frame(frame: &ServerFrame) -> Bytes {
    let mut line = serde_json::to_vec(frame).expect("a frame serialises into memory");
    line.push(b'\n');
    // It may be kept for long, and a buffer that grew has up to as much again.
    line.shrink_to_fit();
    line.into()
}

fn error(code: ErrorCode, message: &str, client_id: Option<ClientId>, retry_after_ms: Option<u64>) -> Bytes {
    frame(&ServerFrame::Error(ErrorFrame { code, message: message.to_owned(), client_id, retry_after_ms }))
}

fn mistake(code: ErrorCode, message: &str) -> Request {
    Request::Mistake(error(code, message, None, None))
}

fn too_long() -> Bytes {
    error(ErrorCode::TooLong, &format!("a frame has at most {LINE_BYTES} bytes"), None, None)
}

fn outgoing(user: &UserName, send: Send) -> Outgoing {
    let Send { client_id, to, body, kind, metadata, timestamp, trace: traced } = send;
    let (sender, conversation) = (user.clone(), ConversationId::dm(user, &to));
    let draft = Draft { sender, conversation, body, kind, metadata, client_id, timestamp };
    Outgoing { to, draft, traced }
}

/// The answer to where a message has been.
fn trace(found: Option<Trace>) -> Bytes {
    match found {
        Some(trace) => frame(&ServerFrame::Trace(trace)),
        None => error(ErrorCode::Refused, "no such message is remembered; only recent ones are", None, None),
    }
}

/// The answer to `hello`. What does not fit into a frame is left out: the least recent conversations, then the last to come online.
fn welcome(welcome: Welcome) -> Bytes {
    let mut welcome = ServerFrame::Welcome(welcome);
    loop {
        let line = frame(&welcome);
        let ServerFrame::Welcome(welcome) = &mut welcome else { return line };
        if line.len() <= SERVER_FRAME_BYTES {
            return line;
        }
        if welcome.conversations.is_empty() {
            welcome.online.truncate(welcome.online.len() / 2);
        } else {
            welcome.conversations.truncate(welcome.conversations.len() / 2);
        }
    }
}

/// A page of a conversation. What does not fit into so many bytes is left out at the old end, and `more` says so; one event is always said.
fn history(mut page: HistoryPage, most: usize) -> Bytes {
    let mut room = most.saturating_sub(FRAME_REST);
    let fits = page.events.iter().rev().enumerate().take_while(|(index, event)| {
        let size = serde_json::to_vec(event).map_or(usize::MAX, |json| json.len() + 1);
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits || *index == 0
    });
    let left_out = page.events.len() - fits.count();
    page.events.drain(..left_out);
    page.more |= left_out > 0;
    frame(&ServerFrame::History(page))
}

#[cfg(test)]
mod tests;
