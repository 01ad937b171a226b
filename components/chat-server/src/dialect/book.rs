//! The book dialect. The grammar is `protocol::book`.
//!
//! The meaning of a line depends on who is registered, so each line is looked up before the next one is read.

use bytes::Bytes;
use protocol::book::{self, Line};
use protocol::{Event, UserName};

use super::codec::{
    Capabilities, Codec, Greeting, Lists, LoginStep, Lookup, Notice, Prompt, Receipts, Refusal, Resolved,
};
use super::framing::Message;
use super::lines;
use super::request::{NewMessage, Request};
use crate::outcome::{Outcome, SentMessage};

/// The answer if the recipient's registration could not be looked up.
const NOT_SAVED: &str = "Message not saved: the server's store is unavailable; please send it again.\n";

/// Lines for clients of the client book.
pub(super) struct Book;

impl Codec for Book {
    fn capabilities(&self) -> &'static Capabilities {
        &Capabilities {
            name: "book",
            prompt: book::PROMPT,
            first_byte: None,
            silence: Some(|bytes| lines::names_and_says(bytes.trim_ascii(), b'-')),
            lists: Lists::Registered,
            has_ids: false,
            mirrors: false,
            receipts: Receipts::Transport,
            asks: true,
        }
    }

    fn identify(&self, message: Message) -> LoginStep {
        lines::identify(message)
    }

    fn refusal(&self, why: &Refusal<'_>) -> Bytes {
        lines::refusal(why)
    }

    fn greeting(&self, greeting: Greeting<'_>) -> Bytes {
        book::client_book(greeting.registered, greeting.max_bytes).into()
    }

    fn interpret(&self, _user: &UserName, message: Message) -> Request {
        let Message::Text(line) = message else { return Request::TooLong(lines::too_long()) };
        // With nobody registered, the parser returns every answer that needs no lookup.
        match book::parse_line(&line, |_| false) {
            Line::Message { .. } | Line::NotFound => Request::Lookup(line),
            Line::FormatError => Request::Invalid(Bytes::from_static(book::FORMAT_ERROR.as_bytes())),
            // Answered with the next prompt alone.
            Line::Blank => Request::Invalid(Bytes::new()),
        }
    }

    fn outcome(&self, sent: &SentMessage, outcome: Outcome, online: bool) -> Option<Bytes> {
        lines::outcome(&outcome, online, || book::stored(&sent.to))
    }

    fn live(&self, event: &Event) -> Bytes {
        book::live(event).into()
    }

    fn replayed(&self, event: &Event, stored_offline: bool) -> Bytes {
        if stored_offline { book::offline(event).into() } else { self.live(event) }
    }

    fn notice(&self, notice: Notice<'_>) -> Option<Bytes> {
        lines::notice(&notice)
    }

    fn stored_header(&self) -> &'static str {
        book::OFFLINE_HEADER
    }

    fn prompt(&self, others: &mut dyn Iterator<Item = &UserName>) -> Prompt {
        Prompt { online: book::online(others), question: book::TARGET_PROMPT }
    }

    fn lookup(&self) -> Option<&dyn Lookup> {
        Some(self)
    }
}

impl Lookup for Book {
    fn candidates(&self, line: &str) -> Vec<UserName> {
        book::candidates(line)
    }

    fn resolve(&self, user: &UserName, line: &str, is_known: &dyn Fn(&UserName) -> bool) -> Resolved {
        Resolved::Invalid(match book::parse_line(line, is_known) {
            Line::Message { to, body } => {
                return Resolved::Message(Box::new(NewMessage::chat(user.clone(), to, body)));
            }
            Line::NotFound => Bytes::from_static(book::NOT_FOUND.as_bytes()),
            Line::FormatError => Bytes::from_static(book::FORMAT_ERROR.as_bytes()),
            Line::Blank => Bytes::new(),
        })
    }

    fn unresolved(&self) -> Bytes {
        Bytes::from_static(NOT_SAVED.as_bytes())
    }
}
