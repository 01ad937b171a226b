//! The text dialect. The grammar is `protocol::text`.

use bytes::Bytes;
use protocol::text::{self, Line};
use protocol::{Event, UserName};

use super::codec::{Capabilities, Codec, Greeting, Lists, LoginStep, Notice, Receipts, Refusal};
use super::framing::Message;
use super::lines;
use super::request::{NewMessage, Request};
use crate::outcome::{Outcome, SentMessage};

/// UTF-16 has NUL in every other byte of ASCII text; UTF-8 text has none.
const NOT_UTF8: &str = "This server takes UTF-8, and that looks like UTF-16. It was not sent.\n";

/// Lines for people.
pub(super) struct Text;

impl Codec for Text {
    fn capabilities(&self) -> &'static Capabilities {
        &Capabilities {
            name: "text",
            prompt: text::PROMPT,
            first_byte: None,
            silence: Some(looks_complete),
            lists: Lists::Online,
            has_ids: false,
            mirrors: false,
            receipts: Receipts::Transport,
            asks: false,
        }
    }

    fn identify(&self, message: Message) -> LoginStep {
        lines::identify(message)
    }

    fn refusal(&self, why: &Refusal<'_>) -> Bytes {
        lines::refusal(why)
    }

    fn greeting(&self, greeting: Greeting<'_>) -> Bytes {
        text::connected(greeting.online_text, greeting.max_bytes).into()
    }

    fn interpret(&self, user: &UserName, message: Message) -> Request {
        let Message::Text(line) = message else { return Request::TooLong(lines::too_long()) };
        if line.contains('\0') {
            return Request::Invalid(Bytes::from_static(NOT_UTF8.as_bytes()));
        }
        match text::parse_line(&line) {
            Line::Message { to, body } => {
                Request::Message(Box::new(NewMessage::chat(user.clone(), to, body)))
            }
            Line::Check => Request::Check,
            Line::Exit => Request::Exit,
            Line::Blank => Request::Nothing,
            Line::Invalid(answer) => Request::Invalid(answer.into()),
        }
    }

    fn outcome(&self, sent: &SentMessage, outcome: Outcome, online: bool) -> Option<Bytes> {
        lines::outcome(&outcome, online, || text::saved(&sent.to))
    }

    fn live(&self, event: &Event) -> Bytes {
        text::live(event).into()
    }

    fn replayed(&self, event: &Event, stored_offline: bool) -> Bytes {
        if stored_offline { text::stored(event).into() } else { self.live(event) }
    }

    fn notice(&self, notice: Notice<'_>) -> Option<Bytes> {
        lines::notice(&notice)
    }
}

/// Whether bytes without a newline could be a complete message: a name with a text, or a command.
fn looks_complete(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii();
    bytes.eq_ignore_ascii_case(b"exit") || bytes == b"!check" || lines::names_and_says(bytes, b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_messages_are_distinguished_from_partial_ones() {
        for whole in ["bob: hi", " bob:h", "exit", "EXIT ", "!check", "bob: a: b"] {
            assert!(looks_complete(whole.as_bytes()), "{whole}");
        }
        for part in ["", "b", "bob", "bob:", "bob: ", ": hi", "two words: hi", "!chec", "exi"] {
            assert!(!looks_complete(part.as_bytes()), "{part}");
        }
    }
}
