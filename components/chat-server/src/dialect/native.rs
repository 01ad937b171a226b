//! The native dialect. The frames are in `protocol::native`; this file keeps them within the maximum frame size.

use bytes::Bytes;
use protocol::limits::LINE_BYTES;
use protocol::native::{
    self, Ack, ClientFrame, ErrorCode, ErrorFrame, EventFrame, HistoryPage, Send, ServerFrame, Trace, Welcome,
};
use protocol::{ClientId, ConversationId, Draft, Event, UserName};

use super::codec::{Capabilities, Codec, Greeting, Lists, LoginStep, Notice, Receipts, Refusal, Reply};
use super::framing::Message;
use super::request::{NewMessage, Request};
use crate::outcome::{Outcome, SentMessage};

/// How long a client waits before it sends a message that could not be stored again.
const RETRY_AFTER_MS: u64 = 500;
/// The space in a frame for everything besides its list.
const FRAME_REST: usize = 4096;

/// JSON lines.
pub(super) struct Native;

impl Codec for Native {
    fn capabilities(&self) -> &'static Capabilities {
        &Capabilities {
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

    fn identify(&self, message: Message) -> LoginStep {
        let line = match message {
            Message::Text(line) if line.trim().is_empty() => return LoginStep::Retry(Bytes::new()),
            Message::Text(line) => line,
            Message::TooLong => return LoginStep::Retry(too_long()),
        };
        match native::parse_client_frame(&line) {
            Ok(ClientFrame::Hello(hello)) => LoginStep::Identified(Box::new(hello)),
            Ok(ClientFrame::Trace(request)) => LoginStep::Trace(request),
            Ok(
                ClientFrame::Send(_)
                | ClientFrame::Seen(_)
                | ClientFrame::History(_)
                | ClientFrame::Ping { .. },
            ) => LoginStep::Rejected(self.refusal(&Refusal::Unnamed)),
            Err(problem) if problem.code == ErrorCode::BadName => {
                LoginStep::Rejected(self.refusal(&Refusal::BadName(&problem.message)))
            }
            Err(problem) => LoginStep::Retry(error(problem.code, &problem.message, problem.client_id, None)),
        }
    }

    fn refusal(&self, why: &Refusal<'_>) -> Bytes {
        let (code, words, retry_after) = match why {
            Refusal::Unnamed => (ErrorCode::ExpectedHello, "the first frame must be hello".to_owned(), None),
            Refusal::Unfinished(words) => (ErrorCode::Full, (*words).to_owned(), None),
            Refusal::RateLimited(words, wait) => (ErrorCode::Full, (*words).to_owned(), Some(*wait)),
            Refusal::BadName(why) => (ErrorCode::BadName, why.to_string(), None),
            Refusal::Taken(name) => {
                (ErrorCode::Taken, format!("somebody is online under the name '{name}'"), None)
            }
            Refusal::Protected(name) => (
                ErrorCode::Protected,
                format!("the name '{name}' is protected: log in with a token of its account"),
                None,
            ),
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
        let welcome = Welcome {
            name: greeting.name.clone(),
            token: greeting.token.to_owned(),
            online: greeting.online,
            conversations: greeting.conversations,
            durability: greeting.durability,
            log: greeting.log,
        };
        self::welcome(welcome, greeting.max_bytes)
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
            Ok(ClientFrame::Send(send)) => Request::Message(Box::new(outgoing(user, send))),
            Ok(ClientFrame::Trace(request)) => Request::Trace(request),
            Ok(ClientFrame::Seen(seen)) if !seen.conversation.is_dm_of(user) => {
                mistake(ErrorCode::Refused, &format!("{user} takes no part in {}", seen.conversation))
            }
            Ok(ClientFrame::Seen(seen)) => Request::Seen(seen),
            Ok(ClientFrame::History(request)) => Request::History(request),
            Ok(ClientFrame::Ping { nonce }) => Request::Ping(nonce),
            Err(error) => Request::Invalid(frame(&ServerFrame::Error(*error))),
        }
    }

    fn outcome(&self, sent: &SentMessage, outcome: Outcome, online: bool) -> Option<Bytes> {
        let client_id = sent.client_id.clone();
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
            Outcome::Unknown => {
                let message = "the store is unavailable; send it again";
                error(ErrorCode::Retry, message, Some(client_id), Some(RETRY_AFTER_MS))
            }
        })
    }

    fn live(&self, event: &Event) -> Bytes {
        frame(&ServerFrame::Event(EventFrame { event: event.clone(), replayed: false }))
    }

    fn replayed(&self, event: &Event, _stored_offline: bool) -> Bytes {
        frame(&ServerFrame::Event(EventFrame { event: event.clone(), replayed: true }))
    }

    fn notice(&self, notice: Notice<'_>) -> Option<Bytes> {
        Some(frame(&match notice {
            Notice::Live => ServerFrame::Live,
            Notice::Seen(seen) => ServerFrame::Seen(seen),
            Notice::Delivered(delivered) => ServerFrame::Delivered(delivered),
            Notice::Presence(name, online) => ServerFrame::Presence { name, online },
            Notice::Unreadable(words) => return Some(error(ErrorCode::Retry, words, None, None)),
            // `bye` says so.
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
            Reply::Unavailable => {
                error(ErrorCode::Retry, "the store is unavailable; ask again", None, Some(RETRY_AFTER_MS))
            }
        }
    }
}

/// The size of an event with a short text, so that its line is not moved while it grows.
const USUAL_FRAME: usize = 512;

/// Renders a frame as one line.
fn frame(frame: &ServerFrame) -> Bytes {
    let mut line = Vec::with_capacity(USUAL_FRAME);
    serde_json::to_writer(&mut line, frame).expect("a frame serialises into memory");
    line.push(b'\n');
    // It may be queued for long, and a grown buffer has up to twice the capacity it needs.
    line.shrink_to_fit();
    line.into()
}

fn error(code: ErrorCode, message: &str, client_id: Option<ClientId>, retry_after_ms: Option<u64>) -> Bytes {
    frame(&ServerFrame::Error(ErrorFrame { code, message: message.to_owned(), client_id, retry_after_ms }))
}

fn mistake(code: ErrorCode, message: &str) -> Request {
    Request::Invalid(error(code, message, None, None))
}

fn too_long() -> Bytes {
    error(ErrorCode::TooLong, &format!("a frame has at most {LINE_BYTES} bytes"), None, None)
}

fn outgoing(user: &UserName, send: Send) -> NewMessage {
    let Send { client_id, to, body, kind, metadata, timestamp, trace: traced } = send;
    let (sender, conversation) = (user.clone(), ConversationId::dm(user, &to));
    let draft = Draft { sender, conversation, body, kind, metadata, client_id, timestamp };
    NewMessage { to, draft, traced }
}

/// Renders the answer to a trace request.
fn trace(found: Option<Trace>) -> Bytes {
    match found {
        Some(trace) => frame(&ServerFrame::Trace(trace)),
        None => error(ErrorCode::Refused, "no such message is remembered; only recent ones are", None, None),
    }
}

/// Renders the answer to `hello` within `most` bytes. What does not fit is left out: first the users who came online last, as far as the
/// list takes more than half of it, but never this user; then the least recent conversations.
fn welcome(mut welcome: Welcome, most: usize) -> Bytes {
    shorten(&mut welcome.online, most / 2);
    let mut welcome = ServerFrame::Welcome(welcome);
    loop {
        let line = frame(&welcome);
        let ServerFrame::Welcome(welcome) = &mut welcome else { return line };
        if line.len() <= most {
            return line;
        }
        if welcome.conversations.is_empty() {
            welcome.online.truncate(welcome.online.len() / 2);
        } else {
            welcome.conversations.truncate(welcome.conversations.len() / 2);
        }
    }
}

/// Removes names before the last one until the list takes at most this many bytes.
fn shorten(online: &mut Vec<UserName>, most: usize) {
    let size = |name: &UserName| name.as_str().len() + "\"\",".len();
    let Some(last) = online.pop() else { return };
    let mut left = most.saturating_sub(size(&last));
    let fits = online.iter().take_while(|name| {
        let fits = size(name) <= left;
        left = left.saturating_sub(size(name));
        fits
    });
    let fitting = fits.count();
    online.truncate(fitting);
    online.push(last);
}

/// Renders a page of a conversation within `most` bytes. The oldest events are left out if necessary, which `more` reports; at least one
/// event is included.
fn history(mut page: HistoryPage, most: usize) -> Bytes {
    let mut room = most.saturating_sub(FRAME_REST);
    let fits = page.events.iter().rev().enumerate().take_while(|(index, event)| {
        let size = serde_json::to_vec(event).map_or(usize::MAX, |json| json.len() + 1);
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits || *index == 0
    });
    let omitted = page.events.len() - fits.count();
    page.events.drain(..omitted);
    page.more |= omitted > 0;
    frame(&ServerFrame::History(page))
}

#[cfg(test)]
mod tests;
