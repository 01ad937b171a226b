//! The text dialect's answers. The grammar is `protocol::text`.

use bytes::Bytes;
use protocol::limits::LINE_BYTES;
use protocol::text::{self, Line};
use protocol::{UserName, sanitise};

use crate::delivery::appender::Outcome;
use crate::dialect::framing::Message;
use crate::dialect::request::{Outgoing, Request};
use crate::session::answers::Said;

/// The answer to a message that is not known to be stored. A store that hangs may have it all the same, so it is not said that it is not
/// saved; the same line goes there under the same id.
const NOT_CONFIRMED: &str = "Message not confirmed: the server's store does not answer. Please send the same line again; it will not come twice.\n";

/// NUL is in no text, and in every other byte of UTF-16.
const NOT_UTF8: &str = "This server takes UTF-8, and that looks like UTF-16. It was not sent.\n";

/// What a message asks for.
pub(crate) fn interpret(user: &UserName, message: &Message) -> Request {
    let line = match message {
        Message::Text(line) => line,
        Message::TooLong => {
            let answer = format!("Line too long: at most {LINE_BYTES} bytes. It was not sent.\n");
            return Request::TooLong(answer.into());
        }
    };
    if line.contains('\0') {
        return Request::Mistake(Bytes::from_static(NOT_UTF8.as_bytes()));
    }
    match text::parse_line(line) {
        Line::Message { to, body } => Request::Say(Box::new(Outgoing::chat(user.clone(), to, body))),
        Line::Check => Request::Check,
        Line::Exit => Request::Exit,
        Line::Blank => Request::Nothing,
        Line::Invalid(answer) => Request::Mistake(answer.into()),
    }
}

/// Whether bytes without a newline could be a message as they stand: they name somebody and say something, or are a command.
pub(crate) fn looks_whole(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii();
    bytes.eq_ignore_ascii_case(b"exit") || bytes == b"!check" || names_and_says(bytes, b':')
}

/// Whether a name stands before the first `separator`, and anything behind it. Cheap however long the bytes are.
pub(crate) fn names_and_says(bytes: &[u8], separator: u8) -> bool {
    let Some(at) = bytes.iter().position(|byte| *byte == separator) else { return false };
    let is_name = std::str::from_utf8(&bytes[..at]).is_ok_and(|name| UserName::parse(name).is_ok());
    is_name && !bytes[at + 1..].trim_ascii_start().is_empty()
}

/// What the sender of a message is told: nothing where it went to somebody online.
pub(crate) fn outcome(said: &Said, outcome: &Outcome, online: bool) -> Option<Bytes> {
    match outcome {
        Outcome::Stored(..) if online => None,
        Outcome::Stored(..) => Some(text::saved(&said.to).into()),
        Outcome::Refused(reason) => Some(format!("Message not saved: {}.\n", sanitise::line(reason)).into()),
        Outcome::Later => Some(Bytes::from_static(NOT_CONFIRMED.as_bytes())),
    }
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
