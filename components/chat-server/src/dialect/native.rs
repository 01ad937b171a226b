//! The native dialect's answers, held to the size of a frame. The frames are `protocol::native`.

use bytes::Bytes;
use protocol::limits::{LINE_BYTES, SERVER_FRAME_BYTES};
use protocol::native::{
    self, Ack, ClientFrame, ErrorCode, ErrorFrame, HistoryPage, Send, ServerFrame, Trace, Welcome,
};
use protocol::{ClientId, ConversationId, Draft, UserName};

use crate::delivery::appender::Outcome;
use crate::delivery::rendered::frame;
use crate::dialect::framing::Message;
use crate::dialect::request::{Outgoing, Request};
use crate::session::answers::Said;

/// How long a client waits before it sends again what could not be stored.
const RETRY_AFTER_MS: u64 = 500;
/// Room for what a frame holds beside its list.
const FRAME_REST: usize = 4096;

/// What a frame asks for.
pub(crate) fn interpret(user: &UserName, message: &Message) -> Request {
    let line = match message {
        Message::Text(line) if line.trim().is_empty() => return Request::Nothing,
        Message::Text(line) => line,
        Message::TooLong => return Request::TooLong(too_long()),
    };
    match native::parse_client_frame(line) {
        Ok(ClientFrame::Hello(_)) => {
            answer(ErrorCode::BadFrame, "this connection has said hello already", None)
        }
        Ok(ClientFrame::Send(send)) => Request::Say(Box::new(outgoing(user, send))),
        Ok(ClientFrame::Trace(request)) => Request::Trace(request),
        Ok(ClientFrame::Seen(seen)) if !seen.conversation.is_dm_of(user) => {
            let message = format!("{user} takes no part in {}", seen.conversation);
            answer(ErrorCode::Refused, &message, None)
        }
        Ok(ClientFrame::Seen(seen)) => Request::Seen(seen),
        Ok(ClientFrame::History(request)) => Request::History(request),
        Ok(ClientFrame::Ping { nonce }) => Request::Ping(nonce),
        Err(error) => Request::Mistake(frame(&ServerFrame::Error(*error))),
    }
}

fn outgoing(user: &UserName, send: Send) -> Outgoing {
    let Send { client_id, to, body, kind, metadata, timestamp, trace: traced } = send;
    let (sender, conversation) = (user.clone(), ConversationId::dm(user, &to));
    let draft = Draft { sender, conversation, body, kind, metadata, client_id, timestamp };
    Outgoing { to, draft, traced }
}

fn answer(code: ErrorCode, message: &str, client_id: Option<ClientId>) -> Request {
    Request::Mistake(error(code, message, client_id, None))
}

/// The answer to a frame that is too long.
pub(crate) fn too_long() -> Bytes {
    error(ErrorCode::TooLong, &format!("a frame has at most {LINE_BYTES} bytes"), None, None)
}

/// An `error` frame.
pub(crate) fn error(
    code: ErrorCode,
    message: &str,
    client_id: Option<ClientId>,
    retry_after_ms: Option<u64>,
) -> Bytes {
    frame(&ServerFrame::Error(ErrorFrame { code, message: message.to_owned(), client_id, retry_after_ms }))
}

/// What the sender of a message is told.
pub(crate) fn outcome(said: &Said, outcome: Outcome, online: bool) -> Bytes {
    let client_id = said.client_id.clone();
    match outcome {
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
    }
}

/// The answer to `ping`.
pub(crate) fn pong(nonce: Option<u64>) -> Bytes {
    frame(&ServerFrame::Pong { nonce })
}

/// The answer to where a message has been.
pub(crate) fn trace(found: Option<Trace>) -> Bytes {
    match found {
        Some(trace) => frame(&ServerFrame::Trace(trace)),
        None => error(ErrorCode::Refused, "no such message is remembered; only recent ones are", None, None),
    }
}

/// The answer to a question that the store could not answer now.
pub(crate) fn ask_again() -> Bytes {
    error(ErrorCode::Retry, "the store is unavailable; ask again", None, Some(RETRY_AFTER_MS))
}

/// The answer to `hello`. What does not fit into a frame is left out: the least recent conversations, then the last to come online.
pub(crate) fn welcome(welcome: Welcome) -> Bytes {
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

/// A page of a conversation. What does not fit into a frame is left out at the old end, and `more` says so.
pub(crate) fn history(mut page: HistoryPage) -> Bytes {
    let mut room = SERVER_FRAME_BYTES - FRAME_REST;
    let fits = page.events.iter().rev().take_while(|event| {
        let size = serde_json::to_vec(event).map_or(usize::MAX, |json| json.len() + 1);
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits
    });
    let left_out = page.events.len() - fits.count();
    page.events.drain(..left_out);
    page.more |= left_out > 0;
    frame(&ServerFrame::History(page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::native::{ConversationSummary, Durability};
    use protocol::{Body, Event, MessageType, Metadata, Timestamp};
    use uuid::Uuid;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    fn event(seq: u64) -> Event {
        let at = Timestamp::from_micros(0);
        Event {
            id: Uuid::nil(),
            conversation: ConversationId::dm(&name("alice"), &name("bob")),
            seq,
            at,
            sender: name("bob"),
            body: Body::parse(&"\"".repeat(16 * 1024)).unwrap(),
            kind: MessageType::Chat,
            metadata: Metadata::default(),
            client_id: ClientId::fresh(),
            timestamp: at,
        }
    }

    fn parse(line: &Bytes) -> ServerFrame {
        serde_json::from_slice(line).unwrap()
    }

    #[test]
    fn a_page_of_history_is_cut_to_a_frame() {
        let events: Vec<Event> = (1..=200).map(event).collect();
        let conversation = events[0].conversation.clone();
        let line = history(HistoryPage { with: name("bob"), conversation, events, more: false });
        assert!(line.len() <= SERVER_FRAME_BYTES);
        let ServerFrame::History(page) = parse(&line) else { panic!() };
        assert!(page.more && page.events.len() > 20);
        assert_eq!(page.events.last().unwrap().seq, 200);
    }

    #[test]
    fn a_welcome_is_cut_to_a_frame() {
        let summary = |n: u64| ConversationSummary {
            conversation: event(n).conversation,
            with: name("bob"),
            head: n,
            seen: 0,
            unseen: n,
            last: Some(event(n)),
        };
        let line = welcome(Welcome {
            name: name("alice"),
            token: "t".to_owned(),
            online: (0..20_000).map(|n| name(&format!("somebody-with-a-long-name-{n}"))).collect(),
            conversations: (0..200).map(summary).collect(),
            durability: Durability::Fsync,
            log: None,
        });
        assert!(line.len() <= SERVER_FRAME_BYTES);
        let ServerFrame::Welcome(welcome) = parse(&line) else { panic!() };
        assert!(!welcome.online.is_empty());
    }

    #[test]
    fn strangers_cannot_move_a_cursor() {
        let line = Message::Text(r#"{"type":"seen","conversation":"dm:bob:carol","seq":3}"#.to_owned());
        let Request::Mistake(answer) = interpret(&name("alice"), &line) else { panic!() };
        assert!(matches!(parse(&answer), ServerFrame::Error(ErrorFrame { code: ErrorCode::Refused, .. })));
        assert!(matches!(interpret(&name("bob"), &line), Request::Seen(_)));
    }
}
