//! The text dialect. The grammar is `protocol::text`.

use bytes::Bytes;
use protocol::text::{self, Line};
use protocol::{Event, UserName};

use super::framing::Message;
use super::lines;
use super::request::{Outgoing, Request};
use super::speech::{Greeting, Lists, Manner, Notice, Receipts, Refusal, Speech, Step};
use crate::outcome::{Outcome, Said};

/// NUL is in no text, and in every other byte of UTF-16.
const NOT_UTF8: &str = "This server takes UTF-8, and that looks like UTF-16. It was not sent.\n";

/// Lines for people.
pub(super) struct Text;

impl Speech for Text {
    fn manner(&self) -> &'static Manner {
        &Manner {
            name: "text",
            prompt: text::PROMPT,
            first_byte: None,
            silence: Some(looks_whole),
            lists: Lists::Listing,
            has_ids: false,
            mirrors: false,
            receipts: Receipts::Transport,
            asks: false,
        }
    }

    fn identify(&self, message: Message) -> Step {
        lines::identify(message)
    }

    fn refusal(&self, why: &Refusal<'_>) -> Bytes {
        lines::refusal(why)
    }

    fn greeting(&self, greeting: Greeting<'_>) -> Bytes {
        text::connected(greeting.listing).into()
    }

    fn interpret(&self, user: &UserName, message: Message) -> Request {
        let Message::Text(line) = message else { return Request::TooLong(lines::too_long()) };
        if line.contains('\0') {
            return Request::Mistake(Bytes::from_static(NOT_UTF8.as_bytes()));
        }
        match text::parse_line(&line) {
            Line::Message { to, body } => Request::Say(Box::new(Outgoing::chat(user.clone(), to, body))),
            Line::Check => Request::Check,
            Line::Exit => Request::Exit,
            Line::Blank => Request::Nothing,
            Line::Invalid(answer) => Request::Mistake(answer.into()),
        }
    }

    fn outcome(&self, said: &Said, outcome: Outcome, online: bool) -> Option<Bytes> {
        lines::outcome(&outcome, online, || text::saved(&said.to))
    }

    fn live(&self, event: &Event) -> Bytes {
        text::live(event).into()
    }

    fn replayed(&self, event: &Event, kept: bool) -> Bytes {
        if kept { text::stored(event).into() } else { self.live(event) }
    }

    fn notice(&self, notice: Notice<'_>) -> Option<Bytes> {
        lines::notice(&notice)
    }
}

/// Whether bytes without a newline could be a message as they stand: they name somebody and say something, or are a command.
fn looks_whole(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii();
    bytes.eq_ignore_ascii_case(b"exit") || bytes == b"!check" || lines::names_and_says(bytes, b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_a_message_is_told_from_a_part_of_one() {
        for whole in ["bob: hi", " bob:h", "exit", "EXIT ", "!check", "bob: a: b"] {
            assert!(looks_whole(whole.as_bytes()), "{whole}");
        }
        for part in ["", "b", "bob", "bob:", "bob: ", ": hi", "two words: hi", "!chec", "exi"] {
            assert!(!looks_whole(part.as_bytes()), "{part}");
        }
    }
}
